//! What an answer means for a delivery, and when it is tried again (architecture 6, ad-platforms 14).

use std::time::Duration;

use crate::{
    batch::REFUSED_TOGETHER,
    delivery::{Attempt, DeliveryState, Progress},
    time::Timestamp,
};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// Waits after the first, second, … failed attempt; after the last one the delivery is parked. In all 31.6 h.
const WAITS: [Duration; 8] = [
    Duration::from_secs(5),
    Duration::from_secs(MINUTE),
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(10 * HOUR),
    Duration::from_secs(14 * HOUR),
];

/// Each wait is longer or shorter by up to this share, so that what failed together does not come back together.
const JITTER: f64 = 0.2;

/// A throttled receiver without a hint is left alone for this long at least (ad-platforms 14, "retry (slow)").
const SLOW: Duration = Duration::from_secs(5 * MINUTE);

/// A receiver can't hold a delivery longer than that with `Retry-After`.
const LONGEST_HINT: Duration = Duration::from_secs(24 * HOUR);

/// Answers that say nothing are believed to be a refusal from this one on (ad-platforms 14: "then payload").
const UNCLEAR: u32 = 3;

/// What an answer, or its absence, means (ad-platforms 14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The receiver confirmed it.
    Delivered,
    /// Nothing reached it, or it said that it failed for now.
    Retry,
    /// It was sent and no answer came: it may have arrived.
    Ambiguous,
    /// An answer that neither confirms nor refuses it: taken for a refusal when it comes again and again.
    Unclear,
    /// Throttled, with the receiver's wish when it gave one.
    Slow(Option<Duration>),
    /// Token bad, expired or without permission: nothing will pass until it is mended.
    Auth,
    /// Wrong target or version: likewise.
    Config,
    /// This event will never be accepted.
    Payload,
}

impl Outcome {
    /// Label of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retry => "retry",
            Self::Ambiguous => "ambiguous",
            Self::Unclear => "unclear",
            Self::Slow(_) => "throttled",
            Self::Auth => "auth",
            Self::Config => "config",
            Self::Payload => "payload",
        }
    }

    /// Outcome of a status alone, when no platform rule matches (ad-platforms 14, generic mapping). Redirects are never
    /// followed (decisions 35), so one means that the target is wrong.
    #[must_use]
    pub fn of_status(status: u16, retry_after: Option<Duration>) -> Self {
        match status {
            200..=299 => Self::Delivered,
            401 | 403 => Self::Auth,
            404 | 410 | 300..=399 => Self::Config,
            429 => Self::Slow(retry_after),
            503 if retry_after.is_some() => Self::Slow(retry_after),
            408 | 425 | 500.. => Self::Retry,
            _ => Self::Payload,
        }
    }
}

/// How long a receiver accepts an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest time from the event to the last attempt.
    pub age: Duration,
    /// From the first attempt without an answer until the last repetition; `None` where receivers do not deduplicate.
    pub ambiguous: Option<Duration>,
}

/// Reasons of a delivery that ends without being delivered (decisions 34, 43). The words are on the wire.
pub mod reason {
    /// The receiver would not take it any more.
    pub const TOO_OLD: &str = "too_old";
    /// The last wait of the schedule has passed.
    pub const EXHAUSTED: &str = "retries_exhausted";
    /// It may have arrived, and repeating it now could count it twice.
    pub const AMBIGUOUS: &str = "ambiguous";
    /// The receiver refuses the token; goes on when the destination is changed.
    pub const AUTH: &str = "auth";
    /// The receiver does not know the target; goes on when the destination is changed.
    pub const CONFIG: &str = "config";
    /// The pixel has no token that can be opened; goes on when it is saved again.
    pub const TOKEN_MISSING: &str = "token_missing";
    /// This installation can't deliver to the platform yet; goes on when it can, or the pixel is saved again.
    pub const PLATFORM_UNKNOWN: &str = "platform_not_supported_yet";
    /// The operator has not entered the platform's address; goes on when the service starts with one.
    pub const ADDRESS_MISSING: &str = "address_missing";
    /// The destination is gone.
    pub const DELETED: &str = "destination_deleted";
    /// The receiver refuses this event for good.
    pub const PAYLOAD: &str = "payload";
}

/// Whether a parked delivery goes on by itself once its destination was changed.
#[must_use]
pub fn waits_for_mending(reason: &str) -> bool {
    matches!(reason, reason::AUTH | reason::CONFIG | reason::TOKEN_MISSING) || waits_for_operator(reason)
}

/// Whether a parked delivery goes on once the installation can send to its platform.
#[must_use]
pub fn waits_for_operator(reason: &str) -> bool {
    matches!(reason, reason::PLATFORM_UNKNOWN | reason::ADDRESS_MISSING)
}

/// Whether a parked delivery may go on after a start, though its destination was not changed: the platform's address or the keys of
/// this installation may have been mended.
#[must_use]
pub fn may_be_mended_by_a_start(reason: &str) -> bool {
    matches!(reason, reason::CONFIG | reason::TOKEN_MISSING) || waits_for_operator(reason)
}

/// Whether the event is past what the receiver accepts.
#[must_use]
pub fn too_old(occurred_at: Timestamp, now: Timestamp, limits: Limits) -> bool {
    now > occurred_at.plus(limits.age)
}

/// Whether the receiver may have it, and may have forgotten so: repeating it now could count it twice. However long it waited since
/// its attempt: for a receiver to rest, for a token, for us.
#[must_use]
pub fn may_count_twice(progress: &Progress, now: Timestamp, limits: Limits) -> bool {
    limits.ambiguous.zip(progress.ambiguous_since).is_some_and(|(span, since)| now > since.plus(span))
}

/// The progress after an attempt with this outcome. `chance` is in `0.0..1.0`.
#[must_use]
pub fn after(
    progress: &Progress,
    attempt: Attempt,
    outcome: Outcome,
    occurred_at: Timestamp,
    limits: Limits,
    chance: f64,
) -> Progress {
    let now = attempt.at.plus(Duration::from_millis(u64::from(attempt.millis)));
    let ambiguous = (outcome == Outcome::Ambiguous).then_some(attempt.at);
    let mut next = Progress {
        attempts: progress.attempts.saturating_add(1),
        ambiguous_since: progress.ambiguous_since.or(ambiguous),
        unclear: progress.unclear.saturating_add(u32::from(outcome == Outcome::Unclear)),
        last: Some(attempt),
        updated_at: now,
        ..progress.clone()
    };
    let least = match outcome {
        Outcome::Delivered => return ended(next, DeliveryState::Delivered, None),
        Outcome::Auth => return ended(next, DeliveryState::Parked, Some(reason::AUTH)),
        Outcome::Config => return ended(next, DeliveryState::Parked, Some(reason::CONFIG)),
        Outcome::Payload => return ended(next, DeliveryState::Parked, Some(reason::PAYLOAD)),
        Outcome::Unclear if progress.unclear + 1 >= UNCLEAR => {
            return ended(next, DeliveryState::Parked, Some(reason::PAYLOAD));
        }
        Outcome::Retry | Outcome::Ambiguous | Outcome::Unclear => Duration::ZERO,
        Outcome::Slow(hint) => hint.unwrap_or(SLOW).min(LONGEST_HINT),
    };
    let Some(wait) = wait(progress.attempts, chance) else {
        return ended(next, DeliveryState::Parked, Some(reason::EXHAUSTED));
    };
    let at = now.plus(wait.max(least));
    if too_old(occurred_at, at, limits) {
        return ended(next, DeliveryState::Expired, Some(reason::TOO_OLD));
    }
    if may_count_twice(&next, at, limits) {
        return ended(next, DeliveryState::Parked, Some(reason::AMBIGUOUS));
    }
    next.state = DeliveryState::Waiting;
    next.next_attempt_at = Some(at);
    next.reason = None;
    next
}

/// The progress of one event of several in a request whose answer says nothing about single ones
/// ([`crate::batch::of_each`]): due as it was, and alone.
#[must_use]
pub fn apart(progress: &Progress, attempt: Attempt, outcome: Outcome) -> Progress {
    // Nobody says that a refused one was taken; of the others it may have been.
    let ambiguous = (outcome != Outcome::Payload).then_some(attempt.at);
    Progress {
        attempts: progress.attempts.saturating_add(1),
        next_attempt_at: progress.due(),
        ambiguous_since: progress.ambiguous_since.or(ambiguous),
        updated_at: attempt.at.plus(Duration::from_millis(u64::from(attempt.millis))),
        last: Some(Attempt { error_type: Some(REFUSED_TOGETHER.to_owned()), ..attempt }),
        ..progress.clone()
    }
}

/// The wait after `failed` earlier failures, jittered; `None` when the schedule is over.
#[must_use]
pub fn wait(failed: u32, chance: f64) -> Option<Duration> {
    let wait = WAITS.get(usize::try_from(failed).ok()?)?;
    Some(wait.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance.clamp(0.0, 1.0)))
}

/// A progress that has come to its end.
#[must_use]
pub fn ended(mut progress: Progress, state: DeliveryState, reason: Option<&str>) -> Progress {
    progress.state = state;
    progress.next_attempt_at = None;
    progress.reason = reason.map(str::to_owned);
    progress
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::batch::goes_alone;

    const LIMITS: Limits =
        Limits { age: Duration::from_secs(167 * HOUR), ambiguous: Some(Duration::from_secs(47 * HOUR)) };

    fn attempt(at: Timestamp) -> Attempt {
        Attempt { at, millis: 0, status: None, error_type: None, message: None }
    }

    fn fail_until_the_end(outcome: Outcome, limits: Limits) -> (Vec<Duration>, Progress) {
        let mut progress = Progress::fresh(Timestamp(0));
        let mut waits = Vec::new();
        while let Some(at) = progress.next_attempt_at {
            progress = after(&progress, attempt(at), outcome, Timestamp(0), limits, 0.5);
            waits.extend(progress.next_attempt_at.map(|next| next.since(at)));
        }
        (waits, progress)
    }

    #[test]
    fn a_dead_receiver_is_asked_nine_times_in_31_hours_and_the_delivery_is_parked() {
        let (waits, progress) = fail_until_the_end(Outcome::Retry, LIMITS);
        assert_eq!(waits, WAITS);
        assert_eq!((progress.state, progress.attempts), (DeliveryState::Parked, 9));
        assert_eq!(progress.reason.as_deref(), Some(reason::EXHAUSTED));
    }

    #[test]
    fn what_may_have_arrived_is_repeated_for_47_hours_only_whenever_its_turn_comes() {
        let once = |outcome| {
            let fresh = Progress::fresh(Timestamp(0));
            after(&fresh, attempt(Timestamp(0)), outcome, Timestamp(0), LIMITS, 0.5)
        };
        let first = once(Outcome::Ambiguous);
        let hours = |hours: u64| Timestamp(0).plus(Duration::from_secs(hours * HOUR));
        assert!(!may_count_twice(&first, hours(47), LIMITS));
        assert!(may_count_twice(&first, hours(48), LIMITS));
        assert!(may_count_twice(&first.replayed(hours(48)), hours(48), LIMITS), "as when a token was mended");
        assert!(
            !may_count_twice(&first.asked_for(hours(48)), hours(48), LIMITS),
            "somebody wants it all the same"
        );
        assert!(
            !may_count_twice(&first, hours(48), Limits { ambiguous: None, ..LIMITS }),
            "nobody there remembers any"
        );
        assert!(!may_count_twice(&once(Outcome::Retry), hours(48), LIMITS), "it never arrived");
    }

    #[test]
    fn the_acceptance_age_cuts_the_schedule_off() {
        let limits = Limits { age: Duration::from_secs(HOUR), ambiguous: None };
        let (waits, progress) = fail_until_the_end(Outcome::Retry, limits);
        assert_eq!(waits.len(), 4);
        assert_eq!(progress.state, DeliveryState::Expired);
    }

    #[test]
    fn what_may_have_arrived_is_not_repeated_past_the_receivers_memory() {
        let limits = Limits { ambiguous: Some(Duration::from_secs(HOUR)), ..LIMITS };
        let (_, progress) = fail_until_the_end(Outcome::Ambiguous, limits);
        assert_eq!(progress.reason.as_deref(), Some(reason::AMBIGUOUS));
        assert_eq!(progress.ambiguous_since, Some(Timestamp(0)));
    }

    #[test]
    fn a_throttled_receiver_is_left_alone_as_long_as_it_asks() {
        let fresh = Progress::fresh(Timestamp(0));
        let next = |hint| {
            let outcome = Outcome::Slow(hint);
            after(&fresh, attempt(Timestamp(0)), outcome, Timestamp(0), LIMITS, 0.5).next_attempt_at
        };
        assert_eq!(next(Some(Duration::from_secs(90))), Some(Timestamp(90_000)));
        assert_eq!(next(None), Some(Timestamp(300_000)));
        assert_eq!(next(Some(Duration::from_secs(1))), Some(Timestamp(5_000)));
        assert_eq!(next(Some(Duration::MAX)), Some(Timestamp(24 * 3_600_000)));
    }

    #[test]
    fn permanent_refusals_are_parked_at_once_with_the_reason() {
        for (outcome, want) in [
            (Outcome::Auth, reason::AUTH),
            (Outcome::Config, reason::CONFIG),
            (Outcome::Payload, reason::PAYLOAD),
        ] {
            let fresh = Progress::fresh(Timestamp(0));
            let next = after(&fresh, attempt(Timestamp(0)), outcome, Timestamp(0), LIMITS, 0.0);
            assert_eq!((next.state, next.reason.as_deref()), (DeliveryState::Parked, Some(want)));
            assert_eq!(next.next_attempt_at, None);
        }
    }

    #[test]
    fn an_answer_that_says_nothing_is_a_refusal_the_third_time() {
        let (waits, progress) = fail_until_the_end(Outcome::Unclear, LIMITS);
        assert_eq!((waits.len(), progress.attempts), (2, 3));
        assert_eq!(
            (progress.state, progress.reason.as_deref()),
            (DeliveryState::Parked, Some(reason::PAYLOAD))
        );
        // Failures before it do not count, and a replay begins anew.
        let failed = Progress { attempts: 5, ..Progress::fresh(Timestamp(0)) };
        let next = after(&failed, attempt(Timestamp(0)), Outcome::Unclear, Timestamp(0), LIMITS, 0.5);
        assert_eq!((next.state, next.unclear), (DeliveryState::Waiting, 1));
        assert_eq!(progress.replayed(Timestamp(0)).unclear, 0);
    }

    #[test]
    fn one_of_a_refused_request_is_due_as_it_was_and_alone() {
        let fresh = Progress::fresh(Timestamp(0));
        let refused = apart(&fresh, attempt(Timestamp(9)), Outcome::Payload);
        assert_eq!(
            (refused.state, refused.attempts, refused.due()),
            (DeliveryState::Waiting, 1, fresh.due())
        );
        assert!(goes_alone(&refused) && !goes_alone(&fresh));
        assert_eq!(refused.ambiguous_since, None);
        let unclear = apart(&fresh, attempt(Timestamp(9)), Outcome::Unclear);
        assert_eq!((unclear.ambiguous_since, unclear.unclear), (Some(Timestamp(9)), 0), "not its own answer");
        // Its own answer decides, and after that it is one like any other.
        let failed = after(&refused, attempt(Timestamp(9)), Outcome::Retry, Timestamp(0), LIMITS, 0.5);
        assert!(!goes_alone(&failed));
        let unclear = after(&refused, attempt(Timestamp(9)), Outcome::Unclear, Timestamp(0), LIMITS, 0.5);
        assert!(goes_alone(&unclear));
    }

    #[test]
    fn every_status_has_its_class() {
        for (status, want) in [
            (200, Outcome::Delivered),
            (204, Outcome::Delivered),
            (302, Outcome::Config),
            (400, Outcome::Payload),
            (401, Outcome::Auth),
            (403, Outcome::Auth),
            (404, Outcome::Config),
            (408, Outcome::Retry),
            (405, Outcome::Payload),
            (406, Outcome::Payload),
            (409, Outcome::Payload),
            (410, Outcome::Config),
            (411, Outcome::Payload),
            (413, Outcome::Payload),
            (415, Outcome::Payload),
            (422, Outcome::Payload),
            (425, Outcome::Retry),
            (429, Outcome::Slow(None)),
            (500, Outcome::Retry),
            (599, Outcome::Retry),
        ] {
            assert_eq!(Outcome::of_status(status, None), want, "{status}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_stays_within_a_fifth_of_its_plan(failed in 0u32..8, chance in 0.0..1.0f64) {
            let plan = WAITS[failed as usize].as_secs_f64();
            let wait = wait(failed, chance).unwrap().as_secs_f64();
            prop_assert!((plan * 0.799..=plan * 1.201).contains(&wait));
        }
    }
}
