//! When each account's transactions are read again: one that can't be read waits by itself, and no other is read anew with it.

use std::{collections::HashMap, time::Duration};

use sl_core::ids::AccountId;
use tokio::time::Instant;

use super::WAIT;

/// Everybody's next turn.
pub(super) struct Turns {
    /// Between two readings of an account.
    every: Duration,
    next: HashMap<AccountId, Turn>,
}

struct Turn {
    due: Instant,
    /// After the next failure.
    wait: Duration,
}

// === impl Turns ===

impl Turns {
    pub(super) fn new(every: Duration) -> Self {
        Self { every, next: HashMap::new() }
    }

    /// Whether it is an account's turn; at once when it was never read.
    pub(super) fn is_due(&self, account: &AccountId, now: Instant) -> bool {
        self.next.get(account).is_none_or(|turn| turn.due <= now)
    }

    /// It is everybody's turn.
    pub(super) fn all(&mut self, now: Instant) {
        self.next.values_mut().for_each(|turn| turn.due = now);
    }

    /// It was read to the end.
    pub(super) fn read(&mut self, account: &AccountId, now: Instant) {
        self.set(account, now + self.every, self.first_wait());
    }

    /// It has more; the others have their turn first.
    pub(super) fn cut_off(&mut self, account: &AccountId, now: Instant) {
        self.set(account, now, self.first_wait());
    }

    /// It could not be read; says how long it waits, twice as long each time.
    pub(super) fn failed(&mut self, account: &AccountId, now: Instant) -> Duration {
        let wait = self.next.get(account).map_or(self.first_wait(), |turn| turn.wait);
        self.set(account, now + wait, (wait * 2).min(WAIT.1));
        wait
    }

    /// Forgets all but those.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&AccountId) -> bool) {
        self.next.retain(|account, _| is_kept(account));
    }

    /// How long until it is somebody's turn.
    pub(super) fn next_in(&self, now: Instant) -> Option<Duration> {
        let due = self.next.values().map(|turn| turn.due).min()?;
        Some(due.saturating_duration_since(now))
    }

    fn first_wait(&self) -> Duration {
        WAIT.0.min(self.every)
    }

    fn set(&mut self, account: &AccountId, due: Instant, wait: Duration) {
        self.next.insert(account.clone(), Turn { due, wait });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_fails_waits_longer_each_time_and_nobody_waits_or_is_read_anew_with_it() {
        let mut turns = Turns::new(SECOND * 3600);
        let (failing, other): (AccountId, AccountId) = ("acct_1".into(), "acct_2".into());
        let begun = Instant::now();
        let mut now = begun;
        turns.read(&other, begun);
        for seconds in [5, 10, 20, 40, 80, 160, 300, 300] {
            assert!(turns.is_due(&failing, now) && !turns.is_due(&other, now));
            assert_eq!(turns.failed(&failing, now), SECOND * seconds);
            assert_eq!(turns.next_in(now), Some(SECOND * seconds));
            now += SECOND * seconds;
        }
        turns.read(&failing, now);
        assert_eq!(turns.next_in(now), Some(SECOND * 3600 - (now - begun)), "the other one's hour");
        assert_eq!(turns.failed(&failing, now), SECOND * 5, "after it was read it begins anew");
    }

    #[test]
    fn who_has_more_goes_on_at_once_and_a_gap_makes_it_everybodys_turn() {
        let mut turns = Turns::new(SECOND * 3600);
        let (long, other): (AccountId, AccountId) = ("acct_1".into(), "acct_2".into());
        let now = Instant::now();
        turns.cut_off(&long, now);
        turns.read(&other, now);
        assert!(turns.is_due(&long, now) && !turns.is_due(&other, now));
        assert_eq!(turns.next_in(now), Some(Duration::ZERO));
        turns.all(now + SECOND);
        assert!(turns.is_due(&long, now + SECOND) && turns.is_due(&other, now + SECOND));
        // Who is logged out has no turn that others would be woken for.
        turns.retain(|account| *account == other);
        turns.read(&other, now);
        assert_eq!(turns.next_in(now), Some(SECOND * 3600));
    }
}
