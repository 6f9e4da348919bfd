//! Rows written late: many, small, in random order, and only ever read one by one.
//!
//! Written at once each of them would cost a search in a sorted memtable, and most of a click's rows are such. Instead
//! a batch carries all of its late rows as one record; memory holds them by key until there are many; then they go,
//! sorted, straight into tables of their own, and the records go. What a reader asks for is in memory or in a table. After a
//! crash the records are read again: rows are absolute, so a row that had already reached its table is written again.

use std::sync::Arc;

use byteview::ByteView;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Slice};
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use sl_store::Result;

use crate::db::{commit, damaged, failed};

/// Which table a late row belongs to. The numbers are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Attribution's memory.
    State = 0,
    /// Who holds a pool link.
    Given = 1,
}

/// Length of the value of a row that goes.
const REMOVED: u32 = u32::MAX;

/// Late rows of one batch, in the form of its record: table (1 byte), length of the key (2), of the value (4), both.
#[derive(Debug, Default)]
pub(crate) struct Rows(Vec<u8>);

type Map = HashMap<ByteView, Option<ByteView>>;
type Maps = [Map; 2];

/// The late tables.
pub(crate) struct Late {
    tables: [Keyspace; 2],
    records: Keyspace,
    /// Number of the next record. Held over a commit: records and memory have the same order.
    next: Mutex<u64>,
    waiting: RwLock<Waiting>,
    /// Held while rows go into their tables.
    settling: Mutex<()>,
    limit: usize,
}

/// Rows that are in a record, but in no table yet.
#[derive(Default)]
struct Waiting {
    young: Maps,
    /// Empty, with the room that the next ones will need.
    spare: Maps,
    /// On their way into the tables, with the number of the first record that is not among them.
    leaving: Option<(Arc<Maps>, u64)>,
    bytes: usize,
}

// === impl Rows ===

impl Rows {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.head(table, key, u32::try_from(value.len()).unwrap_or(REMOVED - 1));
        self.0.extend_from_slice(value);
    }

    pub(crate) fn remove(&mut self, table: Table, key: &[u8]) {
        self.head(table, key, REMOVED);
    }

    /// Keys have fewer than 65,536 bytes and values fewer than 4 GiB, as in fjall.
    fn head(&mut self, table: Table, key: &[u8], value: u32) {
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
        let table = |name| database.keyspace(name, KeyspaceCreateOptions::default).map_err(failed);
        // Its rows are short-lived: with room for all of them in the memtable most never reach a table.
        let room = (3 * limit as u64).max(1024 * 1024);
        let options = || KeyspaceCreateOptions::default().max_memtable_size(room);
        let records = database.keyspace("late", options).map_err(failed)?;
        let late = Self {
            tables: [table("state")?, table("given")?],
            next: Mutex::new(0),
            waiting: RwLock::default(),
            settling: Mutex::new(()),
            records,
            limit,
        };
        for row in late.records.iter() {
            let (number, record) = row.into_inner().map_err(failed)?;
            let number = number.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes));
            *late.next.lock() = number.ok_or_else(|| damaged("the number of a record"))? + 1;
            late.waiting.write().take(&ByteView::new(&record))?;
        }
        late.settle(database)?;
        Ok(late)
    }

    /// One row, as it is now.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<ByteView>> {
        {
            let waiting = self.waiting.read();
            if let Some(row) = waiting.find(table, key) {
                return Ok(row.clone());
            }
        }
        let found = self.table(table).get(key).map_err(failed)?;
        Ok(found.map(|value| ByteView::new(&value)))
    }

    /// The keyspace of a table: complete right after [`Late::open`], later without what waits in memory.
    pub(crate) fn table(&self, table: Table) -> &Keyspace {
        let [state, given] = &self.tables;
        match table {
            Table::State => state,
            Table::Given => given,
        }
    }

    /// Commits a batch together with late rows.
    pub(crate) fn commit(&self, mut batch: OwnedWriteBatch, rows: Rows) -> Result<()> {
        if rows.0.is_empty() {
            return commit(batch);
        }
        let mut next = self.next.lock();
        let record = ByteView::from(rows.0);
        batch.insert(&self.records, next.to_be_bytes(), Slice::from(record.clone()));
        // Known before the commit: who sees a row of the batch finds the late ones. When the commit fails the database
        // takes no write any more, and what is in memory goes with it.
        self.waiting.write().take(&record)?;
        *next += 1;
        commit(batch)
    }

    /// Whether so much waits that [`Late::settle`] should be called.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.read().bytes > self.limit
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
                waiting.bytes = 0;
            }
            let Some(leaving) = waiting.leaving.clone() else { return Ok(()) };
            leaving
        };
        // A table must not know more than the log, or after a power cut state would be ahead of its effects.
        database.persist(PersistMode::SyncData).map_err(failed)?;
        for (table, map) in self.tables.iter().zip(&*rows) {
            ingest(table, map)?;
        }
        let mut batch = database.batch().durability(Some(PersistMode::Buffer));
        for row in self.records.range(..end.to_be_bytes()) {
            batch.remove(&self.records, row.key().map_err(failed)?);
        }
        commit(batch)?;
        drop(rows);
        let left = self.waiting.write().leaving.take();
        if let Some(mut maps) = left.and_then(|(maps, _)| Arc::into_inner(maps)) {
            maps.iter_mut().for_each(Map::clear);
            self.waiting.write().spare = maps;
        }
        Ok(())
    }
}

fn ingest(table: &Keyspace, map: &Map) -> Result<()> {
    if map.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<_> = map.iter().collect();
    rows.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    let mut into = table.start_ingestion().map_err(failed)?;
    for (key, value) in rows {
        match value {
            Some(value) => into.write(Slice::from(key.clone()), Slice::from(value.clone())),
            None => into.write_tombstone(Slice::from(key.clone())),
        }
        .map_err(failed)?;
    }
    into.finish().map_err(failed)
}

// === impl Waiting ===

impl Waiting {
    fn find(&self, table: Table, key: &[u8]) -> Option<&Option<ByteView>> {
        let young = self.young.get(table as usize)?.get(key);
        young.or_else(|| self.leaving.as_ref()?.0.get(table as usize)?.get(key))
    }

    /// Takes over the rows of a record, which stay where they are.
    fn take(&mut self, record: &ByteView) -> Result<()> {
        let mut at = 0;
        while let Some((head, _)) = record.get(at..).and_then(|rest| rest.split_first_chunk::<7>()) {
            let [table, k0, k1, v0, v1, v2, v3] = *head;
            let (key, value) = (u16::from_be_bytes([k0, k1]), u32::from_be_bytes([v0, v1, v2, v3]));
            let key_at = at + head.len();
            let value_at = key_at + usize::from(key);
            at = if value == REMOVED { value_at } else { value_at + value as usize };
            let map = self.young.get_mut(usize::from(table)).filter(|_| at <= record.len());
            let map = map.ok_or_else(|| damaged("a record of late rows"))?;
            let row = (value != REMOVED).then(|| record.slice(value_at..at));
            map.insert(record.slice(key_at..value_at), row);
        }
        self.bytes += record.len();
        Ok(())
    }
}
