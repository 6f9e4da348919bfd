//! What was sent and is not acknowledged yet.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use parking_lot::Mutex;
use rdkafka::{ClientContext, error::KafkaError, message::DeliveryResult, producer::ProducerContext};
use sl_core::event::Position;
use tokio::sync::Notify;

use crate::client::heard;

/// One batch of the journal on its way.
pub(super) struct Underway {
    /// Behind its last record.
    next: Position,
    /// Messages without an answer, and one more while the batch is being handed over.
    left: AtomicU32,
}

/// What brokers answered: told by the producer's thread, asked by the session.
#[derive(Default)]
pub(super) struct Answers {
    /// The first message that will not arrive.
    failure: Mutex<Option<String>>,
    /// Something was answered: a batch may be complete, and there is room for more.
    pub(super) news: Notify,
}

impl Answers {
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    fn fail(&self, error: &KafkaError) {
        self.failure.lock().get_or_insert_with(|| error.to_string());
    }
}

/// The producer's side of [`Answers`].
pub(super) struct Delivered(pub(super) Arc<Answers>);

impl ClientContext for Delivered {
    heard!();
}

impl ProducerContext for Delivered {
    type DeliveryOpaque = Arc<Underway>;

    fn delivery(&self, result: &DeliveryResult<'_>, underway: Arc<Underway>) {
        match result {
            Ok(_) => {
                if underway.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    self.0.news.notify_one();
                }
            }
            // It never counts as answered: nothing behind it is passed.
            Err((error, _)) => {
                self.0.fail(error);
                self.0.news.notify_one();
            }
        }
    }
}

/// Batches in the order they were sent.
#[derive(Default)]
pub(super) struct Window(VecDeque<Arc<Underway>>);

impl Window {
    /// A batch that ends before `next` begins to be handed over.
    pub(super) fn open(&mut self, next: Position) -> Arc<Underway> {
        let underway = Arc::new(Underway { next, left: AtomicU32::new(1) });
        self.0.push_back(Arc::clone(&underway));
        underway
    }

    /// The position up to which everything is acknowledged, if that is news.
    pub(super) fn passed(&mut self) -> Option<Position> {
        let mut passed = None;
        while let Some(first) = self.0.front().filter(|first| first.left.load(Ordering::Acquire) == 0) {
            passed = Some(first.next);
            self.0.pop_front();
        }
        passed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Underway {
    /// Counts one more message of the batch that is being handed over.
    pub(super) fn another(self: &Arc<Self>) -> Arc<Self> {
        self.left.fetch_add(1, Ordering::AcqRel);
        Arc::clone(self)
    }

    /// A message that was not taken after all.
    pub(super) fn refused(&self) {
        self.left.fetch_sub(1, Ordering::AcqRel);
    }

    /// Says that the whole batch is handed over.
    pub(super) fn complete(&self) {
        self.left.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        Position { epoch: 0, offset }
    }

    #[test]
    fn a_batch_passes_only_behind_all_before_it_and_once_it_is_complete() {
        let mut window = Window::default();
        let one = window.open(at(10));
        let (a, b) = (one.another(), one.another());
        one.complete();
        let two = window.open(at(20));
        two.complete();
        assert_eq!(window.passed(), None, "the second is answered, the first is not");
        a.refused();
        assert_eq!(window.passed(), None);
        b.refused();
        assert_eq!(window.passed(), Some(at(20)));
        assert_eq!(window.passed(), None);
        let three = window.open(at(30));
        let c = three.another();
        c.refused();
        assert_eq!(window.passed(), None, "it is still being handed over");
        three.complete();
        assert_eq!(window.passed(), Some(at(30)));
        assert!(window.is_empty());
    }
}
