//! Raw click rows: written by steps, marked by later ones, read by reports.

use fjall::{OwnedWriteBatch, Readable as _, Snapshot};
use serde::{Deserialize, Serialize};
use sl_core::{
    click::ClickRow,
    ids::{ClickId, SmartLinkId},
    step::Step,
    time::Timestamp,
};
use sl_store::{Result, reports::Range};

use super::blocks::{self, Block};
use crate::{
    codec::encode_into,
    db::{Db, damaged, failed, read_at},
    layout::{Key, Reader, place},
};

/// What a later step said of a row.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) gross_clicks: u32,
    pub(crate) is_duplicate: bool,
}

/// Adds new rows and marks to a batch.
pub(crate) fn stage(db: &Db, batch: &mut OwnedWriteBatch, step: &Step) -> Result<()> {
    stage_rows(db, batch, &step.clicks)?;
    stage_ids(db, batch, &step.clicks);
    let mut buffer = Vec::with_capacity(16);
    for mark in &step.click_marks {
        let key = row_key(mark.link, mark.at, mark.click);
        let mark = Mark { gross_clicks: mark.gross_clicks, is_duplicate: mark.is_duplicate };
        batch.insert(&db.marks, key, encode_into(&mark, &mut buffer)?);
    }
    Ok(())
}

fn with(mut row: ClickRow, gross_clicks: u32, is_duplicate: bool) -> ClickRow {
    (row.gross_clicks, row.is_duplicate) = (gross_clicks, is_duplicate);
    row
}

/// A row with what it is sorted by, which lies elsewhere.
type Keyed<'rows> = (SmartLinkId, Timestamp, ClickId, &'rows ClickRow);

fn keyed(rows: &[ClickRow]) -> Vec<Keyed<'_>> {
    rows.iter().map(|row| (row.click.link, row.click.at, row.click.id, row)).collect()
}

/// Rows in blocks, see [`blocks`].
pub(crate) fn stage_rows(db: &Db, batch: &mut OwnedWriteBatch, rows: &[ClickRow]) -> Result<()> {
    let mut rows = keyed(rows);
    rows.sort_unstable_by_key(|(link, at, id, _)| (*link, *at, *id));
    let mut block = Vec::with_capacity(rows.len().min(blocks::ROWS) * 512);
    let second = |(link, at, ..): &Keyed<'_>| (*link, at.seconds());
    for same in rows.chunk_by(|left, right| second(left) == second(right)) {
        for part in same.chunks(blocks::ROWS) {
            let Some((link, at, id, _)) = part.first() else { continue };
            blocks::encode(part.iter().map(|(.., row)| *row), &mut block)?;
            batch.insert(&db.clicks, row_key(*link, *at, *id), block.as_slice());
        }
    }
    Ok(())
}

/// Where the rows are, by id: what was minted in one second of one step together, sorted, under the first.
fn stage_ids(db: &Db, batch: &mut OwnedWriteBatch, rows: &[ClickRow]) {
    let mut rows = keyed(rows);
    // They come about as they were minted, and this sort is quick with what is nearly in order.
    rows.sort_by_key(|(_, _, id, _)| *id);
    let mut value = Vec::with_capacity(rows.len().min(4 * blocks::ROWS) * POINTER);
    for same in rows.chunk_by(|left, right| second_of(left.2) == second_of(right.2)) {
        for part in same.chunks(4 * blocks::ROWS) {
            let Some((_, _, first, _)) = part.first() else { continue };
            value.clear();
            for (link, at, id, _) in part {
                value.extend_from_slice(&id.to_bytes());
                value.extend_from_slice(&place(*link, *at));
            }
            batch.insert(&db.click_ids, first.to_bytes(), value.as_slice());
        }
    }
}

/// Id · link · at.
const POINTER: usize = 40;

fn second_of(id: ClickId) -> u64 {
    id.0.timestamp_ms() / 1000
}

pub(crate) fn row_key(link: SmartLinkId, at: Timestamp, id: ClickId) -> Key {
    Key::bare().id(link.to_bytes()).at(at).id(id.to_bytes())
}

/// The earliest key of ids minted in or after the second of `at`.
pub(crate) fn first_id(at: Timestamp) -> [u8; 16] {
    let millis = u64::try_from(at.0).unwrap_or(0) / 1000 * 1000;
    (u128::from(millis) << 80).to_be_bytes()
}

/// The start of the second of `at`.
pub(crate) fn second(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(1000).saturating_mul(1000))
}

/// One click of any team.
pub(crate) fn get(snapshot: &Snapshot, db: &Db, id: ClickId) -> Result<Option<ClickRow>> {
    let Some((link, at)) = find(snapshot, db, id)? else { return Ok(None) };
    let (from, to) = (row_key(link, second(at), ClickId::from_bytes([0; 16])), row_key(link, at, id));
    for block in snapshot.range::<Key, _>(&db.clicks, from..=to).rev() {
        let bytes = block.value().map_err(failed)?;
        if let Some(row) = Block::read(&bytes)?.rows(|entry| entry.id == id)?.pop() {
            let mark: Option<Mark> = read_at(snapshot, &db.marks, &row_key(link, at, id))?;
            return Ok(Some(match mark {
                Some(mark) => with(row, mark.gross_clicks, mark.is_duplicate),
                None => row,
            }));
        }
    }
    Ok(None)
}

/// Where a row is, or was until retention took it.
fn find(snapshot: &Snapshot, db: &Db, id: ClickId) -> Result<Option<(SmartLinkId, Timestamp)>> {
    let id = id.to_bytes();
    let from = (u128::from(second_of(ClickId::from_bytes(id)) * 1000) << 80).to_be_bytes();
    for pointers in snapshot.range::<[u8; 16], _>(&db.click_ids, from..=id).rev() {
        let pointers = pointers.value().map_err(failed)?;
        let (pointers, _) = pointers.as_chunks::<POINTER>();
        if let Ok(found) = pointers.binary_search_by(|pointer| pointer.first_chunk::<16>().cmp(&Some(&id))) {
            let mut fields = Reader(pointers.get(found).map_or(&[], <[u8; POINTER]>::as_slice));
            let place = fields.skip(16).and_then(|()| fields.id().zip(fields.at()));
            let (link, at) = place.ok_or_else(|| damaged("index `click_ids`"))?;
            return Ok(Some((SmartLinkId::from_bytes(link), at)));
        }
    }
    Ok(None)
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
