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
    waiting: BTreeSet<(Priority, u64)>,
    next: u64,
    /// Turns in a row for [`Priority::RunningDry`].
    dry: u32,
}

impl State {
    /// Whose turn is next.
    fn first(&self) -> Option<(Priority, u64)> {
        let first = *self.waiting.first()?;
        let others = || self.waiting.range((Priority::Matching, 0)..).next().copied();
        let in_a_row = first.0 == Priority::RunningDry && self.dry >= DRY_IN_A_ROW;
        if in_a_row { others().or(Some(first)) } else { Some(first) }
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
            state: Mutex::new(State { due: now, held_until: now, waiting: BTreeSet::new(), next: 0, dry: 0 }),
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
        Place { pacer: self, key }
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
        state.dry = if place.key.0 == Priority::RunningDry { state.dry + 1 } else { 0 };
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
    key: (Priority, u64),
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.pacer.state.lock().waiting.remove(&self.key);
        self.pacer.turn.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minute_holds_as_many_calls_as_configured_and_a_short_burst() {
        let pacer = Pacer::per_minute(60);
        let start = Instant::now();
        for _ in 0..BURST + 1 {
            pacer.turn(Priority::Rest).await;
        }
        assert_eq!(start.elapsed().as_secs(), 0);
        for _ in 0..60 {
            pacer.turn(Priority::Rest).await;
        }
        assert_eq!(start.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_that_runs_dry_goes_before_everything_that_waits() {
        let pacer = Arc::new(Pacer::per_minute(60));
        for _ in 0..BURST + 1 {
            pacer.turn(Priority::Rest).await;
        }
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for priority in [Priority::Rest, Priority::Sweep, Priority::Matching, Priority::RunningDry] {
            let (pacer, order) = (Arc::clone(&pacer), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                pacer.turn(priority).await;
                order.lock().push(priority);
            }));
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        let want = [Priority::RunningDry, Priority::Matching, Priority::Sweep, Priority::Rest];
        assert_eq!(*order.lock(), want);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_that_stays_dry_leaves_every_fifth_turn_to_others_who_wait() {
        let pacer = Arc::new(Pacer::per_minute(60));
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (priority, count) in [(Priority::RunningDry, 30), (Priority::Rest, 3), (Priority::Matching, 2)] {
            for _ in 0..count {
                let (pacer, order) = (Arc::clone(&pacer), Arc::clone(&order));
                tasks.push(tokio::spawn(async move {
                    pacer.turn(priority).await;
                    order.lock().push(priority);
                }));
            }
        }
        for task in tasks {
            task.await.unwrap();
        }
        let order = order.lock();
        let others: Vec<_> = order.iter().filter(|priority| **priority != Priority::RunningDry).collect();
        assert_eq!(
            others,
            [&Priority::Matching, &Priority::Matching, &Priority::Rest, &Priority::Rest, &Priority::Rest]
        );
        let places = order.iter().enumerate().filter(|(_, priority)| **priority != Priority::RunningDry);
        let places: Vec<_> = places.map(|(place, _)| place).collect();
        assert!(places.windows(2).all(|two| two[1] - two[0] == 5) && places[0] <= 14, "{places:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_does_not_block_the_next_one() {
        let pacer = Pacer::per_minute(60);
        pacer.hold(Duration::from_secs(30));
        let start = Instant::now();
        let gone = tokio::time::timeout(Duration::from_secs(5), pacer.turn(Priority::RunningDry)).await;
        assert!(gone.is_err());
        pacer.turn(Priority::Rest).await;
        assert_eq!(start.elapsed().as_secs(), 30);
    }
}
