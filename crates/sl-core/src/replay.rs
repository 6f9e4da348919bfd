//! What a replay does to a delivery that is there already. Asked for by a person, over one row or a million: so it says of
//! each why it is left alone.

use serde::{Deserialize, Serialize};

use crate::{
    delivery::{DeliveryState, Progress},
    ids::{ApiKeyId, ReplayId, TeamId},
    retry::{Limits, too_old},
    time::Timestamp,
};

/// A replay that somebody asked for, with all of its pages: what can be read afterwards of who had what sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// Id of the replay; begins with its time, so that replays sort by it.
    pub id: ReplayId,
    /// The team whose deliveries were asked for.
    pub team: TeamId,
    /// The API key that asked.
    pub key: ApiKeyId,
    /// Which kind of replay.
    pub what: What,
    /// The filter that was asked for, a JSON object as it came.
    pub filter: String,
    /// When the first page was asked for.
    pub asked_at: Timestamp,
    /// When the newest page was asked for.
    pub last_at: Timestamp,
    /// Pages so far.
    pub pages: u32,
    /// Rows looked at so far.
    pub examined: u64,
    /// Deliveries that are sent again, or for the first time.
    pub replayed: u64,
}

/// Kinds of replays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A single delivery.
    One,
    /// Deliveries that are there, by a filter.
    Again,
    /// What happened before a destination was there.
    Into,
}

impl What {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Again => "again",
            Self::Into => "into",
        }
    }
}

/// What becomes of one delivery in a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// It is due again, with this progress.
    Again(Box<Progress>),
    /// It waits already and goes out by itself.
    Waiting,
    /// The receiver took it: only sent again when that is asked for.
    Taken,
    /// It may have arrived, and the receiver would no longer recognise it: only sent again when that is asked for.
    Uncertain,
    /// The receiver would refuse it for its age.
    TooOld,
}

/// Decides over a delivery of something that happened at `occurred_at`. `again` sends also what the receiver took, or
/// may have taken.
#[must_use]
pub fn replay(
    progress: &Progress,
    occurred_at: Timestamp,
    limits: Limits,
    now: Timestamp,
    again: bool,
) -> Replay {
    if progress.state == DeliveryState::Waiting {
        return Replay::Waiting;
    }
    if too_old(occurred_at, now, limits) {
        return Replay::TooOld;
    }
    let forgotten = |since: Timestamp| limits.ambiguous.is_none_or(|span| now > since.plus(span));
    match progress.state {
        _ if again => {}
        DeliveryState::Delivered => return Replay::Taken,
        _ if progress.ambiguous_since.is_some_and(forgotten) => return Replay::Uncertain,
        _ => {}
    }
    Replay::Again(Box::new(if again { progress.asked_for(now) } else { progress.replayed(now) }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const NOW: Timestamp = Timestamp(100 * 3_600_000);
    const LIMITS: Limits = Limits { age: Duration::from_secs(167 * 3600), ambiguous: Some(HOUR) };

    fn at(state: DeliveryState, ambiguous_since: Option<Timestamp>) -> Progress {
        Progress {
            state,
            ambiguous_since,
            attempts: 4,
            next_attempt_at: None,
            ..Progress::fresh(Timestamp(0))
        }
    }

    fn asked(progress: &Progress, limits: Limits, again: bool) -> Replay {
        replay(progress, Timestamp(0), limits, NOW, again)
    }

    #[test]
    fn what_ended_without_being_taken_is_due_at_once_with_its_whole_schedule() {
        for state in [DeliveryState::Parked, DeliveryState::Expired, DeliveryState::Skipped] {
            let Replay::Again(next) = asked(&at(state, None), LIMITS, false) else { panic!("{state:?}") };
            assert_eq!(
                (next.state, next.attempts, next.next_attempt_at),
                (DeliveryState::Waiting, 0, Some(NOW))
            );
        }
    }

    #[test]
    fn what_was_taken_goes_again_only_when_asked() {
        let taken = at(DeliveryState::Delivered, None);
        assert_eq!(asked(&taken, LIMITS, false), Replay::Taken);
        assert!(matches!(asked(&taken, LIMITS, true), Replay::Again(_)));
    }

    #[test]
    fn what_may_have_arrived_goes_again_while_the_receiver_would_recognise_it() {
        let since = |hours: u32| at(DeliveryState::Parked, Some(NOW.minus(HOUR * hours)));
        assert!(matches!(asked(&since(1), LIMITS, false), Replay::Again(_)));
        assert_eq!(asked(&since(2), LIMITS, false), Replay::Uncertain);
        assert!(matches!(asked(&since(2), LIMITS, true), Replay::Again(_)));
        let forgets_at_once = Limits { ambiguous: None, ..LIMITS };
        assert_eq!(asked(&since(1), forgets_at_once, false), Replay::Uncertain);
    }

    #[test]
    fn what_is_too_old_is_not_sent_even_when_asked_and_what_waits_is_left_alone() {
        let short = Limits { age: HOUR, ..LIMITS };
        assert_eq!(asked(&at(DeliveryState::Parked, None), short, true), Replay::TooOld);
        assert_eq!(asked(&at(DeliveryState::Waiting, None), short, true), Replay::Waiting);
    }
}
