//! One destination's due jobs, in order of their time, a few at once.

use std::time::Instant;

use futures_util::{StreamExt, stream};
use sl_core::{
    breaker::Gate,
    delivery::{Attempt, Delivery, DeliveryState, Destination, Progress, RenderedRequest},
    ids::DeliveryId,
    lint::{Warning, word},
    pace::Pace,
    retry::{self, Outcome, reason},
    time::Timestamp,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    order,
    platform::{Skip, Verdict},
    platforms::CreatorTraffic,
    render::Rendered,
    target::{Target, Unusable},
    worker::Shared,
};

/// Jobs read at once.
const BATCH: usize = 64;

/// Works until nothing of this destination is due.
pub(crate) async fn drain(
    shared: &Shared,
    destination: Destination,
    shutdown: &CancellationToken,
) -> sl_store::Result<()> {
    loop {
        let target = Target::load(&shared.store, destination, &shared.platforms, &shared.keys).await?;
        let now = shared.clock.now();
        let open = target.as_ref().map_or(Some(BATCH), |target| may_send(shared, destination, target, now));
        // What waits stays as it is: neither a rest nor a limit costs more with a longer queue.
        let Some(most) = open else { return Ok(()) };
        let due = shared.store.outbox.due(destination, now, most).await?;
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
                hold_all(shared, due, why, target.version()).await?;
                continue;
            }
            Gate::RestingUntil(_) => return Ok(()),
            Gate::Open(width) => width,
        };
        // A shaky or unknown destination gets one probe; its answer decides over the rest.
        let most = if width == 1 { 1 } else { BATCH };
        let due = due.into_iter().take(most);
        if target.in_order() {
            order::send_all(shared, &target, due, width, shutdown).await?;
        } else {
            send_all(shared, &target, due, width, shutdown).await?;
        }
    }
}

/// How many jobs to read, when anything may be sent to the destination now, or held.
fn may_send(shared: &Shared, destination: Destination, target: &Target, now: Timestamp) -> Option<usize> {
    match shared.breakers.gate(destination, target.version(), now, 1) {
        Gate::RestingUntil(_) => None,
        Gate::Held(_) => Some(BATCH),
        Gate::Open(_) => {
            let most = shared.meters.allows(destination, pace(shared, target), now).min(BATCH);
            (most > 0).then_some(most)
        }
    }
}

/// Our own limit for the destination.
fn pace(shared: &Shared, target: &Target) -> Option<Pace> {
    target.pace().or(shared.settings.pace)
}

async fn send_all(
    shared: &Shared,
    target: &Target,
    due: impl IntoIterator<Item = Delivery>,
    width: usize,
    shutdown: &CancellationToken,
) -> sl_store::Result<()> {
    let due = stream::iter(due).take_until(Box::pin(shutdown.cancelled()));
    let mut done = due.map(|delivery| deliver(shared, target, delivery)).buffer_unordered(width);
    let mut result = Ok(());
    while let Some(one) = done.next().await {
        result = result.and(one);
    }
    result
}

/// One attempt of one delivery, with everything before and after it.
pub(crate) async fn deliver(shared: &Shared, target: &Target, delivery: Delivery) -> sl_store::Result<()> {
    let Delivery { job, progress } = delivery;
    let version = target.version();
    let _place = shared.room.enter(job.destination).await;
    if !matches!(shared.breakers.gate(job.destination, version, shared.clock.now(), 1), Gate::Open(_)) {
        // Answers to earlier ones of this batch closed the way; the next look decides what becomes of the rest.
        return Ok(());
    }
    let (limits, now) = (target.limits(), shared.clock.now());
    if retry::too_old(job.occurred_at, now, limits) {
        // Never sent: our own rule; sent before: the receiver's.
        let state = if progress.attempts == 0 { DeliveryState::Skipped } else { DeliveryState::Expired };
        return finish(shared, target.label(), &job.id, (progress, None), state, Skip::TOO_OLD.0).await;
    }
    let request = match shared.store.outbox.body(job.id).await? {
        Some(request) => request,
        None => match target.render(&shared.store, &job, &shared.settings.public_url, now).await? {
            Rendered::Request(request) => {
                count_warnings(target.label(), &request);
                shared.store.outbox.store_body(job.id, request).await?
            }
            Rendered::Skip(Skip(why)) => {
                let state = DeliveryState::Skipped;
                return finish(shared, target.label(), &job.id, (progress, None), state, why).await;
            }
            Rendered::Gone(what) => {
                tracing::warn!(delivery = %job.id, what, "outbox: a row that this delivery tells of is gone");
                let state = DeliveryState::Expired;
                return finish(shared, target.label(), &job.id, (progress, None), state, "row_gone").await;
            }
        },
    };
    if !shared.meters.take(job.destination, pace(shared, target), shared.clock.now()) {
        // Others of this batch were as many as may go now.
        return Ok(());
    }
    let lint = request.lint.clone();
    let (attempt, outcome) = attempt(shared, target, request, job.occurred_at).await;
    shared.room.note(job.destination, attempt.status.is_some());
    if let Some(resting) = shared.breakers.record(job.destination, version, outcome, shared.clock.now()) {
        // The breaker rests all the same; what the answer means for this delivery must not be lost over it.
        if let Err(error) = shared.store.outbox.rest(job.destination, Some(resting)).await {
            tracing::error!(destination = %job.destination, %error, "outbox: a rest could not be written down");
        }
    }
    metrics::counter!("smartlinks_deliveries_total", "destination" => target.label(), "outcome" => outcome.as_str())
        .increment(1);
    let mut from = progress;
    loop {
        let chance = (shared.chance)();
        let mut next = retry::after(&from, attempt.clone(), outcome, job.occurred_at, limits, chance);
        next.notice(&lint);
        let held = next.reason.as_deref().is_some_and(retry::waits_for_mending);
        next.held_for = held.then_some(version);
        if shared.store.outbox.advance(job.id, &from, Some(attempt.clone()), next).await? {
            return if held {
                release_if_changed(shared, version, job.destination, job.id).await
            } else {
                Ok(())
            };
        }
        // Somebody asked for it while it was under way: this was the attempt.
        let Some(changed) = shared.store.outbox.delivery(job.team, job.id).await? else { return Ok(()) };
        from = changed.progress;
    }
}

fn count_warnings(label: &'static str, request: &RenderedRequest) {
    for warning in &request.lint.warnings {
        metrics::counter!("smartlinks_delivery_warnings_total", "destination" => label, "warning" => warning.word.clone())
            .increment(1);
    }
}

/// A delivery was parked for want of a good token or target, as the destination was at `version`. If it was changed
/// meanwhile, that was the old one's: the delivery is due again.
async fn release_if_changed(
    shared: &Shared,
    version: Timestamp,
    destination: Destination,
    id: DeliveryId,
) -> sl_store::Result<()> {
    let catalog = &shared.store.catalog;
    let (team, newest) = match destination {
        Destination::Pixel(id) => catalog.pixel(id).await?.map(|pixel| (pixel.team, pixel.updated_at)),
        Destination::Postback(id) => catalog.postback(id).await?.map(|row| (row.team, row.updated_at)),
    }
    .unzip();
    let (Some(team), true) = (team, newest.is_some_and(|newest| newest > version)) else {
        return Ok(());
    };
    if let Some(delivery) = shared.store.outbox.delivery(team, id).await? {
        let again = delivery.progress.replayed(shared.clock.now());
        // When somebody else changed it in this moment, they had read of the change.
        shared.store.outbox.advance(id, &delivery.progress, None, again).await?;
    }
    Ok(())
}

/// Sends the request once.
async fn attempt(
    shared: &Shared,
    target: &Target,
    request: RenderedRequest,
    occurred_at: Timestamp,
) -> (Attempt, Outcome) {
    let request = target.authorise(request);
    // It is never closed; were it, sending without a permit would only be less fair.
    let _permit = shared.permits.acquire().await.ok();
    let (at, began) = (shared.clock.now(), Instant::now());
    let span = tracing::trace_span!(target: "otel", "delivery.attempt", destination = target.label());
    let answer = shared.sender.send(&request, target.origin()).instrument(span).await;
    let millis = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
    let attempt = Attempt { at, millis, status: None, error_type: None, message: None };
    match answer {
        Ok(answer) => {
            let Verdict { outcome, words } = target.verdict(&answer, at.since(occurred_at));
            let error_type = (outcome != Outcome::Delivered).then(|| "http".to_owned());
            (Attempt { status: Some(answer.status), error_type, message: words, ..attempt }, outcome)
        }
        Err(none) => {
            let error_type = Some(none.kind.to_owned());
            (Attempt { error_type, message: Some(none.words), ..attempt }, none.outcome)
        }
    }
}

/// Parks what can't be sent until the destination, as it was at `version`, is changed.
async fn hold_all(
    shared: &Shared,
    due: Vec<Delivery>,
    why: &str,
    version: Timestamp,
) -> sl_store::Result<()> {
    for Delivery { job, progress } in due {
        let label = match job.destination {
            Destination::Pixel(_) => "pixel",
            Destination::Postback(_) => "postback",
        };
        finish(shared, label, &job.id, (progress, Some(version)), DeliveryState::Parked, why).await?;
        release_if_changed(shared, version, job.destination, job.id).await?;
    }
    Ok(())
}

/// Ends a delivery without an attempt; what was changed meanwhile is looked at again.
async fn finish(
    shared: &Shared,
    label: &'static str,
    id: &DeliveryId,
    (from, held_for): (Progress, Option<Timestamp>),
    state: DeliveryState,
    why: &str,
) -> sl_store::Result<()> {
    let to = Progress { updated_at: shared.clock.now(), held_for, ..from.clone() };
    let mut to = retry::ended(to, state, Some(why));
    if why == reason::ADDRESS_MISSING {
        to.warnings = vec![Warning::new(word::ADDRESS_MISSING, CreatorTraffic::NO_ADDRESS).to_string()];
    }
    if shared.store.outbox.advance(*id, &from, None, to).await? {
        metrics::counter!("smartlinks_deliveries_total", "destination" => label, "outcome" => state.as_str())
            .increment(1);
    }
    Ok(())
}
