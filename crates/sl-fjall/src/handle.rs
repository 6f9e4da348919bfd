//! Opening and closing.

use std::{path::Path, sync::Arc, time::Duration};

use sl_store::{Result, Store, StoreError, moving::Source, pool::PoolRules};

use crate::{
    catalog::FjallCatalog,
    db::{Db, blocking},
    heartbeats::FjallHeartbeats,
    leases::FjallLeases,
    ledger::FjallLedger,
    ledger::LedgerCore,
    moving::FjallSource,
    outbox::FjallOutbox,
    pool::FjallPool,
    reports::FjallReports,
    upkeep::FjallUpkeep,
};

/// How much memory and disk the store may use, and what it assumes until it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FjallOptions {
    /// Cache of blocks read from disk, bytes. Default 64 MiB.
    pub cache_bytes: u64,
    /// Newest writes kept in memory, bytes, for each keyspace; only the busy ones fill it. Default 16 MiB.
    pub memtable_bytes: u64,
    /// Rows that are written late (memory of attribution, holders of links) and still wait in memory, bytes;
    /// as much again while they go to disk. Default 32 MiB.
    pub late_bytes: usize,
    /// Write-ahead log of the store, bytes, at least 64 MiB; what is in it is read again at start. Default 128 MiB.
    pub journal_bytes: u64,
    /// What `Pool::live` goes by until `lease` or `levels` has brought the configured times. Defaults: 6 h and 24 h.
    pub rules: PoolRules,
}

/// In memory and the log at a close: more than that goes into tables first. Reading it again takes about 0.2 s.
const MUCH: u64 = 16 << 20;
/// Longest time for that.
const LONGEST: Duration = Duration::from_secs(5);

impl Default for FjallOptions {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        const HOUR: u64 = 3600;
        Self {
            cache_bytes: 64 * MIB,
            memtable_bytes: 16 * MIB,
            late_bytes: 32 << 20,
            journal_bytes: 128 * MIB,
            rules: PoolRules {
                window: std::time::Duration::from_secs(6 * HOUR),
                quarantine: std::time::Duration::from_secs(24 * HOUR),
            },
        }
    }
}

/// An open store. The directory stays locked until the handle and every [`Store`] taken from it are gone.
pub struct FjallHandle {
    db: Arc<Db>,
    catalog: Arc<FjallCatalog>,
    pool: Arc<FjallPool>,
    outbox: Arc<FjallOutbox>,
    reports: Arc<FjallReports>,
    upkeep: Arc<FjallUpkeep>,
    ledger: Arc<LedgerCore>,
    leases: Arc<FjallLeases>,
    heartbeats: Arc<FjallHeartbeats>,
}

/// Opens the store in `dir`, which is made if need be. Reads the disk: call it before the runtime is busy.
///
/// # Errors
/// `Unavailable` when the directory can't be used or another process has it, `Damaged` when what is there can't be read.
pub fn open(dir: impl AsRef<Path>, options: FjallOptions) -> Result<FjallHandle> {
    let db = Arc::new(Db::open(dir.as_ref(), &options)?);
    // Both may have a million rows to read.
    let (catalog, pool) = std::thread::scope(|scope| {
        let catalog = scope.spawn(|| FjallCatalog::open(Arc::clone(&db)));
        let pool = FjallPool::open(Arc::clone(&db), options.rules);
        let catalog = catalog.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, StoreError>((Arc::new(catalog?), Arc::new(pool?)))
    })?;
    let outbox = Arc::new(FjallOutbox::open(Arc::clone(&db))?);
    let ledger = Arc::new(LedgerCore::open(
        Arc::clone(&db),
        Arc::clone(&catalog),
        Arc::clone(&pool),
        Arc::clone(&outbox),
    )?);
    let reports = Arc::new(FjallReports::new(Arc::clone(&db), Arc::clone(&ledger)));
    let upkeep = Arc::new(FjallUpkeep::new(Arc::clone(&db), Arc::clone(&ledger), Arc::clone(&outbox)));
    let (leases, heartbeats) = (Arc::default(), Arc::default());
    Ok(FjallHandle { db, catalog, pool, outbox, reports, upkeep, ledger, leases, heartbeats })
}

// === impl FjallHandle ===

impl FjallHandle {
    /// The ten seams. Each call gives a ledger that is an owner of its own: whoever opens a partition last has it.
    #[must_use]
    pub fn store(&self) -> Store {
        Store {
            catalog: Arc::clone(&self.catalog) as _,
            pool: Arc::clone(&self.pool) as _,
            ledger: Arc::new(FjallLedger::new(Arc::clone(&self.ledger))),
            reports: Arc::clone(&self.reports) as _,
            outbox: Arc::clone(&self.outbox) as _,
            deliveries: Arc::clone(&self.outbox) as _,
            replays: Arc::clone(&self.outbox) as _,
            upkeep: Arc::clone(&self.upkeep) as _,
            leases: Arc::clone(&self.leases) as _,
            heartbeats: Arc::clone(&self.heartbeats) as _,
        }
    }

    /// Everything there is, for another store. Take it right after the opening: what is written through a [`Store`] later
    /// may be missing in it.
    #[must_use]
    pub fn source(&self) -> impl Source + Clone + use<> {
        FjallSource {
            db: Arc::clone(&self.db),
            catalog: Arc::clone(&self.catalog),
            pool: Arc::clone(&self.pool),
            ledger: Arc::clone(&self.ledger),
        }
    }

    /// Looks after the store while it is open.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        StoreHealth(Arc::clone(&self.db))
    }

    /// Makes everything written so far survive a power cut.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub async fn persist(&self) -> Result<()> {
        self.db.synced().await
    }

    /// Syncs, leaves little for the next start to read again, and lets go. Stores taken from the handle keep the directory
    /// locked until they are dropped.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub async fn close(self) -> Result<()> {
        self.close_within(LONGEST).await
    }

    /// The same for somebody who has less time: only what the next start is spared is cut short.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses.
    pub async fn close_within(self, longest: Duration) -> Result<()> {
        self.persist().await?;
        blocking(move || self.db.shorten_log(MUCH, longest.min(LONGEST))).await
    }
}

/// Tells whether the store still writes. It keeps the directory locked, like a [`Store`].
pub struct StoreHealth(Arc<Db>);

impl StoreHealth {
    /// An earlier write failed (a full disk): reading goes on, writing does not until the directory is opened again.
    #[must_use]
    pub fn must_be_reopened(&self) -> bool {
        self.0.is_poisoned()
    }
}
