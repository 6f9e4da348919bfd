//! What the journal's threads, its callers and its readers have in common.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use parking_lot::{Condvar, Mutex};
use sl_core::{event::JournalId, time::Clock};
use tokio::sync::Notify;

use super::{
    config::JournalConfig,
    fates::Fates,
    queue::Queue,
    shelf::{Segment, Shelf},
};
use crate::{
    LostReason,
    disk::{Disk, remove_if_there},
};

pub(crate) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) config: JournalConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(crate) id: JournalId,
    /// First sequence of this run of the process.
    pub(super) opened_at: u64,
    pub(super) queue: Queue,
    pub(super) fates: Arc<Fates>,
    pub(super) shelf: Mutex<Shelf>,
    /// Every record below is synced or lost; streams see what is below.
    pub(super) synced: AtomicU64,
    /// Tells streams that more is synced.
    pub(super) grown: Notify,
    pub(super) keeper: Bell,
    /// Held while the file of the consumers is replaced.
    pub(super) consumers_file: Mutex<()>,
    /// Why records are being refused right now.
    pub(super) trouble: Mutex<Option<LostReason>>,
    /// Stretches and records that could not be read.
    pub(super) damaged: AtomicU64,
}

impl Shared {
    /// Every record with a lower sequence is synced or lost.
    pub(super) fn synced(&self) -> u64 {
        self.synced.load(SeqCst)
    }

    /// Streams may read up to `until`.
    pub(super) fn publish_synced(&self, until: u64) {
        self.synced.fetch_max(until, SeqCst);
        self.grown.notify_waiters();
    }

    /// Removes files of segments that are off the shelf. One that stays is found again at the next start.
    pub(super) fn remove(&self, gone: &[Arc<Segment>]) {
        for segment in gone {
            if let Err(error) = remove_if_there(&*self.disk, &segment.name) {
                tracing::warn!(segment = segment.name, %error, "a journal segment can't be removed");
            }
        }
    }

    /// Promises `bytes` of `journal.max_disk` to a new file and leaves `reserve` free, at the cost of passed segments if
    /// need be (decisions 6).
    pub(super) fn promise(&self, bytes: u64, reserve: u64) -> Result<(), LostReason> {
        let mut gone = Vec::new();
        let fits = {
            let mut shelf = self.shelf.lock();
            while shelf.bytes() + bytes + reserve > self.config.max_disk
                && let Some(segment) = shelf.take_passed()
            {
                gone.push(segment);
            }
            let fits = shelf.bytes() + bytes + reserve <= self.config.max_disk;
            if fits {
                shelf.promised += bytes;
            }
            fits
        };
        if !gone.is_empty() {
            metrics::counter!("smartlinks_journal_segments_removed_early_total").increment(gone.len() as u64);
            tracing::warn!(
                segments = gone.len(),
                "journal.max_disk is reached: segments inside journal.retention were removed"
            );
            self.remove(&gone);
        }
        if fits { Ok(()) } else { Err(LostReason::MaxDisk) }
    }

    pub(super) fn note_damage(&self, segment: &str, what: &str) {
        self.damaged.fetch_add(1, SeqCst);
        metrics::counter!("smartlinks_journal_damaged_total").increment(1);
        tracing::error!(segment, what, "the journal is damaged here; the rest is still read");
    }
}

/// Wakes a thread, now and then.
#[derive(Default)]
pub(super) struct Bell {
    state: Mutex<BellState>,
    rung: Condvar,
}

#[derive(Default)]
struct BellState {
    rung: bool,
    stop: bool,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.state.lock().rung = true;
        self.rung.notify_one();
    }

    pub(super) fn stop(&self) {
        self.state.lock().stop = true;
        self.rung.notify_one();
    }

    pub(super) fn stopped(&self) -> bool {
        self.state.lock().stop
    }

    /// Sleeps until it rings or `deadline`; `false` means stop.
    pub(super) fn wait(&self, deadline: std::time::Instant) -> bool {
        let mut state = self.state.lock();
        while !state.rung && !state.stop {
            if self.rung.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.rung = false;
        !state.stop
    }
}

/// The reason a disk's error is counted under.
pub(super) fn reason(error: &io::Error) -> LostReason {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LostReason::DiskFull,
        _ => LostReason::DiskError,
    }
}
