//! Watches the store: after a failed write (a full disk) it writes nothing until it is opened again. Redirects go on
//! meanwhile. Once the disk takes data again, the service is started anew within this process.

use std::{fs::File, io::Write, path::PathBuf, time::Duration};

use sl_fjall::StoreHealth;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// What the disk must take before opening is tried: the store's own log is 64 MiB at least, and the journal wants a segment.
const ROOM: usize = 128 << 20;
/// Written at once.
const BLOCK: usize = 1 << 20;

/// The role.
pub(crate) struct Doctor {
    health: StoreHealth,
    dir: PathBuf,
    report: mpsc::Sender<Failure>,
}

impl Doctor {
    pub(crate) fn new(health: StoreHealth, dir: PathBuf, report: mpsc::Sender<Failure>) -> Self {
        Self { health, dir, report }
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
                    "the store could not write, most likely a full disk: redirects go on, figures stand still until there is room"
                );
                told = true;
            }
            let probe = self.dir.join("probe.tmp");
            let has_room = tokio::task::spawn_blocking(move || has_room(probe)).await.unwrap_or_default();
            if has_room {
                let why = "the disk takes data again: the store is opened anew";
                // A full channel means that the service is ending already.
                let _ = self.report.try_send(Failure::Reopen(why.to_owned()));
                return;
            }
        }
    }
}

/// Tries it, and leaves nothing behind.
fn has_room(probe: PathBuf) -> bool {
    let filled = File::create(&probe).and_then(|mut file| {
        let block = vec![0; BLOCK];
        (0..ROOM / BLOCK).try_for_each(|_| file.write_all(&block))?;
        file.sync_all()
    });
    // It may not have been made at all.
    let _ = std::fs::remove_file(&probe);
    filled.is_ok()
}
