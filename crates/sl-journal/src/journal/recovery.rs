//! What is found on disk: segments in order, where the last one ends, whose journal it is.
//!
//! Frames carry their sequence and are believed by checksum alone, so a damaged stretch costs the records in it and no
//! others, in whichever segment it is.

use std::{io, sync::Arc};

use sl_core::{event::JournalId, time::Timestamp};

use super::{JournalError, shelf::Segment};
use crate::{
    disk::Disk,
    segment::{Damage, HEADER_BYTES, Header, ReadHeader, Scan, SegmentName, read_header},
};

/// A journal's segments, oldest first.
pub(crate) struct Found {
    pub(crate) journal: Option<JournalId>,
    pub(crate) segments: Vec<FoundSegment>,
}

/// A segment that was found in the directory.
pub(crate) struct FoundSegment {
    pub(crate) header: Header,
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// Both copies of the header are damaged; its name and neighbours stand in.
    pub(crate) header_damaged: bool,
    /// One more than the last sequence that counts here, as the segment behind it says.
    pub(crate) end: u64,
}

/// Reads names and headers, nothing else.
pub(crate) fn find(disk: &dyn Disk) -> Result<Found, JournalError> {
    let mut names: Vec<_> = disk
        .list()?
        .into_iter()
        .filter_map(|name| SegmentName::parse(&name).map(|parsed| (parsed, name)))
        .collect();
    names.sort();
    let mut headers = Vec::new();
    for (parsed, name) in names {
        let file = disk.open(&name, false)?;
        let header = match read_header(&*file)? {
            ReadHeader::Good(header) => Some(header),
            ReadHeader::Newer(version) => return Err(JournalError::Newer { segment: name, version }),
            ReadHeader::Bad => None,
        };
        headers.push((parsed, name, header, file.len()?));
    }
    let journal = headers.iter().find_map(|(_, _, header, _)| header.map(|header| header.journal));
    let mut segments: Vec<FoundSegment> = Vec::new();
    for (parsed, name, header, bytes) in headers {
        if header.is_some_and(|header| Some(header.journal) != journal) {
            return Err(JournalError::Mixed { segment: name });
        }
        let before = segments.last().map(|segment| segment.header);
        let header_damaged = header.is_none();
        let header = header.unwrap_or(Header {
            journal: journal.unwrap_or_default(),
            ordinal: parsed.ordinal,
            first: parsed.first,
            sealed_at: parsed.first,
            epoch: before.map_or(0, |before| before.epoch),
            created_at: before.map_or(Timestamp(0), |before| before.created_at),
        });
        segments.push(FoundSegment { header, name, bytes, header_damaged, end: u64::MAX });
    }
    let mut sealed_at = u64::MAX;
    for segment in segments.iter_mut().rev() {
        segment.end = sealed_at.max(segment.header.first);
        sealed_at = sealed_at.min(segment.header.sealed_at);
    }
    Ok(Found { journal, segments })
}

impl FoundSegment {
    /// Reads it from its first record.
    pub(crate) fn scan(&self, disk: &dyn Disk, journal: JournalId) -> io::Result<Scan> {
        let file = disk.open(&self.name, false)?;
        Ok(Scan::new(file, journal, self.header.first..self.end, self.bytes))
    }

    /// The segment as the running journal keeps it; all of it may be read.
    pub(super) fn shelve(&self, end: u64, length: u64) -> Arc<Segment> {
        Arc::new(Segment::new(self.header, end, length, self.bytes))
    }
}

/// Where the last segment really ends.
pub(super) struct Tail {
    /// One more than its last sequence; its first when it is empty.
    pub(super) end: u64,
    /// Whether it holds any record.
    pub(super) records: bool,
    /// Offset behind its last record, in bytes.
    pub(super) length: u64,
    pub(super) damages: Vec<Damage>,
}

/// Reads the last segment whole. Everything that can be read is kept: a record is on disk or it is not, whether its
/// sync was confirmed or not. It is synced before anybody sees it, and what follows is cut off.
pub(super) fn tail(disk: &dyn Disk, journal: JournalId, last: &FoundSegment) -> io::Result<Tail> {
    let mut scan = last.scan(disk, journal)?;
    let mut damages = Vec::new();
    while scan.step()?.is_some() {
        damages.append(&mut scan.take_damages());
    }
    let length = scan.offset().max(HEADER_BYTES as u64);
    let file = disk.open(&last.name, true)?;
    if !last.header_damaged && length < last.bytes {
        file.set_len(length)?;
    }
    file.sync()?;
    let records = scan.offset() > HEADER_BYTES as u64;
    Ok(Tail { end: scan.expect(), records, length, damages })
}
