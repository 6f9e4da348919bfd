//! Watches the store: after a failed write (a full disk) it writes nothing until it is opened again. Redirects go on
//! meanwhile. Once the disk takes data again, the store is opened anew within this process ([`super::reopening`]).

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use sl_fjall::StoreHealth;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Pause between two looks at the store's health.
const LOOK: Duration = Duration::from_secs(1);
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
        let mut told = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return,
            }
            if !self.health.must_be_reopened() {
                continue;
            }
            if !told {
                tracing::error!(
                    "the store could not write, most likely a full disk: redirects go on, figures stand still until {} MiB are free",
                    self.room >> 20
                );
                told = true;
            }
            let (dir, room) = (self.dir.clone(), self.room);
            // A disk that is full may be slow, too.
            if tokio::task::spawn_blocking(move || has_room(&dir, room)).await.unwrap_or(false) {
                let why = "the disk takes data again: the store is opened anew";
                // A full channel means that the service is ending already.
                let _ = self.report.try_send(Failure::Reopen(why.to_owned()));
                return;
            }
        }
    }
}

/// Asked first: filling the last room would take it from the journal. Then tried with one page: what this process may
/// write, by a quota or a limit of its own, no disk tells.
fn has_room(dir: &Path, room: u64) -> bool {
    let is_there =
        rustix::fs::statvfs(dir).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= room);
    is_there && takes_a_page(dir).is_ok()
}

fn takes_a_page(dir: &Path) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".probe-").tempfile_in(dir)?;
    file.write_all(&[1; 4096])?;
    file.as_file().sync_data()
}
