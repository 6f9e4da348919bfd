//! Segments: files of checksummed frames behind a header.
//!
//! ```text
//! 0       header, twice (the second copy at 2,048)        see header.rs
//! 4096    frame, frame, …, zeros                          see frame.rs
//! ```
//!
//! Segments are written once, front to back. Their order is that of their ordinals.

mod frame;
mod header;
mod scan;
#[cfg(test)]
mod tests;

pub(crate) use frame::{FrameSum, frame_len, push_frame, stored_len};
pub(crate) use header::{
    HEADER_BYTES, Header, ReadHeader, SegmentName, read_header, seal_small, unseal_small,
};
pub(crate) use scan::{Damage, Scan};
