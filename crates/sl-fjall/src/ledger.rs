//! Attribution's memory and its atomic steps.

mod blocks;
pub(crate) mod clicks;
mod effects;
pub(crate) mod listing;

pub(crate) use self::{blocks::Block, effects::dead_letter_place};

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::Serialize;
use sl_core::{
    applied::{self, Applied},
    event::Position,
    ids::AccountId,
    step::{StateBytes, StateKey, Step},
};
use sl_store::{Result, StoreError, ledger::Ledger, ledger::Opened};

use crate::{
    catalog::FjallCatalog,
    codec::{self, VALUES},
    db::{Db, blocking, failed, put},
    late::{LateTable, Rows},
    layout::{Key, PARTITION},
    outbox::FjallOutbox,
    pool::FjallPool,
};

/// More keys than that are read on a storage thread; below, the reads take less time than the way there.
const INLINE_READS: usize = 64;

/// What all ledgers of one open store share.
pub(crate) struct LedgerCore {
    pub(crate) db: Arc<Db>,
    catalog: Arc<FjallCatalog>,
    pool: Arc<FjallPool>,
    outbox: Arc<FjallOutbox>,
    /// Held over a commit: steps are applied one by one.
    books: Mutex<Books>,
    owners: AtomicU64,
}

#[derive(Debug, Default)]
struct Books {
    partitions: HashMap<u32, Partition>,
    dead_letters: u64,
}

#[derive(Debug, Default)]
struct Partition {
    row: PartitionRow,
    /// The ledger that opened it last in this process; other processes can't open the directory.
    owner: Option<u64>,
}

/// Position and applied sequences of a partition, in the layout that [`applied::read`] reads.
#[derive(Debug, Clone, Default, Serialize)]
struct PartitionRow {
    position: Position,
    applied: Applied,
}

/// One owner's ledger.
pub(crate) struct FjallLedger {
    core: Arc<LedgerCore>,
    owner: u64,
}

// === impl LedgerCore ===

impl LedgerCore {
    pub(crate) fn open(
        db: Arc<Db>,
        catalog: Arc<FjallCatalog>,
        pool: Arc<FjallPool>,
        outbox: Arc<FjallOutbox>,
    ) -> Result<Self> {
        let dead_letters = db.counter(effects::DEAD_LETTERS)?;
        let books = Mutex::new(Books { partitions: HashMap::new(), dead_letters });
        Ok(Self { db, catalog, pool, outbox, books, owners: AtomicU64::new(0) })
    }

    pub(crate) fn dead_letter_count(&self) -> u64 {
        self.books.lock().dead_letters
    }

    /// Runs `work` while no step is being applied. Waits for the disk.
    pub(crate) fn between_steps<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let _books = self.books.lock();
        work()
    }

    /// Where a partition stands, without taking it over.
    pub(crate) fn standing(&self, partition: u32) -> Result<Opened> {
        let mut books = self.books.lock();
        let row = &books.partition(&self.db, partition)?.row;
        Ok(Opened { position: row.position, applied: row.applied.clone() })
    }

    fn take_over(&self, owner: u64, partition: u32) -> Result<Opened> {
        let mut books = self.books.lock();
        let entry = books.partition(&self.db, partition)?;
        entry.owner = Some(owner);
        Ok(Opened { position: entry.row.position, applied: entry.row.applied.clone() })
    }

    fn position(&self, partition: u32) -> Result<Position> {
        Ok(self.books.lock().partition(&self.db, partition)?.row.position)
    }

    fn load(&self, partition: u32, keys: &[StateKey]) -> Result<Vec<Option<StateBytes>>> {
        let mut name = Vec::with_capacity(64);
        let one = |key: &StateKey| {
            state_key(partition, &key.0, &mut name);
            let bytes = self.db.late.get(LateTable::State, &name)?;
            Ok(bytes.map(|bytes| StateBytes(bytes.to_vec())))
        };
        keys.iter().map(one).collect()
    }

    fn apply(&self, owner: u64, step: &Step) -> Result<()> {
        self.db.settle_late()?;
        self.db.trim_log()?;
        let mut books = self.books.lock();
        let entry = books.partition(&self.db, step.partition)?;
        if entry.owner.is_some_and(|present| present != owner) {
            return Err(StoreError::Fenced(format!(
                "partition {} was opened by another owner",
                step.partition
            )));
        }
        let (epoch, present) = (step.position.epoch, entry.row.position.epoch);
        if epoch < present {
            return Err(StoreError::Fenced(format!(
                "partition {} stands in epoch {present} of its stream, and a step of epoch {epoch} came: its maker reads \
                 what the stream was before",
                step.partition
            )));
        }
        if step.position < entry.row.position {
            // Applied before, by this very stream: a replay changes nothing (promise 5).
            return Ok(());
        }
        let row = PartitionRow { position: step.position, applied: step.applied.clone() };
        let mut batch = self.db.batch();
        put(&mut batch, &self.db.meta, partition_key(step.partition), &row)?;
        let late = stage_state(self.db.late.rows(), step);
        clicks::stage(&self.db, &mut batch, step)?;
        effects::stage_reports(&self.db, &mut batch, step)?;
        books.dead_letters = effects::stage_dead_letters(&self.db, &mut batch, step, books.dead_letters)?;
        self.commit_with_mirrors(batch, late, step)?;
        books.partition(&self.db, step.partition)?.row = row;
        Ok(())
    }

    /// Adds what is mirrored in memory and commits, with every mirror locked until it is done.
    fn commit_with_mirrors(
        &self,
        mut batch: fjall::OwnedWriteBatch,
        mut late: Rows,
        step: &Step,
    ) -> Result<()> {
        let mut jobs = (!step.jobs.is_empty()).then(|| self.outbox.lock());
        if let Some(jobs) = &mut jobs {
            crate::outbox::write::add_all(&self.db, jobs, &mut batch, &step.jobs)?;
        }
        let mut shelf = (!step.given.is_empty()).then(|| self.pool.lock());
        if let Some(shelf) = &mut shelf {
            let mut last: Option<(&AccountId, [u8; 8])> = None;
            for (account, link, given) in &step.given {
                let digest = match last {
                    Some((known, digest)) if known == account => digest,
                    _ => account.digest(),
                };
                last = Some((account, digest));
                shelf.stage_given(&mut late, digest, account, *link, *given)?;
            }
        }
        let mut rows = (!step.signals.is_empty()).then(|| self.catalog.lock());
        if let Some(rows) = &mut rows {
            for signal in &step.signals {
                self.catalog.stage_signal(rows, &mut batch, signal)?;
            }
        }
        self.db.commit(batch, late)?;
        if let Some(rows) = &rows {
            self.catalog.announce(rows);
        }
        Ok(())
    }
}

// === impl Books ===

impl Books {
    fn partition(&mut self, db: &Db, number: u32) -> Result<&mut Partition> {
        use std::collections::hash_map::Entry;
        Ok(match self.partitions.entry(number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let kept = db.meta.get(partition_key(number)).map_err(failed)?;
                let row = kept.map(|bytes| PartitionRow::read(&bytes)).transpose()?.unwrap_or_default();
                entry.insert(Partition { row, owner: None })
            }
        })
    }
}

// === impl PartitionRow ===

impl PartitionRow {
    fn read(bytes: &[u8]) -> Result<Self> {
        let read = |value: &[u8]| applied::read(value).map(|(position, applied)| Self { position, applied });
        VALUES.decode_by(bytes, read).map_err(codec::damaged)
    }
}

// === impl FjallLedger ===

impl FjallLedger {
    pub(crate) fn new(core: Arc<LedgerCore>) -> Self {
        let owner = core.owners.fetch_add(1, Ordering::Relaxed);
        Self { core, owner }
    }
}

#[async_trait]
impl Ledger for FjallLedger {
    async fn open(&self, partition: u32) -> Result<Opened> {
        self.core.take_over(self.owner, partition)
    }

    async fn load(&self, partition: u32, keys: Vec<StateKey>) -> Result<Vec<Option<StateBytes>>> {
        if keys.len() <= INLINE_READS {
            return self.core.load(partition, &keys);
        }
        let core = Arc::clone(&self.core);
        blocking(move || core.load(partition, &keys)).await
    }

    async fn apply(&self, step: Step) -> Result<()> {
        let (core, owner) = (Arc::clone(&self.core), self.owner);
        blocking(move || core.apply(owner, &step)).await
    }

    async fn sync(&self, partition: u32) -> Result<Position> {
        let position = self.core.position(partition)?;
        self.core.db.synced().await?;
        Ok(position)
    }
}

fn partition_key(number: u32) -> Key {
    Key::table(PARTITION).u32(number)
}

/// Attribution's key, which tells rows apart sooner, then the partition: one byte, or five when there are many.
fn state_key(partition: u32, key: &[u8], into: &mut Vec<u8>) {
    into.clear();
    into.extend_from_slice(key);
    match u8::try_from(partition).ok().filter(|partition| *partition < u8::MAX) {
        Some(partition) => into.push(partition),
        None => {
            into.extend_from_slice(&partition.to_be_bytes());
            into.push(u8::MAX);
        }
    }
}

fn stage_state(mut late: Rows, step: &Step) -> Rows {
    // 80 bytes for the holder of each link, 12 beside each piece.
    late.reserve(step.state.size() + 12 * step.state.len() + 80 * step.given.len());
    let mut name = Vec::with_capacity(64);
    for (key, value) in step.state.iter() {
        state_key(step.partition, key, &mut name);
        match value {
            Some(value) => late.put(LateTable::State, &name, value),
            None => late.remove(LateTable::State, &name),
        }
    }
    late
}
