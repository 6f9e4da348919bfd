//! Between the hand-over and the answer: the fate of the record, or the cap, whichever comes first.
//!
//! Dropping the wait cancels nothing. The record is on its way since before the first poll; if the connection goes away,
//! its fate is still watched, so that a loss is counted and the window forgets the click.

use std::{
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

use sl_core::click::{Class, Rung};
use sl_core::ladder;
use sl_journal::{Fate, LostReason, Ticket};

use super::{
    answer::{Found, Reply},
    commits::Client,
    worker::Worker,
};
use crate::{links::Prepared, window::Remembered};

/// Everything an answer needs once the fate is known.
pub(super) struct Hit {
    worker: Rc<Worker>,
    class: Class,
    rung: Rung,
    link: Arc<Prepared>,
    /// The click in the window: a person's own, or the one that is repeated. Its cookie goes along.
    entry: Option<Arc<Remembered>>,
    began: Instant,
}

/// The future of one answer; `Unpin`, without a heap allocation of its own.
pub(crate) struct Answering(State);

enum State {
    Ready(Option<Reply>),
    Waiting(Waiting),
}

struct Waiting {
    ticket: Ticket,
    /// The waker under which the answer stands in the worker's queue.
    parked: Option<Waker>,
    /// `None` once answered.
    hit: Option<Hit>,
}

// === impl Hit ===

impl Hit {
    pub(super) fn of(
        worker: &Rc<Worker>,
        link: &Arc<Prepared>,
        class: Class,
        rung: Rung,
        entry: Option<Arc<Remembered>>,
        began: Instant,
    ) -> Self {
        Self { worker: Rc::clone(worker), class, rung, link: Arc::clone(link), entry, began }
    }

    /// Waits for the fate of what was handed over.
    pub(super) fn wait(self, handed: Result<Ticket, LostReason>) -> Answering {
        match handed {
            Ok(ticket) => Answering(State::Waiting(Waiting { ticket, parked: None, hit: Some(self) })),
            Err(reason) => Answering::ready(self.lost(reason)),
        }
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Its answer, now that this is known.
    pub(super) fn settled(self, fate: Fate) -> Reply {
        match fate {
            Fate::Stored => self.stored(),
            Fate::Lost(reason) => self.lost(reason),
        }
    }

    /// Its answer before the fate of its record is known.
    #[cold]
    #[inline(never)]
    pub(super) fn late(self, ticket: Ticket) -> Reply {
        self.worker.meters.late.increment(1);
        self.watch(ticket);
        self.answer()
    }

    /// Leaves the record's fate to a task of its own. There are never more of them than records in the journal's queue.
    fn watch(&self, ticket: Ticket) {
        let (worker, class, entry) = (Rc::clone(&self.worker), self.class, self.entry.clone());
        let fate = worker.shared.log.fate(ticket);
        let watch = async move {
            match fate.await {
                Fate::Stored => {
                    if let Some(entry) = entry {
                        entry.stored();
                    }
                }
                Fate::Lost(reason) => count_loss(&worker, class, entry.as_ref(), reason),
            }
        };
        tokio::task::spawn_local(self.worker.late.track_future(watch));
    }

    /// The answer once the record is on disk, or (late) as good as: the visitor gets what it says.
    fn stored(self) -> Reply {
        if let Some(entry) = &self.entry {
            entry.stored();
        }
        self.answer()
    }

    fn answer(self) -> Reply {
        let (meters, commits) = (&self.worker.meters, &self.worker.commits);
        meters.answered(self.class, self.rung, commits.waited(self.began));
        if commits.is_idle() {
            meters.say();
        }
        Reply::Found(Found { link: self.link, rung: self.rung, click: self.entry })
    }

    /// A click without a record gets the shared link (decisions 4). A lost repeat keeps the link of its click, which is on disk.
    #[cold]
    #[inline(never)]
    fn lost(self, reason: LostReason) -> Reply {
        count_loss(&self.worker, self.class, self.entry.as_ref(), reason);
        let known = self.entry.as_ref().is_some_and(|entry| entry.is_stored());
        if self.class == Class::Repeat && known {
            return self.answer();
        }
        let link = &self.link;
        let rung = ladder::rung(link.paused, None, link.overflow.is_some());
        Self { rung, entry: None, ..self }.answer()
    }
}

/// Counts it, and lets the window forget a click that has no record. Its pool link, if it took one, is neither unused nor
/// given: it passes quarantine with the end of its lease (decisions 42).
fn count_loss(worker: &Worker, class: Class, entry: Option<&Arc<Remembered>>, reason: LostReason) {
    worker.meters.lost(reason);
    if class == Class::Person
        && let Some(entry) = entry
    {
        worker.shared.window.withdraw(entry);
    }
}

// === impl Answering ===

impl Answering {
    pub(super) fn ready(reply: Reply) -> Self {
        Self(State::Ready(Some(reply)))
    }

    /// What is answered at once. Otherwise `client` is owed the answer and gets it without asking.
    pub(crate) fn now_or_to(mut self, client: impl FnOnce() -> Rc<dyn Client>) -> Option<Reply> {
        let waiting = match &mut self.0 {
            State::Ready(reply) => return reply.take(),
            State::Waiting(waiting) => waiting,
        };
        let (hit, ticket) = (waiting.hit.take()?, waiting.ticket);
        let worker = Rc::clone(&hit.worker);
        if let Some(fate) = worker.shared.log.fate_now(ticket) {
            return Some(hit.settled(fate));
        }
        worker.commits.owe(ticket, client(), hit);
        None
    }
}

impl Future for Answering {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = match &mut self.0 {
            State::Ready(reply) => reply.take(),
            State::Waiting(waiting) => ready!(waiting.poll(context)),
        };
        // `None` only if polled after it was ready, which nobody does.
        reply.map_or(Poll::Pending, Poll::Ready)
    }
}

// === impl Waiting ===

impl Waiting {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Reply>> {
        let Some(hit) = &self.hit else { return Poll::Ready(None) };
        let (worker, began) = (&hit.worker, hit.began);
        if let Some(fate) = worker.shared.log.fate_now(self.ticket) {
            return Poll::Ready(self.hit.take().map(|hit| hit.settled(fate)));
        }
        if worker.commits.is_late(self.ticket) {
            return Poll::Ready(self.hit.take().map(|hit| hit.late(self.ticket)));
        }
        if !self.parked.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            worker.commits.wait(self.ticket, began, context.waker().clone());
            self.parked = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Waiting {
    /// The connection is gone; the click is not.
    fn drop(&mut self) {
        if let Some(hit) = self.hit.as_ref().filter(|hit| !hit.worker.over.get()) {
            hit.worker.meters.hit(hit.class, Some(hit.rung));
            hit.watch(self.ticket);
        }
    }
}
