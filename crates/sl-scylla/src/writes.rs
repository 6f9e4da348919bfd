//! Many rows at once.
//!
//! A request costs a server about ten times as much as a row in it. So rows that go to the same node travel together: in
//! unlogged batches, which promise nothing over their rows (every row here may come twice, or come later, anyway) and
//! cost nothing of what a logged batch costs. Grouping them by the node that holds them first keeps the batch from
//! being handed on: it is what a client that sends them one by one would have sent that node.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scylla::{
    routing::Token,
    statement::{
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
    value::CqlValue,
};
use sl_store::Result;

use crate::{cql::Cql, failure::damaged, profiles::Kind};

/// Bytes of rows in one batch. ScyllaDB complains above 128 KiB and refuses above 1,024. Cassandra refuses above 50 KiB over
/// several partitions, and complains above 5 in its log unless `batch_size_warn_threshold` says 64.
const BYTES: usize = 32 << 10;
/// Rows of one batch: more makes one thread of the server work for longer than it takes to ask another.
const ROWS: usize = 64;
/// Requests under way for one step: enough to keep a few nodes busy, few enough that others get a turn.
const IN_FLIGHT: usize = 48;

/// One row to be written.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) statement: Arc<PreparedStatement>,
    pub(crate) values: Vec<CqlValue>,
}

// === impl Write ===

impl Write {
    pub(crate) fn new(
        statement: &Arc<PreparedStatement>,
        values: impl IntoIterator<Item = CqlValue>,
    ) -> Self {
        Self { statement: Arc::clone(statement), values: values.into_iter().collect() }
    }

    /// Bytes on the wire, roughly.
    fn size(&self) -> usize {
        let one = |value: &CqlValue| match value {
            CqlValue::Blob(bytes) => bytes.len(),
            CqlValue::Text(text) => text.len(),
            _ => 8,
        };
        24 + self.values.iter().map(|value| 4 + one(value)).sum::<usize>()
    }
}

// === impl Cql ===

impl Cql {
    /// Writes them all, in any order; returns when every one is acknowledged.
    ///
    /// # Errors
    /// The first one's; any number of the others may have been written.
    pub(crate) async fn write_all(&self, writes: Vec<Write>) -> Result<()> {
        #[cfg(feature = "testing")]
        if let Some(turn) = self.fuse().is_set() {
            let mut writes = writes;
            let first = turn % writes.len().max(1);
            writes.rotate_left(first);
            for write in writes {
                self.send(vec![write]).await?;
            }
            return Ok(());
        }
        let batches = self.batches(writes)?;
        stream::iter(batches.into_iter().map(|batch| self.send(batch)))
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<()>()
            .await
    }

    /// Batches by the node that has their rows first, rows of one partition side by side.
    fn batches(&self, writes: Vec<Write>) -> Result<Vec<Vec<Write>>> {
        let state = self.session().get_cluster_state();
        let mut nodes: HashMap<_, Vec<(i64, Write)>> = HashMap::new();
        for write in writes {
            let token = write.statement.calculate_token(&write.values).map_err(damaged)?;
            let table = write.statement.get_table_spec();
            let (Some(token), Some(table)) = (token, table) else {
                return Err(damaged("a write without a partition"));
            };
            let first =
                state.get_token_endpoints(table.ks_name(), table.table_name(), token).into_iter().next();
            let node = first.map(|(node, _)| node.host_id);
            nodes.entry(node).or_default().push((place(token), write));
        }
        let mut batches = Vec::new();
        for mut rows in nodes.into_values() {
            rows.sort_by_key(|(place, _)| *place);
            let (mut batch, mut bytes) = (Vec::new(), 0);
            for (_, write) in rows {
                let size = write.size();
                if !batch.is_empty() && (bytes + size > BYTES || batch.len() >= ROWS) {
                    batches.push(std::mem::take(&mut batch));
                    bytes = 0;
                }
                bytes += size;
                batch.push(write);
            }
            batches.push(batch);
        }
        Ok(batches)
    }

    async fn send(&self, writes: Vec<Write>) -> Result<()> {
        if let [write] = writes.as_slice() {
            return self.run(&write.statement, &write.values).await;
        }
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_execution_profile_handle(Some(self.profile(Kind::Write)));
        batch.set_is_idempotent(true);
        let mut values = Vec::with_capacity(writes.len());
        for write in writes {
            batch.append_statement(PreparedStatement::clone(&write.statement));
            values.push(write.values);
        }
        self.batch(&batch, values).await
    }
}

fn place(token: Token) -> i64 {
    token.value()
}

/// Bytes as a value.
pub(crate) fn blob(bytes: impl Into<Vec<u8>>) -> CqlValue {
    CqlValue::Blob(bytes.into())
}

/// Text as a value.
pub(crate) fn text(text: impl Into<String>) -> CqlValue {
    CqlValue::Text(text.into())
}
