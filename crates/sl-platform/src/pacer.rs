//! One pace per upstream key, whoever calls (decisions 15, 48).

use std::{collections::BTreeSet, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

/// Who goes first when the pace is used up (decisions 15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Refill of a pool that would run dry.
    RunningDry,
    /// Finding the link of a subscriber.
    Matching,
    /// Scheduled looks.
    Sweep,
    /// Everything else.
    Rest,
}

/// Calls that may go out at once after a quiet time; the smallest plan counts 1,000 a minute against our 900.
const BURST: u32 = 10;

/// Turns in a row that a pool which runs dry takes from others who wait: refill counts on four fifths of the pace (decisions 48). One
/// that stays dry would otherwise leave nobody to find subscribers or read transactions.
const DRY_IN_A_ROW: u32 = 4;

/// Turns in a row, those of dry pools aside, in which somebody less urgent is passed over; the next one is for whoever of them has
/// waited longest. Searches and looks that never end would otherwise leave nobody to read transactions or make overflow links.
const PASSED_IN_A_ROW: u32 = 9;

/// A wait that is worth a word, at most once in the same time.
const LONG: Duration = Duration::from_secs(60);

/// Hands out turns.
#[derive(Debug)]
pub struct Pacer {
    interval: Duration,
    state: Mutex<State>,
    turn: Notify,
}

#[derive(Debug)]
struct State {
    /// When the turn after next would be due without a burst.
    due: Instant,
    /// Nobody goes before that (429).
    held_until: Instant,
    waiting: BTreeSet<Key>,
    next: u64,
    /// Turns in a row for [`Priority::RunningDry`].
    dry: u32,
    /// Turns in a row, those aside, in which somebody less urgent was passed over.
    passed: u32,
    /// When a long wait was last told.
    told_at: Option<Instant>,
}

/// Who waits, in the order of urgency and then of arrival.
type Key = (Priority, u64);

impl State {
    /// Whose turn is next.
    fn first(&self) -> Option<Key> {
        let first = *self.waiting.first()?;
        if first.0 != Priority::RunningDry {
            return Some(self.in_turn(first));
        }
        let others = self.waiting.range((Priority::Matching, 0)..).next();
        match others {
            Some(other) if self.dry >= DRY_IN_A_ROW => Some(self.in_turn(*other)),
            _ => Some(first),
        }
    }

    /// The most urgent one, or now and then whoever has waited longest of those that are less urgent.
    fn in_turn(&self, urgent: Key) -> Key {
        let longest = self.less_urgent(urgent.0).min_by_key(|(_, place)| *place);
        longest.filter(|_| self.passed >= PASSED_IN_A_ROW).unwrap_or(urgent)
    }

    fn less_urgent(&self, than: Priority) -> impl Iterator<Item = Key> {
        self.waiting.iter().rev().take_while(move |(priority, _)| *priority > than).copied()
    }

    /// Notes whose turn it was.
    fn note(&mut self, taken: Key) {
        if taken.0 == Priority::RunningDry {
            self.dry += 1;
            return;
        }
        let most_urgent = self.waiting.range((Priority::Matching, 0)..).next().copied();
        let is_most_urgent = most_urgent.is_some_and(|first| first.0 == taken.0);
        let passes = is_most_urgent && self.less_urgent(taken.0).next().is_some();
        (self.dry, self.passed) = (0, if passes { self.passed + 1 } else { 0 });
    }
}

// === impl Pacer ===

impl Pacer {
    /// A pace of that many calls a minute, at least one.
    #[must_use]
    pub fn per_minute(calls: u32) -> Self {
        let now = Instant::now();
        Self {
            interval: Duration::from_secs(60) / calls.max(1),
            state: Mutex::new(State {
                due: now,
                held_until: now,
                waiting: BTreeSet::new(),
                next: 0,
                dry: 0,
                passed: 0,
                told_at: None,
            }),
            turn: Notify::new(),
        }
    }

    /// Waits for a turn. Dropping the future gives the place up.
    pub async fn turn(&self, priority: Priority) {
        let place = self.queue(priority);
        loop {
            let changed = self.turn.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.take(&place) {
                Turn::Mine => return,
                Turn::At(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = changed => {}
                },
                Turn::Later => changed.await,
            }
        }
    }

    /// Nobody goes for that long: the platform asked for it.
    pub fn hold(&self, span: Duration) {
        let mut state = self.state.lock();
        state.held_until = state.held_until.max(Instant::now() + span);
    }

    fn queue(&self, priority: Priority) -> Place<'_> {
        let mut state = self.state.lock();
        let key = (priority, state.next);
        state.next += 1;
        state.waiting.insert(key);
        Place { pacer: self, key, since: Instant::now() }
    }

    fn take(&self, place: &Place<'_>) -> Turn {
        let mut state = self.state.lock();
        if state.first() != Some(place.key) {
            return Turn::Later;
        }
        let now = Instant::now();
        let burst = self.interval * BURST;
        let ready = state.due.checked_sub(burst).unwrap_or(state.due).max(state.held_until);
        if now < ready {
            return Turn::At(ready);
        }
        state.due = state.due.max(now) + self.interval;
        state.note(place.key);
        let waited = now - place.since;
        if waited >= LONG && state.told_at.is_none_or(|at| now - at >= LONG) {
            state.told_at = Some(now);
            let (what, waiting) = (place.key.0, state.waiting.len());
            tracing::warn!(
                ?what,
                ?waited,
                waiting,
                "a request to the platform has waited long for its turn; platform.requests_per_minute is too low for what is to be done, or the platform has asked for a pause"
            );
        }
        Turn::Mine
    }
}

enum Turn {
    Mine,
    At(Instant),
    Later,
}

/// A place in the queue, given up when dropped.
struct Place<'a> {
    pacer: &'a Pacer,
    key: Key,
    since: Instant,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.pacer.state.lock().waiting.remove(&self.key);
        self.pacer.turn.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
