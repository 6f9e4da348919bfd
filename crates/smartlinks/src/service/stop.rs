//! The way down, at most 15 s (decisions 14): unready; what was asked of the creator platform and of receivers is finished, while
//! visitors are still redirected; then no new visitors, unused pool links go back, attribution catches up with the journal,
//! everything is synced. Nothing new is delivered from the first moment on: what is under way has longer than everything else,
//! since what is not recorded is sent again.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

use super::{Service, Tasks};
use crate::failure::Failure;

// Of the 15 s in all, the stages have 8 s, 4 s each at most; then the store has 5 s to close, and the journal 2 s.
// Deliveries under way go on beside the stages, until 10.5 s after the beginning; what they use past 8 s the store lacks.

/// From the first moment to the end of the process (decisions 14). `deploy` kills it after 20 s.
const STOP: Duration = Duration::from_secs(15);
/// Longest time for one stage.
const STAGE: Duration = Duration::from_secs(4);
/// Longest time for all stages together, from the first moment.
pub(super) const ALL: Duration = Duration::from_secs(8);
/// Longest time for deliveries under way, from the first moment: a request's own 10 s, and its recording.
const DELIVERIES: Duration = sl_postback::LAST.saturating_add(Duration::from_millis(500));
/// Longest time to close the store: 15 - 8 - 2 s.
pub(super) const CLOSING: Duration = Duration::from_secs(5);
/// Kept for the journal's close, which comes last.
const JOURNAL: Duration = Duration::from_secs(2);

impl Service {
    /// Stops every role in order. What a stage does not manage in its time is found again at the next start.
    ///
    /// # Errors
    /// [`Failure::Run`] when the last sync fails.
    pub(crate) async fn shutdown(self) -> Result<(), Failure> {
        let Self { base, stops, tasks, control, mut attribution, .. } = self;
        let Tasks {
            edge,
            supply,
            mut creators,
            mut deliveries,
            helpers,
            attribution: attribution_tasks,
            forwarding,
            heartbeat,
        } = tasks;
        let begun = Instant::now();
        let end = begun + ALL;
        stops.unready.cancel();
        stops.creators.cancel();
        stops.deliveries.cancel();
        // Others may answer slowly, which is no reason to send visitors away. What takes longer goes on beside the stages.
        let outbound = all(creators.iter_mut().chain(&mut deliveries));
        let _ = tokio::time::timeout(STAGE, outbound).await;
        creators.retain(|task| !task.is_finished());
        deliveries.retain(|task| !task.is_finished());
        stops.edge.cancel();
        stops.supply.cancel();
        within(end, "redirects, returning pool links", all(edge.into_iter().chain(supply))).await;
        stops.helpers.cancel();
        within(end, "creator platform, API", all(creators.into_iter().chain(helpers))).await;
        let head = base.journal.status().head;
        if base.cluster().is_none() && !base.backing.must_be_reopened() {
            within(end, "attribution", attribution.wait_for(|progress| progress.position >= head)).await;
        }
        stops.attribution.cancel();
        within(end, "attribution's last sync", all(attribution_tasks)).await;
        // Last, so that it takes what the others wrote: ticks, subscribers, webhooks.
        stops.forwarding.cancel();
        within(end, "what the journal has still for Kafka", all(forwarding)).await;
        stops.heartbeat.cancel();
        within(end, "the last word to other processes", all(heartbeat)).await;
        until(begun + DELIVERIES, "deliveries", all(deliveries)).await;
        // Before the lock: the next process has a socket of its own.
        drop(control);
        let base_store = base.store;
        drop(base_store);
        // The journal is closed whatever the store says: it has what the store has not.
        let left = (begun + STOP - JOURNAL).saturating_duration_since(Instant::now());
        let stored = base.backing.close_within(left.min(CLOSING)).await;
        super::base::close(base.journal).await?;
        drop(base.lock);
        stored.map_err(|error| Failure::Run(format!("the store's last sync failed: {error}")))
    }
}

/// Waits for every task; how one ended was told already.
pub(super) async fn all<T>(tasks: impl IntoIterator<Item = impl Future<Output = T>>) {
    for task in tasks {
        let _ = task.await;
    }
}

/// Waits for a stage, but not for ever.
pub(super) async fn within<T>(end: Instant, what: &str, stage: impl Future<Output = T>) {
    until(end.min(Instant::now() + STAGE), what, stage).await;
}

/// Waits for a stage as long as that.
async fn until<T>(end: Instant, what: &str, stage: impl Future<Output = T>) {
    if tokio::time::timeout_at(end, stage).await.is_err() {
        tracing::warn!("{what}: not done in time; the next start goes on from what is on disk");
    }
}
