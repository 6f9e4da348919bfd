//! A table in pages.

use std::ops::Bound;

use fjall::{Keyspace, Readable as _};
use serde::de::DeserializeOwned;
use sl_store::Result;

use crate::{
    codec::decode,
    db::{Db, failed},
    layout::Key,
};

/// Which rows: under a prefix, behind a key, at most so many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan<'key> {
    pub(super) all: &'key Key,
    pub(super) after: Option<&'key [u8]>,
    pub(super) limit: usize,
}

/// Rows with where to go on.
pub(super) struct Scanned<R> {
    pub(super) rows: Vec<R>,
    pub(super) next: Option<Vec<u8>>,
}

// === impl Scan ===

impl Scan<'_> {
    /// Keys and values as they are.
    pub(super) fn raw(self, keyspace: &Keyspace, db: &Db) -> Result<Scanned<(Vec<u8>, Vec<u8>)>> {
        let from = match self.after {
            Some(after) => Bound::Excluded(after.to_vec()),
            None => Bound::Included(self.all.bytes().to_vec()),
        };
        let (mut rows, mut is_more) = (Vec::with_capacity(self.limit), false);
        for row in db.snapshot().range::<Vec<u8>, _>(keyspace, (from, Bound::Unbounded)) {
            let (key, value) = row.into_inner().map_err(failed)?;
            if !key.starts_with(self.all.bytes()) {
                break;
            }
            if rows.len() >= self.limit {
                is_more = true;
                break;
            }
            rows.push((key.to_vec(), value.to_vec()));
        }
        let next = rows.last().filter(|_| is_more).map(|(key, _)| key.clone());
        Ok(Scanned { rows, next })
    }

    /// Values alone.
    pub(super) fn values<T: DeserializeOwned>(self, keyspace: &Keyspace, db: &Db) -> Result<Scanned<T>> {
        let Scanned { rows, next } = self.raw(keyspace, db)?;
        let rows = rows.iter().map(|(_, value)| decode(value)).collect::<Result<_>>()?;
        Ok(Scanned { rows, next })
    }
}

// === impl Scanned ===

impl<R> Scanned<R> {
    /// Each row made into another.
    pub(super) fn map<T>(self, with: impl FnMut(R) -> Result<T>) -> Result<Scanned<T>> {
        Ok(Scanned { rows: self.rows.into_iter().map(with).collect::<Result<_>>()?, next: self.next })
    }
}
