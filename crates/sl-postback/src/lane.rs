//! One destination's due jobs, in order of their time, a few requests at once.

use futures_util::{StreamExt, stream};
use sl_core::{
    batch::{self, QUEUE, goes_alone},
    breaker::Gate,
    delivery::{Delivery, DeliveryState, Destination, Progress},
    ids::DeliveryId,
    pace::Pace,
    retry::{self, Outcome, reason},
    time::Timestamp,
};
use tokio_util::sync::CancellationToken;

use crate::{
    attempt::{deliver, release_if_changed},
    order,
    target::{Target, Unusable, Why},
    worker::Shared,
};

/// Jobs read at once: as many as are no queue, and one more, which says that there is one.
const PAGE: usize = QUEUE + 1;
/// Jobs of a queue that are read at once. 0.7 KiB each without their requests, of which only those under way are in memory.
const LONG_PAGE: usize = 1_600;

/// Works until nothing of this destination is due.
pub(crate) async fn drain(
    shared: &Shared,
    destination: Destination,
    shutdown: &CancellationToken,
) -> sl_store::Result<()> {
    loop {
        let target = Target::load(&shared.store, destination, &shared.platforms, &shared.keys).await?;
        let now = shared.clock.now();
        let open = target.as_ref().map_or(Some(PAGE), |target| may_send(shared, destination, target, now));
        // What waits stays as it is: neither a rest nor a limit costs more with a longer queue.
        let Some(most) = open else { return Ok(()) };
        let mut due = shared.store.outbox.due(destination, now, PAGE).await?;
        if due.is_empty() || shutdown.is_cancelled() {
            return Ok(());
        }
        let target = match target {
            Ok(target) => target,
            Err(Unusable { why, version }) => {
                hold_all(shared, due, why, version).await?;
                continue;
            }
        };
        let width = shared.room.width(destination, shared.settings.per_destination);
        let width = match shared.breakers.gate(destination, target.version(), now, width) {
            Gate::Held(outcome) => {
                let why = if outcome == Outcome::Auth { reason::AUTH } else { reason::CONFIG };
                hold_all(shared, due, why.into(), target.version()).await?;
                continue;
            }
            Gate::RestingUntil(_) => return Ok(()),
            Gate::Open(width) => width,
        };
        // A shaky or unknown destination gets one probe; its answer decides over the rest.
        let together = if width == 1 { 1 } else { batch::size(due.len(), most, together(shared, &target)) };
        let most = if width == 1 { 1 } else { most };
        if together > 1 {
            due = shared.store.outbox.due(destination, now, LONG_PAGE).await?;
        }
        if target.in_order() {
            due.truncate(most.saturating_mul(together));
            order::send_all(shared, &target, due, (together, width), shutdown).await?;
        } else {
            let mut requests = batch::share(due, together, |delivery| goes_alone(&delivery.progress));
            requests.truncate(most);
            send_all(shared, &target, requests, width, shutdown).await?;
        }
    }
}

/// Most events in a request: the platform's rule, and the operator's.
fn together(shared: &Shared, target: &Target) -> usize {
    target.batching().map_or(1, |batching| batching.most.min(shared.settings.max_batch))
}

/// How many requests may go, when anything may be sent to the destination now, or held.
fn may_send(shared: &Shared, destination: Destination, target: &Target, now: Timestamp) -> Option<usize> {
    match shared.breakers.gate(destination, target.version(), now, 1) {
        Gate::RestingUntil(_) => None,
        Gate::Held(_) => Some(PAGE),
        Gate::Open(_) => {
            let most = shared.meters.allows(destination, pace(shared, target), now);
            (most > 0).then_some(most)
        }
    }
}

/// Our own limit for the destination.
pub(crate) fn pace(shared: &Shared, target: &Target) -> Option<Pace> {
    target.pace(shared.settings.pace)
}

/// Sends these, each list in one request.
pub(crate) async fn send_all(
    shared: &Shared,
    target: &Target,
    requests: Vec<Vec<Delivery>>,
    width: usize,
    shutdown: &CancellationToken,
) -> sl_store::Result<()> {
    let requests = stream::iter(requests).take_until(Box::pin(shutdown.cancelled()));
    let mut done = requests.map(|events| deliver(shared, target, events, shutdown)).buffer_unordered(width);
    let mut result = Ok(());
    while let Some(one) = done.next().await {
        result = result.and(one);
    }
    result
}

/// Parks what can't be sent until the destination, as it was at `version`, is changed.
pub(crate) async fn hold_all(
    shared: &Shared,
    due: Vec<Delivery>,
    why: Why,
    version: Timestamp,
) -> sl_store::Result<()> {
    for Delivery { job, progress } in due {
        let label = match job.destination {
            Destination::Pixel(_) => "pixel",
            Destination::Postback(_) => "postback",
        };
        finish(shared, label, &job.id, (progress, Some(version)), DeliveryState::Parked, why.clone()).await?;
        release_if_changed(shared, version, job.destination, job.id).await?;
    }
    Ok(())
}

/// Ends a delivery without an attempt; what was changed meanwhile is looked at again.
pub(crate) async fn finish(
    shared: &Shared,
    label: &'static str,
    id: &DeliveryId,
    (from, held_for): (Progress, Option<Timestamp>),
    state: DeliveryState,
    why: Why,
) -> sl_store::Result<()> {
    // What it was written for is wrong by what others were told.
    let refused = held_for.filter(|_| why.word == reason::CONFIG);
    let wrong_target = from.wrong_target.max(refused);
    let to = Progress { updated_at: shared.clock.now(), held_for, wrong_target, ..from.clone() };
    let mut to = retry::ended(to, state, Some(why.word));
    if !why.warnings.is_empty() {
        to.warnings = why.warnings.iter().map(ToString::to_string).collect();
    }
    if shared.store.outbox.advance(*id, &from, None, to).await? {
        metrics::counter!("smartlinks_deliveries_total", "destination" => label, "outcome" => state.as_str())
            .increment(1);
    }
    Ok(())
}
