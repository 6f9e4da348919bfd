//! One request to a destination: written, sent, its answer read and recorded with each of its events.

use std::time::{Duration, Instant};

use sl_core::{
    batch,
    breaker::Gate,
    delivery::{Attempt, Delivery, DeliveryState, Destination, Progress, RenderedRequest},
    ids::DeliveryId,
    platforms::Verdict,
    retry::{self, Outcome},
    time::Timestamp,
};
use sl_store::{Store, outbox::Change};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    again::again,
    batch::{alike, join},
    lane::pace,
    sender::NoAnswer,
    target::Target,
    worker::Shared,
    written::{Written, write},
};

/// Longest time for what is under way when the worker is told to stop: the usual time-out of a request. What has no answer by then is
/// recorded as one without.
pub const LAST: Duration = Duration::from_secs(10);

/// One attempt of each of these deliveries of one destination, in one request if they can be in one. Nothing new is sent from
/// `shutdown` on.
pub(crate) async fn deliver(
    shared: &Shared,
    target: &Target,
    deliveries: Vec<Delivery>,
    shutdown: &CancellationToken,
) -> sl_store::Result<()> {
    let Some((team, destination)) =
        deliveries.first().map(|delivery| (delivery.job.team, delivery.job.destination))
    else {
        return Ok(());
    };
    let mut place = None;
    // It bounds the requests in memory, too.
    let _turn = loop {
        place = match place {
            None => shared.room.enter(team, destination).await,
            place => place,
        };
        let turn = shared.turns.take(team).await;
        // Others may have learnt meanwhile that it does not answer soon.
        if place.is_some() || !shared.room.is_slow(destination) {
            break turn;
        }
    };
    let Some(_sending) = shared.store.outbox.sending(destination) else {
        // Another worker has it by now, or the store would not take what comes of it.
        return Ok(());
    };
    if !matches!(shared.breakers.gate(destination, target.version(), shared.clock.now(), 1), Gate::Open(_)) {
        // Answers to earlier ones closed the way; the next look decides what becomes of the rest.
        return Ok(());
    }
    let written = write(shared, target, deliveries).await?;
    for together in alike(written, target.batching(), |written| &written.request) {
        // The turn may have been long in coming.
        if shutdown.is_cancelled() {
            break;
        }
        send(shared, target, destination, together, shutdown).await?;
    }
    Ok(())
}

/// Sends one request, if our own limit lets it, and records what came of it.
async fn send(
    shared: &Shared,
    target: &Target,
    destination: Destination,
    events: Vec<Written>,
    shutdown: &CancellationToken,
) -> sl_store::Result<()> {
    let Some(first) = events.first() else { return Ok(()) };
    if !shared.meters.take(destination, pace(shared, target), shared.clock.now()) {
        // Others were as many as may go now.
        return Ok(());
    }
    let request = match target.batching().filter(|_| events.len() > 1) {
        None => first.request.clone(),
        Some(batching) => {
            let requests: Vec<_> = events.iter().map(|event| event.request.clone()).collect();
            // `alike` puts only those together that can be joined.
            let Some(request) = join(&requests, batching) else { return Ok(()) };
            request
        }
    };
    let sent = (request, events.len(), first.job.occurred_at);
    let (attempt, outcome) = attempt(shared, target, sent, shutdown).await;
    let is_of_before = events.iter().all(|event| is_of_before(event, target));
    // What is there now was not asked, when nobody was.
    if !(is_of_before && outcome == Outcome::Retry && attempt.has_no_answer()) {
        note(shared, target, destination, (&attempt, outcome), (events.len(), is_of_before)).await;
    }
    record(shared, target, destination, events, (attempt, outcome), shutdown).await
}

/// What the attempt says of the destination as a whole.
async fn note(
    shared: &Shared,
    target: &Target,
    destination: Destination,
    (attempt, outcome): (&Attempt, Outcome),
    (events, is_of_before): (usize, bool),
) {
    let took = Duration::from_millis(attempt.millis.into());
    shared.room.note(destination, attempt.status.map(|_| took));
    let now = shared.clock.now();
    // Whatever it says about one of several, it is there.
    let of_all = match outcome {
        Outcome::Unclear if events > 1 => Outcome::Payload,
        Outcome::Auth | Outcome::Config if is_of_before => Outcome::Payload,
        outcome => outcome,
    };
    if let Some(resting) = shared.breakers.record(destination, target.version(), of_all, now) {
        // The breaker rests all the same; what the answer means for this delivery must not be lost over it.
        if let Err(error) = shared.store.outbox.rest(destination, Some(resting)).await {
            tracing::error!(%destination, %error, "outbox: a rest could not be written down");
        }
    }
}

/// Records the attempt with each of its events. As long as the store takes nothing the answer is kept, and so is the leave to send: what
/// is not recorded would be sent again.
async fn record(
    shared: &Shared,
    target: &Target,
    destination: Destination,
    mut events: Vec<Written>,
    (attempt, outcome): (Attempt, Outcome),
    shutdown: &CancellationToken,
) -> sl_store::Result<()> {
    let Store { outbox, deliveries, .. } = &shared.store;
    let of_each = if events.len() == 1 { Some(outcome) } else { batch::of_each(outcome) };
    let label = target.label();
    if events.len() > 1 {
        let outcome = of_each.map_or("apart", Outcome::as_str);
        metrics::counter!("smartlinks_delivery_batches_total", "destination" => label, "outcome" => outcome)
            .increment(1);
    }
    if let Some(outcome) = of_each {
        metrics::counter!("smartlinks_deliveries_total", "destination" => label, "outcome" => outcome.as_str())
            .increment(events.len() as u64);
    }
    let mut held = Vec::new();
    while !events.is_empty() {
        let changes: Vec<Change> = events
            .iter()
            .map(|event| {
                let to = next(shared, target, event, &attempt, (outcome, of_each));
                let (id, from) = (event.job.id, event.progress.clone());
                Change { id, from, attempt: to.last.clone(), to }
            })
            .collect();
        let went = match again(shutdown, || outbox.advance_all(changes.clone())).await {
            Ok(went) => went,
            Err(error) => {
                if error.is_temporary() {
                    shared.unrecorded.keep(changes);
                }
                return Err(error);
            }
        };
        let mut changed = Vec::new();
        for ((mut event, went), change) in events.into_iter().zip(went).zip(changes) {
            let (team, id) = (event.job.team, event.job.id);
            let now = if went { None } else { again(shutdown, || deliveries.delivery(team, id)).await? };
            match now {
                // Somebody asked for it while it was under way: this was the attempt.
                Some(Delivery { progress, .. }) if progress != change.to => {
                    event.progress = progress;
                    changed.push(event);
                }
                // A call that failed may have recorded some.
                now => held.extend(((went || now.is_some()) && is_held(&change.to)).then_some(id)),
            }
        }
        events = changed;
    }
    for id in held {
        again(shutdown, || release_if_changed(shared, target.version(), destination, id)).await?;
    }
    Ok(())
}

/// The progress of one event after the attempt.
fn next(
    shared: &Shared,
    target: &Target,
    event: &Written,
    attempt: &Attempt,
    (outcome, of_each): (Outcome, Option<Outcome>),
) -> Progress {
    let Written { job, progress, request } = event;
    let (attempt, at) = (attempt.clone(), attempt.at);
    let mut next = match of_each {
        None => retry::apart(progress, attempt, outcome),
        Some(outcome) => {
            let chance = (shared.chance)();
            retry::after(progress, attempt, outcome, job.occurred_at, target.limits(), chance)
        }
    };
    next.notice(&request.lint);
    next.learn(outcome, request.written_for);
    let is_surely_not_taken = match outcome {
        Outcome::Auth | Outcome::Config | Outcome::Payload => true,
        Outcome::Retry => next.last.as_ref().is_some_and(Attempt::has_no_answer),
        _ => false,
    };
    if is_surely_not_taken && is_of_before(event, target) {
        // What is there now has not refused anything: it is written for that, and goes at once.
        let again = next.replayed(at);
        return Progress { wrong_target: again.wrong_target.max(Some(request.written_for)), ..again };
    }
    if is_held(&next) {
        next.held_for = Some(target.version());
    }
    next
}

/// Written for the destination as it was earlier, and can be written for this one: that it was refused, or reached nobody, says nothing of
/// this one.
fn is_of_before(event: &Written, target: &Target) -> bool {
    target.is_another_than_of(&event.request) && event.progress.ambiguous_since.is_none()
}

/// Whether it waits until its destination is changed.
fn is_held(progress: &Progress) -> bool {
    progress.state == DeliveryState::Parked
        && progress.reason.as_deref().is_some_and(retry::waits_for_mending)
}

/// A delivery was parked for want of a good token or target, as the destination was at `version`. If it was changed
/// meanwhile, that was the old one's: the delivery is due again.
pub(crate) async fn release_if_changed(
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
    if let Some(delivery) = shared.store.deliveries.delivery(team, id).await? {
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
    (request, events, occurred_at): (RenderedRequest, usize, Timestamp),
    shutdown: &CancellationToken,
) -> (Attempt, Outcome) {
    let request = target.authorise(request);
    let (at, began) = (shared.clock.now(), Instant::now());
    let span = tracing::trace_span!(target: "otel", "delivery.attempt", destination = target.label(), events);
    let answer = tokio::select! {
        answer = shared.sender.send(&request, target.origin()).instrument(span) => answer,
        () = last_moment(shutdown) => Err(NoAnswer {
            kind: "timeout",
            words: "no answer before the service stopped".to_owned(),
            outcome: Outcome::Ambiguous,
        }),
    };
    let millis = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
    let attempt = Attempt { at, millis, status: None, error_type: None, message: None };
    let (mut attempt, outcome) = match answer {
        Ok(answer) => {
            let Verdict { outcome, words } = target.verdict(&answer, events, at.since(occurred_at));
            // Half of what may have been a confirmation.
            let broken = outcome == Outcome::Retry && !answer.whole && (200..300).contains(&answer.status);
            let outcome = if broken { Outcome::Ambiguous } else { outcome };
            let error_type = (outcome != Outcome::Delivered).then(|| "http".to_owned());
            (Attempt { status: Some(answer.status), error_type, message: words, ..attempt }, outcome)
        }
        Err(none) => {
            let error_type = Some(none.kind.to_owned());
            (Attempt { error_type, message: Some(none.words), ..attempt }, none.outcome)
        }
    };
    if events > 1 {
        let words = attempt.message.unwrap_or_default();
        attempt.message = Some(format!("one of {events} events of a request: {words}"));
    }
    (attempt, outcome)
}

async fn last_moment(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(LAST).await;
}
