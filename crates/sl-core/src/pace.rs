//! Our own limit of requests to one destination: at most so many a minute, evenly, with a second's worth at once.
//!
//! A receiver's own wishes (`Retry-After` and the like) are the breaker's business and come on top: what is not sent
//! while it rests is not made up for afterwards.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

const MINUTE_MICROS: i64 = 60_000_000;

/// At most so many requests a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pace(NonZeroU32);

impl Pace {
    /// Ten thousand a second: more than one destination is ever sent.
    pub const MOST: u32 = 600_000;

    /// `None` for 0 and for more than [`Self::MOST`].
    #[must_use]
    pub fn per_minute(requests: u32) -> Option<Self> {
        NonZeroU32::new(requests).filter(|requests| requests.get() <= Self::MOST).map(Self)
    }

    /// The slower of two limits, where there are any.
    #[must_use]
    pub fn slower(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        [one, other].into_iter().flatten().min()
    }

    /// Requests a minute.
    #[must_use]
    pub fn requests(self) -> u32 {
        self.0.get()
    }

    /// Between two requests, µs: 100 at the most that is allowed.
    fn interval(self) -> i64 {
        MINUTE_MICROS / i64::from(self.0.get())
    }

    /// A second's worth, at least one.
    fn burst(self) -> i64 {
        i64::from(self.0.get() / 60).max(1)
    }
}

/// What was sent to one destination lately (the generic cell rate algorithm: one number).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meter {
    /// When everything sent so far would have been sent at an even pace, µs since 1970.
    even: i64,
}

impl Meter {
    /// How many may be sent at `now`.
    #[must_use]
    pub fn allows(&self, pace: Pace, now: Timestamp) -> usize {
        let (now, interval) = (micros(now), pace.interval());
        let ahead = self.ahead(pace, now);
        usize::try_from((pace.burst() * interval - ahead) / interval).unwrap_or_default()
    }

    /// Takes one, if one may be sent at `now`.
    pub fn take(&mut self, pace: Pace, now: Timestamp) -> bool {
        if self.allows(pace, now) == 0 {
            return false;
        }
        let now = micros(now);
        self.even = now + self.ahead(pace, now) + pace.interval();
        true
    }

    /// When the next one may be sent, if none may be at `now`.
    #[must_use]
    pub fn next(&self, pace: Pace, now: Timestamp) -> Option<Timestamp> {
        if self.allows(pace, now) > 0 {
            return None;
        }
        let micros = self.ahead(pace, micros(now)) - (pace.burst() - 1) * pace.interval();
        // Rounded up: a millisecond earlier it may not.
        Some(now.plus(Duration::from_micros(micros.unsigned_abs()) + Duration::from_micros(999)))
    }

    /// How far ahead of an even pace, µs. More than a burst is a clock that was set back, or a pace that was made quicker.
    fn ahead(&self, pace: Pace, now: i64) -> i64 {
        let ahead = (self.even - now).max(0);
        if ahead > pace.burst() * pace.interval() + pace.interval() { 0 } else { ahead }
    }
}

fn micros(at: Timestamp) -> i64 {
    at.0.saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_780_000_000_000);

    fn pace(requests: u32) -> Pace {
        Pace::per_minute(requests).unwrap()
    }

    /// How many of as many as asked for are let through, asking every `step` for `span`.
    fn through(pace: Pace, span: Duration, step: Duration) -> usize {
        let (mut meter, mut taken, mut now) = (Meter::default(), 0, NOW);
        while now < NOW.plus(span) {
            while meter.take(pace, now) {
                taken += 1;
            }
            now = now.plus(step);
        }
        taken
    }

    #[test]
    fn nothing_and_everything_are_no_paces() {
        assert_eq!((Pace::per_minute(0), Pace::per_minute(Pace::MOST + 1)), (None, None));
        assert_eq!(pace(Pace::MOST).requests(), 600_000);
    }

    #[test]
    fn a_second_is_sent_at_once_and_then_it_goes_evenly() {
        let minute = Duration::from_secs(60);
        for (requests, most) in [(1, 1), (10, 10), (59, 59), (60, 61), (600, 610), (60_000, 61_000)] {
            let got = through(pace(requests), minute, Duration::from_millis(100));
            // Asked ten times a second, each may be so much late.
            assert!((most - most / 10..=most).contains(&got), "{requests}: {got}");
        }
    }

    #[test]
    fn it_says_when_the_next_one_may_go() {
        let mut meter = Meter::default();
        assert_eq!(meter.next(pace(10), NOW), None);
        assert!(meter.take(pace(10), NOW));
        let next = meter.next(pace(10), NOW).unwrap();
        assert_eq!(next.since(NOW), Duration::from_secs(6));
        assert!(!meter.take(pace(10), next.minus(Duration::from_millis(1))) && meter.take(pace(10), next));
    }

    #[test]
    fn what_was_not_sent_is_not_made_up_for() {
        let mut meter = Meter::default();
        while meter.take(pace(600), NOW) {}
        let later = NOW.plus(Duration::from_secs(3600));
        assert_eq!(meter.allows(pace(600), later), 10);
    }

    #[test]
    fn a_clock_that_is_set_back_and_a_quicker_pace_hold_nothing_up() {
        let mut meter = Meter::default();
        while meter.take(pace(60), NOW) {}
        assert!(meter.allows(pace(60), NOW.minus(Duration::from_secs(7200))) > 0);
        let mut meter = Meter::default();
        assert!(meter.take(pace(1), NOW));
        assert!(meter.allows(pace(6_000), NOW.plus(Duration::from_millis(1))) > 0);
    }

    proptest! {
        #[test]
        fn no_minute_ever_sees_more_than_the_pace_and_a_burst(
            requests in 1_u32..100_000,
            gaps in proptest::collection::vec(0_u64..5_000, 1..60),
        ) {
            let (pace, mut meter, mut now, mut sent) = (pace(requests), Meter::default(), NOW, Vec::new());
            for gap in gaps {
                now = now.plus(Duration::from_millis(gap));
                for _ in 0..300 {
                    if meter.take(pace, now) {
                        sent.push(now);
                    }
                }
            }
            let most = usize::try_from(i64::from(requests) + pace.burst()).unwrap();
            for (nth, first) in sent.iter().enumerate() {
                let within = sent[nth..].iter().take_while(|at| at.since(*first) < Duration::from_secs(60)).count();
                prop_assert!(within <= most + 1, "{within} of {most}");
            }
        }
    }
}
