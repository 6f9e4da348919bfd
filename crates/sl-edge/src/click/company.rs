//! How many records go to the disk together.
//!
//! A commit costs about as much processor time as five clicks, however much it holds, so a thread that has more to do than it
//! can sends records off in large lots; one that has nothing else to do sends them at once.

use std::time::{Duration, Instant};

/// More are not worth waiting for; fewer go once nobody else comes.
const MOST: usize = 128;
const LEAST: usize = 32;
/// How long a busy thread waits for the next record.
const MOMENT: Duration = Duration::from_micros(50);
/// A record that comes within this time has missed the lot before it. Longer than sending that off takes.
const CLOSE: Duration = Duration::from_micros(150);
/// Longest that a record is held, whatever else the thread is busy with.
const LONGEST: Duration = Duration::from_millis(2);
/// Lots that were missed by the record behind them, less those that were not: from `PATIENT` on, records are waited for.
const PATIENT: u8 = 3;
const MOST_PATIENT: u8 = 8;

/// Records of one thread that are held back.
#[derive(Debug)]
pub(super) struct Company {
    held: usize,
    /// How many were held when the sockets were last looked at.
    looked: usize,
    /// When the first and the latest of those held were found.
    first: Option<Instant>,
    latest: Option<Instant>,
    /// From this many on they go without another look.
    enough: usize,
    /// When the last lot went because nobody else came.
    left: Option<Instant>,
    missed: u8,
}

/// What to do with the records held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// There are none.
    Nothing,
    /// More may have come meanwhile.
    LookAgain,
    /// Off they go.
    Go,
}

impl Default for Company {
    fn default() -> Self {
        Self { held: 0, looked: 0, first: None, latest: None, enough: LEAST, left: None, missed: 0 }
    }
}

impl Company {
    /// Holds one more record back: whether it is the first, and whether all of them go now.
    pub(super) fn join(&mut self) -> (bool, bool) {
        self.held += 1;
        if self.held < self.enough {
            return (self.held == 1, false);
        }
        // Nobody was missing: a few more the next time.
        self.enough = (self.enough + self.enough / 32 + 1).min(MOST);
        self.part();
        (false, true)
    }

    /// Everything that was ready has been read; `waiting` answers wait for the disk, these included.
    pub(super) fn look(&mut self, waiting: usize, now: Instant) -> Next {
        if self.held == 0 {
            return Next::Nothing;
        }
        if let Some(left) = self.left.take() {
            let missed = now.duration_since(left) < CLOSE;
            self.missed =
                if missed { (self.missed + 1).min(MOST_PATIENT) } else { self.missed.saturating_sub(1) };
        }
        let more = self.held > self.looked;
        if more {
            (self.looked, self.latest) = (self.held, Some(now));
        }
        let first = *self.first.get_or_insert(now);
        let latest = self.latest.unwrap_or(now);
        let patient = self.missed >= PATIENT && now.duration_since(latest) < MOMENT;
        if now.duration_since(first) < LONGEST && (more || patient) {
            return Next::LookAgain;
        }
        if !more {
            // Nobody else is there. Of as many, one half is to be read while the other half waits for the disk.
            self.enough = (waiting / 2).clamp(LEAST, MOST);
            self.left = Some(now);
        }
        self.part();
        Next::Go
    }

    fn part(&mut self) {
        (self.held, self.looked, self.first, self.latest) = (0, 0, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_micros(5);

    /// Hands over `count` records that are found by one look at `now`.
    fn join(company: &mut Company, count: usize) {
        for _ in 0..count {
            assert!(!company.join().1);
        }
    }

    #[test]
    fn a_record_without_company_goes_once_the_sockets_have_been_looked_at_again() {
        let (mut company, now) = (Company::default(), Instant::now());
        assert_eq!(company.look(0, now), Next::Nothing);
        assert_eq!(company.join(), (true, false));
        assert_eq!(company.look(1, now), Next::LookAgain);
        assert_eq!(company.look(1, now + LOOK), Next::Go);
        assert_eq!(company.look(1, now + 2 * LOOK), Next::Nothing);
    }

    #[test]
    fn who_comes_meanwhile_goes_along() {
        let (mut company, now) = (Company::default(), Instant::now());
        join(&mut company, 3);
        assert_eq!(company.look(3, now), Next::LookAgain);
        join(&mut company, 2);
        assert_eq!(company.look(5, now + LOOK), Next::LookAgain);
        assert_eq!(company.look(5, now + 2 * LOOK), Next::Go);
    }

    #[test]
    fn enough_go_without_a_look_and_are_half_of_those_who_wait() {
        let (mut company, now) = (Company::default(), Instant::now());
        join(&mut company, LEAST - 1);
        assert_eq!(company.join(), (false, true));
        join(&mut company, 1);
        company.look(200, now);
        assert_eq!(company.look(200, now + LOOK), Next::Go);
        join(&mut company, 99);
        assert_eq!(company.join(), (false, true));
        assert_eq!(company.enough, 104, "a few more the next time");
    }

    #[test]
    fn nobody_is_held_for_long_however_many_come() {
        let (mut company, now) = (Company { enough: MOST, ..Company::default() }, Instant::now());
        let mut after = Duration::ZERO;
        while {
            join(&mut company, 1);
            company.look(1, now + after) == Next::LookAgain
        } {
            after += LONGEST / 10;
        }
        assert_eq!(after, LONGEST);
    }

    #[test]
    fn a_thread_whose_lots_are_missed_again_and_again_waits_a_moment_and_one_whose_are_not_stops() {
        let (mut company, mut now) = (Company::default(), Instant::now());
        for _ in 0..PATIENT + 1 {
            join(&mut company, 1);
            while company.look(1, now) == Next::LookAgain {
                now += LOOK;
            }
            now += CLOSE / 2;
        }
        join(&mut company, 1);
        assert_eq!(company.look(1, now), Next::LookAgain);
        assert_eq!(company.look(1, now + MOMENT / 2), Next::LookAgain, "patient");
        join(&mut company, 1);
        assert_eq!(company.look(2, now + MOMENT), Next::LookAgain);
        assert_eq!(company.look(2, now + 2 * MOMENT), Next::Go, "but not for ever");
        for _ in 0..2 {
            now += Duration::from_millis(5);
            join(&mut company, 1);
            assert_eq!(company.look(1, now), Next::LookAgain);
            while company.look(1, now) == Next::LookAgain {
                now += LOOK;
            }
        }
        now += Duration::from_millis(5);
        join(&mut company, 1);
        assert_eq!(company.look(1, now), Next::LookAgain);
        assert_eq!(company.look(1, now + LOOK), Next::Go, "at once, as before");
    }
}
