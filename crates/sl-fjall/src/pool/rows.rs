//! Rows of single links: added, retired, looked at, read.

use std::ops::RangeInclusive;

use fjall::{OwnedWriteBatch, Readable as _};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sl_core::{
    ids::{AccountId, LinkKind, PoolLinkId},
    pool::{PoolFacts, PoolLink},
    step::ListAdd,
    time::Timestamp,
};
use sl_store::{
    Result,
    pool::{Look, NewPoolLink, PoolEntry, PoolLinkRef},
};

use super::{
    Shelf,
    shelf::{GivenRow, Place, given_key},
    slot::Slot,
};
use crate::{
    codec::decode,
    db::{Db, commit, failed, put, read},
    late::LateTable,
    layout::{Key, LINK, LIST_ADD, STOCK},
    pool::list_add_key,
};

/// A link and the facts of all roles but attribution and the edge, whose facts are in rows of their own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LinkRow {
    pub(crate) link: PoolLink,
    pub(crate) facts: PoolFacts,
}

pub(crate) fn link_key(account: &AccountId, id: PoolLinkId) -> Key {
    Key::table(LINK).text(account.as_str()).pool_link(id)
}

/// Who holds a link, if anybody ever did.
fn given_row(db: &Db, account: &AccountId, id: PoolLinkId) -> Result<Option<GivenRow>> {
    let bytes = db.late.get(LateTable::Given, &given_key(account.digest(), id))?;
    bytes.map(|bytes| decode(&bytes)).transpose()
}

/// Adds links at the end of their stocks; what is known is left alone.
pub(crate) fn add(db: &Db, shelf: &mut Shelf, links: Vec<NewPoolLink>) -> Result<usize> {
    let mut batch = db.batch();
    let mut added = 0;
    for new in links {
        if shelf.place(&new.stock.account, new.id).is_some() {
            continue;
        }
        let is_new_stock = shelf.number(&new.stock).is_none();
        let number = shelf.number_or_new(&new.stock);
        if is_new_stock {
            put(&mut batch, &db.pool, Key::table(STOCK).u32(number), &new.stock)?;
        }
        let ordinal = shelf.stocks.get(number as usize).map_or(0, |stock| stock.len() as u64);
        let mut slot = Slot::new(new.id.number);
        // Its click may have been applied before the link was known here.
        if let Some(row) = given_row(db, &new.stock.account, new.id)? {
            (slot.holder, slot.handouts) = (Some(row.given.into()), row.handouts);
        }
        let link = PoolLink {
            id: new.id,
            team: new.team,
            stock: new.stock,
            url: new.url,
            ordinal,
            created_at: new.created_at,
        };
        let key = link_key(&link.stock.account, link.id);
        put(&mut batch, &db.pool, key, &LinkRow { link, facts: PoolFacts::default() })?;
        shelf.push(number, slot);
        added += 1;
    }
    commit(batch)?;
    Ok(added)
}

pub(crate) fn retire(db: &Db, shelf: &mut Shelf, links: &[PoolLinkRef], at: Timestamp) -> Result<()> {
    let mut batch = db.batch();
    for link in links {
        let Some(place) = shelf.place_of(link) else { continue };
        change_facts(db, &mut batch, link, |facts| facts.retired_at = facts.retired_at.or(Some(at)))?;
        shelf.change(place, |slot| slot.retired = true);
    }
    commit(batch)
}

/// Writes looks down; a look that is older than the last one only adds what it counted.
pub(crate) fn looked(db: &Db, shelf: &mut Shelf, looks: &[Look]) -> Result<()> {
    let mut batch = db.batch();
    let mut newest = std::collections::BTreeMap::new();
    for look in looks {
        let entry = newest.entry(look.link.clone()).or_insert((look.at, look.subscribers));
        *entry = (entry.0.max(look.at), entry.1.max(look.subscribers));
    }
    for (link, (at, subscribers)) in newest {
        let Some(place) = shelf.place_of(&link) else { continue };
        let used = subscribers > 0;
        change_facts(db, &mut batch, &link, |facts| {
            facts.last_look_at = facts.last_look_at.max(Some(at));
            facts.subscribers_seen = facts.subscribers_seen.max(subscribers);
            if used {
                facts.used_at = facts.used_at.or(Some(at));
            }
        })?;
        shelf.change(place, |slot| {
            slot.last_look_at = slot.last_look_at.max(Some(at));
            slot.used |= used;
        });
    }
    commit(batch)
}

/// Alters the facts of one link in a batch.
pub(crate) fn change_facts(
    db: &Db,
    batch: &mut OwnedWriteBatch,
    link: &PoolLinkRef,
    change: impl FnOnce(&mut PoolFacts),
) -> Result<()> {
    let key = link_key(&link.account, link.id);
    if let Some(mut row) = read::<LinkRow>(&db.pool, &key)? {
        change(&mut row.facts);
        put(batch, &db.pool, key, &row)?;
    }
    Ok(())
}

/// The row of a place.
pub(crate) fn link_at(db: &Db, shelf: &Shelf, (stock, ordinal): Place) -> Result<Option<PoolLink>> {
    let Some(stock) = shelf.stocks.get(stock as usize) else { return Ok(None) };
    let Some(slot) = stock.slot(ordinal) else { return Ok(None) };
    let id = PoolLinkId { kind: stock.key.kind, number: slot.number };
    Ok(read::<LinkRow>(&db.pool, &link_key(&stock.key.account, id))?.map(|row| row.link))
}

/// One link with all its facts.
pub(crate) fn entry(db: &Db, shelf: &Shelf, link: &PoolLinkRef) -> Result<Option<PoolEntry>> {
    let Some(slot) = shelf.place_of(link).and_then(|place| shelf.slot(place)) else { return Ok(None) };
    let Some(LinkRow { link, mut facts }) = read(&db.pool, &link_key(&link.account, link.id))? else {
        return Ok(None);
    };
    let block = slot.fence.and_then(|fence| shelf.blocks.get(&fence));
    facts.leased_until = block.map(|block| block.until);
    facts.rounds = slot.handouts.saturating_sub(1);
    if slot.holder.is_some() {
        let row = given_row(db, &link.stock.account, link.id)?;
        facts.given = row.map(|row| row.given);
    }
    Ok(Some(PoolEntry { link, facts }))
}

/// Links of an account to look at, by stock and ordinal.
pub(crate) fn live(db: &Db, shelf: &Shelf, account: &AccountId) -> Result<Vec<PoolEntry>> {
    let mut stocks: Vec<_> = shelf.stocks.iter().filter(|stock| stock.key.account == *account).collect();
    stocks.sort_by(|a, b| a.key.cmp(&b.key));
    let mut found = Vec::new();
    for stock in stocks {
        for slot in stock.watched.iter().filter_map(|&ordinal| stock.slot(ordinal)) {
            let id = PoolLinkId { kind: stock.key.kind, number: slot.number };
            found.extend(entry(db, shelf, &PoolLinkRef { account: account.clone(), id })?);
        }
    }
    Ok(found)
}

/// Links of an account by number: rows lie in that order. The slots are locked for one link at a time.
pub(crate) fn between(
    db: &Db,
    shelf: &Mutex<Shelf>,
    account: &AccountId,
    kind: LinkKind,
    numbers: RangeInclusive<u64>,
    limit: usize,
) -> Result<Vec<PoolEntry>> {
    let key = |number: &u64| link_key(account, PoolLinkId { kind, number: *number });
    let rows: Vec<LinkRow> = db
        .snapshot()
        .range(&db.pool, key(numbers.start())..=key(numbers.end()))
        .take(limit)
        .map(|row| row.value().map_err(failed).and_then(|bytes| decode(&bytes)))
        .collect::<Result<_>>()?;
    let entry = |row: LinkRow| {
        let link = PoolLinkRef { account: account.clone(), id: row.link.id };
        entry(db, &shelf.lock(), &link).transpose()
    };
    rows.into_iter().filter_map(entry).collect()
}

pub(crate) fn list_adds(db: &Db, after: Option<&ListAdd>, limit: usize) -> Result<Vec<ListAdd>> {
    let from = after.map_or_else(|| Key::table(LIST_ADD), |after| list_add_key(after).byte(0));
    db.snapshot()
        .range(&db.reports, from..Key::table(LIST_ADD + 1))
        .take(limit)
        .map(|row| row.value().map_err(failed).and_then(|bytes| decode(&bytes)))
        .collect()
}
