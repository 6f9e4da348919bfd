//! Retention of deliveries. They have no time to live of their own: one that still waits must stay.

use sl_core::{
    delivery::DeliveryState,
    ids::{DeliveryId, TeamId},
    time::Timestamp,
};
use sl_store::Result;

use super::{
    CqlOutbox,
    deliveries::{Found, Slot},
    names::end_of_quarter,
    quarters::{Place, bottom},
};

/// Index rows read at once.
const PAGE: i32 = 200;

// === impl CqlOutbox ===

impl CqlOutbox {
    /// Removes at most `limit` deliveries created before `before` that no longer wait, the oldest quarters first; returns how
    /// many. It goes on where it was, so that it does not cross what it has removed; those that still waited are looked at
    /// again in the next round.
    pub(crate) async fn forget(&self, before: Timestamp, limit: usize) -> Result<u64> {
        let mut count = 0;
        for (place, said) in self.tables.made.all().await? {
            if end_of_quarter(place.1 - 1) >= before {
                continue;
            }
            let mut after = self.forgotten.lock().get(&place).cloned().unwrap_or_else(bottom);
            let is_through =
                self.forget_quarter(place, before, limit - count, &mut after, &mut count).await?;
            if !is_through {
                self.forgotten.lock().insert(place, after);
                return Ok(count as u64);
            }
            self.forgotten.lock().remove(&place);
            if self.tables.made.oldest(place.0, place.1, &bottom(), before, 1).await?.is_empty() {
                self.tables.made.close(place, &said, before).await?;
            }
        }
        Ok(count as u64)
    }

    /// Goes through one quarter; `false` when the limit came first.
    async fn forget_quarter(
        &self,
        of: (TeamId, i64),
        before: Timestamp,
        limit: usize,
        after: &mut Place,
        count: &mut usize,
    ) -> Result<bool> {
        let end = *count + limit;
        loop {
            let rows = self.tables.made.oldest(of.0, of.1, after, before, PAGE).await?;
            let is_last = rows.len() < usize::try_from(PAGE).unwrap_or(0);
            let ids: Vec<_> = rows.iter().map(|(_, id)| *id).collect();
            let slots = self.tables.deliveries.slots(ids).await?;
            let (from, mut gone, mut is_full) = (after.clone(), Vec::new(), false);
            for ((at, id), slot) in rows.iter().zip(slots) {
                is_full = *count == end;
                if is_full {
                    break;
                }
                *after = (*at, id.to_bytes().to_vec());
                let is_gone = match slot {
                    Slot::Is(found) if found.delivery.progress.state != DeliveryState::Waiting => {
                        let is_gone = self.forget_one(*id, &found).await?;
                        *count += usize::from(is_gone);
                        is_gone
                    }
                    // Who removed the delivery died before this row.
                    Slot::Empty => true,
                    Slot::Is(_) | Slot::Begun(_) => false,
                };
                gone.extend(is_gone.then_some((*at, *id)));
            }
            let passed = rows.iter().filter(|(at, id)| (*at, id.to_bytes().to_vec()) <= *after).count();
            self.forget_rows(of, &from, after, &gone, gone.len() == passed).await?;
            if is_full || is_last {
                return Ok(!is_full);
            }
        }
    }

    /// Removes rows of the list of all: a run of them under one mark, so that nobody crosses one for each.
    async fn forget_rows(
        &self,
        of: (TeamId, i64),
        from: &Place,
        to: &Place,
        gone: &[(Timestamp, DeliveryId)],
        is_run: bool,
    ) -> Result<()> {
        let now = self.tables.cql.micros();
        if gone.is_empty() {
            return Ok(());
        }
        if is_run {
            return self.tables.made.remove_run(of, from, to, now).await;
        }
        let rows = gone.iter().map(|(at, id)| self.tables.places.unmake_row(of.0, *at, *id, now));
        self.tables.cql.write_all(rows.collect()).await
    }

    async fn forget_one(&self, id: DeliveryId, found: &Found) -> Result<bool> {
        let job = &found.delivery.job;
        self.tables.made.say([(job.team, job.created_at)]).await?;
        // Somebody may take it up again in this moment: then it stays.
        if !self.tables.deliveries.remove(id, found.change).await? {
            return Ok(false);
        }
        let mut writes = self.tables.places.leave(job, &found.delivery.progress, found.added());
        writes.extend(self.tables.places.leave_click(job, found.added()));
        self.tables.cql.write_all(writes).await?;
        Ok(true)
    }
}
