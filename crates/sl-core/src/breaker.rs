//! A breaker per destination: a receiver that keeps failing is asked less, and none of the others waits for it
//! (ad-platforms 14, rule 4).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{retry::Outcome, time::Timestamp};

/// Refusals of token or target in a row after which nothing more is sent until the destination is changed.
const REFUSALS: u32 = 5;
/// Failures in a row after which a receiver rests for [`REST`].
const FAILURES: u32 = 20;
/// How long a receiver rests after [`FAILURES`]; then one probe decides.
const REST: Duration = Duration::from_secs(5 * 60);
/// A receiver can't put off all its deliveries longer than that.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// From this many failures in a row on, one request at a time.
const SHAKY: u32 = 3;

/// What may be sent to a destination now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Requests, at most this many at once.
    Open(usize),
    /// No request before this time.
    RestingUntil(Timestamp),
    /// Nothing until the destination is changed: it refuses our token or target.
    Held(Outcome),
}

/// The newest answers of one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breaker {
    failures: u32,
    refusals: u32,
    rest: Option<Rest>,
    held: Option<Outcome>,
}

/// From when until when nothing is sent. What waits for the destination keeps its own time and order: only the rest is
/// written down, so it costs the same whether ten jobs wait or ten million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// When it began.
    pub from: Timestamp,
    /// When it ends: one probe goes out then.
    pub until: Timestamp,
}

impl Rest {
    /// A clock that was set back ends it: a probe decides.
    #[must_use]
    pub fn lasts(&self, now: Timestamp) -> bool {
        now < self.until && !now.is_set_back_since(self.from)
    }
}

/// A destination that rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resting {
    /// From when until when it rests.
    pub rest: Rest,
    /// Which version of the destination (its `updated_at`): a changed one does not rest.
    pub version: Timestamp,
}

// === impl Breaker ===

impl Breaker {
    /// Takes an outcome into account.
    pub fn record(&mut self, outcome: Outcome, now: Timestamp) {
        match outcome {
            // It answered for itself: whatever it says about one event, it is alive.
            // A rest that it asked for goes on all the same.
            Outcome::Delivered | Outcome::Payload => {
                *self = Self { rest: self.rest.filter(|rest| rest.lasts(now)), ..Self::default() };
            }
            Outcome::Auth | Outcome::Config => {
                self.refusals += 1;
                if self.refusals >= REFUSALS {
                    self.held = Some(outcome);
                }
            }
            Outcome::Slow(hint) => {
                let until = now.plus(hint.unwrap_or(REST).min(LONGEST));
                let before = self.rest.filter(|rest| rest.lasts(now));
                self.rest =
                    Some(Rest { from: now, until: before.map_or(until, |rest| rest.until.max(until)) });
            }
            Outcome::Retry | Outcome::Ambiguous | Outcome::Unclear => {
                self.refusals = 0;
                self.failures = self.failures.saturating_add(1);
                if self.failures >= FAILURES {
                    self.rest = Some(Rest { from: now, until: now.plus(REST) });
                }
            }
        }
    }

    /// What may be sent at `now`, at most `width` requests at once.
    #[must_use]
    pub fn gate(&self, now: Timestamp, width: usize) -> Gate {
        if let Some(outcome) = self.held {
            return Gate::Held(outcome);
        }
        if let Some(rest) = self.rest.filter(|rest| rest.lasts(now)) {
            return Gate::RestingUntil(rest.until);
        }
        Gate::Open(if self.failures >= SHAKY { 1 } else { width })
    }

    /// The breaker as it was before a restart: it goes on resting, and then one probe decides.
    #[must_use]
    pub fn resting(rest: Rest) -> Self {
        Self { failures: FAILURES, rest: Some(rest), ..Self::default() }
    }

    /// The newest rest, whether it still lasts or not.
    #[must_use]
    pub fn rest(&self) -> Option<Rest> {
        self.rest
    }

    /// The destination was changed: everything is tried again.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn after(outcomes: impl IntoIterator<Item = Outcome>) -> Breaker {
        let mut breaker = Breaker::default();
        outcomes.into_iter().for_each(|outcome| breaker.record(outcome, NOW));
        breaker
    }

    #[test]
    fn five_refusals_hold_a_destination_until_it_is_changed() {
        assert_eq!(after([Outcome::Auth; 4]).gate(NOW, 8), Gate::Open(8));
        let mut held = after([Outcome::Auth; 5]);
        assert_eq!(held.gate(NOW.plus(Duration::from_secs(86_400)), 8), Gate::Held(Outcome::Auth));
        held.reset();
        assert_eq!(held.gate(NOW, 8), Gate::Open(8));
    }

    #[test]
    fn twenty_failures_rest_five_minutes_and_one_probe_decides() {
        let mut breaker = after([Outcome::Retry; 20]);
        let later = NOW.plus(REST);
        assert_eq!(breaker.gate(NOW, 8), Gate::RestingUntil(later));
        assert_eq!(breaker.gate(later, 8), Gate::Open(1), "a probe");
        breaker.record(Outcome::Retry, later);
        assert_eq!(breaker.gate(later, 8), Gate::RestingUntil(later.plus(REST)));
        breaker.record(Outcome::Delivered, later.plus(REST));
        assert_eq!(breaker.gate(later.plus(REST), 8), Gate::Open(8));
    }

    #[test]
    fn a_rest_does_not_outlast_a_clock_that_is_set_back() {
        let resting = after([Outcome::Slow(Some(Duration::from_secs(3600)))]);
        assert_eq!(resting.gate(NOW.minus(Duration::from_secs(120)), 8), Gate::Open(8));
        let shaky = after([Outcome::Retry; 20]);
        assert_eq!(shaky.gate(NOW.minus(Duration::from_secs(120)), 8), Gate::Open(1), "a probe");
    }

    #[test]
    fn a_rest_goes_on_after_a_restart_and_one_probe_decides() {
        let rest = after([Outcome::Slow(Some(Duration::from_secs(30)))]).rest().unwrap();
        let mut breaker = Breaker::resting(rest);
        assert_eq!(breaker.gate(NOW, 8), Gate::RestingUntil(rest.until));
        assert_eq!(breaker.gate(rest.until, 8), Gate::Open(1), "a probe");
        breaker.record(Outcome::Retry, rest.until);
        assert_eq!(breaker.gate(rest.until, 8), Gate::RestingUntil(rest.until.plus(REST)));
    }

    #[test]
    fn a_shaky_receiver_is_asked_one_at_a_time() {
        assert_eq!(after([Outcome::Ambiguous; 3]).gate(NOW, 8), Gate::Open(1));
    }

    #[test]
    fn refusals_of_single_events_do_not_close_the_way_for_others() {
        let mixed = (0..100).map(|n| if n % 4 == 3 { Outcome::Payload } else { Outcome::Auth });
        assert_eq!(after(mixed).gate(NOW, 8), Gate::Open(8));
    }

    #[test]
    fn a_throttled_destination_rests_as_it_asks() {
        for hint in [Duration::from_secs(30), Duration::from_secs(3600)] {
            let resting = Gate::RestingUntil(NOW.plus(hint));
            assert_eq!(after([Outcome::Slow(Some(hint))]).gate(NOW, 8), resting);
            // Answers to what was under way do not end it.
            assert_eq!(after([Outcome::Slow(Some(hint)), Outcome::Delivered]).gate(NOW, 8), resting);
        }
    }
}
