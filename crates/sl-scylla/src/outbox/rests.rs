//! Destinations that rest: one row each, whatever waits for them.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_core::{breaker::Resting, delivery::Destination, time::Timestamp};
use sl_store::{
    Result,
    outbox::{SHARDS, shard_of},
};

use super::names::{destination_bytes, destination_of};
use crate::{
    codec::{decode, encode},
    cql::Cql,
    statements::statements,
};

/// Shards read at once.
const AT_ONCE: usize = 16;

statements!(Statements {
    put: Write "UPDATE outbox_rests USING TIMESTAMP ? SET resting = ? WHERE shard = ? AND destination = ?";
    time: Read "SELECT WRITETIME(resting) FROM outbox_rests WHERE shard = ? AND destination = ?";
    of_shard: Read "SELECT destination, resting FROM outbox_rests WHERE shard = ?";
});

/// The table.
pub(super) struct Rests {
    cql: Arc<Cql>,
    statements: Statements,
}

/// The destinations that were told to rest, as of one look.
#[derive(Debug, Default)]
pub(super) struct Asleep(BTreeMap<Destination, Resting>);

// === impl Rests ===

impl Rests {
    pub(super) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { cql, statements })
    }

    /// Keeps what is told last, also by a process whose clock is behind.
    pub(super) async fn rest(&self, to: Destination, resting: Option<Resting>) -> Result<()> {
        let key = (shard_of(to).cast_signed(), destination_bytes(to));
        let before: Option<(Option<i64>,)> = self.cql.row(&self.statements.time, &key).await?;
        let time = self.cql.later_than(before.and_then(|(time,)| time));
        let bytes = resting.map_or_else(|| Ok(Vec::new()), |resting| encode(&resting))?;
        self.cql.run(&self.statements.put, (time, bytes, key.0, key.1)).await
    }

    pub(super) async fn of_shard(&self, shard: u32) -> Result<Asleep> {
        let key = (shard.cast_signed(),);
        let rows: Vec<(Vec<u8>, Option<Vec<u8>>)> = self.cql.rows(&self.statements.of_shard, key).await?;
        let told =
            rows.into_iter().filter_map(|(to, resting)| Some((to, resting.filter(|b| !b.is_empty())?)));
        let asleep = told.map(|(to, resting)| Ok((destination_of(&to)?, decode(&resting)?)));
        asleep.collect::<Result<_>>().map(Asleep)
    }

    pub(super) async fn everywhere(&self) -> Result<Asleep> {
        let shards = stream::iter(0..SHARDS).map(|shard| self.of_shard(shard));
        let asleep = shards.buffer_unordered(AT_ONCE).try_fold(BTreeMap::new(), |mut all, Asleep(some)| {
            all.extend(some);
            async move { Ok(all) }
        });
        asleep.await.map(Asleep)
    }
}

// === impl Asleep ===

impl Asleep {
    /// Whether the destination rests at `now`.
    pub(super) fn rests(&self, to: Destination, now: Timestamp) -> bool {
        self.0.get(&to).is_some_and(|resting| resting.rest.lasts(now))
    }

    /// When its newest rest ends; the beginning of time when it had none.
    pub(super) fn rested_at(&self, to: Destination) -> Timestamp {
        self.0.get(&to).map_or(Timestamp(i64::MIN), |resting| resting.rest.until)
    }

    /// All of them, by destination.
    pub(super) fn all(self) -> Vec<(Destination, Resting)> {
        self.0.into_iter().collect()
    }
}
