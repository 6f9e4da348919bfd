//! The directory that is moved.

use std::path::Path;

use sl_fjall::{FjallHandle, FjallOptions};
use sl_store::{
    Store,
    moving::{Source, StoreStanding},
};

use crate::{
    config::Config,
    failure::Failure,
    lock::{self, DirLock},
    secrets,
    service::pool_rules,
};

/// Open, and fit to be moved. Its content is only read; the store may tidy its own files, as at every opening.
pub(super) struct Opened {
    handle: FjallHandle,
    pub(super) store: Store,
    pub(super) rows: Box<dyn Source>,
    pub(super) standing: StoreStanding,
    _lock: DirLock,
}

impl Opened {
    /// Opens it.
    ///
    /// # Errors
    /// [`Failure::Run`], naming what is in the way and the remedy.
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        let dir = &config.data_dir;
        if !dir.join("store").is_dir() {
            return Err(Failure::Run(format!("data_dir = {dir:?}: there is no embedded store to be moved")));
        }
        let lock = lock::take(dir)?;
        secrets::same_visitors(dir, &config.secrets)?;
        let options = FjallOptions { rules: pool_rules(config), ..FjallOptions::default() };
        let place = dir.join("store");
        let handle = tokio::task::spawn_blocking(move || sl_fjall::open(place, options));
        let handle = handle.await.map_err(Failure::run)?.map_err(Failure::run)?;
        let rows: Box<dyn Source> = Box::new(handle.source());
        let standing = rows.standing().await.map_err(Failure::run)?;
        settled(dir, &standing)?;
        Ok(Self { store: handle.store(), rows, standing, handle, _lock: lock })
    }

    /// How far the store has come, as a text that changes whenever the service runs on it.
    pub(super) fn words(&self) -> String {
        let StoreStanding { position, applied, dead_letters, numbers, .. } = &self.standing;
        let applied: Vec<_> =
            applied.iter().map(|(journal, sequence)| format!("{:016x}:{sequence}", journal.0)).collect();
        format!("{position:?} {} {dead_letters} {numbers:?}", applied.join(","))
    }

    pub(super) async fn close(self) -> Result<(), Failure> {
        let Self { handle, store, rows, .. } = self;
        drop((store, rows));
        handle.close().await.map_err(Failure::run)
    }
}

/// Attribution has applied all of the journal, but for ticks that its last moment wrote, and every pool link that was not
/// given away is back.
fn settled(dir: &Path, standing: &StoreStanding) -> Result<(), Failure> {
    const REMEDY: &str = "start `smartlinks serve` with storage.backend = \"embedded\" once more, stop it with SIGTERM, and \
                          move then";
    let journal = sl_journal::journal_end(&dir.join("journal")).map_err(Failure::run)?;
    if standing.position < journal.content {
        let (done, head) = (standing.position.offset, journal.content.offset);
        return Err(Failure::Run(format!(
            "data_dir = {dir:?}: attribution has applied {done} of {head} records of the journal; {REMEDY}"
        )));
    }
    if standing.blocks > 0 {
        return Err(Failure::Run(format!(
            "data_dir = {dir:?}: {} blocks of pool links are out, so the last stop was not orderly; {REMEDY}",
            standing.blocks
        )));
    }
    Ok(())
}
