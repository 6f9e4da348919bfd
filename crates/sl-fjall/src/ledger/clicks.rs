//! Raw click rows: written by steps, marked by later ones, read by reports.

use std::collections::HashMap;

use fjall::{OwnedWriteBatch, Readable as _, Snapshot};
use sl_core::{
    click::ClickRow,
    ids::{ClickId, SmartLinkId},
    step::{ClickMark, Step},
    time::Timestamp,
};
use sl_store::{Result, reports::Range};

use crate::{
    codec::{decode, encode_into},
    db::{Db, damaged, failed, read_at},
    late::{Rows, Table},
    layout::{Key, Reader, place},
};

/// Adds new rows and marks to a batch: one row and one pointer per click.
pub(crate) fn stage(db: &Db, batch: &mut OwnedWriteBatch, late: &mut Rows, step: &Step) -> Result<()> {
    let mut marks: HashMap<ClickId, &ClickMark> =
        step.click_marks.iter().map(|mark| (mark.click, mark)).collect();
    let mut buffer = Vec::with_capacity(1024);
    for row in &step.clicks {
        let marked = if marks.is_empty() { None } else { marks.remove(&row.click.id) };
        match marked {
            None => stage_row(db, batch, row, &mut buffer)?,
            Some(mark) => stage_row(db, batch, &with_mark(row.clone(), mark), &mut buffer)?,
        }
        let pointer = place(row.click.link, row.click.at);
        late.put(Table::ClickIds, &row.click.id.to_bytes(), &pointer);
    }
    let snapshot = db.snapshot();
    for mark in marks.into_values() {
        // A mark for a row that retention has removed changes nothing.
        if let Some(row) = get(&snapshot, db, mark.click)? {
            stage_row(db, batch, &with_mark(row, mark), &mut buffer)?;
        }
    }
    Ok(())
}

fn with_mark(mut row: ClickRow, mark: &ClickMark) -> ClickRow {
    row.gross_clicks = mark.gross_clicks;
    row.is_duplicate = mark.is_duplicate;
    row
}

fn stage_row(db: &Db, batch: &mut OwnedWriteBatch, row: &ClickRow, buffer: &mut Vec<u8>) -> Result<()> {
    let key = row_key(row.click.link, row.click.at, row.click.id);
    batch.insert(&db.clicks, key, encode_into(row, buffer)?);
    Ok(())
}

pub(crate) fn row_key(link: SmartLinkId, at: Timestamp, id: ClickId) -> Key {
    Key::bare().id(link.to_bytes()).at(at).id(id.to_bytes())
}

/// One click of any team.
pub(crate) fn get(snapshot: &Snapshot, db: &Db, id: ClickId) -> Result<Option<ClickRow>> {
    let Some(pointer) = db.late.get(Table::ClickIds, &id.to_bytes())? else { return Ok(None) };
    let mut fields = Reader(&pointer);
    let place = fields.id().zip(fields.at());
    let (link, at) = place.ok_or_else(|| damaged("index `click_ids`"))?;
    read_at(snapshot, &db.clicks, &row_key(SmartLinkId::from_bytes(link), at, id))
}

/// Rows of a link in a range, ascending; `rev()` it for the newest first.
pub(crate) fn of_link(
    snapshot: &Snapshot,
    db: &Db,
    link: SmartLinkId,
    range: Range,
) -> impl DoubleEndedIterator<Item = Result<ClickRow>> + use<> {
    let (from, to) = bounds(Key::bare().id(link.to_bytes()), range);
    snapshot
        .range::<Key, _>(&db.clicks, from..to)
        .map(|row| row.value().map_err(failed).and_then(|bytes| decode(&bytes)))
}

/// First and last-but-one key of a range of times under a prefix.
pub(crate) fn bounds(prefix: Key, range: Range) -> (Key, Key) {
    let from = match range.from {
        Some(from) => prefix.clone().at(from),
        None => prefix.clone(),
    };
    let to = match range.to {
        // A range that ends before it begins is empty, not an error.
        Some(to) => prefix.at(range.from.map_or(to, |from| to.max(from))),
        None => prefix.raw(&[0xff; 25]),
    };
    (from, to)
}
