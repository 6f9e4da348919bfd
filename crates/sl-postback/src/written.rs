//! Requests, written once and stored before they are first sent.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use sl_core::{
    delivery::{Delivery, DeliveryState, Job, Progress, RenderedRequest},
    lint::Warning,
    platforms::Skip,
    retry,
    time::Timestamp,
};

use crate::{
    lane::finish,
    render::Rendered,
    target::{Target, Why},
    worker::Shared,
};

/// Requests written at once: each reads a few rows.
const WRITTEN_AT_ONCE: usize = 16;

/// What lies no further ahead than clocks differ (subscribers may by five minutes, decisions 22) waits until it has happened; what lies
/// further is told as it is, so that the platform's refusal is seen.
const SOON: Duration = Duration::from_secs(600);

/// A delivery with its request.
pub(crate) struct Written {
    pub(crate) job: Job,
    pub(crate) progress: Progress,
    pub(crate) request: RenderedRequest,
}

/// The requests of those that are to be sent, as they were or will be stored; the others come to their end here, or are put off. One
/// that was surely not taken is written anew when another target is there now.
pub(crate) async fn write(
    shared: &Shared,
    target: &Target,
    deliveries: Vec<Delivery>,
) -> sl_store::Result<Vec<Written>> {
    let outbox = &shared.store.outbox;
    let stored = outbox.bodies(deliveries.iter().map(|delivery| delivery.job.id).collect()).await?;
    let now = shared.clock.now();
    let read = stream::iter(deliveries.into_iter().zip(stored));
    let each = read.map(|(delivery, stored)| async move {
        let is_new = stored.is_none();
        sl_store::Result::Ok((is_new, write_one(shared, target, delivery, stored, now).await?))
    });
    let each: Vec<(bool, Option<Written>)> = each.buffered(WRITTEN_AT_ONCE).try_collect().await?;
    let (mut written, mut new) = (Vec::with_capacity(each.len()), Vec::new());
    for (is_new, one) in each {
        let Some(one) = one else { continue };
        if is_new {
            new.push((written.len(), one.job.id, one.request.clone()));
        }
        written.push(one);
    }
    if !new.is_empty() {
        let bodies = new.iter().map(|(_, id, request)| (*id, request.clone())).collect();
        for ((nth, ..), first) in new.iter().zip(outbox.store_bodies(bodies).await?) {
            // Somebody else may have been first.
            if let Some(one) = written.get_mut(*nth) {
                one.request = first;
            }
        }
    }
    Ok(written)
}

async fn write_one(
    shared: &Shared,
    target: &Target,
    delivery: Delivery,
    stored: Option<RenderedRequest>,
    now: Timestamp,
) -> sl_store::Result<Option<Written>> {
    let Delivery { job, progress } = delivery;
    if target.refuses_the_future() && job.occurred_at > now && job.occurred_at.since(now) <= SOON {
        let to = Progress { next_attempt_at: Some(job.occurred_at), updated_at: now, ..progress.clone() };
        shared.store.outbox.advance(job.id, &progress, None, to).await?;
        return Ok(None);
    }
    let ends = |state, word| finish(shared, target.label(), &job.id, (progress.clone(), None), state, word);
    if retry::too_old(job.occurred_at, now, target.limits()) {
        // Never sent: our own rule; sent before: the receiver's.
        let was_sent = progress.last.is_some();
        let state = if was_sent { DeliveryState::Expired } else { DeliveryState::Skipped };
        ends(state, Skip::TOO_OLD.0.into()).await?;
        return Ok(None);
    }
    if retry::may_count_twice(&progress, now, target.limits()) {
        ends(DeliveryState::Parked, retry::reason::AMBIGUOUS.into()).await?;
        return Ok(None);
    }
    match stored {
        Some(request)
            if !(target.is_another_than_of(&request)
                && progress.may_be_written_anew(request.written_for)) =>
        {
            Ok(Some(Written { job, progress, request }))
        }
        stored => render(shared, target, Delivery { job, progress }, stored, now).await,
    }
}

/// Writes the request: for the first time, or for another target than the stored one names.
async fn render(
    shared: &Shared,
    target: &Target,
    Delivery { job, progress }: Delivery,
    stored: Option<RenderedRequest>,
    now: Timestamp,
) -> sl_store::Result<Option<Written>> {
    let (state, why): (_, Why) =
        match target.render(&shared.store, &job, &shared.settings.public_url, now).await? {
            Rendered::Request(request) => {
                count_warnings(target.label(), &request.lint.warnings);
                let request = RenderedRequest { written_for: target.version(), ..request };
                let may_have_it = progress.ambiguous_since.is_some();
                match stored {
                    None => return Ok(Some(Written { job, progress, request })),
                    // Its first target may have it, and another would count it once more.
                    Some(old) if may_have_it && old.url != request.url => {
                        (DeliveryState::Parked, retry::reason::AMBIGUOUS.into())
                    }
                    // The same one may have it: with the same bytes it counts once.
                    Some(request) if may_have_it => return Ok(Some(Written { job, progress, request })),
                    Some(old) => {
                        let is_stored = shared.store.outbox.rewrite(job.id, old, request.clone()).await?;
                        // Where somebody else was first, the next look sees what they wrote.
                        return Ok(is_stored.then_some(Written { job, progress, request }));
                    }
                }
            }
            Rendered::Skip(Skip(word), warnings) => {
                count_warnings(target.label(), &warnings);
                (DeliveryState::Skipped, Why { word, warnings })
            }
            Rendered::Gone(what) => {
                tracing::warn!(delivery = %job.id, what, "outbox: a row that this delivery tells of is gone");
                (DeliveryState::Expired, "row_gone".into())
            }
        };
    finish(shared, target.label(), &job.id, (progress, None), state, why).await?;
    Ok(None)
}

fn count_warnings(label: &'static str, warnings: &[Warning]) {
    for warning in warnings {
        metrics::counter!("smartlinks_delivery_warnings_total", "destination" => label, "warning" => warning.word.clone())
            .increment(1);
    }
}
