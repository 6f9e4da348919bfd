//! The thread that writes: takes all that waits, writes it, syncs once, tells, and at once takes what came meanwhile.
//!
//! A write or sync that fails is never tried again on the same file: after a failed `fdatasync` the pages may be gone
//! while the next one would succeed. The segment is sealed behind its last synced record and the records go into a new
//! one; if that fails too, they are lost.
//!
//! Where records count as stored before they are synced, the sync is the [`Syncer`]'s and the writer goes on meanwhile. What
//! it has written since stays in memory with what is being synced: if that fails, all of it moves.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    config::{BUFFERED_SYNC, Durability},
    open_segment::{Current, Opener},
    queue::{Run, Taken, deadline},
    shared::{Shared, reason},
    syncer::{Flight, Landed, Syncer},
};
use crate::{LostReason, segment::frame_len};

/// Most that is written before it is synced when nobody waits for the sync.
const BUFFERED_BYTES: usize = 4 << 20;
/// Most that may lie unsynced while the disk is busy with a sync; then the writer waits for it.
const BEHIND_BYTES: usize = 4 * BUFFERED_BYTES;

pub(super) struct Writer {
    shared: Arc<Shared>,
    opener: Opener,
    current: Option<Current>,
    epoch: u64,
    unsynced: Unsynced,
    /// When the sync of the oldest unsynced record must begin; `None` with unsynced records: after the one under way.
    due: Option<Instant>,
    /// Who syncs behind, always the current segment; `None` when every record waits for its sync.
    syncer: Option<Syncer>,
}

/// What the current segment holds behind its last synced record.
#[derive(Default)]
struct Unsynced {
    first: u64,
    end: u64,
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, opener: Opener, epoch: u64) -> io::Result<Self> {
        let syncer = match shared.config.durability {
            Durability::Synced => None,
            Durability::Buffered => Some(Syncer::spawn(&shared)?),
        };
        let unsynced = Unsynced::default();
        Ok(Self { shared, opener, current: None, epoch, unsynced, due: None, syncer })
    }

    /// Opens the first segment; a disk that can't now is asked again for the first record.
    pub(super) fn prepare(&mut self, first: u64) {
        match self.opener.open(first, self.epoch) {
            Ok(current) => self.current = Some(current),
            Err(reason) => *self.shared.trouble.lock() = Some(reason),
        }
    }

    /// Runs until the queue is closed and empty. Returns one more than the last good sequence.
    pub(super) fn run(mut self) -> u64 {
        loop {
            match self.shared.queue.take(self.due) {
                Taken::Runs(runs) => {
                    for run in runs {
                        self.write_run(&run);
                        self.shared.queue.recycle(run.bytes);
                    }
                    self.report();
                }
                Taken::Nothing => {}
                Taken::Closed => break,
            }
            if let Some(landed) = self.syncer.as_mut().and_then(Syncer::now) {
                self.landed(landed);
            }
            if self.due.is_none_or(|due| due <= Instant::now()) {
                self.sync_behind();
            }
        }
        self.sync();
        self.report();
        if let Some(current) = self.current.take() {
            current.trim();
        }
        self.opener.good
    }

    fn write_run(&mut self, run: &Run) {
        if run.epoch != self.epoch {
            self.sync();
            self.epoch = run.epoch;
            self.current = None;
            // The epoch reaches disk even if no record follows. One that can't is started again by the same consumer.
            self.prepare(run.first);
        }
        let end = run.first + run.count;
        let (mut sequence, mut rest) = (run.first, run.bytes.as_slice());
        while sequence < end {
            let Some(length) = frame_len(rest) else { return };
            let room = match self.room(length, sequence) {
                Ok(room) => room,
                Err(reason) => return self.lose(sequence, end, reason),
            };
            let (bytes, count) = whole_frames(rest, room);
            self.put(bytes, sequence, count);
            sequence += count;
            rest = rest.get(bytes.len()..).unwrap_or_default();
        }
    }

    /// Bytes the current segment has room for: at least `length`, if need be in a new segment.
    fn room(&mut self, length: usize, sequence: u64) -> Result<usize, LostReason> {
        if self.current.as_ref().is_some_and(|current| current.room() < length) {
            self.sync();
        }
        if let Some(current) = &self.current
            && current.room() >= length
        {
            return Ok(current.room());
        }
        self.current = None;
        let current = self.opener.open(sequence, self.epoch)?;
        let room = current.room();
        self.current = Some(current);
        Ok(room)
    }

    fn put(&mut self, bytes: &[u8], sequence: u64, count: u64) {
        if self.unsynced.bytes.is_empty() {
            self.unsynced.first = sequence;
        }
        self.unsynced.end = sequence + count;
        let Some(current) = &mut self.current else { return };
        let wrote = current.write(bytes);
        if self.shared.config.durability == Durability::Synced {
            // Nothing is copied that is durable in a moment.
            return match wrote.and_then(|()| current.sync(self.unsynced.end)) {
                Ok(took) => self.all_synced(took),
                Err(error) => {
                    self.unsynced.bytes.extend_from_slice(bytes);
                    self.rescue(&error);
                }
            };
        }
        self.unsynced.bytes.extend_from_slice(bytes);
        if let Err(error) = wrote {
            return self.rescue(&error);
        }
        self.shared.fates.settle(sequence + count);
        self.due.get_or_insert_with(|| deadline(BUFFERED_SYNC));
        match self.unsynced.bytes.len() {
            BEHIND_BYTES.. => self.sync(),
            BUFFERED_BYTES.. => self.sync_behind(),
            _ => {}
        }
    }

    /// Begins a sync of everything written, unless one is under way.
    fn sync_behind(&mut self) {
        self.due = None;
        let (Some(syncer), Some(current)) = (&mut self.syncer, &self.current) else { return };
        if syncer.is_busy() || self.unsynced.bytes.is_empty() {
            return;
        }
        let (file, offset) = current.to_sync();
        syncer.begin(file, Flight { offset, end: self.unsynced.end, bytes: self.unsynced.bytes.len() });
    }

    /// A sync behind has ended.
    fn landed(&mut self, (flight, synced): Landed) {
        match synced {
            Ok(took) => {
                if let Some(current) = &self.current {
                    current.synced_to(flight.offset, flight.end);
                }
                self.synced(flight.end, flight.bytes, took);
            }
            Err(error) => self.rescue(&error),
        }
    }

    /// Syncs everything written and waits for it.
    fn sync(&mut self) {
        if let Some(landed) = self.syncer.as_mut().and_then(Syncer::wait) {
            self.landed(landed);
        }
        self.due = None;
        if self.unsynced.bytes.is_empty() {
            return;
        }
        let Some(current) = &mut self.current else { return };
        match current.sync(self.unsynced.end) {
            Ok(took) => self.all_synced(took),
            Err(error) => self.rescue(&error),
        }
    }

    /// The current segment failed: its unsynced records go into a new one, or are lost.
    fn rescue(&mut self, error: &io::Error) {
        self.due = None;
        // A write may fail while a sync is under way: what that one makes durable stays where it is.
        if let Some((flight, Ok(took))) = self.syncer.as_mut().and_then(Syncer::wait) {
            self.landed((flight, Ok(took)));
        }
        tracing::error!(%error, "a journal segment failed and is sealed behind its last synced record");
        metrics::counter!("smartlinks_journal_segments_failed_total").increment(1);
        let failed = self.current.take();
        match self.move_on() {
            Ok(took) => {
                self.all_synced(took);
                if let Some(failed) = failed {
                    failed.trim();
                }
            }
            Err(reason) => self.give_up(failed, reason),
        }
    }

    fn move_on(&mut self) -> Result<Duration, LostReason> {
        let mut next = self.opener.open(self.unsynced.first, self.epoch)?;
        let wrote = next.write(&self.unsynced.bytes).and_then(|()| next.sync(self.unsynced.end));
        match wrote {
            Ok(took) => {
                self.current = Some(next);
                Ok(took)
            }
            Err(error) => {
                next.cut();
                Err(reason(&error))
            }
        }
    }

    /// The unsynced records are lost. Some may have reached the disk all the same: before anybody hears of the loss,
    /// one more segment says that they don't count. Where even that can't be opened, their file is cut; a loss told
    /// while the disk takes nothing at all may come up after a crash, as a click that nobody was sent on with.
    fn give_up(&mut self, failed: Option<Current>, reason: LostReason) {
        let (first, end) = (self.unsynced.first, self.unsynced.end);
        self.unsynced.bytes.clear();
        match self.opener.open(end, self.epoch) {
            Ok(seal) => self.current = Some(seal),
            Err(_) => {
                if let Some(failed) = failed {
                    failed.cut();
                }
                self.opener.failed(reason);
            }
        }
        self.lose(first, end, reason);
    }

    fn all_synced(&mut self, took: Duration) {
        self.synced(self.unsynced.end, self.unsynced.bytes.len(), took);
    }

    /// Everything below `end` is durable: so many of the bytes kept.
    fn synced(&mut self, end: u64, bytes: usize, took: Duration) {
        metrics::histogram!("smartlinks_journal_sync_seconds").record(took.as_secs_f64());
        self.unsynced.bytes.drain(..bytes);
        self.unsynced.first = end;
        self.opener.good = end;
        *self.shared.trouble.lock() = None;
        self.shared.publish_synced(end);
        self.shared.fates.settle(end);
    }

    fn lose(&self, first: u64, end: u64, reason: LostReason) {
        *self.shared.trouble.lock() = Some(reason);
        metrics::counter!("smartlinks_journal_lost_total", "reason" => reason.as_str())
            .increment(end.saturating_sub(first));
        self.shared.fates.lose(first..end, reason);
        self.shared.publish_synced(end);
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge; exact below 2^53 records")]
    fn report(&self) {
        metrics::gauge!("smartlinks_journal_head").set(self.shared.queue.head().offset as f64);
        let synced = self.shared.synced();
        metrics::gauge!("smartlinks_journal_synced").set(synced as f64);
    }
}

/// As many whole frames from the start as fit into `room`, and how many they are.
fn whole_frames(bytes: &[u8], room: usize) -> (&[u8], u64) {
    let (mut length, mut count) = (0, 0);
    while let Some(next) = bytes.get(length..).and_then(frame_len)
        && length + next <= room
    {
        length += next;
        count += 1;
    }
    (bytes.get(..length).unwrap_or_default(), count)
}
