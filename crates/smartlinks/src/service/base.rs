//! What is opened before any role runs: the directory's lock, its secrets, the journal, the store.

use std::{path::Path, sync::Arc};

use sl_core::time::Clock;
use sl_fjall::{FjallHandle, FjallOptions};
use sl_journal::{Durability, Journal, JournalConfig};
use sl_store::Store;

use super::pool_rules;
use crate::{
    config::{Config, DurabilityWord},
    failure::Failure,
    lock::{self, DirLock},
    secrets::{self, Secrets},
};

/// Open for as long as the service runs.
pub(crate) struct Base {
    pub(crate) journal: Arc<Journal>,
    pub(crate) store: Store,
    pub(crate) handle: FjallHandle,
    pub(crate) secrets: Secrets,
    /// Last to go.
    pub(crate) lock: DirLock,
}

/// The part that opens at once, however much there is.
pub(crate) struct Ground {
    pub(crate) journal: Arc<Journal>,
    secrets: Secrets,
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
        let secrets = secrets::load(dir, config.secrets.key.0.as_ref())?;
        let journal = journal_config(config, dir);
        let journal = tokio::task::spawn_blocking(move || Journal::open(journal, clock));
        let journal = journal.await.map_err(Failure::run)?.map_err(Failure::run)?;
        if !journal.was_clean() {
            tracing::info!("the last stop was not orderly; what was synced is here");
        }
        Ok(Self { journal, secrets, lock })
    }
}

impl Base {
    /// Opens the store on the ground.
    ///
    /// # Errors
    /// [`Failure::Run`], naming the reason.
    pub(crate) async fn open(config: &Config, ground: Ground) -> Result<Self, Failure> {
        let dir = config.data_dir.join("store");
        let options = FjallOptions { rules: pool_rules(config), ..FjallOptions::default() };
        let handle = tokio::task::spawn_blocking(move || sl_fjall::open(dir, options));
        let handle = handle.await.map_err(Failure::run)?.map_err(Failure::run)?;
        let Ground { journal, secrets, lock } = ground;
        Ok(Self { journal, store: handle.store(), handle, secrets, lock })
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
