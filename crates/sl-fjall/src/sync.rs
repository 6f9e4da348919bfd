//! One `fdatasync` for everybody who waits at that moment.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use fjall::{Database, PersistMode};
use sl_store::Result;
use tokio::sync::Mutex;

use crate::db::{blocking, failed};

/// Makes what was committed before the call survive a power cut.
#[derive(Debug, Default)]
pub(crate) struct GroupSync {
    /// Callers so far. A ticket is drawn after the caller's commit, so a sync that starts later covers it.
    tickets: AtomicU64,
    /// The highest ticket whose commit is on disk. Whoever holds the lock is syncing for all who wait.
    synced: Arc<Mutex<u64>>,
}

// === impl GroupSync ===

impl GroupSync {
    /// Returns once everything committed before the call is on disk. A caller that goes away cancels nothing.
    pub(crate) async fn wait(&self, db: &Database) -> Result<()> {
        let ticket = self.tickets.fetch_add(1, Ordering::SeqCst) + 1;
        let mut synced = Arc::clone(&self.synced).lock_owned().await;
        if *synced >= ticket {
            return Ok(());
        }
        let covers = self.tickets.load(Ordering::SeqCst);
        let db = db.clone();
        blocking(move || {
            db.persist(PersistMode::SyncData).map_err(failed)?;
            *synced = covers;
            Ok(())
        })
        .await
    }
}
