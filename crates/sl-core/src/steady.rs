//! A wall clock that is believed with care: the system's, checked against a running time that nobody sets.
//!
//! A clock set forward is the dangerous one: by it links leave quarantine, leases end, deliveries are too old and rows
//! are past retention, and none of that can be taken back when the next reading is right again. So a leap forward is
//! believed only after it has stood for [`PROBATION`]; until then the running time goes on from what was believed. A
//! clock set back delays such decisions at most, so it is followed at once: what happens is stamped with the time that
//! the system tells, which is what the platform's own times are compared with.

use std::time::Duration;

use crate::time::Timestamp;

/// A leap forward of more than that is doubted. Corrections of a running clock are smaller, a pause of a virtual machine
/// mostly too.
pub const LEAP: Duration = Duration::from_secs(60);

/// How long a leap forward must stand.
pub const PROBATION: Duration = Duration::from_secs(5 * 60);

/// What is believed of the wall clock. Reads nothing: both times are arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steady {
    /// Wall clock minus running time, ms.
    offset: i64,
    doubt: Option<Doubt>,
}

/// A leap forward that may be true.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Doubt {
    offset: i64,
    /// Running time of the first reading that showed it.
    since: Duration,
}

// === impl Steady ===

impl Steady {
    /// Believes the first reading: there is nothing to hold against it. `running` is the time since any moment, by a
    /// clock that is never set.
    #[must_use]
    pub fn new(wall: Timestamp, running: Duration) -> Self {
        Self { offset: offset(wall, running), doubt: None }
    }

    /// The time to go by.
    pub fn read(&mut self, wall: Timestamp, running: Duration) -> Timestamp {
        let read = offset(wall, running);
        if read <= self.offset.saturating_add(millis(LEAP)) {
            self.believe(read);
            return wall;
        }
        let same = |doubt: &&Doubt| read.abs_diff(doubt.offset) <= millis(LEAP).unsigned_abs();
        match self.doubt.as_ref().filter(same) {
            Some(doubt) if running.saturating_sub(doubt.since) >= PROBATION => {
                self.believe(read);
                wall
            }
            Some(_) => self.going_on(running),
            None => {
                self.doubt = Some(Doubt { offset: read, since: running });
                self.going_on(running)
            }
        }
    }

    /// Whether no leap is doubted now.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.doubt.is_none()
    }

    /// Wall clock minus running time as believed, ms.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.offset
    }

    fn believe(&mut self, offset: i64) {
        (self.offset, self.doubt) = (offset, None);
    }

    fn going_on(&self, running: Duration) -> Timestamp {
        Timestamp(self.offset.saturating_add(millis(running)))
    }
}

/// Wall clock minus running time, ms.
#[must_use]
pub fn offset(wall: Timestamp, running: Duration) -> i64 {
    wall.0.saturating_sub(millis(running))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_780_000_000_000;
    const MINUTE: i64 = 60_000;
    const DAY: i64 = 24 * 60 * MINUTE;

    /// Readings `(running, wall − noon)` in ms; gives what is believed, minus noon.
    fn readings(all: &[(i64, i64)]) -> Vec<i64> {
        let running = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        let mut clock = Steady::new(Timestamp(NOON), running(0));
        all.iter().map(|(run, wall)| clock.read(Timestamp(NOON + wall), running(*run)).0 - NOON).collect()
    }

    #[test]
    fn a_clock_that_runs_and_is_corrected_a_little_is_followed() {
        assert_eq!(readings(&[(5, 5), (1000, 1200), (2000, 1900), (3000, 62_000)]), [5, 1200, 1900, 62_000]);
        // A drift that adds up is no leap.
        let drift: Vec<_> = (1..100).map(|n| (n * MINUTE, n * MINUTE + n * 30_000)).collect();
        assert_eq!(readings(&drift), drift.iter().map(|(_, wall)| *wall).collect::<Vec<_>>());
    }

    #[test]
    fn one_wild_reading_moves_nothing() {
        assert_eq!(readings(&[(10, 3 * DAY), (20, 20), (30, 3 * DAY), (40, 40)]), [10, 20, 30, 40]);
    }

    #[test]
    fn a_wild_time_before_the_probation_ends_moves_nothing_even_when_it_comes_again() {
        let wild = |run: i64| (run, run + 3 * DAY);
        let all =
            [wild(0), wild(4 * MINUTE), (4 * MINUTE + 1, 4 * MINUTE + 1), wild(5 * MINUTE), wild(9 * MINUTE)];
        assert_eq!(readings(&all), [0, 4 * MINUTE, 4 * MINUTE + 1, 5 * MINUTE, 9 * MINUTE]);
    }

    #[test]
    fn a_leap_that_stands_is_believed() {
        let leapt = |run: i64| (run, run + 3 * DAY);
        let all = [leapt(1000), leapt(5 * MINUTE), leapt(5 * MINUTE + 1000), leapt(6 * MINUTE)];
        assert_eq!(readings(&all), [1000, 5 * MINUTE, 5 * MINUTE + 1000 + 3 * DAY, 6 * MINUTE + 3 * DAY]);
    }

    #[test]
    fn readings_that_agree_with_nothing_are_never_believed() {
        let all: Vec<_> = (1..60).map(|n| (n * MINUTE, n * n * DAY)).collect();
        assert_eq!(readings(&all), all.iter().map(|(run, _)| *run).collect::<Vec<_>>());
    }

    #[test]
    fn a_clock_that_is_set_back_is_followed_at_once_and_the_way_back_is_a_leap() {
        let all = [(1000, 1000), (2000, 2000 - 120 * MINUTE), (3000, 3000 - 120 * MINUTE), (4000, 4000)];
        assert_eq!(readings(&all), [1000, 2000 - 120 * MINUTE, 3000 - 120 * MINUTE, 4000 - 120 * MINUTE]);
    }
}
