//! New jobs (in a step of the ledger) and their progress.

use std::collections::{HashMap, HashSet};

use fjall::OwnedWriteBatch;
use sl_core::{
    delivery::{Attempt, DeliveryKind, DeliveryState, Destination, Job, Progress},
    ids::{AccountId, DeliveryId, FanId},
    time::Timestamp,
};
use sl_store::{
    Result,
    outbox::{Change, Renewal},
};

use super::{Books, KEPT_ATTEMPTS, missing};
use crate::{
    db::{Db, damaged, failed, put, read},
    layout::{ATTEMPT, CLICK_DELIVERY, DUE, FAN_WAITING, JOB, Key, LATEST, PROGRESS, Reader, STATE, ordered},
};

/// Value of an index whose key says everything.
const EMPTY: [u8; 0] = [];

/// Adds the jobs of a step, each once: the same cause makes the same job.
pub(crate) fn add_all(db: &Db, books: &mut Books, batch: &mut OwnedWriteBatch, jobs: &[Job]) -> Result<()> {
    let mut seen = HashSet::new();
    for job in jobs {
        if seen.insert(job.id) {
            add(db, books, batch, job)?;
        }
    }
    books.stage(db, batch)
}

fn add(db: &Db, books: &mut Books, batch: &mut OwnedWriteBatch, job: &Job) -> Result<()> {
    let key = Key::table(JOB).id(job.id.to_bytes());
    if db.outbox.contains_key(&key).map_err(failed)? {
        return Ok(());
    }
    put(batch, &db.outbox, key, job)?;
    if let Some(click) = job.click {
        let key = Key::table(CLICK_DELIVERY).id(click.to_bytes()).at(job.created_at).id(job.id.to_bytes());
        batch.insert(&db.outbox, key, EMPTY);
    }
    enter(db, books, batch, job, &Progress::of(job));
    Ok(())
}

/// Writes attempts and progress of several, each once and unless its stored progress is no longer `from`.
pub(crate) fn advance(
    db: &Db,
    books: &mut Books,
    batch: &mut OwnedWriteBatch,
    changes: &[Change],
) -> Result<Vec<bool>> {
    // All are there, before the first counter is touched.
    let read_job = |change: &Change| {
        read::<Job>(&db.outbox, &Key::table(JOB).id(change.id.to_bytes()))?.ok_or_else(missing)
    };
    let jobs: Vec<Job> = changes.iter().map(read_job).collect::<Result<_>>()?;
    let (mut seen, mut latest) = (HashSet::new(), HashMap::new());
    let mut went = Vec::with_capacity(changes.len());
    for (change, job) in changes.iter().zip(&jobs) {
        let goes_on = seen.insert(job.id) && go_on(db, books, batch, job, change)?;
        if goes_on && change.attempt.is_some() {
            latest.insert(job.destination, job.id);
        }
        went.push(goes_on);
    }
    for (destination, id) in latest {
        batch.insert(&db.outbox, Key::table(LATEST).destination(destination), id.to_bytes());
    }
    books.stage(db, batch)?;
    Ok(went)
}

fn go_on(
    db: &Db,
    books: &mut Books,
    batch: &mut OwnedWriteBatch,
    job: &Job,
    change: &Change,
) -> Result<bool> {
    let Change { id, from, attempt, to } = change;
    let key = Key::table(PROGRESS).id(id.to_bytes());
    let before = read(&db.outbox, &key)?.unwrap_or_else(|| Progress::of(job));
    if before != *from {
        return Ok(false);
    }
    put(batch, &db.outbox, key, to)?;
    if let Some(attempt) = attempt {
        append_attempt(db, batch, job, attempt)?;
    }
    if (before.state, before.due()) != (to.state, to.due()) {
        leave(db, books, batch, job, &before);
        enter(db, books, batch, job, to);
    }
    if job.kind == DeliveryKind::Click && is_final(to.state) {
        // A click event keeps its body only until it is final (decisions 56).
        batch.remove(&db.bodies, Key::bare().id(id.to_bytes()));
    }
    Ok(true)
}

/// Takes deliveries up again, each once and only if it stands as it was read.
pub(crate) fn renew(
    db: &Db,
    books: &mut Books,
    batch: &mut OwnedWriteBatch,
    renewals: &[Renewal],
) -> Result<usize> {
    let mut seen = HashSet::new();
    let mut renewed = 0;
    for Renewal { job, from, to } in renewals {
        if !seen.insert(job.id) {
            continue;
        }
        let stored: Option<Job> = read(&db.outbox, &Key::table(JOB).id(job.id.to_bytes()))?;
        match (stored, from) {
            (None, None) => add(db, books, batch, job)?,
            (Some(stored), Some(from)) => {
                let key = Key::table(PROGRESS).id(stored.id.to_bytes());
                let before = read(&db.outbox, &key)?.unwrap_or_else(|| Progress::of(&stored));
                if before != *from {
                    continue;
                }
                put(batch, &db.outbox, key, to)?;
                leave(db, books, batch, &stored, &before);
                enter(db, books, batch, &stored, to);
            }
            (None, Some(_)) | (Some(_), None) => continue,
        }
        renewed += 1;
    }
    books.stage(db, batch)?;
    Ok(renewed)
}

fn append_attempt(db: &Db, batch: &mut OwnedWriteBatch, job: &Job, attempt: &Attempt) -> Result<()> {
    let all = Key::table(ATTEMPT).id(job.id.to_bytes());
    let number = match db.outbox.prefix(&all).next_back() {
        None => 0,
        Some(row) => {
            let key = row.key().map_err(failed)?;
            let last = key.strip_prefix(all.bytes()).and_then(|rest| rest.first_chunk::<4>());
            u32::from_be_bytes(*last.ok_or_else(|| damaged("attempt key"))?).saturating_add(1)
        }
    };
    if let Some(oldest) = number.checked_sub(KEPT_ATTEMPTS) {
        batch.remove(&db.outbox, all.clone().u32(oldest));
    }
    put(batch, &db.outbox, all.u32(number), attempt)
}

fn enter(db: &Db, books: &mut Books, batch: &mut OwnedWriteBatch, job: &Job, progress: &Progress) {
    let due = progress.due();
    books.enter(job.destination, progress.state, due);
    if let Some(due) = due {
        batch.insert(&db.outbox, due_key(job, due), EMPTY);
        if let Some(fan) = &job.fan {
            batch.insert(&db.outbox, fan_key(job, fan), ordered(due).to_be_bytes());
        }
    }
    let destination = Key::bare().destination(job.destination);
    batch.insert(&db.outbox, state_key(job, progress.state), destination);
}

pub(crate) fn leave(db: &Db, books: &mut Books, batch: &mut OwnedWriteBatch, job: &Job, progress: &Progress) {
    let due = progress.due();
    books.leave(job.destination, progress.state, due);
    if let Some(due) = due {
        batch.remove(&db.outbox, due_key(job, due));
        if let Some(fan) = &job.fan {
            batch.remove(&db.outbox, fan_key(job, fan));
        }
    }
    batch.remove(&db.outbox, state_key(job, progress.state));
}

fn due_key(job: &Job, due: Timestamp) -> Key {
    Key::table(DUE).destination(job.destination).at(due).id(job.id.to_bytes())
}

fn fan_key(job: &Job, fan: &FanId) -> Key {
    fan_prefix(job.destination, &job.account, fan).at(job.occurred_at).id(job.id.to_bytes())
}

/// Waiting jobs of a fan at a destination, by when they happened.
pub(crate) fn fan_prefix(destination: Destination, account: &AccountId, fan: &FanId) -> Key {
    Key::table(FAN_WAITING).destination(destination).text(&account.0).text(&fan.0)
}

fn state_key(job: &Job, state: DeliveryState) -> Key {
    state_prefix(job.team, state).at(job.created_at).id(job.id.to_bytes())
}

/// Jobs of a team in one state, by creation.
pub(crate) fn state_prefix(team: sl_core::ids::TeamId, state: DeliveryState) -> Key {
    Key::table(STATE).u64(team.0).byte(state.code())
}

fn is_final(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Delivered | DeliveryState::Expired | DeliveryState::Skipped)
}

/// The delivery id at the end of an index key.
pub(crate) fn id_of(key: &[u8]) -> Result<DeliveryId> {
    let at = key.len().saturating_sub(16);
    let mut fields = Reader(key);
    let id = fields.skip(at).and_then(|()| fields.id());
    id.map(DeliveryId::from_bytes).ok_or_else(|| damaged("outbox index"))
}
