//! The open database: keyspaces, snapshots, error mapping, and the threads that work for async callers.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable as _, Snapshot,
    config::PartitioningPolicy,
};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use sl_store::{Result, StoreError};

use crate::{
    codec::{decode, encode},
    handle::FjallOptions,
    late::{Late, Rows},
    layout::{COUNTER, Key},
    sync::GroupSync,
    unfinished,
};

/// What every write is told after one that failed, until the store is opened again: whoever logs it need not do so each time.
pub const MUST_BE_OPENED_AGAIN: &str = "an earlier write failed; the store must be opened again";

/// Layout version of [`crate::layout`].
const FORMAT: u64 = 4;

/// Between two looks whether the log can be shortened.
const TRIM: Duration = Duration::from_secs(10);

/// Everything the ten seams share.
pub(crate) struct Db {
    pub(crate) database: Database,
    pub(crate) meta: Keyspace,
    pub(crate) clicks: Keyspace,
    pub(crate) click_ids: Keyspace,
    pub(crate) marks: Keyspace,
    pub(crate) reports: Keyspace,
    pub(crate) outbox: Keyspace,
    pub(crate) bodies: Keyspace,
    pub(crate) pool: Keyspace,
    pub(crate) catalog: Keyspace,
    pub(crate) late: Late,
    sync: GroupSync,
    trimmed: Mutex<Instant>,
    /// The database refuses writes after a failed one, as far as anybody has looked; never taken back.
    poisoned: AtomicBool,
}

/// How a keyspace keeps its tables. Filters and indexes are in pieces of a few kilobytes, in all levels but the first, whose few
/// stay in memory whole: in one piece they are a megabyte for each table of small rows, and once they no longer fit into the
/// cache a look at one row reads all of it.
pub(crate) fn tables() -> KeyspaceCreateOptions {
    let below_the_first = PartitioningPolicy::new([false, true]);
    KeyspaceCreateOptions::default()
        .filter_block_partitioning_policy(below_the_first.clone())
        .index_block_partitioning_policy(below_the_first)
}

// === impl Db ===

impl Db {
    pub(crate) fn open(dir: &Path, options: &FjallOptions) -> Result<Self> {
        unfinished::clear(dir)?;
        let database = Database::builder(dir)
            .cache_size(options.cache_bytes)
            .max_journaling_size(options.journal_bytes.max(64 * 1024 * 1024))
            // Of two, one would send itself messages without end for as long as the other compacts, on a core of its own.
            .worker_threads(1)
            .open()
            .map_err(failed)?;
        let memtable = options.memtable_bytes;
        let keyspace =
            |name: &str| database.keyspace(name, || tables().max_memtable_size(memtable)).map_err(failed);
        let db = Self {
            meta: keyspace("meta")?,
            clicks: keyspace("clicks")?,
            click_ids: keyspace("click_ids")?,
            marks: keyspace("marks")?,
            reports: keyspace("reports")?,
            outbox: keyspace("outbox")?,
            bodies: keyspace("bodies")?,
            pool: keyspace("pool")?,
            catalog: keyspace("catalog")?,
            late: Late::open(&database, options.late_bytes)?,
            sync: GroupSync::default(),
            trimmed: Mutex::new(Instant::now()),
            poisoned: AtomicBool::new(false),
            database,
        };
        db.check_format()?;
        Ok(db)
    }

    fn check_format(&self) -> Result<()> {
        let key = Key::bare().raw(b"format");
        match read::<u64>(&self.meta, &key)? {
            Some(FORMAT) => Ok(()),
            Some(other) => Err(StoreError::Damaged(format!(
                "the store has layout {other}, this version of smartlinks reads {FORMAT}; \
                 start the version that wrote it, or an empty data_dir"
            ))),
            None => {
                let mut batch = self.batch();
                batch.insert(&self.meta, key, encode(&FORMAT)?);
                commit(batch)
            }
        }
    }

    /// An atomic batch that has reached the operating system when its commit returns: it survives a killed process.
    pub(crate) fn batch(&self) -> OwnedWriteBatch {
        self.database.batch().durability(Some(PersistMode::Buffer))
    }

    /// Commits a batch together with late rows.
    pub(crate) fn commit(&self, batch: OwnedWriteBatch, late: Rows) -> Result<()> {
        self.late.commit(batch, late)
    }

    /// Puts late rows into their tables when many wait. Waits for the disk.
    pub(crate) fn settle_late(&self) -> Result<()> {
        if self.late.is_full() { self.late.settle(&self.database) } else { Ok(()) }
    }

    /// Lets go of the parts of the log that only rows of quiet keyspaces still hold: after a crash all of it has to be read
    /// again, a million rows a second. Now and then; the tables are written on fjall's thread.
    pub(crate) fn trim_log(&self) -> Result<()> {
        if !self.may_trim() {
            return Ok(());
        }
        let Some(mut trimmed) = self.trimmed.try_lock() else { return Ok(()) };
        if trimmed.elapsed() < TRIM {
            return Ok(());
        }
        *trimmed = Instant::now();
        drop(trimmed);
        self.rotate()
    }

    /// Whether the log has parts that could go.
    pub(crate) fn may_trim(&self) -> bool {
        self.database.journal_count() > 1
    }

    /// Writes what memory holds into tables.
    fn rotate(&self) -> Result<()> {
        self.late.settle(&self.database)?;
        for keyspace in self.keyspaces() {
            keyspace.rotate_memtable().map_err(failed)?;
        }
        Ok(())
    }

    /// Puts what only memory and the log hold into tables, when that is more than `much` bytes: otherwise the next start has
    /// to read all of it. Waits for the disk, at most for `longest`; what is not done then is still in the log.
    pub(crate) fn shorten_log(&self, much: u64, longest: Duration) -> Result<()> {
        if self.database.write_buffer_size() <= much {
            return Ok(());
        }
        let begun = Instant::now();
        self.rotate()?;
        let waits = || self.keyspaces().any(|keyspace| keyspace.sealed_memtable_count() > 0);
        while waits() && begun.elapsed() < longest && !self.is_poisoned() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn keyspaces(&self) -> impl Iterator<Item = &Keyspace> {
        let Self { meta, clicks, click_ids, marks, reports, outbox, bodies, pool, catalog, late, .. } = self;
        [meta, clicks, click_ids, marks, reports, outbox, bodies, pool, catalog, late.records()].into_iter()
    }

    /// Whole steps only: a reader of several rows never sees half of one.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.database.snapshot()
    }

    /// Returns once everything committed before the call survives a power cut.
    pub(crate) async fn synced(&self) -> Result<()> {
        self.sync.wait(&self.database).await
    }

    /// Whether an earlier write failed: nothing is written any more until the directory is opened again. Waits for whoever writes just
    /// now.
    pub(crate) fn is_poisoned(&self) -> bool {
        let is_poisoned = matches!(self.database.persist(PersistMode::Buffer), Err(fjall::Error::Poisoned));
        self.poisoned.fetch_or(is_poisoned, Ordering::Relaxed);
        is_poisoned
    }

    /// Whether [`Self::is_poisoned`] has ever said so. Waits for nobody.
    pub(crate) fn is_known_to_be_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Relaxed)
    }

    /// Whether anything is written still.
    ///
    /// # Errors
    /// `Unavailable` when not.
    pub(crate) fn writes(&self) -> Result<()> {
        if self.is_poisoned() { Err(failed(fjall::Error::Poisoned)) } else { Ok(()) }
    }

    /// A counter of `meta`, 0 before its first use.
    pub(crate) fn counter(&self, name: &str) -> Result<u64> {
        Ok(read(&self.meta, &counter_key(name))?.unwrap_or(0))
    }

    pub(crate) fn set_counter(&self, batch: &mut OwnedWriteBatch, name: &str, value: u64) -> Result<()> {
        put(batch, &self.meta, counter_key(name), &value)
    }
}

fn counter_key(name: &str) -> Key {
    Key::table(COUNTER).raw(name.as_bytes())
}

// === rows ===

/// One row, as it is now.
pub(crate) fn read<T: DeserializeOwned>(keyspace: &Keyspace, key: &Key) -> Result<Option<T>> {
    keyspace.get(key).map_err(failed)?.map(|bytes| decode(&bytes)).transpose()
}

/// One row of a snapshot.
pub(crate) fn read_at<T: DeserializeOwned>(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
    key: &Key,
) -> Result<Option<T>> {
    snapshot.get(keyspace, key).map_err(failed)?.map(|bytes| decode(&bytes)).transpose()
}

/// Adds one row to a batch.
pub(crate) fn put<T: Serialize>(
    batch: &mut OwnedWriteBatch,
    keyspace: &Keyspace,
    key: Key,
    value: &T,
) -> Result<()> {
    batch.insert(keyspace, key, encode(value)?);
    Ok(())
}

/// All values under a prefix, in the order of their keys.
pub(crate) fn scan<T: DeserializeOwned>(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
    prefix: &Key,
) -> Result<Vec<T>> {
    each(snapshot, keyspace, prefix).collect()
}

/// [`scan`], but each value is read when it is asked for.
pub(crate) fn each<T: DeserializeOwned>(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
    prefix: &Key,
) -> impl Iterator<Item = Result<T>> {
    snapshot.prefix(keyspace, prefix).map(|row| row.value().map_err(failed).and_then(|bytes| decode(&bytes)))
}

/// Commits.
pub(crate) fn commit(batch: OwnedWriteBatch) -> Result<()> {
    batch.commit().map_err(failed)
}

// === threads and errors ===

/// Runs `work` on a thread where it may wait for the disk.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(StoreError::Unavailable(format!("a storage thread ended: {error}"))))
}

/// What fjall says, in our words.
pub(crate) fn failed(error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Locked => StoreError::Unavailable("another process has the store open".to_owned()),
        fjall::Error::Poisoned => StoreError::Unavailable(MUST_BE_OPENED_AGAIN.to_owned()),
        fjall::Error::Io(error) => StoreError::Unavailable(error.to_string()),
        // A disk that is full, or does not answer, has damaged nothing: in whatever part of the store that was found.
        other => match of_the_disk(&other) {
            Some(error) => StoreError::Unavailable(error.to_string()),
            None => StoreError::Damaged(other.to_string()),
        },
    }
}

/// The operating system's word behind an error, if that is what it is.
fn of_the_disk(error: &fjall::Error) -> Option<&std::io::Error> {
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = at {
        let found = error.downcast_ref::<std::io::Error>();
        if found.is_some_and(|error| error.raw_os_error().is_some()) {
            return found;
        }
        at = error.source();
    }
    None
}

/// A key or index that is not of the expected shape.
pub(crate) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("{what} has an unexpected shape"))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_full_disk_is_no_damage_in_whatever_part_of_the_store_it_is_found() {
        let full = || std::io::Error::from_raw_os_error(28);
        let other = || std::io::Error::other("not what was written");
        assert!(matches!(failed(fjall::Error::Io(full())), StoreError::Unavailable(_)));
        let deep = failed(fjall::Error::Storage(full().into()));
        assert!(deep.is_temporary() && deep.to_string().contains("No space left"), "{deep}");
        assert!(matches!(failed(fjall::Error::Storage(other().into())), StoreError::Damaged(_)));
    }

    fn filled(dir: &TempDir) -> Db {
        let db = Db::open(dir.path(), &FjallOptions::default()).unwrap();
        for number in 0_u64..100 {
            let mut batch = db.batch();
            batch.insert(&db.outbox, number.to_be_bytes(), vec![7; 10_000]);
            let mut rows = db.late.rows();
            rows.put(crate::late::LateTable::State, &number.to_be_bytes(), &[8; 10_000]);
            db.commit(batch, rows).unwrap();
        }
        db
    }

    #[test]
    fn a_start_reads_little_again_after_a_shortened_log_and_finds_everything() {
        let dir = TempDir::new().unwrap();
        let db = filled(&dir);
        let before = db.database.write_buffer_size();
        db.shorten_log(before, Duration::from_secs(60)).unwrap();
        assert_eq!(db.database.write_buffer_size(), before, "that is not much");
        db.shorten_log(1_000_000, Duration::from_secs(60)).unwrap();
        drop(db);
        let db = Db::open(dir.path(), &FjallOptions::default()).unwrap();
        let read = db.database.write_buffer_size();
        assert!(read < before / 10, "{read} of {before} bytes");
        for number in 0_u64..100 {
            assert_eq!(db.outbox.get(number.to_be_bytes()).unwrap().unwrap().len(), 10_000);
            let late = db.late.get(crate::late::LateTable::State, &number.to_be_bytes()).unwrap();
            assert_eq!(late.unwrap().len(), 10_000);
        }
    }

    #[test]
    fn the_log_lets_go_of_what_only_quiet_keyspaces_hold() {
        let dir = TempDir::new().unwrap();
        let db = Db::open(dir.path(), &FjallOptions::default()).unwrap();
        let mut batch = db.batch();
        put(&mut batch, &db.meta, Key::bare().raw(b"quiet"), &7_u64).unwrap();
        commit(batch).unwrap();
        // The busy one is put into tables again and again; a part of the log ends after 64 MB.
        let (mut rows, begun) = (0_u64, Instant::now());
        while !db.may_trim() {
            let mut batch = db.batch();
            batch.insert(&db.outbox, rows.to_be_bytes(), vec![7; 60_000]);
            commit(batch).unwrap();
            rows += 1;
            assert!(begun.elapsed() < Duration::from_secs(60));
            if rows > 2000 {
                // A busy machine: whoever makes the tables has not had its turn yet.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let until = |ready: &dyn Fn() -> bool| {
            let begun = Instant::now();
            while !ready() {
                assert!(begun.elapsed() < Duration::from_secs(60));
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        until(&|| db.database.outstanding_flushes() == 0);
        db.trim_log().unwrap();
        assert!(db.may_trim(), "it has just been looked at");
        *db.trimmed.lock() = Instant::now().checked_sub(TRIM).unwrap();
        db.trim_log().unwrap();
        until(&|| !db.may_trim());
        drop(db);
        let db = Db::open(dir.path(), &FjallOptions::default()).unwrap();
        assert_eq!(db.outbox.iter().count() as u64, rows);
        assert_eq!(read::<u64>(&db.meta, &Key::bare().raw(b"quiet")).unwrap(), Some(7));
    }
}
