//! When an account's webhooks have stopped coming (decisions 54): pure.
//!
//! Upstream pauses an endpoint that fails and never sends what happened meanwhile (contract D.2), and nothing says so. What
//! can be seen is that an account whose webhooks came every few minutes sends none for much longer than it used to.

use std::time::Duration;

/// Fewest webhooks that make a rhythm.
const KNOWN: u32 = 8;
/// A silence is taken for missed webhooks when it is this many times as long as the usual pause.
const TIMES: u32 = 10;
/// No shorter silence is: people sleep, and a false alarm costs a reading of transactions.
const LEAST: Duration = Duration::from_secs(10 * 60);
/// No longer silence is waited for: by then the hourly reading has been there.
const MOST: Duration = Duration::from_secs(3600);

/// One account's webhooks. Times count from any moment, by a clock that is never set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rhythm {
    last: Duration,
    /// Mean pause, by the last dozen or so.
    pause: Duration,
    count: u32,
    /// The running silence was told.
    is_told: bool,
}

// === impl Rhythm ===

impl Rhythm {
    /// A webhook came; `true` when it ends a silence that was told: what happened until now is missing too.
    pub fn came(&mut self, at: Duration) -> bool {
        if self.count > 0 && !self.is_told {
            let pause = at.saturating_sub(self.last);
            let weight = self.count.min(KNOWN);
            self.pause = (self.pause * (weight - 1) + pause) / weight;
        }
        self.last = self.last.max(at);
        self.count = self.count.saturating_add(1);
        std::mem::take(&mut self.is_told)
    }

    /// Whether the account is silent for longer than it ever is; told once per silence.
    pub fn fell_silent(&mut self, now: Duration) -> bool {
        let silence = now.saturating_sub(self.last);
        let usual = self.pause * TIMES;
        let is_silent = self.count > KNOWN && usual < MOST && silence >= usual.max(LEAST);
        let is_news = is_silent && !self.is_told;
        self.is_told |= is_silent;
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A webhook every `pause` until `until`.
    fn every(pause: Duration, until: Duration) -> Rhythm {
        let mut rhythm = Rhythm::default();
        let mut at = pause;
        while at <= until {
            assert!(!rhythm.fell_silent(at), "at {at:?}");
            assert!(!rhythm.came(at));
            at += pause;
        }
        rhythm
    }

    #[test]
    fn a_busy_account_that_falls_silent_is_told_once_and_once_more_when_it_is_back() {
        let start = MINUTE * 100;
        let mut rhythm = every(MINUTE * 2, start);
        assert!(!rhythm.fell_silent(start + MINUTE * 19));
        assert!(rhythm.fell_silent(start + MINUTE * 20));
        assert!(!rhythm.fell_silent(start + MINUTE * 40));
        assert!(rhythm.came(start + MINUTE * 50));
        assert!(!rhythm.came(start + MINUTE * 52));
        assert!(rhythm.fell_silent(start + MINUTE * 75), "the silence is not part of the rhythm");
    }

    #[test]
    fn a_rush_is_not_followed_by_an_alarm_at_once() {
        let mut rhythm = every(Duration::from_secs(1), MINUTE);
        assert!(!rhythm.fell_silent(MINUTE * 10));
        assert!(rhythm.fell_silent(MINUTE * 11));
    }

    #[test]
    fn an_account_with_few_or_rare_webhooks_has_no_silence() {
        assert!(!every(MINUTE, MINUTE * 8).fell_silent(MINUTE * 5000));
        assert!(!every(MINUTE * 6, MINUTE * 600).fell_silent(MINUTE * 5000));
    }
}
