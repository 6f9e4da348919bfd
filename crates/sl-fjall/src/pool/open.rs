//! Builds the pool in memory from its rows: one pass over links and holders, in the order of their keys. Late rows are
//! all in their tables by then.

use fjall::Readable as _;
use sl_core::{ids::AccountId, pool::StockKey};
use sl_store::{Result, pool::PoolRules};

use super::{
    Shelf,
    rows::LinkRow,
    shelf::{BlockRow, GivenRow, given_key},
    slot::Slot,
};
use crate::{
    codec::decode,
    db::{Db, damaged, failed, scan},
    late::LateTable,
    layout::{BLOCK, Key, LINK, STOCK},
};

/// Reads all rows.
pub(crate) fn load(db: &Db, rules: PoolRules) -> Result<Shelf> {
    let snapshot = db.snapshot();
    let mut shelf = Shelf::new(rules);
    for key in scan::<StockKey>(&snapshot, &db.pool, &Key::table(STOCK))? {
        shelf.number_or_new(&key);
    }
    // Slots by stock and ordinal: links lie on disk by their platform number.
    // All of one account often: with the room that its share takes none of a million is moved.
    let share = db.pool.approximate_len() / shelf.stocks.len().max(1);
    let mut slots: Vec<Vec<Option<Slot>>> = Vec::new();
    slots.resize_with(shelf.stocks.len(), || Vec::with_capacity(share));
    // Links lie by account, kind and number; holders of one account likewise.
    let mut givens: Option<(AccountId, [u8; 8], Along)> = None;
    // Neighbours are nearly always of one stock.
    let mut last: Option<(StockKey, u32)> = None;
    for row in snapshot.prefix(&db.pool, Key::table(LINK)) {
        let value = row.value().map_err(failed)?;
        let LinkRow { link, facts } = decode(&value)?;
        let mut slot = Slot {
            orphaned_at: facts.orphaned_at,
            last_look_at: facts.last_look_at,
            used: facts.used_at.is_some(),
            retired: facts.retired_at.is_some(),
            ..Slot::new(link.id.number)
        };
        let account = &link.stock.account;
        let along = match &mut givens {
            Some((known, digest, along)) if known == account => (*digest, along),
            other => {
                let digest = account.digest();
                let rows = snapshot.prefix(db.late.table(LateTable::Given), digest);
                let (_, _, along) = other.insert((account.clone(), digest, Along { rows, ahead: None }));
                (digest, along)
            }
        };
        if let Some(row) = along.1.find(&given_key(along.0, link.id))? {
            let GivenRow { given, handouts } = decode(&row)?;
            (slot.holder, slot.handouts) = (Some(given.into()), handouts);
        }
        let number = match &last {
            Some((known, number)) if *known == link.stock => *number,
            _ => {
                let number = shelf.number(&link.stock).ok_or_else(|| damaged("a pool stock"))?;
                last.insert((link.stock, number)).1
            }
        };
        let stock = slots.get_mut(number as usize).ok_or_else(|| damaged("a pool stock"))?;
        let ordinal = usize::try_from(link.ordinal).map_err(|_| damaged("a pool ordinal"))?;
        if stock.len() <= ordinal {
            stock.resize(ordinal + 1, None);
        }
        if let Some(place) = stock.get_mut(ordinal) {
            *place = Some(slot);
        }
    }
    let blocks: Vec<BlockRow> = scan(&snapshot, &db.pool, &Key::table(BLOCK))?;
    for block in blocks {
        let stock = slots.get_mut(block.stock as usize).ok_or_else(|| damaged("a pool block"))?;
        for leased in &block.links {
            if let Some(Some(slot)) = stock.get_mut(leased.ordinal as usize)
                && slot.holder.map(|holder| holder.click) == leased.before
            {
                slot.fence = Some(block.fence);
            }
        }
        shelf.blocks.insert(block.fence, block);
    }
    for (number, stock) in slots.into_iter().enumerate() {
        let number = u32::try_from(number).map_err(|_| damaged("a pool stock"))?;
        // Where they lie: there may be a million.
        let stock = stock.into_iter().collect::<Option<Vec<Slot>>>();
        shelf.fill(number, stock.ok_or_else(|| damaged("a pool stock (an ordinal is missing)"))?);
    }
    Ok(shelf)
}

/// A second table whose keys run along with the first one's.
struct Along {
    rows: fjall::Iter,
    ahead: Option<fjall::KvPair>,
}

// === impl Along ===

impl Along {
    /// The value under this key; keys must be asked for in ascending order.
    fn find(&mut self, key: &[u8]) -> Result<Option<fjall::UserValue>> {
        loop {
            let row = match self.ahead.take() {
                Some(row) => row,
                None => match self.rows.next() {
                    Some(row) => row.into_inner().map_err(failed)?,
                    None => return Ok(None),
                },
            };
            match row.0.as_ref().cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(Some(row.1)),
                std::cmp::Ordering::Greater => {
                    self.ahead = Some(row);
                    return Ok(None);
                }
            }
        }
    }
}
