//! A destination that was changed gets a new chance: what was parked for want of a token or
//! target is due again (ad-platforms 14, class "auth"); so is, at a start, what waited for the operator. A changed one
//! does not go on resting either.

use std::{collections::HashMap, time::Duration};

use sl_core::{
    delivery::{DeliveryState, Destination},
    ids::TeamId,
    retry::{waits_for_mending, waits_for_operator},
    time::Timestamp,
};
use sl_store::outbox::DeliveryFilter;

use tokio::time::MissedTickBehavior;

use crate::worker::Shared;

/// Read at once.
const PAGE: usize = 200;

/// How soon a changed destination is seen.
const LOOK: Duration = Duration::from_secs(1);

/// Looks for ever. Beside the worker's other work, since a million may have been parked.
pub(crate) async fn watch(shared: &Shared) {
    let (mut mending, mut look) = (Mending::default(), tokio::time::interval(LOOK));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if let Err(error) = mending.look(shared).await {
            tracing::error!(%error, "outbox: changed destinations could not be read; trying again");
        }
    }
}

/// When each destination was last changed, as far as has been acted on.
#[derive(Default)]
struct Mending {
    changed: HashMap<Destination, Timestamp>,
}

impl Mending {
    /// Looks for changed destinations. They are few, and the catalog has them in memory.
    async fn look(&mut self, shared: &Shared) -> sl_store::Result<()> {
        rouse(shared).await?;
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
            // A store that answers at once would keep everything else waiting.
            tokio::task::yield_now().await;
        }
        self.changed.insert(destination, changed_at);
        Ok(())
    }
}

/// Ends the rest of destinations that were changed since, or are gone.
async fn rouse(shared: &Shared) -> sl_store::Result<()> {
    let (catalog, outbox) = (&shared.store.catalog, &shared.store.outbox);
    for (destination, resting) in outbox.resting().await? {
        let newest = match destination {
            Destination::Pixel(id) => catalog.pixel(id).await?.map(|pixel| pixel.updated_at),
            Destination::Postback(id) => catalog.postback(id).await?.map(|row| row.updated_at),
        };
        if newest != Some(resting.version) {
            outbox.rest(destination, None).await?;
        }
    }
    Ok(())
}
