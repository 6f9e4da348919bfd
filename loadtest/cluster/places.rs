//! Where clicks are in the topic, and when attribution had passed them.

use std::{collections::HashSet, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use hdrhistogram::Histogram;
use sl_core::{
    event::{EventBody, Position},
    ids::{ClickId, SmartLinkId},
    time::{Clock as _, Timestamp},
};
use sl_journal::EventStream as _;
use sl_kafka::{Heads, KafkaStream};
use tokio_util::sync::CancellationToken;

use crate::{
    Outcome,
    filled::{Shared, SystemClock, clock},
};

/// Between two looks at the positions: as much is added to a lag at most.
const LOOK: Duration = Duration::from_millis(100);
/// Partitions read at once.
const AT_ONCE: usize = 8;

/// A click as it is in the topic.
pub(crate) struct Place {
    pub(crate) id: ClickId,
    pub(crate) link: SmartLinkId,
    pub(crate) at: Timestamp,
    partition: u32,
    offset: u64,
}

/// Where all partitions stood at one moment.
struct Look {
    at: Timestamp,
    /// In the order of the partitions.
    positions: Vec<u64>,
}

/// Looks at the positions of some partitions, again and again.
pub(crate) struct Watch {
    partitions: Vec<u32>,
    looks: Vec<Look>,
}

impl Watch {
    pub(crate) fn of(partitions: Vec<u32>) -> Self {
        Self { partitions, looks: Vec::new() }
    }

    /// Until `stop`, and then until every partition has reached its end, or for so long.
    pub(crate) async fn run(
        mut self,
        shared: &Shared,
        stop: CancellationToken,
        patience: Duration,
    ) -> Outcome<Self> {
        let mut ends = None;
        let mut deadline = None;
        loop {
            self.look(shared).await;
            if stop.is_cancelled() {
                let ends = match &ends {
                    Some(ends) => ends,
                    None => ends.insert(heads(shared).await?),
                };
                let deadline = *deadline.get_or_insert(tokio::time::Instant::now() + patience);
                if self.has_reached(ends) || tokio::time::Instant::now() > deadline {
                    return Ok(self);
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look(&mut self, shared: &Shared) {
        let ask = |partition: &u32| shared.store.ledger.sync(*partition);
        // A server too busy to answer is asked again: what it says later is true later.
        let Ok(positions) = try_join_all(self.partitions.iter().map(ask)).await else { return };
        let positions = positions.into_iter().map(|position| position.offset).collect();
        // What the answers say was so when they came.
        self.looks.push(Look { at: SystemClock.now(), positions });
    }

    /// Questions it has put to the database.
    pub(crate) fn asked(&self) -> u64 {
        (self.looks.len() * self.partitions.len()) as u64
    }

    fn has_reached(&self, ends: &[Position]) -> bool {
        let Some(last) = self.looks.last() else { return false };
        let end = |partition: &u32| ends.get(*partition as usize).map_or(0, |end| end.offset);
        self.partitions.iter().zip(&last.positions).all(|(partition, position)| *position >= end(partition))
    }

    /// When attribution was seen to have passed a click.
    fn passed(&self, place: &Place) -> Option<Timestamp> {
        let column = self.partitions.binary_search(&place.partition).ok()?;
        let before =
            |look: &Look| look.positions.get(column).is_none_or(|position| *position <= place.offset);
        self.looks.get(self.looks.partition_point(before)).map(|look| look.at)
    }

    /// Lag of clicks of a span of time, in milliseconds; and how many were not passed while it was looked.
    ///
    /// # Errors
    /// When attribution has passed a click before there was one: then a clock or a place is wrong, and no lag is right.
    pub(crate) fn lag(
        &self,
        places: &[Place],
        from: Timestamp,
        to: Timestamp,
    ) -> Outcome<(Histogram<u64>, u64)> {
        // Up to an hour.
        let (mut lag, mut missing) = (Histogram::new_with_bounds(1, 3_600_000, 3)?, 0);
        for place in places.iter().filter(|place| (from.0..to.0).contains(&place.at.0)) {
            let Some(passed) = self.passed(place) else {
                missing += 1;
                continue;
            };
            let Ok(millis) = u64::try_from(passed.0 - place.at.0) else {
                let (partition, offset) = (place.partition, place.offset);
                let early = place.at.0 - passed.0;
                return Err(format!(
                    "record {offset} of partition {partition} was passed {early} ms before it was made"
                )
                .into());
            };
            lag.saturating_record(millis);
        }
        Ok((lag, missing))
    }
}

/// Where the partitions of the topic end now.
pub(crate) async fn heads(shared: &Shared) -> Outcome<Vec<Position>> {
    Ok(Heads::open(&shared.kafka).await?.read().await?)
}

/// Every click of the topic behind `from` (of all partitions), as often as it is there.
pub(crate) async fn read(shared: &Shared, from: &[Position], partitions: &[u32]) -> Outcome<Vec<Place>> {
    let ends = heads(shared).await?;
    let one = |partition: u32| {
        let of = |positions: &[Position]| positions.get(partition as usize).copied().unwrap_or_default();
        let (from, end) = (of(from), of(&ends));
        async move {
            let mut places = Vec::new();
            if from >= end {
                return Ok(places);
            }
            let mut stream = KafkaStream::open(&shared.kafka, partition, clock()).await?;
            let mut at = stream.seek(from).await?;
            while at < end {
                let batch = stream.next(4096, Duration::from_secs(10)).await?;
                if batch.records.is_empty() {
                    return Err(format!("partition {partition} can't be read to its end").into());
                }
                // One record, one offset: no transactions, no compaction.
                let first = batch.next.offset - batch.records.len() as u64;
                for (record, offset) in batch.records.into_iter().zip(first..) {
                    if let EventBody::Click(click) = record.event.body {
                        let (id, link, at) = (click.id, click.link, record.event.at);
                        places.push(Place { id, link, at, partition, offset });
                    }
                }
                at = batch.next;
            }
            Ok::<_, Box<dyn std::error::Error>>(places)
        }
    };
    let all: Vec<Vec<Place>> =
        stream::iter(partitions.to_vec()).map(one).buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(all.into_iter().flatten().collect())
}

/// Different clicks among them.
pub(crate) fn distinct(places: &[Place]) -> usize {
    places.iter().map(|place| place.id).collect::<HashSet<_>>().len()
}
