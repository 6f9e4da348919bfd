//! Room for requests: destinations that do not answer share half of it, so that however many they are, the others have
//! theirs.

use std::collections::HashMap;

use parking_lot::Mutex;
use sl_core::delivery::Destination;
use tokio::sync::{Semaphore, SemaphorePermit};

/// What is known of each destination's newest request, since the start.
pub(crate) struct Room {
    answers: Mutex<HashMap<Destination, bool>>,
    silent: Semaphore,
}

impl Room {
    /// Of so many requests at once, all destinations together.
    pub(crate) fn new(concurrency: usize) -> Self {
        Self { answers: Mutex::default(), silent: Semaphore::new((concurrency / 2).max(1)) }
    }

    /// How many requests at once: one until the destination has answered, since it may be one that does not.
    pub(crate) fn width(&self, destination: Destination, width: usize) -> usize {
        if self.answers.lock().get(&destination) == Some(&true) { width } else { 1 }
    }

    /// Waits for a place of those that do not answer, if the destination is one; nobody else waits here.
    pub(crate) async fn enter(&self, destination: Destination) -> Option<SemaphorePermit<'_>> {
        if self.answers.lock().get(&destination) != Some(&false) {
            return None;
        }
        // It is never closed; were it, sending without a place would only be less fair.
        self.silent.acquire().await.ok()
    }

    /// The destination answered its newest request, whatever it said, or it did not.
    pub(crate) fn note(&self, destination: Destination, answered: bool) {
        self.answers.lock().insert(destination, answered);
    }
}

#[cfg(test)]
mod tests {
    use sl_core::ids::PostbackId;

    use super::*;

    fn postback(number: u64) -> Destination {
        Destination::Postback(PostbackId(number))
    }

    #[tokio::test]
    async fn destinations_that_do_not_answer_never_have_more_than_half_of_the_room() {
        let room = Room::new(8);
        let mut held = Vec::new();
        for number in 0..4 {
            room.note(postback(number), false);
            held.push(room.enter(postback(number)).await.unwrap());
        }
        room.note(postback(5), false);
        let fifth = room.enter(postback(5));
        tokio::pin!(fifth);
        assert!(futures_util::poll!(&mut fifth).is_pending());
        room.note(postback(6), true);
        assert!(room.enter(postback(6)).await.is_none(), "one that answers waits for nobody");
        assert!(room.enter(postback(7)).await.is_none(), "nor does one that nothing is known of");
        held.pop();
        assert!(fifth.await.is_some());
    }

    #[test]
    fn a_destination_is_sent_one_request_until_it_has_answered_and_again_once_it_does_not() {
        let room = Room::new(8);
        assert_eq!(room.width(postback(1), 8), 1);
        room.note(postback(1), true);
        assert_eq!(room.width(postback(1), 8), 8);
        room.note(postback(1), false);
        assert_eq!(room.width(postback(1), 8), 1);
    }
}
