//! Where attribution stands, whoever does it: positions from the store, ends from Kafka.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use sl_attribution::Progress;
use sl_core::event::Position;
use sl_kafka::Heads;
use sl_store::Ledger;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{AGAIN, Cluster};

/// Between two looks of a process that acts by them or shows them.
pub(crate) const OFTEN: Duration = Duration::from_millis(500);
/// Between two looks of one that only has a metric of it. A look asks both servers about every partition, and there may
/// be many edges.
pub(crate) const SELDOM: Duration = Duration::from_secs(5);
/// Longest time for one, and for each partition beside it; past that nobody knows.
const PATIENCE: Duration = Duration::from_secs(2);
const PATIENCE_EACH: Duration = Duration::from_millis(20);
/// Partitions whose position is asked for at once.
const AT_ONCE: usize = 32;
/// Ends remembered per partition: an hour of standing still or more, after which the lag is at least that.
const REMEMBERED: usize = 7200;

/// Follows all partitions.
pub(crate) struct Elsewhere {
    cluster: Cluster,
    every: Duration,
    progress: watch::Sender<Progress>,
    /// When the last successful look began.
    looked: watch::Sender<tokio::time::Instant>,
    partitions: Vec<Ends>,
    /// When it was last known where the partitions stand.
    looked_at: Instant,
}

/// Where a partition ended, and when that was seen.
#[derive(Default)]
struct Ends(VecDeque<(Position, Instant)>);

impl Ends {
    /// Age of the oldest look at which the partition was longer than `position` is now.
    fn age(&mut self, position: Position, head: Position, now: Instant, every: Duration) -> Duration {
        while self.0.front().is_some_and(|(end, _)| *end <= position) {
            self.0.pop_front();
        }
        if head > position && self.0.back().is_none_or(|(end, _)| *end < head) {
            self.0.push_back((head, now));
            if self.0.len() > REMEMBERED {
                // The oldest stays: it tells the age.
                self.0.remove(1);
            }
        }
        self.0.front().map_or(Duration::ZERO, |(_, seen)| now - *seen + every)
    }
}

impl Elsewhere {
    /// Looks so often.
    pub(crate) fn new(cluster: Cluster, every: Duration) -> Self {
        let behind = Progress { behind: 1, ..Progress::default() };
        Self {
            cluster,
            every,
            progress: watch::Sender::new(behind),
            looked: watch::Sender::new(tokio::time::Instant::now()),
            partitions: Vec::new(),
            looked_at: Instant::now(),
        }
    }

    /// What the looks see. Until the first one something is behind.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// When the last look began that succeeded: what came into the stream later it has not seen.
    pub(crate) fn looked(&self) -> watch::Receiver<tokio::time::Instant> {
        self.looked.subscribe()
    }

    /// Looks until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let work = async {
            loop {
                let Err(error) = self.follow().await;
                tracing::warn!(error, "attribution's progress can't be read; trying again");
                self.nobody_knows();
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    async fn follow(&mut self) -> Result<std::convert::Infallible, String> {
        let heads = Heads::open(&self.cluster.kafka).await.map_err(|error| error.to_string())?;
        let store = self.cluster.scylla.owner().await.map_err(|error| error.to_string())?;
        let patience = PATIENCE + PATIENCE_EACH * self.cluster.kafka.config().partitions;
        loop {
            let look = tokio::time::timeout(patience, self.look(&heads, &*store.ledger));
            look.await.map_err(|_| format!("no answer within {patience:?}"))??;
            tokio::time::sleep(self.every).await;
        }
    }

    /// What was caught up may no longer be: a look of the matcher must not count as if it were, and nothing is settled.
    fn nobody_knows(&self) {
        let since = self.looked_at.elapsed().as_secs_f64();
        self.progress.send_modify(|progress| {
            progress.behind = progress.behind.max(1);
            progress.caught_up = false;
            progress.lag_seconds = progress.lag_seconds.max(since);
        });
    }

    async fn look(&mut self, heads: &Heads, ledger: &dyn Ledger) -> Result<(), String> {
        let began = tokio::time::Instant::now();
        // Ends first: what is applied meanwhile may be beyond them, never the other way round.
        let ends = heads.read().await.map_err(|error| error.to_string())?;
        let now = Instant::now();
        self.partitions.resize_with(ends.len(), Ends::default);
        let partitions = 0..u32::try_from(ends.len()).unwrap_or(u32::MAX);
        let positions = stream::iter(partitions.map(|partition| ledger.sync(partition))).buffered(AT_ONCE);
        let positions: Vec<Position> = positions.try_collect().await.map_err(|error| error.to_string())?;
        let (mut total, mut behind, mut lag) = (Position::default(), 0, Duration::ZERO);
        for ((end, seen), position) in ends.into_iter().zip(&mut self.partitions).zip(positions) {
            let applied = applied(position, end);
            behind += end.offset.saturating_sub(applied.offset);
            lag = lag.max(seen.age(applied, end, now, self.every));
            total = Position { epoch: total.epoch.max(end.epoch), offset: total.offset + applied.offset };
        }
        self.looked_at = now;
        self.progress.send_if_modified(|progress| {
            let after = Progress {
                position: total,
                synced: total,
                lag_seconds: if behind == 0 { 0.0 } else { lag.as_secs_f64() },
                behind,
                caught_up: behind == 0,
                poisoned: 0,
            };
            let moved = *progress != after;
            *progress = after;
            moved
        });
        self.looked.send_replace(began);
        Ok(())
    }
}

/// A position in the epoch of the partition's end, which is that of the topic when it was made: nothing is applied of another
/// topic, or of a partition that must be begun anew; where one was, only its offset counts.
fn applied(position: Position, end: Position) -> Position {
    let is_there = position.epoch >= end.epoch && !position.is_lost();
    Position { epoch: end.epoch, offset: if is_there { position.offset } else { 0 } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_is_told_in_the_epoch_of_the_topic_that_is_there() {
        let (end, at) = (Position { epoch: 7, offset: 20 }, |epoch, offset| Position { epoch, offset });
        assert_eq!(applied(at(7, 15), end), at(7, 15));
        assert_eq!(applied(at(9, 15), end), at(7, 15), "the partition was begun anew");
        assert_eq!(applied(at(6, 15), end), at(7, 0), "another topic");
        assert_eq!(applied(at(7, 15).lost(), end), at(7, 0));
    }

    #[test]
    fn the_lag_is_the_age_of_the_oldest_end_that_is_not_reached() {
        let (mut ends, start) = (Ends::default(), Instant::now());
        let at = |offset| Position { epoch: 1, offset };
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(ends.age(at(0), at(0), start, OFTEN), Duration::ZERO);
        assert_eq!(ends.age(at(0), at(10), start, OFTEN), OFTEN);
        assert_eq!(ends.age(at(5), at(20), later(3), OFTEN), Duration::from_secs(3) + OFTEN);
        assert_eq!(
            ends.age(at(10), at(20), later(5), OFTEN),
            Duration::from_secs(2) + OFTEN,
            "the first is reached"
        );
        assert_eq!(ends.age(at(20), at(20), later(9), OFTEN), Duration::ZERO);
    }
}
