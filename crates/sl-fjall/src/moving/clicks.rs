//! Click rows, out of their blocks, with the marks of later steps.

use std::ops::Bound;

use fjall::Readable as _;
use sl_core::{click::ClickRow, ids::ClickId};
use sl_store::{
    Result,
    moving::{Page, Rows},
};

use super::scan::Scan;
use crate::{
    db::{Db, failed, read},
    layout::Key,
    ledger::{Block, clicks},
};

/// Blocks looked for at once: most have one row, some 64.
const BLOCKS: usize = 64;

/// A page of click rows: whole blocks, until there are `limit` rows.
pub(super) fn page(db: &Db, after: Option<&[u8]>, limit: usize) -> Result<Page> {
    let (all, mut rows, mut after) = (Key::bare(), Vec::new(), after.map(<[u8]>::to_vec));
    loop {
        let blocks = Scan { all: &all, after: after.as_deref(), limit: BLOCKS }.raw(&db.clicks, db)?;
        for (_, block) in &blocks.rows {
            let mut block = Block::read(block)?.rows(|_| true)?;
            mark(db, &mut block)?;
            rows.append(&mut block);
        }
        after = blocks.next;
        if after.is_none() || rows.len() >= limit {
            return Ok(Page { rows: Rows::Clicks(rows), next: after });
        }
    }
}

/// Rows of one block: most links and seconds have no mark, which one look tells.
fn mark(db: &Db, rows: &mut [ClickRow]) -> Result<()> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
    let key = |row: &ClickRow, id| clicks::row_key(row.click.link, row.click.at, id).bytes().to_vec();
    let from = Bound::Included(key(first, ClickId::from_bytes([0; 16])));
    let to = Bound::Included(key(last, ClickId::from_bytes([0xff; 16])));
    let any = db.snapshot().range::<Vec<u8>, _>(&db.marks, (from, to)).next();
    if any.map(|row| row.key().map_err(failed)).transpose()?.is_none() {
        return Ok(());
    }
    for row in rows {
        let key = clicks::row_key(row.click.link, row.click.at, row.click.id);
        if let Some(mark) = read::<clicks::Mark>(&db.marks, &key)? {
            (row.gross_clicks, row.is_duplicate) = (mark.gross_clicks, mark.is_duplicate);
        }
    }
    Ok(())
}
