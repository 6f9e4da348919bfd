//! Who sends from which shard.

use std::sync::Arc;

use sl_core::time::Timestamp;
use sl_store::Result;

use crate::{
    cql::Cql,
    statements::{Tries, statements},
};

statements!(Statements {
    read: SerialRead "SELECT owner, fence, until FROM outbox_shards WHERE shard = ?";
    take: Compare "UPDATE outbox_shards SET owner = ?, fence = ?, until = ? WHERE shard = ?
        IF fence = ? AND owner = ? AND until = ?";
});

/// The table. A row is never removed, so fencing numbers only grow.
pub(super) struct Shards {
    cql: Arc<Cql>,
    statements: Statements,
}

type Row = (Option<String>, Option<i64>, Option<i64>);

// === impl Shards ===

impl Shards {
    pub(super) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { cql, statements })
    }

    /// Takes a shard that is free by `now`, or keeps one's own.
    pub(super) async fn take(
        &self,
        shard: u32,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<u64>> {
        let mut tries = Tries::of("a shard of the outbox");
        loop {
            let once = self.take_once(shard.cast_signed(), owner, now, until).await;
            if let Some(fence) = tries.settled(once).await? {
                return Ok(fence.map(i64::cast_unsigned));
            }
        }
    }

    async fn take_once(
        &self,
        shard: i32,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Option<i64>>> {
        let (holder, fence, end) = self.read(shard).await?;
        let is_own = holder.as_deref() == Some(owner);
        if !is_own && end.is_some_and(|end| now.0 < end) {
            return Ok(Some(None));
        }
        let next = if is_own { fence.unwrap_or(0) } else { fence.unwrap_or(0) + 1 };
        let values = (owner, next, until.0, shard, fence, holder.as_deref(), end);
        Ok(self.cql.compare(&self.statements.take, values).await?.then_some(Some(next)))
    }

    /// Nobody's from now on, if it still has this fencing number.
    pub(super) async fn leave(&self, shard: u32, fence: u64) -> Result<()> {
        let (mut tries, shard, fence) =
            (Tries::of("a shard of the outbox"), shard.cast_signed(), fence.cast_signed());
        loop {
            let once = async {
                let (holder, present, end) = self.read(shard).await?;
                if present != Some(fence) || holder.as_deref().is_none_or(str::is_empty) {
                    return Ok(Some(()));
                }
                let values = ("", fence, i64::MIN, shard, present, holder.as_deref(), end);
                Ok(self.cql.compare(&self.statements.take, values).await?.then_some(()))
            };
            if let Some(()) = tries.settled(once.await).await? {
                return Ok(());
            }
        }
    }

    async fn read(&self, shard: i32) -> Result<Row> {
        Ok(self.cql.row::<Row>(&self.statements.read, (shard,)).await?.unwrap_or_default())
    }
}
