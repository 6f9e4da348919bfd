//! A destination that was changed gets a new chance: what was parked for want of a token or
//! target is due again (ad-platforms 14, class "auth"); so is, at a start, what waited for the operator.

use std::collections::HashMap;

use sl_core::{
    delivery::{DeliveryState, Destination},
    ids::TeamId,
    retry::{waits_for_mending, waits_for_operator},
    time::Timestamp,
};
use sl_store::outbox::DeliveryFilter;

use crate::worker::Shared;

/// Read at once.
const PAGE: usize = 200;

/// When each destination was last changed, as far as has been acted on.
#[derive(Default)]
pub(crate) struct Mending {
    changed: HashMap<Destination, Timestamp>,
}

impl Mending {
    /// Looks for changed destinations. They are few, and the catalog has them in memory.
    pub(crate) async fn look(&mut self, shared: &Shared) -> sl_store::Result<()> {
        for team in shared.store.catalog.teams().await? {
            for pixel in shared.store.catalog.pixels(team.id).await? {
                let platform = shared.platforms.get(pixel.platform);
                let ready = platform.is_some_and(|platform| platform.unready().is_none());
                self.mend(shared, team.id, Destination::Pixel(pixel.id), pixel.updated_at, ready).await?;
            }
            for postback in shared.store.catalog.postbacks(team.id).await? {
                self.mend(shared, team.id, Destination::Postback(postback.id), postback.updated_at, true)
                    .await?;
            }
        }
        Ok(())
    }

    async fn mend(
        &mut self,
        shared: &Shared,
        team: TeamId,
        destination: Destination,
        changed_at: Timestamp,
        ready: bool,
    ) -> sl_store::Result<()> {
        if self.changed.get(&destination) == Some(&changed_at) {
            return Ok(());
        }
        let mut filter = DeliveryFilter {
            state: Some(DeliveryState::Parked),
            destination: Some(destination),
            limit: PAGE,
            after: None,
        };
        loop {
            let page = shared.store.outbox.list(team, filter.clone()).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.job.id);
            for delivery in &page {
                let reason = delivery.progress.reason.as_deref().unwrap_or_default();
                // By versions, not by times: the clock may have been set back. What is parked later by an attempt that
                // began before is seen by its lane.
                let is_older = delivery.progress.held_for.is_none_or(|version| version < changed_at);
                let mended = waits_for_mending(reason) && is_older;
                // Each start may have brought the platform, or its address.
                if mended || (ready && waits_for_operator(reason)) {
                    let again = delivery.progress.replayed(shared.clock.now());
                    // Otherwise it is no longer parked.
                    shared.store.outbox.advance(delivery.job.id, &delivery.progress, None, again).await?;
                }
            }
        }
        self.changed.insert(destination, changed_at);
        Ok(())
    }
}
