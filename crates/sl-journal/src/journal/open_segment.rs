//! A segment that is being written, and how the next one is opened.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    config::Durability,
    queue::deadline,
    shared::{Shared, reason},
    shelf::{Segment, Spare},
};
use crate::{
    LostReason,
    disk::{DiskFile, Zeros, remove_if_there, write_all},
    segment::{HEADER_BYTES, Header},
};

/// A file the writer makes itself because no spare was ready.
const DRAFT: &str = "draft.tmp";

/// The last segment.
pub(super) struct Current {
    segment: Arc<Segment>,
    file: Arc<dyn DiskFile>,
    offset: u64,
    capacity: u64,
}

impl Current {
    pub(super) fn room(&self) -> usize {
        usize::try_from(self.capacity.saturating_sub(self.offset)).unwrap_or(usize::MAX)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_all(&*self.file, bytes, self.offset)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Makes everything written durable and readable; says how long the disk took.
    pub(super) fn sync(&mut self, end: u64) -> io::Result<Duration> {
        let begun = Instant::now();
        self.file.sync()?;
        self.segment.grow(self.offset, end);
        Ok(begun.elapsed())
    }

    /// The file, to be synced elsewhere, and how far it is written.
    pub(super) fn to_sync(&self) -> (Arc<dyn DiskFile>, u64) {
        (Arc::clone(&self.file), self.offset)
    }

    /// Makes readable what was synced elsewhere: everything before `offset`.
    pub(super) fn synced_to(&self, offset: u64, end: u64) {
        self.segment.grow(offset, end);
    }

    /// Gives up the unsynced tail, durably, as far as the disk still listens.
    pub(super) fn cut(self) {
        let file = Arc::clone(&self.file);
        self.trim();
        // Not a second try: what this sync makes durable is the file's end, its records are given up.
        if let Err(error) = file.sync() {
            tracing::warn!(%error, "the tail of a failed segment may come back after a crash");
        }
    }

    /// Takes what lies behind the last synced record off the file.
    pub(super) fn trim(self) {
        let length = self.segment.length();
        match self.file.set_len(length) {
            Ok(()) => self.segment.resize(length),
            Err(error) => {
                tracing::warn!(segment = self.segment.name, %error, "a segment's unused tail stays");
            }
        }
    }
}

/// Opens segments, one after the other.
pub(super) struct Opener {
    shared: Arc<Shared>,
    ordinal: u64,
    /// One more than the last good sequence: where older segments are sealed.
    pub(super) good: u64,
    /// After a failure: the reason, and when to try again.
    pause: Option<(LostReason, Instant)>,
}

impl Opener {
    pub(super) fn new(shared: Arc<Shared>, ordinal: u64, good: u64) -> Self {
        Self { shared, ordinal, good, pause: None }
    }

    /// The next segment, for records from `first` on.
    pub(super) fn open(&mut self, first: u64, epoch: u64) -> Result<Current, LostReason> {
        if let Some((reason, until)) = self.pause {
            if Instant::now() < until {
                return Err(reason);
            }
            self.pause = None;
        }
        let opened =
            self.file().and_then(|spare| self.start(spare, first, epoch).map_err(|error| reason(&error)));
        opened.inspect_err(|reason| self.failed(*reason))
    }

    /// Notes a failure: nothing is tried for `retry_pause`.
    pub(super) fn failed(&mut self, reason: LostReason) {
        self.pause = Some((reason, deadline(self.shared.config.retry_pause)));
    }

    /// The spare, or a file that is not preallocated: slower to sync, as sound.
    fn file(&self) -> Result<Spare, LostReason> {
        if let Some(spare) = self.shared.shelf.lock().spare.take() {
            return Ok(spare);
        }
        let size = self.shared.config.segment_bytes;
        self.shared.promise(size, 0)?;
        let made = remove_if_there(&*self.shared.disk, DRAFT).and_then(|()| create(&self.shared, DRAFT));
        self.shared.shelf.lock().promised -= size;
        let file = made.map_err(|error| reason(&error))?;
        Ok(Spare { name: DRAFT.to_owned(), file, size })
    }

    fn start(&mut self, spare: Spare, first: u64, epoch: u64) -> io::Result<Current> {
        let header = Header {
            journal: self.shared.id,
            ordinal: self.ordinal,
            first,
            sealed_at: self.good,
            epoch,
            created_at: self.shared.clock.now(),
        };
        let segment = Arc::new(Segment::new(header, first, HEADER_BYTES as u64, spare.size));
        let disk = &*self.shared.disk;
        let placed = write_all(&*spare.file, &header.to_block(), 0)
            .and_then(|()| spare.file.sync())
            .and_then(|()| disk.rename(&spare.name, &segment.name))
            .and_then(|()| disk.sync());
        // Even a segment that failed may have its name by now: the number is spent.
        self.ordinal += 1;
        if let Err(error) = placed {
            for name in [&spare.name, &segment.name] {
                if let Err(error) = remove_if_there(disk, name) {
                    tracing::warn!(name, %error, "the file of a failed segment can't be removed");
                }
            }
            return Err(error);
        }
        segment.will_be_cached();
        self.shared.shelf.lock().segments.push_back(Arc::clone(&segment));
        self.shared.keeper.ring();
        let capacity = self.shared.config.segment_bytes;
        Ok(Current { segment, file: spare.file, offset: HEADER_BYTES as u64, capacity })
    }
}

/// A file for a segment: past the page cache where each commit waits for the disk anyway.
fn create(shared: &Shared, name: &str) -> io::Result<Arc<dyn DiskFile>> {
    match shared.config.durability {
        Durability::Synced => shared.disk.create_segment(name),
        Durability::Buffered => shared.disk.create(name),
    }
}

/// Makes the next segment's file ahead of need: zeros, synced (decisions 60).
pub(super) fn make_spare(shared: &Shared) -> io::Result<()> {
    /// Zeros per sync: the commits of the hot path wait behind one of these at most.
    const CHUNK: u64 = 1 << 20;
    /// Zeros per write.
    const PIECE: usize = 1 << 18;
    // A name of its own: the writer may have taken the last spare off the shelf and not yet given it its place. Removing
    // that file as a leftover would leave the writer with a file that has no name.
    let name = {
        let shelf = shared.shelf.lock();
        if shelf.spare.is_some() {
            return Ok(());
        }
        format!("spare-{}.tmp", shelf.spares_made)
    };
    let size = shared.config.segment_bytes;
    if shared.promise(size, size).is_err() {
        // The last room inside journal.max_disk is the writer's: it must never be lost to a file still being made.
        return Ok(());
    }
    let made = remove_if_there(&*shared.disk, &name).and_then(|()| create(shared, &name)).and_then(|file| {
        let zeros = Zeros::of(PIECE);
        let mut offset = 0;
        while offset < size && !shared.keeper.stopped() {
            let length = usize::try_from(size - offset).unwrap_or(PIECE).min(PIECE);
            write_all(&*file, zeros.get(length), offset)?;
            offset += length as u64;
            if offset.is_multiple_of(CHUNK) || offset == size {
                file.sync()?;
            }
        }
        Ok(file)
    });
    let mut shelf = shared.shelf.lock();
    shelf.promised -= size;
    match made {
        Ok(file) => {
            shelf.spare = Some(Spare { name, file, size });
            shelf.spares_made += 1;
            Ok(())
        }
        Err(error) => {
            drop(shelf);
            remove_if_there(&*shared.disk, &name)?;
            Err(error)
        }
    }
}
