//! A clock that was set back: what waits for a time of before goes on waiting for as long as was left, and no longer.

use std::time::Duration;

use sl_core::{delivery::DeliveryState, ids::TeamId, time::Timestamp};
use sl_store::outbox::DeliveryFilter;

use crate::worker::Shared;

/// Read at once.
const PAGE: usize = 200;
/// Between two looks while the clock is not where it was.
const AGAIN: Duration = Duration::from_secs(5);

/// What was seen of the clock.
#[derive(Default)]
pub(crate) struct SetBack {
    last: Option<Timestamp>,
    /// Jobs dated by the clock of before may still come in until then.
    until: Option<Timestamp>,
    looked_at: Option<Timestamp>,
}

impl SetBack {
    /// Looks whether the clock was set back; at the first call whether it was since the last start.
    pub(crate) async fn look(&mut self, shared: &Shared) -> sl_store::Result<()> {
        let now = shared.clock.now();
        let before = self.last.replace(now);
        if let Some(before) = before.filter(|before| now.is_set_back_since(*before)) {
            tracing::warn!(by = ?before.since(now), "the clock was set back; deliveries wait as long as was left");
            self.until = self.until.max(Some(before));
        }
        let behind = self.until.is_some_and(|until| now < until);
        let rested = self.looked_at.is_none_or(|at| now.is_past(at, AGAIN));
        if before.is_none() || (behind && rested) {
            self.looked_at = Some(now);
            for team in shared.store.catalog.teams().await? {
                let ahead = set_right(shared, team.id, now).await?;
                self.until = self.until.max(ahead);
            }
        }
        Ok(())
    }
}

/// Dates anew what waits for a time of before; gives the latest of those times.
async fn set_right(shared: &Shared, team: TeamId, now: Timestamp) -> sl_store::Result<Option<Timestamp>> {
    let state = Some(DeliveryState::Waiting);
    let mut filter = DeliveryFilter { state, destination: None, limit: PAGE, after: None };
    let mut latest = None;
    loop {
        let page = shared.store.outbox.list(team, filter.clone()).await?;
        let Some(last) = page.last() else { return Ok(latest) };
        filter.after = Some(last.job.id);
        for delivery in &page {
            let Some(right) = delivery.progress.set_back(now) else { continue };
            latest = latest.max(Some(delivery.progress.updated_at));
            // Otherwise it was sent in this moment.
            shared.store.outbox.advance(delivery.job.id, &delivery.progress, None, right).await?;
        }
    }
}
