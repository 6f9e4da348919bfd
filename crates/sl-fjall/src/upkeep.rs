//! Retention: old rows go in small batches, between the steps of the ledger.

mod sweep;

use std::sync::Arc;

use async_trait::async_trait;
use fjall::Readable as _;
use parking_lot::Mutex;
use sl_core::time::Timestamp;
use sl_store::{
    Result,
    upkeep::{Forgotten, Horizons, Upkeep, cut, cut_from},
};

use self::sweep::Sweep;
use crate::{
    db::{Db, blocking, commit, failed},
    layout::{from_ordered, ordered},
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
    rounds: Arc<Mutex<Rounds>>,
}

/// How far retention has come: each row is read once a round, and no piece of it takes long while steps wait.
#[derive(Debug, Default)]
struct Rounds {
    clicks: Sweep,
    marks: Sweep,
    addresses: Sweep,
}

// === impl FjallUpkeep ===

impl FjallUpkeep {
    pub(crate) fn new(db: Arc<Db>, ledger: Arc<LedgerCore>, outbox: Arc<FjallOutbox>) -> Self {
        Self { db, ledger, outbox, rounds: Arc::default() }
    }
}

#[async_trait]
impl Upkeep for FjallUpkeep {
    async fn forget(&self, horizons: Horizons, limit: usize) -> Result<Forgotten> {
        let (db, ledger, outbox) = (Arc::clone(&self.db), Arc::clone(&self.ledger), Arc::clone(&self.outbox));
        let (rounds, limit) = (Arc::clone(&self.rounds), limit.max(1));
        blocking(move || {
            let mut rounds = rounds.lock();
            // A step rewrites whole click rows: it must not bring back what goes.
            let mut done = ledger.between_steps(|| {
                Ok(Forgotten {
                    clicks: remove_clicks(&db, &mut rounds, horizons.clicks, limit)?,
                    addresses: cut_addresses(&db, &mut rounds.addresses, horizons.addresses, limit)?,
                    ..Forgotten::default()
                })
            })?;
            done.deliveries = outbox.forget(horizons.deliveries, limit)?;
            let Rounds { clicks, marks, addresses } = &*rounds;
            done.more = done.deliveries >= limit as u64
                || [clicks, marks, addresses].iter().any(|round| !round.is_over());
            Ok(done)
        })
        .await
    }
}

/// Whole seconds only: rows of the second in which `before` lies go a moment later. Marks go behind their rows.
fn remove_clicks(db: &Db, rounds: &mut Rounds, before: Timestamp, limit: usize) -> Result<u64> {
    let snapshot = db.snapshot();
    let mut batch = db.batch();
    let (mut blocks, mut marks) = (rounds.clicks.clone(), rounds.marks.clone());
    blocks.until(clicks::second(before));
    marks.until(clicks::second(before));
    let (mut count, always) = (0, Timestamp(i64::MIN));
    blocks.go_on((&snapshot, &db.clicks), always, limit, |key, block| {
        batch.remove(&db.clicks, key);
        let rows = Block::read(block)?.entries().len();
        count += rows as u64;
        Ok(rows)
    })?;
    if blocks.is_over() {
        marks.go_on((&snapshot, &db.marks), always, limit, |key, _| {
            batch.remove(&db.marks, key);
            Ok(1)
        })?;
    }
    for pointers in snapshot.range::<[u8; 16], _>(&db.click_ids, ..clicks::first_id(before)).take(limit) {
        batch.remove(&db.click_ids, pointers.key().map_err(failed)?);
    }
    commit(batch)?;
    (rounds.clicks, rounds.marks) = (blocks, marks);
    Ok(count)
}

fn cut_addresses(db: &Db, round: &mut Sweep, before: Timestamp, limit: usize) -> Result<u64> {
    let (mark, before) = (from_ordered(db.counter(CUT_BEFORE)?), clicks::second(before));
    let from = cut_from(mark, before);
    if from < mark {
        let mut batch = db.batch();
        db.set_counter(&mut batch, CUT_BEFORE, ordered(from))?;
        commit(batch)?;
    }
    if from >= before {
        *round = Sweep::default();
        return Ok(0);
    }
    let snapshot = db.snapshot();
    let mut batch = db.batch();
    let mut now = round.clone();
    now.until(before);
    let mut count = 0;
    now.go_on((&snapshot, &db.clicks), from, limit, |_, block| {
        let mut rows = Block::read(block)?.rows(|_| true)?;
        let changed = rows.iter_mut().map(|row| u64::from(cut(row))).sum::<u64>();
        if changed > 0 {
            clicks::stage_rows(db, &mut batch, &rows)?;
            count += changed;
        }
        Ok(rows.len())
    })?;
    if now.is_over() {
        db.set_counter(&mut batch, CUT_BEFORE, ordered(before))?;
    }
    commit(batch)?;
    *round = now;
    Ok(count)
}

#[cfg(test)]
mod tests;
