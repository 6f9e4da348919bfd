//! Click rows of a link in the order of time, out of blocks that may overlap, with the marks of later steps.

use std::{collections::VecDeque, time::Duration};

use fjall::{Keyspace, Readable as _, Snapshot, UserValue};
use sl_core::{
    click::ClickRow,
    ids::{ClickId, SmartLinkId},
    time::Timestamp,
};
use sl_store::{Result, reports::Range};

use super::{
    blocks::{self, Block},
    clicks::{Mark, bounds, second},
};
use crate::{
    codec::decode,
    db::{Db, damaged, failed},
    layout::{Key, Reader},
};

/// Rows of a link in a range, by time and id.
pub(crate) fn of_link(snapshot: &Snapshot, db: &Db, link: SmartLinkId, range: Range) -> Rows {
    Rows::new(snapshot, db, link, range, false)
}

/// Rows of a link in a range, the newest first.
pub(crate) fn newest(snapshot: &Snapshot, db: &Db, link: SmartLinkId, range: Range) -> Rows {
    Rows::new(snapshot, db, link, range, true)
}

/// Rows of a link, second by second: the blocks of one may overlap.
pub(crate) struct Rows {
    blocks: Box<dyn Iterator<Item = Result<(Timestamp, UserValue)>>>,
    ahead: Option<(Timestamp, UserValue)>,
    ready: VecDeque<ClickRow>,
    link: SmartLinkId,
    marks: Keyspace,
    snapshot: Snapshot,
    range: Range,
    newest_first: bool,
}

// === impl Rows ===

impl Rows {
    fn new(snapshot: &Snapshot, db: &Db, link: SmartLinkId, range: Range, newest_first: bool) -> Self {
        let whole = Range { from: range.from.map(second), to: range.to };
        let (from, to) = bounds(Key::bare().id(link.to_bytes()), whole);
        let read = |row: fjall::Guard| {
            let (key, value) = row.into_inner().map_err(failed)?;
            let mut fields = Reader(&key);
            let at = fields.skip(16).and_then(|()| fields.at());
            Ok((at.ok_or_else(|| damaged("a click key"))?, value))
        };
        let found = snapshot.range::<Key, _>(&db.clicks, from..to);
        Self {
            blocks: if newest_first { Box::new(found.rev().map(read)) } else { Box::new(found.map(read)) },
            ahead: None,
            ready: VecDeque::new(),
            link,
            marks: db.marks.clone(),
            snapshot: snapshot.clone(),
            range,
            newest_first,
        }
    }

    /// Reads all blocks of the next second.
    fn fill(&mut self) -> Result<bool> {
        let Some((at, first)) = self.ahead.take().map(Ok).or_else(|| self.blocks.next()).transpose()? else {
            return Ok(false);
        };
        let wanted = |entry: &blocks::Entry| self.range.contains(entry.at);
        let mut rows = Block::read(&first)?.rows(wanted)?;
        for block in self.blocks.by_ref() {
            let (next, block) = block?;
            if next.seconds() != at.seconds() {
                self.ahead = Some((next, block));
                break;
            }
            rows.extend(Block::read(&block)?.rows(wanted)?);
        }
        rows.sort_unstable_by_key(|row| (row.click.at, row.click.id));
        for (id, mark) in self.marks_of(at)? {
            if let Some(row) = rows.iter_mut().find(|row| row.click.id == id) {
                (row.gross_clicks, row.is_duplicate) = (mark.gross_clicks, mark.is_duplicate);
            }
        }
        self.ready = rows.into();
        Ok(true)
    }

    /// Marks of the link in the second of `at`.
    fn marks_of(&self, at: Timestamp) -> Result<Vec<(ClickId, Mark)>> {
        let from = Key::bare().id(self.link.to_bytes()).at(second(at));
        let to = Key::bare().id(self.link.to_bytes()).at(second(at).plus(Duration::from_secs(1)));
        let read = |row: fjall::Guard| {
            let (key, value) = row.into_inner().map_err(failed)?;
            let mut fields = Reader(&key);
            let id =
                fields.skip(24).and_then(|()| fields.id()).ok_or_else(|| damaged("a mark of a click"))?;
            Ok((ClickId::from_bytes(id), decode(&value)?))
        };
        self.snapshot.range::<Key, _>(&self.marks, from..to).map(read).collect()
    }
}

impl Iterator for Rows {
    type Item = Result<ClickRow>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let row = if self.newest_first { self.ready.pop_back() } else { self.ready.pop_front() };
            if let Some(row) = row {
                return Some(Ok(row));
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
