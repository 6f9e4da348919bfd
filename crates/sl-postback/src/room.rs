//! Room for requests: destinations that do not answer, or take long to, share half of it, so that however many they are, the
//! others have theirs.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use sl_core::{delivery::Destination, ids::TeamId};

use crate::turns::{Turn, Turns};

/// Platforms answer in 0.6 s (ad-platforms 2.6).
const LONG: Duration = Duration::from_secs(2);

/// What is known of each destination's newest request, since the start.
pub(crate) struct Room {
    answers: Mutex<HashMap<Destination, Answers>>,
    slow: Turns,
}

/// How a destination answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    Soon,
    Late,
    Not,
}

impl Room {
    /// Room for `concurrency` requests at once, all destinations together.
    pub(crate) fn new(concurrency: usize) -> Self {
        Self { answers: Mutex::default(), slow: Turns::new(concurrency / 2) }
    }

    /// How many requests at once: one until the destination has answered, since it may be one that does not.
    pub(crate) fn width(&self, destination: Destination, width: usize) -> usize {
        match self.answers.lock().get(&destination) {
            Some(Answers::Soon | Answers::Late) => width,
            Some(Answers::Not) | None => 1,
        }
    }

    /// Waits for a place of those that do not answer soon, if the destination is one; nobody else waits here.
    pub(crate) async fn enter(&self, team: TeamId, destination: Destination) -> Option<Turn> {
        if self.is_slow(destination) { Some(self.slow.take(team).await) } else { None }
    }

    /// Whether the destination did not answer its newest request, or took long.
    pub(crate) fn is_slow(&self, destination: Destination) -> bool {
        matches!(self.answers.lock().get(&destination), Some(Answers::Late | Answers::Not))
    }

    /// The destination answered its newest request after so long, whatever it said, or it did not.
    pub(crate) fn note(&self, destination: Destination, answered: Option<Duration>) {
        let answers = match answered {
            None => Answers::Not,
            Some(after) if after > LONG => Answers::Late,
            Some(_) => Answers::Soon,
        };
        self.answers.lock().insert(destination, answers);
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
    async fn destinations_that_do_not_answer_soon_never_have_more_than_half_of_the_room() {
        let room = Room::new(8);
        let mut held = Vec::new();
        for number in 0..4 {
            room.note(postback(number), (number % 2 == 0).then_some(LONG * 2));
            held.push(room.enter(TeamId(1), postback(number)).await.unwrap());
        }
        room.note(postback(5), None);
        let fifth = room.enter(TeamId(1), postback(5));
        tokio::pin!(fifth);
        assert!(futures_util::poll!(&mut fifth).is_pending());
        room.note(postback(6), Some(LONG / 2));
        assert!(room.enter(TeamId(1), postback(6)).await.is_none(), "one that answers waits for nobody");
        assert!(room.enter(TeamId(1), postback(7)).await.is_none(), "nor does one that nothing is known of");
        held.pop();
        assert!(fifth.await.is_some());
    }

    #[test]
    fn a_destination_is_sent_one_request_until_it_has_answered_and_again_once_it_does_not() {
        let room = Room::new(8);
        assert_eq!(room.width(postback(1), 8), 1);
        room.note(postback(1), Some(LONG * 2));
        assert_eq!(room.width(postback(1), 8), 8);
        room.note(postback(1), None);
        assert_eq!(room.width(postback(1), 8), 1);
    }
}
