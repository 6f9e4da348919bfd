//! Watches the store: after a failed write (a full disk) it writes nothing until it is opened again. Redirects go on
//! meanwhile. Once the disk takes data again, the store is opened anew within this process ([`super::reopening`]). Why that waits is
//! said once a minute.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sl_fjall::StoreHealth;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Pause between two looks at the store's health.
const LOOK: Duration = Duration::from_secs(1);
/// Between two words about the same wait.
const WORD: Duration = Duration::from_secs(60);
/// Bytes that the disk must have free before opening is tried: two segments of the journal and this, but at most
/// [`MOST_ROOM`].
const ROOM: u64 = 16 << 20;
/// See [`ROOM`]; the store's own log grows to 64 MiB.
const MOST_ROOM: u64 = 128 << 20;

/// The role.
pub(crate) struct Doctor {
    health: StoreHealth,
    dir: PathBuf,
    /// Bytes that must be free.
    room: u64,
    report: mpsc::Sender<Failure>,
}

impl Doctor {
    /// `segment`: bytes of one of the journal's.
    pub(crate) fn new(
        health: StoreHealth,
        dir: PathBuf,
        segment: u64,
        report: mpsc::Sender<Failure>,
    ) -> Self {
        let room = segment.saturating_mul(2).saturating_add(ROOM).min(MOST_ROOM);
        Self { health, dir, room, report }
    }

    /// Looks until `stop`, or until the store can be opened again.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut told: Option<Instant> = None;
        loop {
            let writes = !self.health.must_be_reopened();
            // Set by the next store's doctor once this one was opened anew.
            metrics::gauge!("smartlinks_store_available").set(f64::from(writes));
            if !writes && self.may_be_opened(&mut told).await {
                let why = "the disk takes data again: the store is opened anew";
                // A full channel means that the service is ending already.
                let _ = self.report.try_send(Failure::Reopen(why.to_owned()));
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Says now and then why not.
    async fn may_be_opened(&self, told: &mut Option<Instant>) -> bool {
        let (dir, room) = (self.dir.clone(), self.room);
        // A disk that is full may be slow, too.
        let waits = tokio::task::spawn_blocking(move || waits_for(&dir, room)).await;
        let Some(why) = waits.unwrap_or_else(|error| Some(error.to_string())) else { return true };
        if told.is_none_or(|told| told.elapsed() >= WORD) {
            tracing::error!(
                "the store could not write, and waits to be opened again: {why}; redirects go on, figures stand still"
            );
            *told = Some(Instant::now());
        }
        false
    }
}

/// Why opening the store again would fail; `None` when it may be tried. The room is asked for first: filling the last of it would take
/// it from the journal. Then one page is tried: what this process may write, by a quota or a limit of its own, no disk tells.
fn waits_for(dir: &Path, room: u64) -> Option<String> {
    let free = match rustix::fs::statvfs(dir) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => return Some(format!("its disk can't be asked for its room: {error}")),
    };
    if free < room {
        let (free, room) = (free >> 20, room >> 20);
        return Some(format!("the disk is full: {free} MiB are free, {room} MiB must be"));
    }
    takes_a_page(dir).err().map(|error| format!("nothing can be written to data_dir: {error}"))
}

fn takes_a_page(dir: &Path) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".probe-").tempfile_in(dir)?;
    file.write_all(&[1; 4096])?;
    file.as_file().sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_says_how_much_must_be_free_or_what_refuses() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(waits_for(dir.path(), 0), None);
        let full = waits_for(dir.path(), u64::MAX).unwrap();
        assert!(full.starts_with("the disk is full: ") && full.ends_with(" MiB must be"), "{full}");
        let gone = waits_for(&dir.path().join("gone"), 0).unwrap();
        assert!(gone.contains("No such file"), "{gone}");
    }
}
