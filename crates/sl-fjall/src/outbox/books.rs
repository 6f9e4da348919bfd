//! Counters of the outbox, kept with every batch, so that neither a start nor a question reads a million jobs.

use std::collections::{BTreeMap, HashMap};

use fjall::{OwnedWriteBatch, Readable as _};
use sl_core::{
    breaker::Resting,
    delivery::{DeliveryState, Destination},
    time::Timestamp,
};
use sl_store::{Result, outbox::Counts};

use crate::{
    codec::decode,
    db::{Db, damaged, failed, put},
    layout::{DUE, DUE_SECOND, Key, RESTING, Reader, STATE_COUNT, WAITING_AT},
};

/// A destination with waiting jobs.
#[derive(Debug, Clone, Default)]
struct Queue {
    waiting: u64,
    /// Waiting jobs by the second they are due in.
    seconds: BTreeMap<i64, u64>,
    /// No waiting job is due before this: reading starts here, behind the tombstones of what was sent.
    floor: Timestamp,
    /// The floor is the due time of a job that is there.
    exact: bool,
}

/// The counters. Changes are staged here and in a batch that is committed under the same lock; a batch that fails
/// poisons the database, so memory never runs ahead of a disk that goes on.
#[derive(Debug, Default)]
pub(crate) struct Books {
    states: [u64; 5],
    queues: HashMap<Destination, Queue>,
    resting: HashMap<Destination, Resting>,
    /// Seconds, and below destinations, whose counters the open batch has to write.
    dirty_seconds: Vec<(Destination, i64)>,
    dirty_queues: Vec<Destination>,
}

// === impl Books ===

impl Books {
    /// Reads the counters: a few rows per destination and per second with waiting jobs.
    pub(crate) fn load(db: &Db) -> Result<Self> {
        let mut books = Self::default();
        let snapshot = db.snapshot();
        for row in snapshot.prefix(&db.outbox, Key::table(STATE_COUNT)) {
            let (key, value) = row.into_inner().map_err(failed)?;
            let slot = key.get(1).and_then(|&state| books.states.get_mut(usize::from(state)));
            *slot.ok_or_else(|| damaged("outbox counter"))? = decode(&value)?;
        }
        for row in snapshot.prefix(&db.outbox, Key::table(WAITING_AT)) {
            let (key, value) = row.into_inner().map_err(failed)?;
            let (destination, _) = destination_of(&key)?;
            let floor = Timestamp(i64::MIN);
            let queue = Queue { waiting: decode(&value)?, floor, ..Queue::default() };
            books.queues.insert(destination, queue);
        }
        for row in snapshot.prefix(&db.outbox, Key::table(DUE_SECOND)) {
            let (key, value) = row.into_inner().map_err(failed)?;
            let (destination, mut rest) = destination_of(&key)?;
            let second = rest.at().ok_or_else(|| damaged("outbox counter"))?;
            let queue = books.queues.get_mut(&destination).ok_or_else(|| damaged("outbox counter"))?;
            queue.seconds.insert(second.0, decode(&value)?);
        }
        for row in snapshot.prefix(&db.outbox, Key::table(RESTING)) {
            let (key, value) = row.into_inner().map_err(failed)?;
            books.resting.insert(destination_of(&key)?.0, decode(&value)?);
        }
        Ok(books)
    }

    /// A job enters `state`, due then if it waits.
    pub(crate) fn enter(&mut self, destination: Destination, state: DeliveryState, due: Option<Timestamp>) {
        self.count(state, 1);
        let Some(due) = due else { return };
        let queue = self.queues.entry(destination).or_default();
        if queue.waiting == 0 || due < queue.floor {
            (queue.floor, queue.exact) = (due, true);
        }
        queue.waiting += 1;
        *queue.seconds.entry(due.seconds()).or_default() += 1;
        self.dirty_queues.push(destination);
        self.dirty_seconds.push((destination, due.seconds()));
    }

    /// A job leaves `state`.
    pub(crate) fn leave(&mut self, destination: Destination, state: DeliveryState, due: Option<Timestamp>) {
        self.count(state, -1);
        let Some(due) = due else { return };
        if let Some(queue) = self.queues.get_mut(&destination) {
            queue.waiting = queue.waiting.saturating_sub(1);
            queue.exact &= queue.floor != due;
            if let Some(count) = queue.seconds.get_mut(&due.seconds()) {
                *count = count.saturating_sub(1);
            }
            self.dirty_queues.push(destination);
            self.dirty_seconds.push((destination, due.seconds()));
        }
    }

    fn count(&mut self, state: DeliveryState, by: i64) {
        if let Some(count) = self.states.get_mut(usize::from(state.code())) {
            *count = count.saturating_add_signed(by);
        }
    }

    /// Adds every changed counter to the batch. Call it once, last.
    pub(crate) fn stage(&mut self, db: &Db, batch: &mut OwnedWriteBatch) -> Result<()> {
        for state in DeliveryState::ALL {
            let byte = state.code();
            if let Some(count) = self.states.get(usize::from(byte)) {
                put(batch, &db.outbox, Key::table(STATE_COUNT).byte(byte), count)?;
            }
        }
        self.dirty_seconds.sort_unstable();
        self.dirty_seconds.dedup();
        for (destination, second) in self.dirty_seconds.drain(..) {
            let key = Key::table(DUE_SECOND).destination(destination).at(Timestamp(second));
            let seconds = self.queues.get_mut(&destination).map(|queue| &mut queue.seconds);
            match seconds.as_ref().and_then(|seconds| seconds.get(&second)) {
                Some(&count) if count > 0 => put(batch, &db.outbox, key, &count)?,
                _ => {
                    seconds.and_then(|seconds| seconds.remove(&second));
                    batch.remove(&db.outbox, key);
                }
            }
        }
        self.dirty_queues.sort_unstable();
        self.dirty_queues.dedup();
        for destination in self.dirty_queues.drain(..) {
            let key = Key::table(WAITING_AT).destination(destination);
            match self.queues.get(&destination) {
                Some(queue) if queue.waiting > 0 => put(batch, &db.outbox, key, &queue.waiting)?,
                _ => {
                    self.queues.remove(&destination);
                    batch.remove(&db.outbox, key);
                }
            }
        }
        Ok(())
    }

    /// The destination rests, or no longer does.
    pub(crate) fn rest(
        &mut self,
        db: &Db,
        batch: &mut OwnedWriteBatch,
        destination: Destination,
        resting: Option<Resting>,
    ) -> Result<()> {
        let key = Key::table(RESTING).destination(destination);
        match resting {
            Some(resting) => {
                put(batch, &db.outbox, key, &resting)?;
                self.resting.insert(destination, resting);
            }
            None => {
                batch.remove(&db.outbox, key);
                self.resting.remove(&destination);
            }
        }
        Ok(())
    }

    /// Every destination that was told to rest, by destination.
    pub(crate) fn resting(&self) -> Vec<(Destination, Resting)> {
        let mut all: Vec<_> = self.resting.iter().map(|(to, resting)| (*to, *resting)).collect();
        all.sort_unstable_by_key(|(to, _)| *to);
        all
    }

    /// Whether the destination rests at `now`.
    pub(crate) fn rests(&self, destination: Destination, now: Timestamp) -> bool {
        self.resting.get(&destination).is_some_and(|resting| resting.rest.lasts(now))
    }

    /// When its newest rest ends; the beginning of time when it had none.
    pub(crate) fn rested_at(&self, destination: Destination) -> Timestamp {
        self.resting.get(&destination).map_or(Timestamp(i64::MIN), |resting| resting.rest.until)
    }

    /// Where to start reading due jobs of a destination.
    pub(crate) fn floor(&self, destination: Destination) -> Timestamp {
        self.queues.get(&destination).map_or(Timestamp(i64::MIN), |queue| queue.floor)
    }

    /// Every destination with waiting jobs, in order.
    pub(crate) fn destinations(&self) -> Vec<Destination> {
        let mut all: Vec<_> = self.queues.keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// Every destination with waiting jobs and when its first one is due, by destination.
    pub(crate) fn earliest(&mut self, db: &Db) -> Result<Vec<(Destination, Timestamp)>> {
        for (destination, queue) in self.queues.iter_mut().filter(|(_, queue)| !queue.exact) {
            let all = Key::table(DUE).destination(*destination);
            let from = all.clone().at(queue.floor);
            let first = db.outbox.range(from.bytes().to_vec()..).next();
            let key = first.map(|row| row.key().map_err(failed)).transpose()?;
            let Some(mut fields) = key.as_ref().and_then(|key| key.strip_prefix(all.bytes())).map(Reader)
            else {
                return Err(damaged("outbox index `due`"));
            };
            queue.floor = fields.at().ok_or_else(|| damaged("outbox index `due`"))?;
            queue.exact = true;
        }
        let mut all: Vec<_> = self.queues.iter().map(|(to, queue)| (*to, queue.floor)).collect();
        all.sort_unstable();
        Ok(all)
    }

    /// Figures at `now`: whole seconds from the counters, the current one from the index.
    pub(crate) fn counts(&self, db: &Db, now: Timestamp) -> Result<Counts> {
        let state = |state: DeliveryState| self.states.get(usize::from(state.code())).copied().unwrap_or(0);
        let mut due_now: u64 = 0;
        for (destination, queue) in self.queues.iter().filter(|(to, _)| !self.rests(**to, now)) {
            due_now += queue.seconds.range(..now.seconds()).map(|(_, count)| count).sum::<u64>();
            if !queue.seconds.contains_key(&now.seconds()) {
                continue;
            }
            let all = Key::table(DUE).destination(*destination);
            let second = Timestamp::from_seconds(now.seconds());
            let range = all.clone().at(second)..all.at(Timestamp(now.0.saturating_add(1)));
            for row in db.outbox.range::<Key, _>(range) {
                row.key().map_err(failed)?;
                due_now += 1;
            }
        }
        Ok(Counts {
            due_now,
            waiting: state(DeliveryState::Waiting),
            delivered: state(DeliveryState::Delivered),
            parked: state(DeliveryState::Parked),
            expired: state(DeliveryState::Expired),
            skipped: state(DeliveryState::Skipped),
        })
    }
}

/// The destination in a counter's key, and what is behind it.
fn destination_of(key: &[u8]) -> Result<(Destination, Reader<'_>)> {
    let mut fields = Reader(key);
    let destination = fields.skip(1).and_then(|()| fields.destination());
    Ok((destination.ok_or_else(|| damaged("outbox counter"))?, fields))
}
