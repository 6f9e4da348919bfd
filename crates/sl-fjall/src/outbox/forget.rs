//! Retention of deliveries.

use fjall::{OwnedWriteBatch, Readable as _};
use sl_core::{
    delivery::{DeliveryState, Job},
    ids::{DeliveryId, TeamId},
    time::Timestamp,
};
use sl_store::Result;

use super::{Books, lists, write};
use crate::{
    db::{Db, commit, damaged, failed},
    layout::{ATTEMPT, CLICK_DELIVERY, JOB, Key, PROGRESS, Reader, STATE},
};

/// Removes at most `limit` deliveries created before `before` that no longer wait, the oldest of each team and state
/// first; returns how many.
pub(crate) fn old(db: &Db, books: &mut Books, before: Timestamp, limit: usize) -> Result<u64> {
    let mut batch = db.batch();
    let mut count = 0;
    for id in found(db, before, limit)? {
        if remove(db, books, &mut batch, id)? {
            count += 1;
        }
    }
    if count > 0 {
        books.stage(db, &mut batch)?;
        commit(batch)?;
    }
    Ok(count)
}

fn found(db: &Db, before: Timestamp, limit: usize) -> Result<Vec<DeliveryId>> {
    let snapshot = db.snapshot();
    let mut ids = Vec::new();
    let mut team = Some(TeamId(0));
    while let Some(from) = team {
        let rest = Key::table(STATE).u64(from.0)..Key::table(STATE + 1);
        let Some(first) = snapshot.range::<Key, _>(&db.outbox, rest).next() else { break };
        let key = first.key().map_err(failed)?;
        let mut fields = Reader(&key);
        let here = fields.skip(1).and_then(|()| fields.u64()).ok_or_else(|| damaged("outbox index"))?;
        for state in DeliveryState::ALL {
            if state == DeliveryState::Waiting {
                continue;
            }
            let all = write::state_prefix(TeamId(here), state);
            let old = all.clone()..all.at(before);
            for row in snapshot.range::<Key, _>(&db.outbox, old).take(limit - ids.len()) {
                ids.push(row.key().map_err(failed).and_then(|key| write::id_of(&key))?);
            }
        }
        team = here.checked_add(1).map(TeamId).filter(|_| ids.len() < limit);
    }
    Ok(ids)
}

fn remove(db: &Db, books: &mut Books, batch: &mut OwnedWriteBatch, id: DeliveryId) -> Result<bool> {
    let snapshot = db.snapshot();
    let Some(delivery) = lists::delivery(&snapshot, db, id)? else { return Ok(false) };
    if delivery.progress.state == DeliveryState::Waiting {
        return Ok(false);
    }
    let job: &Job = &delivery.job;
    write::leave(db, books, batch, job, &delivery.progress);
    batch.remove(&db.outbox, Key::table(JOB).id(id.to_bytes()));
    batch.remove(&db.outbox, Key::table(PROGRESS).id(id.to_bytes()));
    if let Some(click) = job.click {
        let key = Key::table(CLICK_DELIVERY).id(click.to_bytes()).at(job.created_at).id(id.to_bytes());
        batch.remove(&db.outbox, key);
    }
    for row in snapshot.prefix(&db.outbox, Key::table(ATTEMPT).id(id.to_bytes())) {
        batch.remove(&db.outbox, row.key().map_err(failed)?);
    }
    batch.remove(&db.bodies, Key::bare().id(id.to_bytes()));
    Ok(true)
}
