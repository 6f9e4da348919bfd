//! Progress: compared and set, with the rows that lead to a delivery before and behind.

use sl_core::{
    delivery::{Attempt, DeliveryKind, DeliveryState, Progress},
    ids::DeliveryId,
};
use sl_store::{Result, StoreError, outbox::Renewal};

use super::{
    CqlOutbox,
    deliveries::{Found, Slot},
};
use crate::statements::Tries;

/// How often somebody who has begun to enter a delivery is waited for, 0.4 s in all: then it has died.
const PATIENCE: u32 = 8;

// === impl CqlOutbox ===

impl CqlOutbox {
    /// Goes on from `from` to `to`; `false` when the stored progress is another, by then or already.
    pub(super) async fn go_on(
        &self,
        id: DeliveryId,
        from: &Progress,
        attempt: Option<&Attempt>,
        to: &Progress,
    ) -> Result<bool> {
        let (mut tries, mut tried) = (Tries::of("a delivery"), None);
        loop {
            let once = self.go_on_once(id, from, attempt, to, &mut tried).await;
            if let Some(went_on) = tries.settled(once).await? {
                return Ok(went_on);
            }
        }
    }

    async fn go_on_once(
        &self,
        id: DeliveryId,
        from: &Progress,
        attempt: Option<&Attempt>,
        to: &Progress,
        tried: &mut Option<Found>,
    ) -> Result<Option<bool>> {
        let Slot::Is(found) = self.tables.deliveries.slot(id, tried.is_some()).await? else {
            return Err(StoreError::NotFound);
        };
        if let Some(before) = tried.as_ref()
            && found.change == before.changed(to.clone()).change
            && found.delivery.progress == *to
        {
            // The last try, to which there was no answer, was applied after all.
            return self.leave(before, to, attempt).await.map(|()| Some(true));
        }
        if found.delivery.progress != *from {
            return Ok(Some(false));
        }
        self.lead_to(&found, to).await?;
        let attempts = match attempt {
            None if found.change.is_none() => None,
            new => Some(self.tables.deliveries.attempts_with(id, new).await?),
        };
        // A click event keeps its body only until it is final (decisions 56).
        let forget_body = found.delivery.job.kind == DeliveryKind::Click && is_final(to.state);
        let said =
            self.tables.deliveries.advance(id, found.change, to, attempts.as_deref(), forget_body).await;
        *tried = said.is_err().then(|| Found::clone(&found));
        if !said? {
            return Ok(None);
        }
        self.leave(&found, to, attempt).await.map(|()| Some(true))
    }

    /// Rows that lead to a delivery once it stands like `to`.
    async fn lead_to(&self, found: &Found, to: &Progress) -> Result<()> {
        let job = &found.delivery.job;
        self.tables.made.say([(job.team, job.created_at)]).await?;
        if is_where_it_was(&found.delivery.progress, to) {
            return Ok(());
        }
        let next = found.changed(to.clone());
        let rows = self.tables.places.enter(job, to, next.change.unwrap_or(0), next.added());
        self.tables.cql.write_all(rows).await?;
        self.tables.queue.note(to.due().map(|due| (job.destination, due))).await
    }

    /// Removes what led to it before, and notes its state and attempt.
    async fn leave(&self, before: &Found, to: &Progress, attempt: Option<&Attempt>) -> Result<()> {
        let (job, was) = (&before.delivery.job, &before.delivery.progress);
        let now = before.changed(to.clone());
        let mut rows = Vec::new();
        if !is_where_it_was(was, to) {
            rows.extend(self.tables.places.leave(job, was, now.altered()));
        }
        if was.state != to.state {
            rows.push(self.tables.places.note_state(&now));
        }
        rows.extend(attempt.map(|attempt| self.tables.places.note_latest(job, attempt.at)));
        self.tables.cql.write_all(rows).await
    }

    /// Takes one delivery up again, or enters it.
    pub(super) async fn renew_one(&self, renewal: &Renewal) -> Result<bool> {
        let Renewal { job, from, to } = renewal;
        match from {
            Some(from) => match self.go_on(job.id, from, None, to).await {
                Err(StoreError::NotFound) => Ok(false),
                said => said,
            },
            None => self.enter(renewal).await,
        }
    }

    /// Takes the id by a conditional write, then writes the job. Of two who enter the same job one has the id; one who died
    /// in between is followed, a moment later, by whoever asks again.
    async fn enter(&self, renewal: &Renewal) -> Result<bool> {
        let Renewal { job, to, .. } = renewal;
        let (mut tries, mut begun) = (Tries::of("a delivery"), 0);
        loop {
            let once = async {
                match self.tables.deliveries.slot(job.id, true).await? {
                    Slot::Is(_) => Ok(Some(false)),
                    Slot::Begun(_) => {
                        begun += 1;
                        Ok((begun > PATIENCE).then_some(true))
                    }
                    Slot::Empty => {
                        let taken = self.tables.deliveries.advance(job.id, None, to, None, false).await?;
                        Ok(taken.then_some(true))
                    }
                }
            };
            if let Some(is_ours) = tries.settled(once.await).await? {
                if is_ours {
                    self.jobs.enter(job).await?;
                }
                return Ok(is_ours);
            }
        }
    }
}

/// Whether the rows that lead to a delivery are the same.
fn is_where_it_was(was: &Progress, to: &Progress) -> bool {
    (was.state, was.due()) == (to.state, to.due())
}

fn is_final(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Delivered | DeliveryState::Expired | DeliveryState::Skipped)
}
