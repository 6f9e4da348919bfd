//! Retention: old rows go in small batches, between the steps of the ledger.

use std::{ops::Bound, sync::Arc};

use async_trait::async_trait;
use fjall::{OwnedWriteBatch, Readable as _, Snapshot};
use sl_core::{
    click::ClickRow,
    ids::{ClickId, SmartLinkId},
    time::Timestamp,
};
use sl_store::{
    Result,
    reports::Range,
    upkeep::{Forgotten, Horizons, Upkeep, cut},
};

use crate::{
    db::{Db, blocking, commit, damaged, failed, put},
    late::{Rows, Table},
    layout::{Key, Reader, from_ordered, ordered},
    ledger::{LedgerCore, clicks},
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
            done.more = [done.clicks, done.addresses, done.deliveries].contains(&(limit as u64));
            Ok(done)
        })
        .await
    }
}

fn remove_clicks(db: &Db, before: Timestamp, limit: usize) -> Result<u64> {
    let snapshot = db.snapshot();
    let (mut batch, mut late) = (db.batch(), Rows::default());
    let mut count = 0;
    for link in links(&snapshot, db) {
        let all = Key::bare().id(link?.to_bytes());
        let old = all.clone()..all.at(before);
        for row in snapshot.range::<Key, _>(&db.clicks, old).take(limit - count) {
            let key = row.key().map_err(failed)?;
            let mut fields = Reader(&key);
            let id = fields.skip(24).and_then(|()| fields.id()).ok_or_else(|| damaged("a click key"))?;
            late.remove(Table::ClickIds, &id);
            batch.remove(&db.clicks, key);
            count += 1;
        }
        if count == limit {
            break;
        }
    }
    db.commit(batch, late)?;
    db.settle_late()?;
    Ok(count as u64)
}

fn cut_addresses(db: &Db, before: Timestamp, limit: usize) -> Result<u64> {
    let snapshot = db.snapshot();
    let mut batch = db.batch();
    let range = Range { from: Some(from_ordered(db.counter(CUT_BEFORE)?)), to: Some(before) };
    if range.from >= range.to {
        return Ok(0);
    }
    let mut count = 0;
    for link in links(&snapshot, db) {
        let link = link?;
        for row in clicks::of_link(&snapshot, db, link, range) {
            let mut row = row?;
            if cut(&mut row) {
                stage_row(db, &mut batch, &row)?;
                count += 1;
            }
            if count == limit {
                commit(batch)?;
                return Ok(count as u64);
            }
        }
    }
    db.set_counter(&mut batch, CUT_BEFORE, ordered(before))?;
    commit(batch)?;
    Ok(count as u64)
}

fn stage_row(db: &Db, batch: &mut OwnedWriteBatch, row: &ClickRow) -> Result<()> {
    let ClickRow { click, .. } = row;
    let id: ClickId = click.id;
    put(batch, &db.clicks, clicks::row_key(click.link, click.at, id), row)
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
