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

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;
use sl_core::{
    breaker::Resting,
    delivery::{Delivery, DeliveryState, Destination, RenderedRequest},
    ids::{AccountId, DeliveryId, FanId, TeamId},
    time::Timestamp,
};
use sl_store::{
    Result,
    outbox::{Change, Counts, Outbox, Waiting},
};

pub(crate) use self::jobs::Jobs;
use self::{
    deliveries::{Deliveries, Found, Slot},
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

    async fn store_bodies(&self, bodies: Vec<(DeliveryId, RenderedRequest)>) -> Result<Vec<RenderedRequest>> {
        let stored = stream::iter(bodies).map(|(id, request)| self.tables.deliveries.first_body(id, request));
        stored.buffered(AT_ONCE).try_collect().await
    }

    async fn rewrite(&self, id: DeliveryId, old: RenderedRequest, new: RenderedRequest) -> Result<bool> {
        self.tables.deliveries.rewrite(id, &old, &new).await
    }

    async fn bodies(&self, ids: Vec<DeliveryId>) -> Result<Vec<Option<RenderedRequest>>> {
        stream::iter(ids).map(|id| self.tables.deliveries.body(id)).buffered(AT_ONCE).try_collect().await
    }

    async fn advance_all(&self, changes: Vec<Change>) -> Result<Vec<bool>> {
        let went = stream::iter(changes).map(|change| async move {
            self.go_on(change.id, &change.from, change.attempt.as_ref(), &change.to).await
        });
        went.buffered(AT_ONCE).try_collect().await
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
}
