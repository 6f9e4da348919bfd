//! Looks at a journal's directory without writing to it, also while the service runs.

use std::{ops::Range, path::Path};

use sl_core::event::{Event, EventBody, JournalId, Position};

use crate::{JournalError, codec, disk::RealDisk, journal::recovery, segment::SegmentName};

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Whose journal; `None` when there is no readable segment.
    pub journal: Option<JournalId>,
    /// Oldest first.
    pub segments: Vec<SegmentReport>,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// File name.
    pub name: String,
    /// Size of the file.
    pub bytes: u64,
    /// Epoch of its records.
    pub epoch: u64,
    /// Sequences of its records: of the first, and one more than of the last.
    pub sequences: Range<u64>,
    /// Good records.
    pub records: u64,
    /// Good records that this version can't decode.
    pub undecodable: u64,
    /// Byte ranges without a good record although good ones follow.
    pub damages: Vec<Range<u64>>,
    /// Both copies of the header are damaged.
    pub header_damaged: bool,
}

/// Whether a directory holds a journal: a file with the name of a segment.
///
/// # Errors
/// The operating system's, when the directory can't be read.
pub fn is_journal(dir: &Path) -> std::io::Result<bool> {
    let mut names = std::fs::read_dir(dir)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.any(|name| SegmentName::parse(&name).is_some()))
}

impl VerifyReport {
    /// Good records altogether.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }

    /// Nothing is damaged and everything can be decoded. What an interrupted write left behind the last record is no
    /// damage.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.segments
            .iter()
            .all(|segment| !segment.header_damaged && segment.damages.is_empty() && segment.undecodable == 0)
    }
}

/// Where a journal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalEnd {
    /// Whose journal; `None` when there is no readable segment.
    pub journal: Option<JournalId>,
    /// Behind its last readable record.
    pub head: Position,
    /// Behind the last one in the last segment that is more than a tick: ticks wake attribution and carry nothing.
    pub content: Position,
}

/// Where the journal in `dir` ends; reads its last segment.
///
/// # Errors
/// [`JournalError`] when the directory can't be read.
pub fn journal_end(dir: &Path) -> Result<JournalEnd, JournalError> {
    let disk = RealDisk::read_only(dir)?;
    let found = recovery::find(&disk)?;
    let Some(last) = found.segments.last() else { return Ok(JournalEnd::default()) };
    let mut scan = last.scan(&disk, found.journal.unwrap_or_default())?;
    let first = Position { epoch: last.header.epoch, offset: last.header.first };
    let (mut head, mut content) = (first, first);
    while let Some(sequence) = scan.step()? {
        head.offset = sequence + 1;
        if !codec::decode(scan.payload()).is_ok_and(|event| event.body == EventBody::Tick) {
            content = head;
        }
    }
    Ok(JournalEnd { journal: found.journal, head, content })
}

/// Checks every record of the journal in `dir`.
///
/// # Errors
/// [`JournalError`] when the directory can't be read at all.
pub fn verify(dir: &Path) -> Result<VerifyReport, JournalError> {
    let disk = RealDisk::read_only(dir)?;
    let found = recovery::find(&disk)?;
    let journal = found.journal.unwrap_or_default();
    let mut report = VerifyReport { journal: found.journal, segments: Vec::new() };
    for segment in &found.segments {
        let mut scan = segment.scan(&disk, journal)?;
        let mut found = SegmentReport {
            name: segment.name.clone(),
            bytes: segment.bytes,
            epoch: segment.header.epoch,
            sequences: segment.header.first..segment.header.first,
            records: 0,
            undecodable: 0,
            damages: Vec::new(),
            header_damaged: segment.header_damaged,
        };
        while let Some(sequence) = scan.step()? {
            found.records += 1;
            found.sequences.end = sequence + 1;
            found.undecodable += u64::from(codec::decode(scan.payload()).is_err());
            found.damages.extend(scan.take_damages().into_iter().map(|damage| damage.bytes));
        }
        // The segment behind says how far this one went.
        if segment.end != u64::MAX && scan.expect() < segment.end {
            found.damages.push(scan.offset()..segment.bytes);
        }
        report.segments.push(found);
    }
    Ok(report)
}

/// Hands over every readable record of the journal in `dir` from `from` on, in order; returns how many. What can't be
/// decoded is skipped.
///
/// # Errors
/// [`JournalError`] when the directory can't be read.
pub fn dump(dir: &Path, from: Position, mut each: impl FnMut(Position, Event)) -> Result<u64, JournalError> {
    let disk = RealDisk::read_only(dir)?;
    let found = recovery::find(&disk)?;
    let journal = found.journal.unwrap_or_default();
    let mut count = 0;
    for segment in found.segments.iter().filter(|segment| segment.end > from.offset) {
        let mut scan = segment.scan(&disk, journal)?;
        while let Some(sequence) = scan.step()? {
            if sequence < from.offset {
                continue;
            }
            if let Ok(event) = codec::decode(scan.payload()) {
                count += 1;
                each(Position { epoch: segment.header.epoch, offset: sequence }, event);
            }
        }
    }
    Ok(count)
}
