//! Names and headers of segments, and the sealing of small files.

use std::io;

use prost::Message as _;
use sl_core::{event::JournalId, time::Timestamp};

use crate::{
    disk::{DiskFile, read_full},
    proto,
};

/// Frames begin here.
pub(crate) const HEADER_BYTES: usize = 4096;
const COPY: usize = HEADER_BYTES / 2;
const MAGIC: &[u8; 8] = b"SLJRNL\x01\n";
const VERSION: u32 = 1;

/// `00000000000000001234-00000007.segment`: first sequence, then ordinal. Names sort in the order of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) ordinal: u64,
    pub(crate) first: u64,
}

impl SegmentName {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (first, ordinal) = name.strip_suffix(".segment")?.split_once('-')?;
        Some(Self { ordinal: ordinal.parse().ok()?, first: first.parse().ok()? })
    }
}

impl std::fmt::Display for SegmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:020}-{:08}.segment", self.first, self.ordinal)
    }
}

/// What the first block says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) journal: JournalId,
    pub(crate) ordinal: u64,
    pub(crate) first: u64,
    /// Records of earlier segments from here on don't count.
    pub(crate) sealed_at: u64,
    pub(crate) epoch: u64,
    pub(crate) created_at: Timestamp,
}

impl Header {
    pub(crate) fn name(&self) -> SegmentName {
        SegmentName { ordinal: self.ordinal, first: self.first }
    }

    pub(crate) fn to_block(self) -> Vec<u8> {
        let message = proto::SegmentHeader {
            version: VERSION,
            journal: self.journal.0,
            ordinal: self.ordinal,
            first_sequence: self.first,
            sealed_at: self.sealed_at,
            epoch: self.epoch,
            created_at: self.created_at.0,
        };
        let mut copy = seal_small(&message.encode_to_vec());
        copy.resize(COPY, 0);
        let mut block = copy.clone();
        block.extend_from_slice(&copy);
        block
    }

    fn from_copy(copy: &[u8]) -> Option<ReadHeader> {
        let message = proto::SegmentHeader::decode(unseal_small(copy)?).ok()?;
        if message.version != VERSION {
            return Some(ReadHeader::Newer(message.version));
        }
        Some(ReadHeader::Good(Self {
            journal: JournalId(message.journal),
            ordinal: message.ordinal,
            first: message.first_sequence,
            sealed_at: message.sealed_at,
            epoch: message.epoch,
            created_at: Timestamp(message.created_at),
        }))
    }
}

/// What a first block turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadHeader {
    Good(Header),
    /// Written by a later version of this program, with frames laid out otherwise.
    Newer(u32),
    /// Both copies are damaged.
    Bad,
}

pub(crate) fn read_header(file: &dyn DiskFile) -> io::Result<ReadHeader> {
    let mut block = vec![0; HEADER_BYTES];
    let read = read_full(file, &mut block, 0)?;
    block.truncate(read);
    let copies = block.chunks(COPY);
    Ok(copies.filter_map(Header::from_copy).next().unwrap_or(ReadHeader::Bad))
}

/// Magic, length, checksum, bytes: for headers and the small files beside the segments.
pub(crate) fn seal_small(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = MAGIC.to_vec();
    sealed.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    sealed.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    sealed.extend_from_slice(bytes);
    sealed
}

/// What [`seal_small`] sealed, if it is whole.
pub(crate) fn unseal_small(sealed: &[u8]) -> Option<&[u8]> {
    let rest = sealed.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let bytes = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    (crc32fast::hash(bytes) == u32::from_le_bytes(*sum)).then_some(bytes)
}
