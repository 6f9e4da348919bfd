//! Leases: blocks taken, prolonged, given back, lost.

use sl_core::{ids::PoolLinkId, time::Timestamp};
use sl_store::{
    Result, StoreError,
    pool::{Block, LeaseRequest, PoolLinkRef},
};

use super::{
    Shelf,
    rows::{change_facts, link_at},
    shelf::{BlockRow, Leased},
};
use crate::{
    db::{Db, commit, damaged, put},
    layout::{BLOCK, Key},
};

/// Decisions 50: a block holds at most that many links.
const BLOCK_LINKS: usize = 256;

fn block_key(fence: u64) -> Key {
    Key::table(BLOCK).u64(fence)
}

/// Takes links out: fresh ones in ordinal order, then recycled ones from the lowest ordinal up, which are neighbours
/// because they were handed out as neighbours.
pub(crate) fn lease(db: &Db, shelf: &mut Shelf, request: LeaseRequest) -> Result<Block> {
    shelf.follow(request.rules);
    settle_expired(db, shelf, request.now)?;
    let fence = db.counter("fence")? + 1;
    let number = shelf.number(&request.stock);
    let links = number.map_or_else(Vec::new, |number| choose(shelf, number, &request));
    let mut block = Block {
        fence,
        owner: request.owner,
        stock: request.stock,
        links: Vec::with_capacity(links.len()),
        until: request.until,
    };
    let Some(number) = number.filter(|_| !links.is_empty()) else { return Ok(block) };
    for leased in &links {
        let link = link_at(db, shelf, (number, leased.ordinal))?.ok_or_else(|| damaged("a pool stock"))?;
        block.links.push((link, leased.recycled));
    }
    let row = BlockRow { fence, owner: block.owner.clone(), stock: number, until: block.until, links };
    let mut batch = db.batch();
    db.set_counter(&mut batch, "fence", fence)?;
    put(&mut batch, &db.pool, block_key(fence), &row)?;
    commit(batch)?;
    for leased in &row.links {
        shelf.change((number, leased.ordinal), |slot| slot.fence = Some(fence));
    }
    shelf.blocks.insert(fence, row);
    Ok(block)
}

fn choose(shelf: &Shelf, number: u32, request: &LeaseRequest) -> Vec<Leased> {
    let Some(stock) = shelf.stocks.get(number as usize) else { return Vec::new() };
    let free = |ordinal: u32| {
        let free_at = stock.slot(ordinal).and_then(|slot| slot.free_at(shelf.rules));
        free_at.is_some_and(|free_at| free_at <= request.now)
    };
    let fresh = stock.fresh.iter().map(|&ordinal| (ordinal, false));
    let recycled = stock.recycled.iter().filter(|&&ordinal| free(ordinal)).map(|&ordinal| (ordinal, true));
    fresh
        .chain(recycled)
        .take(request.want.min(BLOCK_LINKS))
        .map(|(ordinal, recycled)| Leased {
            ordinal,
            recycled,
            before: stock.slot(ordinal).and_then(|slot| slot.holder).map(|holder| holder.click),
        })
        .collect()
}

/// Prolongs a block that is still out.
pub(crate) fn renew(db: &Db, shelf: &mut Shelf, fence: u64, until: Timestamp) -> Result<bool> {
    let Some(row) = shelf.blocks.get_mut(&fence) else { return Ok(false) };
    row.until = until;
    let mut batch = db.batch();
    put(&mut batch, &db.pool, block_key(fence), &*row)?;
    commit(batch)?;
    Ok(true)
}

/// Puts links back where they were before the lease.
pub(crate) fn give_back(db: &Db, shelf: &mut Shelf, fence: u64, unused: &[PoolLinkRef]) -> Result<()> {
    let Some(row) = shelf.blocks.get(&fence) else {
        return Err(StoreError::Fenced(format!("block {fence} was settled; its links pass quarantine")));
    };
    let back: Vec<_> = unused.iter().filter_map(|link| shelf.place_of(link)).collect();
    let mut row = row.clone();
    row.links.retain(|leased| {
        let place = (row.stock, leased.ordinal);
        shelf.slot(place).is_some_and(|slot| slot.fence == Some(fence)) && !back.contains(&place)
    });
    let mut batch = db.batch();
    if row.links.is_empty() {
        batch.remove(&db.pool, block_key(fence));
    } else {
        put(&mut batch, &db.pool, block_key(fence), &row)?;
    }
    commit(batch)?;
    for place in back {
        shelf.change(place, |slot| slot.fence = slot.fence.filter(|&held| held != fence));
    }
    if row.links.is_empty() {
        shelf.blocks.remove(&fence);
    } else {
        shelf.blocks.insert(fence, row);
    }
    Ok(())
}

/// Blocks that are out, with the links that nobody is known to hold.
pub(crate) fn all(db: &Db, shelf: &Shelf) -> Result<Vec<Block>> {
    let mut found = Vec::new();
    for row in shelf.blocks.values() {
        let stock = shelf.stocks.get(row.stock as usize).ok_or_else(|| damaged("a pool block"))?;
        let mut links = Vec::new();
        for leased in &row.links {
            let place = (row.stock, leased.ordinal);
            if shelf.slot(place).is_some_and(|slot| slot.fence == Some(row.fence)) {
                links.extend(link_at(db, shelf, place)?.map(|link| (link, leased.recycled)));
            }
        }
        found.push(Block {
            fence: row.fence,
            owner: row.owner.clone(),
            stock: stock.key.clone(),
            links,
            until: row.until,
        });
    }
    Ok(found)
}

/// Links still in these blocks that are retired.
pub(crate) fn retired_in(shelf: &Shelf, fences: &[u64]) -> Vec<PoolLinkRef> {
    let blocks = fences.iter().filter_map(|fence| shelf.blocks.get(fence));
    let links = blocks.flat_map(|row| row.links.iter().map(move |leased| (row, leased.ordinal)));
    let retired = links.filter_map(|(row, ordinal)| {
        let stock = shelf.stocks.get(row.stock as usize)?;
        let slot = stock.slot(ordinal).filter(|slot| slot.retired && slot.fence == Some(row.fence))?;
        let id = PoolLinkId { kind: stock.key.kind, number: slot.number };
        Some(PoolLinkRef { account: stock.key.account.clone(), id })
    });
    retired.collect()
}

/// Ends a block: what is left in it may have been handed out, so it passes quarantine from `at`.
pub(crate) fn orphan(db: &Db, shelf: &mut Shelf, fence: u64, at: Timestamp) -> Result<()> {
    let Some(row) = shelf.blocks.get(&fence).cloned() else { return Ok(()) };
    let key = shelf.stocks.get(row.stock as usize).map(|stock| stock.key.clone());
    let key = key.ok_or_else(|| damaged("a pool block"))?;
    let mut batch = db.batch();
    batch.remove(&db.pool, block_key(fence));
    let mut lost = Vec::new();
    for leased in &row.links {
        let place = (row.stock, leased.ordinal);
        let Some(slot) = shelf.slot(place).filter(|slot| slot.fence == Some(fence)) else { continue };
        let id = PoolLinkId { kind: key.kind, number: slot.number };
        let link = PoolLinkRef { account: key.account.clone(), id };
        change_facts(db, &mut batch, &link, |facts| facts.orphaned_at = facts.orphaned_at.max(Some(at)))?;
        lost.push(place);
    }
    commit(batch)?;
    for place in lost {
        shelf.change(place, |slot| {
            slot.fence = None;
            slot.orphaned_at = slot.orphaned_at.max(Some(at));
        });
    }
    shelf.blocks.remove(&fence);
    Ok(())
}

/// A block that ran out without a word is lost at its end: none of its links is fresh again (decisions 50).
pub(crate) fn settle_expired(db: &Db, shelf: &mut Shelf, now: Timestamp) -> Result<()> {
    let expired: Vec<_> =
        shelf.blocks.values().filter(|row| row.until <= now).map(|row| (row.fence, row.until)).collect();
    for (fence, until) in expired {
        orphan(db, shelf, fence, until)?;
    }
    Ok(())
}
