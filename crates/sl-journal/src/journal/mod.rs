//! The journal on local disk.
//!
//! * [`config`]: directory and bounds · [`queue`]: what waits for the disk · [`fates`]: who waits for it
//! * [`writer`]: the thread that writes and syncs · [`syncer`]: the one that syncs behind it when nobody waits for that
//! * [`open_segment`]: segments being opened and filled
//! * [`keeper`]: the thread that prepares segments and removes old ones · [`shelf`]: which segments there are
//! * [`recovery`]: what is found at the start · [`reader`], [`stream`]: reading · [`consumers`]: small files

pub mod config;
mod consumers;
mod fates;
mod keeper;
mod open_segment;
mod queue;
mod reader;
pub(crate) mod recovery;
mod shared;
mod shelf;
mod start;
mod stream;
mod syncer;
mod writer;

use std::{
    cell::RefCell,
    future::Future,
    io,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, atomic::Ordering::SeqCst},
    thread::JoinHandle,
};

use parking_lot::Mutex;
use sl_core::{
    event::{Event, JournalId, Position, Recorded},
    time::{Clock, Timestamp},
};

pub use self::{
    config::{BUFFERED_SYNC, Durability, JournalConfig},
    stream::JournalStream,
};
use self::{queue::Urgency, reader::Reader, shared::Shared};
use crate::{
    ClickLog, Fate, LostReason, Past, Ticket,
    codec::{self, ClickView, DecodeError},
    disk::{Disk, RealDisk},
    segment::FrameSum,
};

/// A journal can't be opened, read or closed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk's answer.
    #[error("journal: {0}")]
    Io(#[from] io::Error),
    /// A bound that can't work; names the key and the remedy.
    #[error("{0}")]
    Config(String),
    /// Another process, or another part of this one, has it open.
    #[error("{0:?} is in use by another journal; stop the process that holds it")]
    Locked(PathBuf),
    /// Written by a later version.
    #[error("{segment} has layout {version}, this version knows 1: use the newer program")]
    Newer {
        /// File name.
        segment: String,
        /// Version of its layout.
        version: u32,
    },
    /// Segments of two journals in one directory.
    #[error("{segment} belongs to another journal than the segments before it: move it away")]
    Mixed {
        /// File name.
        segment: String,
    },
}

/// Where a journal stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalStatus {
    /// Its name for life.
    pub journal: JournalId,
    /// Where the next record will go.
    pub head: Position,
    /// Every record with a lower sequence is synced or lost.
    pub synced: u64,
    /// The oldest record that can still be read.
    pub oldest: u64,
    /// How many segments it has.
    pub segments: usize,
    /// What they take on disk, the one prepared ahead included.
    pub bytes: u64,
    /// Why records are being refused, as long as they are.
    pub trouble: Option<LostReason>,
    /// Records lost since the start, refused ones aside.
    pub lost: u64,
    /// Unreadable stretches met since the start.
    pub damaged: u64,
}

/// The write-ahead journal. Cheap to share; threads end with [`Journal::close`] or the last reference.
pub struct Journal {
    shared: Arc<Shared>,
    was_clean: bool,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    /// Returns one more than the last good sequence.
    writer: JoinHandle<u64>,
    keeper: JoinHandle<()>,
}

impl Journal {
    /// Opens the directory, keeps every record that can be read, and starts the threads.
    ///
    /// # Errors
    /// [`JournalError`]; a full disk is none: records are then refused until there is room.
    pub fn open(config: JournalConfig, clock: Arc<dyn Clock>) -> Result<Arc<Self>, JournalError> {
        let disk = RealDisk::exclusive(&config.dir).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => JournalError::Locked(config.dir.clone()),
            _ => JournalError::Io(error),
        })?;
        Self::open_on(Arc::new(disk), config, clock)
    }

    /// [`Journal::open`] on another disk; `config.dir` is not looked at.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        config: JournalConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, JournalError> {
        start::start(disk, config, clock)
    }

    /// Whether the last stop was orderly, or there was none. If not, what was handed out just before it may be missing
    /// (decisions 5).
    #[must_use]
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// Its name for life.
    #[must_use]
    pub fn id(&self) -> JournalId {
        self.shared.id
    }

    /// The stream for the consumer `name`, who is registered for good from now on.
    #[must_use]
    pub fn stream(&self, name: &str) -> JournalStream {
        JournalStream::new(Arc::clone(&self.shared), name)
    }

    /// Takes the consumer `name` off the register: nothing is kept for it any more.
    pub fn forget_consumer(&self, name: &str) {
        let mut shelf = self.shared.shelf.lock();
        if shelf.consumers.remove(name).is_some() {
            shelf.consumers_changed = true;
        }
    }

    /// Hands over every synced record that was appended at or after `since`, in order; returns how many. Reads whole
    /// segments and blocks while it does.
    ///
    /// # Errors
    /// The disk's.
    pub fn recent(&self, since: Timestamp, mut each: impl FnMut(Recorded)) -> Result<u64, JournalError> {
        let (mut count, mut account) = (0, None);
        self.each_from(self.first_since(since), |sequence, payload| {
            let event = codec::decode_after(payload, account.as_ref())?;
            if event.at >= since {
                count += 1;
                account = Some(event.account.clone());
                each(Recorded { journal: self.shared.id, sequence, event });
            }
            Ok(())
        })?;
        Ok(count)
    }

    /// The same with what an edge remembers of its visitors, which is much less to read, and only from the sequence `from` on.
    ///
    /// # Errors
    /// The disk's.
    pub fn recent_visitors(
        &self,
        since: Timestamp,
        from: u64,
        mut each: impl FnMut(Past),
    ) -> Result<(), JournalError> {
        self.each_from(self.first_since(since).max(from), |_, payload| {
            let (at, past) = codec::decode_past(payload)?;
            if at >= since {
                past.into_iter().for_each(&mut each);
            }
            Ok(())
        })
    }

    /// Every synced record from a sequence on.
    fn each_from(
        &self,
        first: u64,
        mut each: impl FnMut(u64, &[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), JournalError> {
        let until = self.shared.synced();
        let mut reader = Reader::new(Arc::clone(&self.shared), first);
        while reader.position() < until
            && let Some(sequence) = reader.step()?
        {
            if let Err(error) = each(sequence, reader.payload()) {
                tracing::error!(sequence, %error, "a journal record is skipped; it stays on disk");
            }
        }
        Ok(())
    }

    /// The first sequence of the last segment that was opened well before `since` and before all that were not: the clock
    /// may have been set back between two segments.
    fn first_since(&self, since: Timestamp) -> u64 {
        /// Within a segment clocks are set back by less.
        const SLACK: std::time::Duration = std::time::Duration::from_secs(15 * 60);
        let shelf = self.shared.shelf.lock();
        let before = |segment: &&Arc<self::shelf::Segment>| segment.header.created_at <= since.minus(SLACK);
        let begun = shelf.segments.iter().take_while(before).last();
        begun.map_or_else(|| shelf.oldest(), |segment| segment.header.first)
    }

    /// Removes what is no longer needed now, instead of within the next second.
    pub fn tidy(&self) {
        keeper::tidy(&self.shared);
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> JournalStatus {
        let shelf = self.shared.shelf.lock();
        JournalStatus {
            journal: self.shared.id,
            head: self.shared.queue.head(),
            synced: self.shared.synced(),
            oldest: shelf.oldest(),
            segments: shelf.segments.len(),
            bytes: shelf.bytes(),
            trouble: *self.shared.trouble.lock(),
            lost: self.shared.fates.lost(),
            damaged: self.shared.damaged.load(SeqCst),
        }
    }

    /// Writes and syncs what waits, ends the threads and leaves the mark of an orderly stop. Blocks. What is appended
    /// afterwards is refused with [`LostReason::Closed`].
    ///
    /// # Errors
    /// The disk's; the next start then counts the stop as unclean.
    pub fn close(&self) -> Result<(), JournalError> {
        let Some(good) = self.end_threads() else { return Ok(()) };
        consumers::store(&self.shared)?;
        Ok(consumers::mark_clean(&*self.shared.disk, self.shared.id, good)?)
    }

    fn end_threads(&self) -> Option<u64> {
        let threads = self.threads.lock().take()?;
        self.shared.queue.close();
        self.shared.keeper.stop();
        let good = threads.writer.join();
        let kept = threads.keeper.join();
        kept.ok()?;
        good.ok()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Not closed: nothing accepted is left behind, but the stop does not count as orderly.
        self.end_threads();
    }
}

thread_local! {
    /// Where this thread encodes: the queue's lock is held for a copy only.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A larger buffer is given back after use.
const SCRATCH_BYTES: usize = 64 << 10;

impl Journal {
    fn push(&self, urgency: Urgency, encode: impl FnOnce(&mut Vec<u8>)) -> Result<Ticket, LostReason> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            encode(scratch);
            let appended = if scratch.len() > self.shared.config.longest_record() {
                Err(LostReason::TooLarge)
            } else {
                self.shared.queue.push(scratch, FrameSum::of(scratch), urgency).map(Ticket)
            };
            if scratch.capacity() > SCRATCH_BYTES {
                *scratch = Vec::new();
            }
            appended
        })
    }
}

impl ClickLog for Journal {
    fn append(&self, event: Event) -> Result<Ticket, LostReason> {
        self.push(Urgency::Now, |into| codec::encode(event, into))
    }

    fn append_held(&self, event: Event) -> Result<Ticket, LostReason> {
        self.push(Urgency::Held, |into| codec::encode(event, into))
    }

    fn append_click_held(&self, click: &ClickView<'_>) -> Result<Ticket, LostReason> {
        self.push(Urgency::Held, |into| codec::encode_click(click, into))
    }

    fn release(&self) {
        self.shared.queue.release();
    }

    fn fate_now(&self, ticket: Ticket) -> Option<Fate> {
        self.shared.fates.now(ticket)
    }

    fn fate(&self, ticket: Ticket) -> Pin<Box<dyn Future<Output = Fate> + Send>> {
        Box::pin(self.shared.fates.of(ticket))
    }
}
