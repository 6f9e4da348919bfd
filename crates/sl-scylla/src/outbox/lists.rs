//! Lists of deliveries: index rows, and of each the delivery itself, which decides.

use async_trait::async_trait;
use sl_core::{
    delivery::{Attempt, Delivery, DeliveryState, Destination, RenderedRequest},
    ids::{ClickId, DeliveryId, TeamId},
    time::Timestamp,
};
use sl_store::{
    Result,
    outbox::{Counts, Deliveries, DeliveryFilter},
};

use super::{
    CqlOutbox,
    deliveries::Slot,
    names::{ASIDE, day, day_of_quarter, destination_bytes, quarter, state_code},
    quarters::{Listed, Place, top},
};

/// Index rows read at once.
const PAGE: usize = 500;

/// One partition of a list.
#[derive(Debug, Clone, Copy)]
enum Part {
    Quarter(i64),
    Day(DeliveryState, i64),
}

// === impl CqlOutbox ===

#[async_trait]
impl Deliveries for CqlOutbox {
    async fn delivery(&self, team: TeamId, id: DeliveryId) -> Result<Option<Delivery>> {
        let found = self.tables.deliveries.get(id).await?.map(|found| found.delivery);
        Ok(found.filter(|found| found.job.team == team))
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>> {
        self.tables.deliveries.attempts(id).await
    }

    /// Parked, expired and skipped ones have lists of their own; the others are picked out of all, most of which are delivered.
    async fn list(&self, team: TeamId, filter: DeliveryFilter) -> Result<Vec<Delivery>> {
        let mut after = top();
        if let Some(id) = filter.after {
            // A cursor of another team, or of nothing, leads nowhere.
            match self.tables.deliveries.get(id).await?.map(|found| found.delivery.job) {
                Some(job) if job.team == team => after = (job.created_at, job.id.to_bytes().to_vec()),
                _ => return Ok(Vec::new()),
            }
        }
        let mut found = Vec::new();
        if filter.limit == 0 {
            return Ok(found);
        }
        for part in self.parts(team, filter.state, &after).await? {
            self.newest_of(team, part, &filter, after.clone(), &mut found).await?;
            if found.len() >= filter.limit {
                break;
            }
        }
        Ok(found)
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

impl CqlOutbox {
    /// Partitions that may have something behind a place, the newest first.
    async fn parts(&self, team: TeamId, state: Option<DeliveryState>, after: &Place) -> Result<Vec<Part>> {
        let mut quarters = self.tables.made.of_team(team).await?;
        quarters.retain(|of| *of <= quarter(after.0));
        let Some(state) = state.filter(|state| ASIDE.contains(state)) else {
            return Ok(quarters.into_iter().map(Part::Quarter).collect());
        };
        let mut days: Vec<_> =
            quarters.into_iter().map(day_of_quarter).filter(|of| *of <= day(after.0)).collect();
        days.dedup();
        Ok(days.into_iter().map(|day| Part::Day(state, day)).collect())
    }

    async fn newest_of(
        &self,
        team: TeamId,
        part: Part,
        filter: &DeliveryFilter,
        mut after: Place,
        found: &mut Vec<Delivery>,
    ) -> Result<()> {
        let to = filter.destination.map(destination_bytes);
        let state = filter.state.map(state_code);
        // With a filter most rows may not fit; without, no more are read than are wanted.
        let page = if to.is_some() || state.is_some() { PAGE } else { filter.limit.min(PAGE) };
        let most = i32::try_from(page).unwrap_or(i32::MAX);
        loop {
            let rows = match part {
                Part::Quarter(quarter) => self.tables.made.newest(team, quarter, &after, most).await?,
                Part::Day(state, day) => self.tables.made.aside(team, state, day, &after, most).await?,
            };
            let Some(last) = rows.last() else { return Ok(()) };
            after = (last.created_at, last.id.to_bytes().to_vec());
            let is_last = rows.len() < page;
            let fits = |row: &Listed| {
                let is_state = state.is_none() || row.state.is_none() || row.state == state;
                is_state && (to.is_none() || row.destination == to)
            };
            let mut ids: Vec<_> = rows.into_iter().filter(fits).map(|row| row.id).collect();
            while !ids.is_empty() && found.len() < filter.limit {
                let rest = ids.split_off(ids.len().min(filter.limit - found.len()));
                for slot in self.tables.deliveries.slots(std::mem::replace(&mut ids, rest)).await? {
                    let Slot::Is(slot) = slot else { continue };
                    if filter.state.is_none_or(|state| slot.delivery.progress.state == state) {
                        found.push(slot.delivery);
                    } else {
                        self.mend_list(&slot, part).await?;
                    }
                }
            }
            if is_last || found.len() >= filter.limit {
                return Ok(());
            }
        }
    }

    /// An index row that a process left when it died between two writes.
    async fn mend_list(&self, slot: &super::deliveries::Found, part: Part) -> Result<()> {
        let write = match part {
            Part::Quarter(_) => self.tables.places.note_state(slot),
            Part::Day(state, _) => {
                self.tables.places.no_longer_aside(&slot.delivery.job, state, slot.added())
            }
        };
        self.tables.cql.write_all(vec![write]).await
    }
}
