//! Rows written late: many, small, in random order, and only ever read one by one.
//!
//! Written at once each of them would cost a search in a sorted memtable, and most of a click's rows are such. Instead
//! a batch carries all of its late rows as one record; memory holds them by key until there are many; then they go,
//! sorted, straight into tables of their own, and the records go. What a reader asks for is in memory or in a table. After a
//! crash the records are read again: rows are absolute, so a row that had already reached its table is written again.

mod index;

use std::sync::Arc;

use byteview::ByteView;
use fjall::{Database, Keyspace, OwnedWriteBatch, PersistMode, Slice};
use parking_lot::{Mutex, RwLock};
use sl_store::Result;

use self::index::Index;
use crate::db::{commit, damaged, failed, tables};

/// Which table a late row belongs to. The numbers are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LateTable {
    /// Attribution's memory.
    State = 0,
    /// Who holds a pool link.
    Given = 1,
}

/// Room kept for the next record: a step of 1,024 clicks has about 600 KB of late rows.
const BUFFER: usize = 2 << 20;
/// Bytes before a row's key.
const HEAD: usize = 7;
/// Length of the value of a row that goes.
const REMOVED: u32 = u32::MAX;

/// Late rows of one batch, in the form of its record: table (1 byte), length of the key (2), of the value (4), both.
#[derive(Debug, Default)]
pub(crate) struct Rows(Vec<u8>);

/// The late tables.
pub(crate) struct Late {
    tables: [Keyspace; 2],
    records: Keyspace,
    /// Number of the next record. Held over a commit: records and memory have the same order.
    next: Mutex<u64>,
    waiting: RwLock<Waiting>,
    buffer: Mutex<Rows>,
    /// Held while rows go into their tables.
    settling: Mutex<()>,
    limit: usize,
}

/// Rows that are in a record, but in no table yet.
#[derive(Default)]
struct Waiting {
    young: Index,
    /// Empty, with the room that the next one will need.
    spare: Index,
    /// On their way into the tables, with the number of the first record that is not among them.
    leaving: Option<(Arc<Index>, u64)>,
}

// === impl Rows ===

impl Rows {
    /// Makes room for `bytes` more bytes.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.0.reserve(bytes);
    }

    pub(crate) fn put(&mut self, table: LateTable, key: &[u8], value: &[u8]) {
        self.head(table, key, u32::try_from(value.len()).unwrap_or(REMOVED - 1));
        self.0.extend_from_slice(value);
    }

    pub(crate) fn remove(&mut self, table: LateTable, key: &[u8]) {
        self.head(table, key, REMOVED);
    }

    /// Keys have fewer than 65,536 bytes and values fewer than 4 GiB, as in fjall.
    fn head(&mut self, table: LateTable, key: &[u8], value: u32) {
        self.0.push(table as u8);
        self.0.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
        self.0.extend_from_slice(&value.to_be_bytes());
        self.0.extend_from_slice(key);
    }
}

// === impl Late ===

impl Late {
    /// Opens the tables and puts what still waited into them. `limit`: rows waiting in memory, bytes.
    pub(crate) fn open(database: &Database, limit: usize) -> Result<Self> {
        let table = |name| database.keyspace(name, tables).map_err(failed);
        // Its rows are short-lived: with room for all of them in the memtable most never reach a table.
        let room = (3 * limit as u64).max(1024 * 1024);
        let options = || tables().max_memtable_size(room);
        let records = database.keyspace("late", options).map_err(failed)?;
        let late = Self {
            tables: [table("state")?, table("given")?],
            next: Mutex::new(0),
            waiting: RwLock::default(),
            buffer: Mutex::default(),
            settling: Mutex::new(()),
            records,
            limit,
        };
        for row in late.records.iter() {
            let (number, record) = row.into_inner().map_err(failed)?;
            let number = number.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes));
            *late.next.lock() = number.ok_or_else(|| damaged("the number of a record"))? + 1;
            late.waiting.write().young.take(ByteView::new(&record))?;
        }
        late.settle(database)?;
        Ok(late)
    }

    /// One row, as it is now.
    pub(crate) fn get(&self, table: LateTable, key: &[u8]) -> Result<Option<ByteView>> {
        {
            let waiting = self.waiting.read();
            let leaving = || waiting.leaving.as_ref().and_then(|(index, _)| index.find(table, key));
            if let Some(row) = waiting.young.find(table, key).or_else(leaving) {
                return Ok(row);
            }
        }
        let found = self.table(table).get(key).map_err(failed)?;
        Ok(found.map(|value| ByteView::new(&value)))
    }

    /// The keyspace of a table: complete right after [`Late::open`], later without what waits in memory.
    pub(crate) fn table(&self, table: LateTable) -> &Keyspace {
        let [state, given] = &self.tables;
        match table {
            LateTable::State => state,
            LateTable::Given => given,
        }
    }

    /// The keyspace of the records.
    pub(crate) fn records(&self) -> &Keyspace {
        &self.records
    }

    /// Commits a batch together with late rows.
    pub(crate) fn commit(&self, mut batch: OwnedWriteBatch, rows: Rows) -> Result<()> {
        if rows.0.is_empty() {
            return commit(batch);
        }
        let mut next = self.next.lock();
        let record = ByteView::new(&rows.0);
        *self.buffer.lock() = rows;
        batch.insert(&self.records, next.to_be_bytes(), Slice::from(record.clone()));
        // Known before the commit: who sees a row of the batch finds the late ones. When the commit fails the database
        // takes no write any more, and what is in memory goes with it.
        self.waiting.write().young.take(record)?;
        *next += 1;
        commit(batch)
    }

    /// To be filled for a commit; the buffer of the last one, if that was not too large to keep.
    pub(crate) fn rows(&self) -> Rows {
        let mut rows = std::mem::take(&mut *self.buffer.lock());
        rows.0.clear();
        rows.0.shrink_to(BUFFER);
        rows
    }

    /// Whether so much waits that [`Late::settle`] should be called.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.read().young.bytes > self.limit
    }

    /// Puts what waits into the tables. Waits for the disk; readers and writers go on meanwhile.
    pub(crate) fn settle(&self, database: &Database) -> Result<()> {
        let _settling = self.settling.lock();
        let (rows, end) = {
            let next = self.next.lock();
            let mut waiting = self.waiting.write();
            // Left from an attempt that failed: these first.
            if waiting.leaving.is_none() {
                let spare = std::mem::take(&mut waiting.spare);
                waiting.leaving = Some((Arc::new(std::mem::replace(&mut waiting.young, spare)), *next));
            }
            let Some(leaving) = waiting.leaving.clone() else { return Ok(()) };
            leaving
        };
        // A table must not know more than the log, or after a power cut state would be ahead of its effects.
        database.persist(PersistMode::SyncData).map_err(failed)?;
        for table in [LateTable::State, LateTable::Given] {
            rows.ingest(table, self.table(table))?;
        }
        let mut batch = database.batch().durability(Some(PersistMode::Buffer));
        for row in self.records.range(..end.to_be_bytes()) {
            batch.remove(&self.records, row.key().map_err(failed)?);
        }
        commit(batch)?;
        drop(rows);
        let left = self.waiting.write().leaving.take();
        if let Some(mut index) = left.and_then(|(index, _)| Arc::into_inner(index)) {
            index.clear();
            self.waiting.write().spare = index;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
