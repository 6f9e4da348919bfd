//! One record in a segment.
//!
//! ```text
//! u32 length of the payload | u32 checksum | u64 sequence | payload | zeros up to a multiple of 8
//! ```
//!
//! Little-endian. The checksum is CRC-32 over payload, sequence and journal id: a frame of another journal, or one that
//! somebody hid inside a payload without knowing the journal's id, is no frame. A sequence stands in each frame so that
//! reading can go on behind a damaged stretch.

use sl_core::event::JournalId;

/// Length, checksum and sequence.
pub(crate) const FRAME_OVERHEAD: usize = 16;
/// Frames begin at multiples of this: looking for the next good one is eight times cheaper.
pub(super) const ALIGN: usize = 8;

/// Bytes a payload takes in a segment.
pub(crate) fn stored_len(payload: usize) -> usize {
    (FRAME_OVERHEAD + payload).next_multiple_of(ALIGN)
}

/// A checksum in the making: the payload is summed outside the lock, the sequence inside.
#[derive(Clone)]
pub(crate) struct FrameSum(crc32fast::Hasher);

impl FrameSum {
    pub(crate) fn of(payload: &[u8]) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(payload);
        Self(hasher)
    }

    pub(crate) fn finish(mut self, sequence: u64, journal: JournalId) -> u32 {
        self.0.update(&sequence.to_le_bytes());
        self.0.update(&journal.0.to_le_bytes());
        self.0.finalize()
    }
}

/// Appends one frame. The caller has checked that the length fits.
pub(crate) fn push_frame(
    into: &mut Vec<u8>,
    payload: &[u8],
    sum: FrameSum,
    sequence: u64,
    journal: JournalId,
) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(&sum.finish(sequence, journal).to_le_bytes());
    into.extend_from_slice(&sequence.to_le_bytes());
    into.extend_from_slice(payload);
    into.resize(into.len().next_multiple_of(ALIGN), 0);
}

/// The head of a frame, still to be believed.
#[derive(Clone, Copy)]
pub(super) struct FrameHead {
    pub(super) length: usize,
    pub(super) sum: u32,
    pub(super) sequence: u64,
}

impl FrameHead {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        let (sequence, _) = rest.split_first_chunk::<8>()?;
        Some(Self {
            length: usize::try_from(u32::from_le_bytes(*length)).ok()?,
            sum: u32::from_le_bytes(*sum),
            sequence: u64::from_le_bytes(*sequence),
        })
    }
}

/// Length in the segment of the frame that `bytes` begin with; `None` when they are too few for a head.
pub(crate) fn frame_len(bytes: &[u8]) -> Option<usize> {
    FrameHead::read(bytes).map(|head| stored_len(head.length))
}
