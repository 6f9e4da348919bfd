//! Reading deliveries.

use std::{cmp::Reverse, sync::Arc};

use async_trait::async_trait;
use fjall::{Readable as _, Snapshot};
use sl_core::{
    delivery::{Attempt, Delivery, DeliveryState, Destination, Job, Progress, RenderedRequest},
    ids::{ClickId, DeliveryId, TeamId},
    time::Timestamp,
};
use sl_store::{
    Result,
    outbox::{Counts, Deliveries, DeliveryFilter, Waiting},
};

use super::{FjallOutbox, write::id_of, write::state_prefix};
use crate::{
    db::{Db, blocking, damaged, failed, read_at, scan},
    layout::{ATTEMPT, CLICK_DELIVERY, DUE, JOB, Key, LATEST, PROGRESS},
};

#[async_trait]
impl Deliveries for FjallOutbox {
    async fn delivery(&self, team: TeamId, id: DeliveryId) -> Result<Option<Delivery>> {
        Ok(delivery(&self.db.snapshot(), &self.db, id)?.filter(|found| found.job.team == team))
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>> {
        scan(&self.db.snapshot(), &self.db.outbox, &Key::table(ATTEMPT).id(id.to_bytes()))
    }

    async fn list(&self, team: TeamId, filter: DeliveryFilter) -> Result<Vec<Delivery>> {
        let db = Arc::clone(&self.db);
        blocking(move || newest(&db, team, &filter)).await
    }

    async fn of_click(&self, team: TeamId, click: ClickId) -> Result<Vec<Delivery>> {
        of_click(&self.db, team, click)
    }

    async fn counts(&self, now: Timestamp) -> Result<Counts> {
        self.locked(move |db, books| books.counts(db, now)).await
    }

    async fn latest(&self, destination: Destination) -> Result<Option<(Delivery, RenderedRequest)>> {
        let snapshot = self.db.snapshot();
        let key = Key::table(LATEST).destination(destination);
        let Some(id) = snapshot.get(&self.db.outbox, key).map_err(failed)? else { return Ok(None) };
        let id = <[u8; 16]>::try_from(&*id).map_err(|_| damaged("outbox index `latest`"))?;
        let delivery = delivery(&snapshot, &self.db, DeliveryId::from_bytes(id))?;
        let body = read_at(&snapshot, &self.db.bodies, &Key::bare().id(id))?;
        Ok(delivery.zip(body))
    }
}

/// One delivery of any team.
pub(crate) fn delivery(snapshot: &Snapshot, db: &Db, id: DeliveryId) -> Result<Option<Delivery>> {
    let Some(job) = read_at::<Job>(snapshot, &db.outbox, &Key::table(JOB).id(id.to_bytes()))? else {
        return Ok(None);
    };
    let progress = read_at(snapshot, &db.outbox, &Key::table(PROGRESS).id(id.to_bytes()))?
        .unwrap_or_else(|| Progress::of(&job));
    Ok(Some(Delivery { job, progress }))
}

/// Due jobs of a destination, oldest first; none is due before `from`.
pub(crate) fn due(
    db: &Db,
    destination: Destination,
    from: Timestamp,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Delivery>> {
    let snapshot = db.snapshot();
    let all = Key::table(DUE).destination(destination);
    let range = all.clone().at(from)..all.at(Timestamp(now.0.saturating_add(1)));
    snapshot
        .range::<Key, _>(&db.outbox, range)
        .take(limit)
        .map(|row| row.key().map_err(failed).and_then(|key| id_of(&key)))
        .filter_map(|id| id.and_then(|id| delivery(&snapshot, db, id)).transpose())
        .collect()
}

/// Waiting jobs of these destinations that are due after `after`, in the order of [`Waiting`].
pub(crate) fn ahead(
    db: &Db,
    destinations: &[Destination],
    after: Timestamp,
    behind: Option<Waiting>,
    limit: usize,
) -> Result<Vec<Delivery>> {
    let snapshot = db.snapshot();
    let mut found = Vec::new();
    for &to in destinations.iter().filter(|to| behind.is_none_or(|behind| behind.destination <= **to)) {
        let all = Key::table(DUE).destination(to);
        let from = match behind.filter(|behind| behind.destination == to) {
            // The next key there can be.
            Some(behind) => all.clone().at(behind.due).id(behind.id.to_bytes()).byte(0),
            None => all.clone().at(Timestamp(after.0.saturating_add(1))),
        };
        let end = all.raw(&[0xff; 25]);
        for row in snapshot.range::<Key, _>(&db.outbox, from..end).take(limit - found.len()) {
            let id = row.key().map_err(failed).and_then(|key| id_of(&key))?;
            found.extend(delivery(&snapshot, db, id)?);
        }
    }
    Ok(found)
}

/// Deliveries of a team, newest first: each state is a list of its own, and they are merged.
pub(crate) fn newest(db: &Db, team: TeamId, filter: &DeliveryFilter) -> Result<Vec<Delivery>> {
    let snapshot = db.snapshot();
    let after = match filter.after {
        None => None,
        // A cursor of another team, or of nothing, leads nowhere.
        Some(id) => match delivery(&snapshot, db, id)?.filter(|found| found.job.team == team) {
            None => return Ok(Vec::new()),
            found => found,
        },
    };
    let states = filter.state.map_or(DeliveryState::ALL.to_vec(), |state| vec![state]);
    let mut found = Vec::new();
    for state in states {
        let all = state_prefix(team, state);
        let end = match &after {
            None => all.clone().raw(&[0xff; 25]),
            Some(after) => all.clone().at(after.job.created_at).id(after.job.id.to_bytes()),
        };
        let wanted = filter.destination.map(|to| Key::bare().destination(to));
        let mut taken = 0;
        for row in snapshot.range::<Key, _>(&db.outbox, all..end).rev() {
            if taken == filter.limit {
                break;
            }
            let (key, destination) = row.into_inner().map_err(failed)?;
            if wanted.as_ref().is_some_and(|wanted| wanted.bytes() != &*destination) {
                continue;
            }
            taken += 1;
            found.extend(delivery(&snapshot, db, id_of(&key)?)?);
        }
    }
    found.sort_unstable_by_key(by_creation);
    found.truncate(filter.limit);
    Ok(found)
}

/// Deliveries that hang on a click, by creation.
pub(crate) fn of_click(db: &Db, team: TeamId, click: ClickId) -> Result<Vec<Delivery>> {
    let snapshot = db.snapshot();
    let mut found = Vec::new();
    for row in snapshot.prefix(&db.outbox, Key::table(CLICK_DELIVERY).id(click.to_bytes())) {
        let id = id_of(&row.key().map_err(failed)?)?;
        found.extend(delivery(&snapshot, db, id)?.filter(|found| found.job.team == team));
    }
    Ok(found)
}

/// Sorts newest first.
fn by_creation(delivery: &Delivery) -> Reverse<(Timestamp, DeliveryId)> {
    Reverse((delivery.job.created_at, delivery.job.id))
}
