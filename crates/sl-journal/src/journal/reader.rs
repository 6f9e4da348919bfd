//! Reads a running journal from a sequence on, segment after segment, as far as it is synced.

use std::{io, sync::Arc};

use super::{shared::Shared, shelf::Segment};
use crate::segment::Scan;

pub(super) struct Reader {
    shared: Arc<Shared>,
    at: Option<(Arc<Segment>, Scan)>,
    /// The next record has at least this sequence.
    next: u64,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, next: u64) -> Self {
        Self { shared, at: None, next }
    }

    /// Reads on from here instead.
    pub(super) fn seek(&mut self, next: u64) {
        self.at = None;
        self.next = next;
    }

    /// Where it reads on.
    pub(super) fn position(&self) -> u64 {
        self.next
    }

    /// Steps to the next record and says its sequence; `None` when everything synced was read.
    pub(super) fn step(&mut self) -> io::Result<Option<u64>> {
        loop {
            if self.at.is_none() {
                let Some(segment) = self.shared.shelf.lock().holding(self.next) else { return Ok(None) };
                self.enter(segment)?;
            }
            let Some((segment, scan)) = &mut self.at else { return Ok(None) };
            // Asked first: once there is a next segment this one has stopped growing.
            let after = self.shared.shelf.lock().after(segment.header.ordinal);
            scan.extend(segment.length(), segment.end());
            while let Some(sequence) = scan.step()? {
                for damage in scan.take_damages() {
                    self.shared
                        .note_damage(&segment.name, &format!("bytes {:?} hold no record", damage.bytes));
                }
                if sequence >= self.next {
                    self.next = sequence + 1;
                    return Ok(Some(sequence));
                }
            }
            match after {
                Some(after) => {
                    if scan.expect() < segment.end() {
                        let missing = scan.expect()..segment.end();
                        self.shared.note_damage(&segment.name, &format!("records {missing:?} are gone"));
                    }
                    self.enter(after)?;
                }
                None => return Ok(None),
            }
        }
    }

    /// Payload of the record stepped to.
    pub(super) fn payload(&self) -> &[u8] {
        self.at.as_ref().map_or(&[], |(_, scan)| scan.payload())
    }

    fn enter(&mut self, segment: Arc<Segment>) -> io::Result<()> {
        let file = self.shared.disk.open(&segment.name, false)?;
        let scan = Scan::new(file, self.shared.id, segment.header.first..segment.end(), segment.length());
        self.at = Some((segment, scan));
        Ok(())
    }
}
