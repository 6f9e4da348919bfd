//! Pieces of the state machine's memory.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scylla::{
    statement::prepared::PreparedStatement,
    value::CqlValue::{BigInt, Int},
};
use sl_core::{
    attribution::may_go,
    step::{StateBytes, StateKey, StateRows},
};
use sl_store::Result;

use crate::{
    cql::Cql,
    profiles::Kind,
    writes::{Write, blob},
};

/// Pieces asked for in one request. They lie on all nodes, so the one that is asked passes most on: few enough that it
/// answers soon; ScyllaDB refuses above 100.
const TOGETHER: usize = 32;
/// Questions under way.
const IN_FLIGHT: usize = 32;

/// Statements on `state`.
pub(super) struct Pieces {
    /// Seconds that pieces live which may go, 0 for ever.
    ttl: i32,
    get: PreparedStatement,
    put: Arc<PreparedStatement>,
    remove: Arc<PreparedStatement>,
}

// === impl Pieces ===

impl Pieces {
    /// `ttl`: seconds that pieces live which may go ([`may_go`]), 0 for ever.
    pub(super) async fn new(cql: &Cql, ttl: i32) -> Result<Self> {
        let write = |text| cql.prepare(Kind::Write, text);
        let get = "SELECT key, value FROM state WHERE stream = ? AND key IN ?";
        let put = "INSERT INTO state (stream, key, value) VALUES (?, ?, ?) USING TTL ? AND TIMESTAMP ?";
        let remove = "DELETE FROM state USING TIMESTAMP ? WHERE stream = ? AND key = ?";
        Ok(Self {
            ttl,
            get: cql.prepare(Kind::Read, get).await?,
            put: Arc::new(write(put).await?),
            remove: Arc::new(write(remove).await?),
        })
    }

    /// Reads pieces, in the order asked for.
    pub(super) async fn load(
        &self,
        cql: &Cql,
        stream: i32,
        keys: &[StateKey],
    ) -> Result<Vec<Option<StateBytes>>> {
        let mut wanted: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let ask = |some: Vec<Vec<u8>>| cql.rows::<(Vec<u8>, Vec<u8>)>(&self.get, (stream, some));
        let chunks: Vec<Vec<Vec<u8>>> =
            wanted.chunks(TOGETHER).map(|chunk| chunk.iter().map(|key| key.to_vec()).collect()).collect();
        let found: Vec<Vec<_>> =
            stream::iter(chunks).map(ask).buffer_unordered(IN_FLIGHT).try_collect().await?;
        let mut found: HashMap<Vec<u8>, Vec<u8>> = found.into_iter().flatten().collect();
        if wanted.len() == keys.len() {
            return Ok(keys.iter().map(|key| found.remove(&key.0).map(StateBytes)).collect());
        }
        Ok(keys.iter().map(|key| found.get(&key.0).cloned().map(StateBytes)).collect())
    }

    /// The write of one piece.
    pub(super) fn put(&self, stream: i32, key: &[u8], value: &[u8], number: i64) -> Write {
        let ttl = if may_go(key, value) { self.ttl } else { 0 };
        Write::new(&self.put, [Int(stream), blob(key), blob(value), Int(ttl), BigInt(number)])
    }

    /// Each name once, as said last: two writes of one step have the same time, so their order would not count.
    pub(super) fn writes(&self, stream: i32, state: &StateRows, number: i64, writes: &mut Vec<Write>) {
        let last: HashMap<&[u8], Option<&[u8]>> = state.iter().collect();
        writes.extend(last.into_iter().map(|(key, value)| match value {
            Some(value) => self.put(stream, key, value, number),
            None => Write::new(&self.remove, [BigInt(number), Int(stream), blob(key)]),
        }));
    }
}
