//! Retention: old rows go in small batches, between the steps of the ledger.

use std::{ops::Bound, sync::Arc};

use async_trait::async_trait;
use fjall::{Readable as _, Snapshot};
use sl_core::{ids::SmartLinkId, time::Timestamp};
use sl_store::{
    Result,
    upkeep::{Forgotten, Horizons, Upkeep, cut},
};

use crate::{
    db::{Db, blocking, commit, damaged, failed},
    layout::{Key, Reader, from_ordered, ordered},
    ledger::{Block, LedgerCore, clicks},
    outbox::FjallOutbox,
};

/// Counter: rows before it have lost their addresses.
const CUT_BEFORE: &str = "addresses_cut_before";

/// Retention on fjall.
pub(crate) struct FjallUpkeep {
    db: Arc<Db>,
    ledger: Arc<LedgerCore>,
    outbox: Arc<FjallOutbox>,
}

// === impl FjallUpkeep ===

impl FjallUpkeep {
    pub(crate) fn new(db: Arc<Db>, ledger: Arc<LedgerCore>, outbox: Arc<FjallOutbox>) -> Self {
        Self { db, ledger, outbox }
    }
}

#[async_trait]
impl Upkeep for FjallUpkeep {
    async fn forget(&self, horizons: Horizons, limit: usize) -> Result<Forgotten> {
        let (db, ledger, outbox) = (Arc::clone(&self.db), Arc::clone(&self.ledger), Arc::clone(&self.outbox));
        let limit = limit.max(1);
        blocking(move || {
            // A step rewrites whole click rows: it must not bring back what goes.
            let mut done = ledger.between_steps(|| {
                Ok(Forgotten {
                    clicks: remove_clicks(&db, horizons.clicks, limit)?,
                    addresses: cut_addresses(&db, horizons.addresses, limit)?,
                    ..Forgotten::default()
                })
            })?;
            done.deliveries = outbox.forget(horizons.deliveries, limit)?;
            done.more =
                [done.clicks, done.addresses, done.deliveries].iter().any(|done| *done >= limit as u64);
            Ok(done)
        })
        .await
    }
}

/// Whole seconds only: rows of the second in which `before` lies go a moment later.
fn remove_clicks(db: &Db, before: Timestamp, limit: usize) -> Result<u64> {
    let snapshot = db.snapshot();
    let mut batch = db.batch();
    let mut count = 0;
    for link in links(&snapshot, db) {
        let all = Key::bare().id(link?.to_bytes());
        let old = || all.clone()..all.clone().at(clicks::second(before));
        for block in snapshot.range::<Key, _>(&db.clicks, old()) {
            let (key, block) = block.into_inner().map_err(failed)?;
            count += Block::read(&block)?.entries().len();
            batch.remove(&db.clicks, key);
            if count >= limit {
                break;
            }
        }
        for mark in snapshot.range::<Key, _>(&db.marks, old()).take(limit) {
            batch.remove(&db.marks, mark.key().map_err(failed)?);
        }
        if count >= limit {
            break;
        }
    }
    for pointers in snapshot.range::<[u8; 16], _>(&db.click_ids, ..clicks::first_id(before)).take(limit) {
        batch.remove(&db.click_ids, pointers.key().map_err(failed)?);
    }
    commit(batch)?;
    Ok(count as u64)
}

fn cut_addresses(db: &Db, before: Timestamp, limit: usize) -> Result<u64> {
    let snapshot = db.snapshot();
    let mut batch = db.batch();
    let (from, before) = (from_ordered(db.counter(CUT_BEFORE)?), clicks::second(before));
    if from >= before {
        return Ok(0);
    }
    let mut count = 0;
    for link in links(&snapshot, db) {
        let all = Key::bare().id(link?.to_bytes());
        for block in snapshot.range::<Key, _>(&db.clicks, all.clone().at(from)..all.at(before)) {
            let block = block.value().map_err(failed)?;
            let mut rows = Block::read(&block)?.rows(|_| true)?;
            let changed = rows.iter_mut().map(|row| usize::from(cut(row))).sum::<usize>();
            if changed > 0 {
                clicks::stage_rows(db, &mut batch, &rows)?;
                count += changed;
            }
            if count >= limit {
                commit(batch)?;
                return Ok(count as u64);
            }
        }
    }
    db.set_counter(&mut batch, CUT_BEFORE, ordered(before))?;
    commit(batch)?;
    Ok(count as u64)
}

/// Links that have click rows: one seek each.
fn links(snapshot: &Snapshot, db: &Db) -> impl Iterator<Item = Result<SmartLinkId>> {
    let mut last: Option<Key> = None;
    std::iter::from_fn(move || {
        let from = match last.take() {
            None => Bound::Unbounded,
            // Behind every key of the last link.
            Some(key) => Bound::Excluded(key.raw(&[0xff; 25])),
        };
        let first = snapshot.range::<Key, _>(&db.clicks, (from, Bound::Unbounded)).next()?;
        let link = first.key().map_err(failed).and_then(|key| {
            let id = Reader(&key).id().ok_or_else(|| damaged("a click key"))?;
            Ok(SmartLinkId::from_bytes(id))
        });
        if let Ok(link) = &link {
            last = Some(Key::bare().id(link.to_bytes()));
            return Some(Ok(*link));
        }
        // Said once; the caller stops at it.
        Some(link)
    })
}
