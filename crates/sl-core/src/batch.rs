//! Several events in one request: when, which, and what its answer says about each of them.
//!
//! One event per request is the rule: it is refused for itself alone. Where one bad event refuses the whole request
//! (ad-platforms 0, mistake 12), more than one go together only while a queue would not drain otherwise.

use crate::{delivery::Progress, retry::Outcome};

/// How an ad platform takes several events in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Most events in a request, by the platform's rule.
    pub most: usize,
    /// The list of events, a member of the body.
    pub list: &'static str,
}

/// More than so many due at once for one destination are a queue. Batches are worth it above 50 events/s (ad-platforms 0):
/// this is a little more than a second of them. One by one, 8 at once that take 0.6 s each (ad-platforms 2.6), it would
/// take 5 s.
pub const QUEUE: usize = 64;

/// Most that an operator may ask for: the least that a platform takes (ad-platforms 0), and 64 requests of so many events are
/// 200 MB in memory.
pub const MOST: usize = 1_000;

/// The attempt was a request that held others too and was not taken as a whole ([`crate::delivery::Attempt::error_type`]).
pub const REFUSED_TOGETHER: &str = "batch";

/// How many events a request to a destination may hold while so many are due for it and so many requests may go now: `allowed`
/// when they are a queue, or more than could go one by one; else one.
#[must_use]
pub fn size(due: usize, may_go: usize, allowed: usize) -> usize {
    if due > QUEUE.min(may_go) { allowed.max(1) } else { 1 }
}

/// Shares out what is due to requests of at most `size`, in its order. Whatever `alone` names has a request of its own.
#[must_use]
pub fn share<T>(due: Vec<T>, size: usize, alone: impl Fn(&T) -> bool) -> Vec<Vec<T>> {
    let (mut requests, mut open): (Vec<Vec<T>>, Option<usize>) = (Vec::new(), None);
    for one in due {
        let is_alone = size <= 1 || alone(&one);
        let place = open.filter(|_| !is_alone).and_then(|open| requests.get_mut(open));
        match place.filter(|request| request.len() < size) {
            Some(request) => request.push(one),
            None => {
                requests.push(vec![one]);
                if !is_alone {
                    open = Some(requests.len() - 1);
                }
            }
        }
    }
    requests
}

/// Whether a delivery has a request of its own whatever is due beside it: it may be the one for which others were refused,
/// or nobody could say what became of it.
#[must_use]
pub fn goes_alone(progress: &Progress) -> bool {
    let last = progress.last.as_ref().and_then(|last| last.error_type.as_deref());
    progress.unclear > 0 || last == Some(REFUSED_TOGETHER)
}

/// What the outcome of a request with several events means for each of them; `None` when it says nothing about single ones,
/// so that each goes again alone: some may be good, and some may have been taken (what comes twice counts once,
/// ad-platforms 2.9, 3.6, 4.5).
#[must_use]
pub fn of_each(outcome: Outcome) -> Option<Outcome> {
    match outcome {
        Outcome::Payload | Outcome::Unclear => None,
        // Of the receiver or the way to it, not of an event.
        Outcome::Delivered
        | Outcome::Retry
        | Outcome::Ambiguous
        | Outcome::Slow(_)
        | Outcome::Auth
        | Outcome::Config => Some(outcome),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_long_as_there_is_no_queue_every_event_has_a_request_of_its_own() {
        for due in 0..=QUEUE {
            assert_eq!(size(due, 1_000, 200), 1);
        }
        let of = |allowed| size(QUEUE + 1, 1_000, allowed);
        assert_eq!((of(200), of(1), of(0)), (200, 1, 1));
        assert_eq!(
            (size(5, 5, 200), size(6, 5, 200)),
            (1, 200),
            "more than our own limit lets go one by one"
        );
    }

    #[test]
    fn only_what_says_something_about_every_event_is_believed_of_each() {
        assert_eq!((of_each(Outcome::Payload), of_each(Outcome::Unclear)), (None, None));
        for outcome in [
            Outcome::Delivered,
            Outcome::Retry,
            Outcome::Ambiguous,
            Outcome::Slow(None),
            Outcome::Auth,
            Outcome::Config,
        ] {
            assert_eq!(of_each(outcome), Some(outcome));
        }
    }

    proptest! {
        /// Against the words above: everything once, nothing too large, nothing that must be alone with others, in order.
        #[test]
        fn everything_due_is_in_one_request_and_requests_keep_their_bounds(
            alone in prop::collection::vec(any::<bool>(), 0..300),
            size in 0usize..70,
        ) {
            let due: Vec<usize> = (0..alone.len()).collect();
            let requests = share(due.clone(), size, |nth| alone[*nth]);
            let mut all: Vec<_> = requests.iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(&all, &due);
            let together = requests.iter().filter(|request| !alone[request[0]]).collect::<Vec<_>>();
            for request in &requests {
                prop_assert!(!request.is_empty() && request.len() <= size.max(1));
                prop_assert!(request.len() == 1 || request.iter().all(|nth| !alone[*nth]));
                prop_assert!(request.is_sorted());
            }
            let firsts: Vec<_> = requests.iter().map(|request| request[0]).collect();
            prop_assert!(firsts.is_sorted(), "the oldest go first");
            // As few as there can be: all but the last are full.
            for request in together.iter().rev().skip(1) {
                prop_assert_eq!(request.len(), size.max(1));
            }
            let joined: Vec<_> = together.into_iter().flatten().copied().collect();
            prop_assert!(joined.is_sorted(), "nobody overtakes whom it could have gone with");
        }
    }
}
