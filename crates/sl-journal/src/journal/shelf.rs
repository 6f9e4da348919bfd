//! Which segments there are, who still needs them, and what may go.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use sl_core::{event::Position, time::Timestamp};

use crate::{disk::DiskFile, segment::Header};

/// One segment, growing while it is the last.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: Header,
    pub(crate) name: String,
    /// One more than its last synced sequence.
    end: AtomicU64,
    /// Offset behind its last synced byte.
    length: AtomicU64,
    /// Bytes it takes on disk.
    size: AtomicU64,
    /// Memory caches it, because this process wrote it.
    cached: AtomicBool,
}

impl Segment {
    pub(crate) fn new(header: Header, end: u64, length: u64, size: u64) -> Self {
        let name = header.name().to_string();
        Self {
            header,
            name,
            end: AtomicU64::new(end),
            length: AtomicU64::new(length),
            size: AtomicU64::new(size),
            cached: AtomicBool::new(false),
        }
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(SeqCst)
    }

    pub(crate) fn length(&self) -> u64 {
        self.length.load(SeqCst)
    }

    /// The writer synced up to here.
    pub(super) fn grow(&self, length: u64, end: u64) {
        self.length.store(length, SeqCst);
        self.end.store(end, SeqCst);
    }

    /// Notes that this process is about to write it.
    pub(super) fn will_be_cached(&self) {
        self.cached.store(true, SeqCst);
    }

    pub(super) fn resize(&self, size: u64) {
        self.size.store(size, SeqCst);
    }
}

/// A file full of zeros that waits to become a segment.
pub(super) struct Spare {
    pub(super) name: String,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) size: u64,
}

/// All segments in the order of writing, and the consumers.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) segments: VecDeque<Arc<Segment>>,
    pub(super) spare: Option<Spare>,
    /// Spares made so far: the next one's name.
    pub(super) spares_made: u64,
    /// Bytes promised to a file that is being made.
    pub(super) promised: u64,
    pub(super) consumers: BTreeMap<String, Position>,
    pub(super) consumers_changed: bool,
}

impl Shelf {
    /// Bytes on disk, what is being made included.
    pub(super) fn bytes(&self) -> u64 {
        let segments: u64 = self.segments.iter().map(|segment| segment.size.load(SeqCst)).sum();
        segments + self.spare.as_ref().map_or(0, |spare| spare.size) + self.promised
    }

    /// The oldest sequence that can still be read.
    pub(super) fn oldest(&self) -> u64 {
        self.segments.front().map_or(0, |segment| segment.header.first)
    }

    /// The segment behind this one.
    pub(super) fn after(&self, ordinal: u64) -> Option<Arc<Segment>> {
        self.segments.iter().find(|segment| segment.header.ordinal > ordinal).map(Arc::clone)
    }

    /// The last segment that may hold `sequence`, or the first there is.
    pub(super) fn holding(&self, sequence: u64) -> Option<Arc<Segment>> {
        let holds = |segment: &&Arc<Segment>| segment.header.first <= sequence;
        // Segments that begin alike: the earlier ones hold nothing any more, but reading from them costs nothing.
        let first = self.segments.iter().rfind(holds).map(|segment| segment.header.first);
        let found = self.segments.iter().find(|segment| Some(segment.header.first) == first);
        found.or_else(|| self.segments.front()).map(Arc::clone)
    }

    /// Takes off the shelf what everybody has passed and retention no longer keeps.
    pub(super) fn take_expired(&mut self, now: Timestamp, retention: Duration) -> Vec<Arc<Segment>> {
        let horizon = now.minus(retention);
        let mut gone = Vec::new();
        // A segment's youngest record is as old as the segment behind it.
        while let (Some(oldest), Some(next)) = (self.segments.front(), self.segments.get(1))
            && next.header.created_at < horizon
            && self.is_passed(oldest)
        {
            gone.extend(self.segments.pop_front());
        }
        gone
    }

    /// Finished segments that everybody has passed since the last call: until a restart nobody reads them.
    pub(super) fn newly_passed(&self) -> Vec<Arc<Segment>> {
        let finished = self.segments.len().saturating_sub(1);
        let passed = self.segments.iter().take(finished).filter(|segment| self.is_passed(segment));
        passed.filter(|segment| segment.cached.swap(false, SeqCst)).map(Arc::clone).collect()
    }

    /// Takes the oldest segment off if everybody has passed it, however young it is.
    pub(super) fn take_passed(&mut self) -> Option<Arc<Segment>> {
        let passed =
            self.segments.len() > 1 && self.segments.front().is_some_and(|oldest| self.is_passed(oldest));
        if passed { self.segments.pop_front() } else { None }
    }

    fn is_passed(&self, segment: &Segment) -> bool {
        let end = segment.end();
        self.consumers.values().all(|position| position.offset >= end)
    }

    /// How far behind any consumer may stand.
    pub(super) fn furthest(&self) -> Position {
        let epoch = self.consumers.values().map(|position| position.epoch).max().unwrap_or(0);
        let offset = self.consumers.values().map(|position| position.offset).max().unwrap_or(0);
        Position { epoch, offset }
    }
}
