//! What is told to whom: deliveries one by one, and tables that lead to them.
//!
//! A delivery is one row, whose progress is compared and set ([`deliveries`]). Whatever else there is leads to it
//! ([`places`], [`queue`], [`quarters`]) and is checked against it by whoever reads. Nothing is counted up: what waits
//! is counted in the queues, everything else per quarter of an hour, once that is quiet.

mod ahead;
mod change;
mod deliveries;
mod forget;
mod jobs;
mod lists;
mod names;
mod places;
mod quarters;
mod queue;
mod rests;
mod trails;
mod whole;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;
use sl_core::{
    breaker::Resting,
    delivery::{Attempt, Delivery, DeliveryState, Destination, Progress, RenderedRequest},
    ids::{AccountId, ClickId, DeliveryId, FanId, ReplayId, TeamId},
    replay::Trail,
    time::Timestamp,
};
use sl_store::{
    Result,
    outbox::{Change, Counts, DeliveryFilter, Outbox, Renewal, Waiting},
};

pub(crate) use self::jobs::Jobs;
use self::{
    deliveries::{Deliveries, Found, Slot},
    names::state_code,
    places::Places,
    quarters::{Made, Place},
    queue::{Due, Queue},
    rests::Rests,
    trails::Trails,
};
use crate::{cql::Cql, figures::Figures};

/// Deliveries of one call under way at once.
const AT_ONCE: usize = 16;

/// Who enters a delivery takes moments from its id, when it is due, to its job. Past that nobody comes back: whoever asks
/// again enters it anew.
const BEGUN: Duration = Duration::from_secs(10 * 60);

/// The tables that are written together.
pub(crate) struct Tables {
    cql: Arc<Cql>,
    deliveries: Deliveries,
    places: Places,
    made: Made,
    queue: Queue,
    rests: Rests,
    trails: Trails,
}

/// The outbox on CQL.
pub(crate) struct CqlOutbox {
    tables: Arc<Tables>,
    jobs: Jobs,
    /// How far [`CqlOutbox::forget`] has come in quarters that it could not finish.
    forgotten: Mutex<HashMap<(TeamId, i64), Place>>,
    figures: Figures<Counts>,
}

// === impl Tables ===

impl Tables {
    pub(crate) async fn new(cql: &Arc<Cql>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            cql: Arc::clone(cql),
            deliveries: Deliveries::new(Arc::clone(cql)).await?,
            places: Places::new(Arc::clone(cql)).await?,
            made: Made::new(Arc::clone(cql)).await?,
            queue: Queue::new(Arc::clone(cql)).await?,
            rests: Rests::new(Arc::clone(cql)).await?,
            trails: Trails::new(Arc::clone(cql)).await?,
        }))
    }
}

// === impl CqlOutbox ===

impl CqlOutbox {
    pub(crate) fn new(tables: Arc<Tables>) -> Self {
        let jobs = Jobs::new(Arc::clone(&tables));
        Self { tables, jobs, forgotten: Mutex::default(), figures: Figures::none() }
    }

    /// Due deliveries of one minute.
    async fn due_of_minute(
        &self,
        to: Destination,
        minute: i64,
        now: Timestamp,
        limit: usize,
        due: &mut Vec<Delivery>,
    ) -> Result<()> {
        let mut after = self.tables.queue.floor(to, minute);
        let mut is_first = true;
        while due.len() < limit {
            let most = limit - due.len();
            let rows = self.tables.queue.page(to, minute, after.clone(), now, most).await?;
            if std::mem::take(&mut is_first) {
                self.tables.queue.note_floor(to, minute, &after, rows.first().map(|first| first.at));
            }
            let Some(last) = rows.last() else { return Ok(()) };
            after = (last.at, last.id.to_bytes().to_vec());
            let is_last = rows.len() < most;
            let slots = self.tables.deliveries.slots(rows.iter().map(|row| row.id).collect()).await?;
            for (row, slot) in rows.into_iter().zip(slots) {
                match slot {
                    Slot::Is(found) if found.delivery.progress.due() == Some(row.at) => {
                        due.push(found.delivery);
                    }
                    Slot::Is(found) => self.mend_queue(&found, row).await?,
                    Slot::Begun(change) => {
                        if now.since(row.at) > BEGUN && self.tables.deliveries.give_up(row.id, change).await?
                        {
                            self.leads_nowhere(to, row).await?;
                        }
                    }
                    Slot::Empty => self.leads_nowhere(to, row).await?,
                }
            }
            if is_last {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Removes a row of no delivery.
    async fn leads_nowhere(&self, to: Destination, row: Due) -> Result<()> {
        let now = self.tables.cql.micros();
        let row = self.tables.places.no_delivery_due(to, row.at, row.id, now);
        self.tables.cql.write_all(vec![row]).await
    }

    /// A process has left a delivery in the queue at a time at which it is not due, or is about to change it. The row goes, and
    /// what should have been written behind the last change is written. A row of a change that has not come has a later
    /// time than that: its number is taken, so that it never comes.
    async fn mend_queue(&self, found: &Found, row: Due) -> Result<()> {
        let (job, mut found) = (&found.delivery.job, found.clone());
        while found.change.unwrap_or(0) < row.change {
            if !self.tables.deliveries.take_number(job.id, found.change).await? {
                // It came meanwhile: the next look sees it.
                return Ok(());
            }
            found = found.changed(found.delivery.progress.clone());
        }
        let places = &self.tables.places;
        let mut rows = vec![places.no_longer_due(job, row.at, found.added()), places.note_state(&found)];
        if found.delivery.progress.state != DeliveryState::Waiting
            && let Some(fan) = &job.fan
        {
            rows.push(places.no_longer_first(job, fan, found.added()));
        }
        self.tables.cql.write_all(rows).await
    }
}

#[async_trait]
impl Outbox for CqlOutbox {
    async fn due_destinations(&self, now: Timestamp) -> Result<Vec<(Destination, Timestamp)>> {
        self.tables.queue.due_everywhere(&self.tables.rests, now).await
    }

    async fn due(&self, destination: Destination, now: Timestamp, limit: usize) -> Result<Vec<Delivery>> {
        let mut due = Vec::new();
        for minute in self.tables.queue.minutes(destination, now).await? {
            self.due_of_minute(destination, minute, now, limit, &mut due).await?;
        }
        Ok(due)
    }

    async fn due_in(&self, shard: u32, now: Timestamp) -> Result<Vec<(Destination, Timestamp)>> {
        self.tables.queue.due_in(&self.tables.rests, shard, now).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.tables.queue.next_due(&self.tables.rests.everywhere().await?).await
    }

    async fn rest(&self, destination: Destination, resting: Option<Resting>) -> Result<()> {
        self.tables.rests.rest(destination, resting).await
    }

    async fn resting(&self) -> Result<Vec<(Destination, Resting)>> {
        Ok(self.tables.rests.everywhere().await?.all())
    }

    async fn ahead(&self, after: Timestamp, behind: Option<Waiting>, limit: usize) -> Result<Vec<Delivery>> {
        self.later(after, behind, limit).await
    }

    async fn store_body(&self, id: DeliveryId, request: RenderedRequest) -> Result<RenderedRequest> {
        self.tables.deliveries.first_body(id, request).await
    }

    async fn store_bodies(&self, bodies: Vec<(DeliveryId, RenderedRequest)>) -> Result<Vec<RenderedRequest>> {
        let stored = stream::iter(bodies).map(|(id, request)| self.store_body(id, request));
        stored.buffered(AT_ONCE).try_collect().await
    }

    async fn rewrite(&self, id: DeliveryId, old: RenderedRequest, new: RenderedRequest) -> Result<bool> {
        self.tables.deliveries.rewrite(id, &old, &new).await
    }

    async fn body(&self, id: DeliveryId) -> Result<Option<RenderedRequest>> {
        self.tables.deliveries.body(id).await
    }

    async fn bodies(&self, ids: Vec<DeliveryId>) -> Result<Vec<Option<RenderedRequest>>> {
        stream::iter(ids).map(|id| self.body(id)).buffered(AT_ONCE).try_collect().await
    }

    async fn advance(
        &self,
        id: DeliveryId,
        from: &Progress,
        attempt: Option<Attempt>,
        to: Progress,
    ) -> Result<bool> {
        self.go_on(id, from, attempt.as_ref(), &to).await
    }

    async fn advance_all(&self, changes: Vec<Change>) -> Result<Vec<bool>> {
        let went = stream::iter(changes).map(|change| async move {
            self.go_on(change.id, &change.from, change.attempt.as_ref(), &change.to).await
        });
        went.buffered(AT_ONCE).try_collect().await
    }

    /// The trail is written before the deliveries too, without their number: who asked is known whatever becomes of it.
    async fn renew(&self, mut renewals: Vec<Renewal>, trail: Option<Trail>) -> Result<usize> {
        if let Some(trail) = trail.as_ref().filter(|_| !renewals.is_empty()) {
            self.tables.trails.put(trail).await?;
        }
        let mut seen = HashSet::new();
        renewals.retain(|renewal| seen.insert(renewal.job.id));
        let renewed = stream::iter(renewals).map(|renewal| async move { self.renew_one(&renewal).await });
        let renewed: Vec<bool> = renewed.buffer_unordered(AT_ONCE).try_collect().await?;
        let renewed = renewed.into_iter().filter(|renewed| *renewed).count();
        if let Some(mut trail) = trail {
            trail.replayed = trail.replayed.saturating_add(renewed as u64);
            self.tables.trails.put(&trail).await?;
        }
        Ok(renewed)
    }

    async fn trail(&self, team: TeamId, id: ReplayId) -> Result<Option<Trail>> {
        self.tables.trails.get(team, id).await
    }

    async fn trails(&self, team: TeamId, limit: usize, after: Option<ReplayId>) -> Result<Vec<Trail>> {
        self.tables.trails.newest(team, limit, after).await
    }

    async fn first_of_fan(
        &self,
        destination: Destination,
        account: &AccountId,
        fan: &FanId,
    ) -> Result<Option<(DeliveryId, Timestamp)>> {
        for id in self.tables.places.of_fan(destination, account, fan).await? {
            let Some(found) = self.tables.deliveries.get(id).await? else { continue };
            if let Some(due) = found.delivery.progress.due() {
                return Ok(Some((id, due)));
            }
            // Left by a process that died between two writes.
            let row = self.tables.places.no_longer_first(&found.delivery.job, fan, found.added());
            self.tables.cql.write_all(vec![row]).await?;
        }
        Ok(None)
    }

    async fn delivery(&self, team: TeamId, id: DeliveryId) -> Result<Option<Delivery>> {
        let found = self.tables.deliveries.get(id).await?.map(|found| found.delivery);
        Ok(found.filter(|found| found.job.team == team))
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>> {
        self.tables.deliveries.attempts(id).await
    }

    async fn list(&self, team: TeamId, filter: DeliveryFilter) -> Result<Vec<Delivery>> {
        self.newest(team, &filter).await
    }

    async fn of_click(&self, team: TeamId, click: ClickId) -> Result<Vec<Delivery>> {
        let slots = self.tables.deliveries.slots(self.tables.places.of_click(click).await?).await?;
        let found = slots.into_iter().filter_map(|slot| match slot {
            Slot::Is(found) if found.delivery.job.team == team => Some(found.delivery),
            _ => None,
        });
        Ok(found.collect())
    }

    async fn counts(&self, now: Timestamp) -> Result<Counts> {
        if let Some(counts) = self.figures.told() {
            return Ok(counts);
        }
        let tables = &self.tables;
        let due = async { tables.queue.count(&tables.rests.everywhere().await?, now).await };
        let ((tally, rows), due_now) = futures_util::try_join!(tables.made.count(), due)?;
        let of = |state| {
            let code = usize::try_from(state_code(state)).ok();
            code.and_then(|code| tally.get(code)).copied().unwrap_or(0)
        };
        let counts = Counts {
            due_now,
            waiting: of(DeliveryState::Waiting),
            delivered: of(DeliveryState::Delivered),
            parked: of(DeliveryState::Parked),
            expired: of(DeliveryState::Expired),
            skipped: of(DeliveryState::Skipped),
        };
        self.figures.keep(&counts, rows + due_now);
        Ok(counts)
    }

    async fn latest(&self, destination: Destination) -> Result<Option<(Delivery, RenderedRequest)>> {
        let Some(id) = self.tables.places.latest(destination).await? else { return Ok(None) };
        let delivery = self.tables.deliveries.get(id).await?.map(|found| found.delivery);
        Ok(delivery.zip(self.tables.deliveries.body(id).await?))
    }
}
