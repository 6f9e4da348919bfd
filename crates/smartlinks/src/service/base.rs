//! What is opened before any role runs: the directory's lock, its secrets, the journal, the store.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sl_core::time::Clock;
use sl_fjall::{FjallHandle, FjallOptions};
use sl_journal::{Durability, Journal, JournalConfig};
use sl_postback::Unrecorded;
use sl_store::{Store, StoreError};

use super::{cluster::Cluster, pool_rules};
use crate::{
    config::{Backend, Config, DurabilityWord},
    failure::Failure,
    lock::{self, DirLock},
    migrate::marker,
    secrets::{self, Secrets},
};

/// Between two tries at a server that does not answer.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// Open for as long as the service runs.
pub(crate) struct Base {
    pub(crate) journal: Arc<Journal>,
    pub(crate) store: Store,
    pub(crate) backing: Backing,
    pub(crate) secrets: Secrets,
    pub(crate) unrecorded: Unrecorded,
    /// Last to go.
    pub(crate) lock: DirLock,
}

/// The part that opens at once, however much there is.
pub(crate) struct Ground {
    pub(crate) journal: Arc<Journal>,
    /// Records that it had when it was opened.
    pub(crate) had: u64,
    pub(crate) secrets: Secrets,
    /// What receivers said while the store wrote nothing: it outlives a store that is opened again.
    unrecorded: Unrecorded,
    dir: PathBuf,
    lock: DirLock,
}

impl Ground {
    /// Opens it; reads the disk on threads that may block.
    ///
    /// # Errors
    /// [`Failure::Run`], naming the directory and the reason.
    pub(crate) async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let dir = &config.data_dir;
        let lock = lock::take(dir)?;
        if config.storage.backend == Backend::Embedded {
            marker::refuse(dir)?;
        }
        let secrets = secrets::load(dir, &config.secrets, config.storage.backend)?;
        let journal = journal_config(config, dir);
        let journal = tokio::task::spawn_blocking(move || Journal::open(journal, clock));
        let journal = journal.await.map_err(Failure::run)?.map_err(Failure::run)?;
        if !journal.was_clean() {
            tracing::info!("the last stop was not orderly; what was synced is here");
        }
        let had = journal.status().head.offset;
        Ok(Self { journal, had, secrets, unrecorded: Unrecorded::default(), dir: dir.clone(), lock })
    }

    /// Makes the journal safe and lets go of the directory.
    ///
    /// # Errors
    /// [`Failure::Run`] when the last sync fails.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        close(self.journal).await
    }
}

/// The journal's last sync.
///
/// # Errors
/// [`Failure::Run`] when it fails.
pub(crate) async fn close(journal: Arc<Journal>) -> Result<(), Failure> {
    let closed = tokio::task::spawn_blocking(move || journal.close()).await.map_err(Failure::run)?;
    closed.map_err(|error| Failure::Run(format!("the journal's last sync failed: {error}")))
}

/// What the store lies on.
pub(crate) enum Backing {
    /// A directory of this machine.
    Embedded(FjallHandle),
    /// Servers that other machines use too.
    Cluster(Cluster),
}

impl Base {
    /// Opens the embedded store on the ground.
    ///
    /// # Errors
    /// [`Failure::Run`], naming the reason.
    pub(crate) async fn embedded(config: &Config, ground: &Ground) -> Result<(Store, Backing), Failure> {
        let dir = ground.dir.join("store");
        let options = FjallOptions { rules: pool_rules(config), ..FjallOptions::default() };
        let handle = tokio::task::spawn_blocking(move || sl_fjall::open(dir, options));
        let handle = handle.await.map_err(Failure::run)?.map_err(Failure::run)?;
        Ok((handle.store(), Backing::Embedded(handle)))
    }

    /// The ground with a store on it.
    pub(crate) fn on(ground: Ground, store: Store, backing: Backing) -> Self {
        let Ground { journal, secrets, unrecorded, lock, .. } = ground;
        Self { journal, store, backing, secrets, unrecorded, lock }
    }

    /// The ground without the store, which is to be closed.
    pub(super) fn apart(self, dir: &Path) -> (Ground, Backing) {
        let Self { journal, backing, secrets, unrecorded, lock, .. } = self;
        let had = journal.status().head.offset;
        (Ground { journal, had, secrets, unrecorded, dir: dir.to_owned(), lock }, backing)
    }

    /// The cluster, if there is one.
    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        match &self.backing {
            Backing::Embedded(_) => None,
            Backing::Cluster(cluster) => Some(cluster),
        }
    }
}

impl Backing {
    /// The store writes nothing until it is opened again.
    pub(crate) fn must_be_reopened(&self) -> bool {
        match self {
            Self::Embedded(handle) => handle.health().must_be_reopened(),
            Self::Cluster(_) => false,
        }
    }

    /// Makes everything safe and lets go; what spares the next start some work has so long.
    pub(crate) async fn close_within(self, longest: Duration) -> Result<(), StoreError> {
        match self {
            Self::Embedded(handle) => handle.close_within(longest).await,
            // Every write was acknowledged.
            Self::Cluster(_) => Ok(()),
        }
    }
}

fn journal_config(config: &Config, dir: &Path) -> JournalConfig {
    JournalConfig {
        dir: dir.join("journal"),
        segment_bytes: config.journal.segment.as_u64(),
        retention: config.journal.retention,
        max_disk: config.journal.max_disk.as_u64(),
        durability: match config.edge.durability {
            DurabilityWord::Synced => Durability::Synced,
            DurabilityWord::Buffered => Durability::Buffered,
        },
        ..JournalConfig::default()
    }
}
