//! Late rows in memory: they stay in their records, an index says where.

use std::hash::BuildHasher;

use byteview::ByteView;
use fjall::{Keyspace, Slice};
use hashbrown::{DefaultHashBuilder, HashTable};
use sl_store::Result;

use super::{HEAD, LateTable, REMOVED};
use crate::db::{damaged, failed};

/// Records by arrival, and the newest row of every key in them.
#[derive(Default)]
pub(super) struct Index {
    records: Vec<ByteView>,
    /// Bytes of all records.
    pub(super) bytes: usize,
    places: HashTable<Place>,
    hashes: DefaultHashBuilder,
}

/// Where a row is.
#[derive(Debug, Clone, Copy)]
struct Place {
    hash: u64,
    record: u32,
    at: u32,
}

/// A row, read where it lies.
struct Row<'record> {
    table: u8,
    key: &'record [u8],
    /// The value, from here to `end`; absent when the row is removed.
    value: Option<usize>,
    end: usize,
}

/// The row at `at`; `None` behind the last one, or where the bytes are no row.
fn row(record: &[u8], at: usize) -> Option<Row<'_>> {
    let (head, rest) = record.get(at..)?.split_first_chunk::<HEAD>()?;
    let [table, k0, k1, v0, v1, v2, v3] = *head;
    let (key, value) = (u16::from_be_bytes([k0, k1]), u32::from_be_bytes([v0, v1, v2, v3]));
    let key = rest.get(..usize::from(key))?;
    let behind = at + HEAD + key.len();
    let (value, end) =
        if value == REMOVED { (None, behind) } else { (Some(behind), behind + value as usize) };
    (end <= record.len()).then_some(Row { table, key, value, end })
}

// === impl Index ===

impl Index {
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.places.clear();
        self.bytes = 0;
    }

    fn row(&self, place: Place) -> Option<(&ByteView, Row<'_>)> {
        let record = self.records.get(place.record as usize)?;
        Some((record, row(record, place.at as usize)?))
    }

    /// What is known of a key; `Some(None)`: it is gone.
    pub(super) fn find(&self, table: LateTable, key: &[u8]) -> Option<Option<ByteView>> {
        let hash = self.hashes.hash_one(key);
        let same = |place: &Place| {
            place.hash == hash
                && self.row(*place).is_some_and(|(_, row)| row.key == key && row.table == table as u8)
        };
        let (record, row) = self.row(*self.places.find(hash, same)?)?;
        Some(row.value.map(|value| record.slice(value..row.end)))
    }

    /// Takes over the rows of a record, which stay where they are.
    pub(super) fn take(&mut self, record: ByteView) -> Result<()> {
        let number = u32::try_from(self.records.len()).map_err(|_| damaged("a record of late rows"))?;
        self.bytes += record.len();
        self.records.push(record);
        let Self { records, places, hashes, .. } = self;
        let Some(record) = records.last() else { return Ok(()) };
        let mut at = 0;
        while let Some(new) = row(record, at) {
            let hash = hashes.hash_one(new.key);
            let place = Place { hash, record: number, at: u32::try_from(at).unwrap_or(u32::MAX) };
            let same = |other: &Place| {
                let known = records.get(other.record as usize).filter(|_| other.hash == hash);
                known
                    .and_then(|record| row(record, other.at as usize))
                    .is_some_and(|known| known.key == new.key && known.table == new.table)
            };
            places.entry(hash, same, |other| other.hash).insert(place);
            at = new.end;
        }
        if at == record.len() { Ok(()) } else { Err(damaged("a record of late rows")) }
    }

    /// Puts the rows of a table into it, in one sorted run.
    pub(super) fn ingest(&self, table: LateTable, into: &Keyspace) -> Result<()> {
        // Nearly always the first bytes decide, and those lie close together.
        let first = |key: &[u8]| {
            let mut bytes = [0; 16];
            bytes.iter_mut().zip(key).for_each(|(place, byte)| *place = *byte);
            u128::from_be_bytes(bytes)
        };
        let mut rows = Vec::with_capacity(self.places.len());
        for place in &self.places {
            let (_, row) = self.row(*place).ok_or_else(|| damaged("a late row"))?;
            if row.table == table as u8 {
                rows.push((first(row.key), *place));
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let key = |place: Place| self.row(place).map(|(_, row)| row.key);
        // By numbers alone, which is more than twice as fast; then the few that share one.
        rows.sort_unstable_by_key(|(first, _)| *first);
        for same in rows.chunk_by_mut(|left, right| left.0 == right.0) {
            same.sort_unstable_by(|left, right| key(left.1).cmp(&key(right.1)));
        }
        let mut run = into.start_ingestion().map_err(failed)?;
        for (_, place) in rows {
            let (record, row) = self.row(place).ok_or_else(|| damaged("a late row"))?;
            match row.value {
                Some(value) => run.write(row.key, Slice::from(record.slice(value..row.end))),
                None => run.write_tombstone(row.key),
            }
            .map_err(failed)?;
        }
        run.finish().map_err(failed)
    }
}
