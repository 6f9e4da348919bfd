//! Reads the frames of a segment in order, past damage.

use std::{io, ops::Range, sync::Arc};

use sl_core::event::JournalId;

use super::frame::{ALIGN, FRAME_OVERHEAD, FrameHead, FrameSum, stored_len};
use crate::disk::{DiskFile, read_full};

/// One read of the file; grows where a single frame is larger.
const WINDOW: usize = 256 * 1024;
/// No frame is longer: a webhook body is at most 1 MiB, the rest of a record far below another.
const LONGEST: usize = 16 << 20;

/// A stretch of a segment that holds no readable frame although good ones follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) bytes: Range<u64>,
}

/// Walks one segment. `limit` may be raised while it grows; bytes at and behind it are never looked at.
pub(crate) struct Scan {
    file: Arc<dyn DiskFile>,
    journal: JournalId,
    /// Where the next frame begins.
    offset: u64,
    limit: u64,
    /// The next frame has at least this sequence.
    expect: u64,
    /// Frames from this sequence on don't count.
    end: u64,
    window: Vec<u8>,
    window_at: u64,
    /// Where the payload of the last frame is.
    payload: Range<u64>,
    damages: Vec<Damage>,
}

impl Scan {
    pub(crate) fn new(
        file: Arc<dyn DiskFile>,
        journal: JournalId,
        sequences: Range<u64>,
        limit: u64,
    ) -> Self {
        Self {
            file,
            journal,
            offset: super::HEADER_BYTES as u64,
            limit,
            expect: sequences.start,
            end: sequences.end,
            window: Vec::new(),
            window_at: 0,
            payload: 0..0,
            damages: Vec::new(),
        }
    }

    /// Steps to the next frame and says its sequence; `None` at the end, for now.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn step(&mut self) -> io::Result<Option<u64>> {
        let found = match self.frame_at(self.offset)? {
            Some(head) => Some((self.offset, head)),
            None => self.resync()?,
        };
        let Some((at, head)) = found else { return Ok(None) };
        if head.sequence >= self.end {
            return Ok(None);
        }
        if at > self.offset {
            self.damages.push(Damage { bytes: self.offset..at });
        }
        self.offset = at + stored_len(head.length) as u64;
        self.expect = head.sequence + 1;
        self.payload = at + FRAME_OVERHEAD as u64..at + (FRAME_OVERHEAD + head.length) as u64;
        Ok(Some(head.sequence))
    }

    /// Payload of the frame that [`Self::step`] found last.
    pub(crate) fn payload(&self) -> &[u8] {
        // The frame was just checked, so it is in the window.
        let start = usize::try_from(self.payload.start.saturating_sub(self.window_at)).unwrap_or(usize::MAX);
        let length = usize::try_from(self.payload.end - self.payload.start).unwrap_or(0);
        self.window.get(start..).and_then(|rest| rest.get(..length)).unwrap_or_default()
    }

    /// Behind the last frame read.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// One more than the last sequence read.
    pub(crate) fn expect(&self) -> u64 {
        self.expect
    }

    /// Lets it read on to `limit`, and up to the sequence `end`.
    pub(crate) fn extend(&mut self, limit: u64, end: u64) {
        self.limit = limit;
        self.end = end;
    }

    /// What was skipped since the last call.
    pub(crate) fn take_damages(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damages)
    }

    /// A frame that checks out at `at`, or nothing.
    fn frame_at(&mut self, at: u64) -> io::Result<Option<FrameHead>> {
        let Some(head) = self.bytes(at, FRAME_OVERHEAD)?.and_then(FrameHead::read) else { return Ok(None) };
        // The cheap questions first: they turn away zeros and nearly all garbage.
        if head.length == 0 || head.length > LONGEST || head.sequence < self.expect {
            return Ok(None);
        }
        let journal = self.journal;
        let Some(payload) = self.bytes(at + FRAME_OVERHEAD as u64, head.length)? else { return Ok(None) };
        Ok((FrameSum::of(payload).finish(head.sequence, journal) == head.sum).then_some(head))
    }

    /// The next good frame behind the one that should stand here.
    fn resync(&mut self) -> io::Result<Option<(u64, FrameHead)>> {
        let mut at = self.offset + ALIGN as u64;
        while at + FRAME_OVERHEAD as u64 <= self.limit {
            if let Some(head) = self.frame_at(at)? {
                return Ok(Some((at, head)));
            }
            at = self.skip_zeros(at + ALIGN as u64)?;
        }
        Ok(None)
    }

    /// The first multiple of [`ALIGN`] from `at` on where the bytes are not all zero, or the end of what is in memory.
    fn skip_zeros(&mut self, at: u64) -> io::Result<u64> {
        let Some(in_window) = at.checked_sub(self.window_at).and_then(|at| usize::try_from(at).ok()) else {
            return Ok(at);
        };
        let rest = self.window.get(in_window..).unwrap_or_default();
        let zeros = rest.chunks_exact(ALIGN).take_while(|chunk| **chunk == [0; ALIGN]).count();
        Ok(at + (zeros * ALIGN) as u64)
    }

    /// Exactly these bytes, or `None` where the segment ends before.
    fn bytes(&mut self, at: u64, length: usize) -> io::Result<Option<&[u8]>> {
        if at.checked_add(length as u64).is_none_or(|end| end > self.limit) {
            return Ok(None);
        }
        let have = self.window_at..self.window_at + self.window.len() as u64;
        if at < have.start || at + length as u64 > have.end {
            let room = usize::try_from(self.limit - at).unwrap_or(usize::MAX);
            self.window.resize(length.max(WINDOW).min(room), 0);
            let read = read_full(&*self.file, &mut self.window, at)?;
            self.window.truncate(read);
            self.window_at = at;
        }
        let start = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        Ok(self.window.get(start..).and_then(|rest| rest.get(..length)))
    }
}
