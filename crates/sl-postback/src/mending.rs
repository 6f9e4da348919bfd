//! A destination that was changed gets a new chance: what was parked for want of a token or
//! target is due again (ad-platforms 14, class "auth"); so is, at a start, what the operator may have mended. A changed one
//! does not go on resting either. What waits for one that was deleted is parked.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use sl_core::{
    delivery::{Delivery, DeliveryState, Destination, Progress},
    ids::TeamId,
    retry::{may_be_mended_by_a_start, waits_for_mending, waits_for_operator},
    time::Timestamp,
};
use sl_store::outbox::DeliveryFilter;

use tokio::time::{Instant, MissedTickBehavior};

use crate::{gone, worker::Shared};

/// Read at once.
const PAGE: usize = 200;

/// How soon a changed destination is seen.
const LOOK: Duration = Duration::from_secs(1);
/// How soon what waits for a deleted destination is seen where the deletion itself was not: it was made before the start, another worker
/// had the destination then, or an attempt was under way.
const SWEEP: Duration = Duration::from_secs(60);

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
    /// When everything that waits for deleted destinations was last parked.
    swept: Option<Instant>,
}

impl Mending {
    /// Looks for changed destinations. They are few, and the catalog has them in memory.
    async fn look(&mut self, shared: &Shared) -> sl_store::Result<()> {
        rouse(shared).await?;
        let mut there = HashSet::new();
        for team in shared.store.catalog.teams().await? {
            let mut changed = HashMap::new();
            for pixel in shared.store.catalog.pixels(team.id).await? {
                there.insert(Destination::Pixel(pixel.id));
                let platform = shared.platforms.get(pixel.platform);
                let ready = platform.is_some_and(|platform| platform.unready().is_none());
                changed.extend(self.change(Destination::Pixel(pixel.id), pixel.updated_at, ready));
            }
            for postback in shared.store.catalog.postbacks(team.id).await? {
                there.insert(Destination::Postback(postback.id));
                changed.extend(self.change(Destination::Postback(postback.id), postback.updated_at, true));
            }
            if !changed.is_empty() {
                release(shared, team.id, &changed).await?;
                self.changed
                    .extend(changed.into_iter().map(|(destination, change)| (destination, change.at)));
            }
        }
        let is_one_gone = self.changed.keys().any(|known| !there.contains(known));
        if is_one_gone || self.swept.is_none_or(|at| at.elapsed() >= SWEEP) {
            gone::park(shared, &there).await?;
            self.changed.retain(|known, _| there.contains(known));
            self.swept = Some(Instant::now());
        }
        Ok(())
    }

    /// The change of a destination, unless it was acted on already.
    fn change(&self, destination: Destination, at: Timestamp, ready: bool) -> Option<(Destination, Change)> {
        let before = self.changed.get(&destination);
        let by_operator = before.is_none() && matches!(destination, Destination::Pixel(_));
        (before != Some(&at)).then_some((destination, Change { at, ready, by_operator }))
    }
}

/// A destination that may have been mended.
struct Change {
    at: Timestamp,
    /// The destination can be sent to.
    ready: bool,
    /// Since the start nobody has looked, and each start may have brought the platform, its address, or the right keys.
    by_operator: bool,
}

impl Change {
    /// Whether what is parked may go on.
    fn mends(&self, progress: &Progress) -> bool {
        let reason = progress.reason.as_deref().unwrap_or_default();
        // By versions, not by times: the clock may have been set back. What is parked later by an attempt that
        // began before is seen by its lane.
        let is_older = progress.held_for.is_none_or(|version| version < self.at);
        let is_mended = waits_for_mending(reason) && is_older;
        let by_operator = self.by_operator && may_be_mended_by_a_start(reason);
        is_mended || (self.ready && (by_operator || waits_for_operator(reason)))
    }
}

/// Releases what is parked and may go on. Everything parked of a team is one list, which is read once, whoever was changed.
async fn release(
    shared: &Shared,
    team: TeamId,
    changed: &HashMap<Destination, Change>,
) -> sl_store::Result<()> {
    let only = changed.keys().next().copied().filter(|_| changed.len() == 1);
    let state = Some(DeliveryState::Parked);
    let mut filter = DeliveryFilter { state, destination: only, limit: PAGE, after: None };
    loop {
        let page = shared.store.deliveries.list(team, filter.clone()).await?;
        let Some(last) = page.last() else { return Ok(()) };
        filter.after = Some(last.job.id);
        for Delivery { job, progress } in &page {
            if changed.get(&job.destination).is_some_and(|change| change.mends(progress)) {
                let again = progress.replayed(shared.clock.now());
                // Otherwise it is no longer parked.
                shared.store.outbox.advance(job.id, progress, None, again).await?;
            }
        }
        // A store that answers at once would keep everything else waiting.
        tokio::task::yield_now().await;
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
