//! Requests, written once and stored before they are first sent.

use futures_util::{StreamExt, TryStreamExt, stream};
use sl_core::{
    delivery::{Delivery, DeliveryState, Job, Progress, RenderedRequest},
    lint::Warning,
    platforms::Skip,
    retry,
    time::Timestamp,
};
use sl_store::outbox::Change;

use crate::{
    lane::finish,
    render::Rendered,
    target::{Target, Why},
    worker::Shared,
};

/// Requests written at once: each reads a few rows.
const WRITTEN_AT_ONCE: usize = 16;

/// A delivery with its request.
pub(crate) struct Written {
    pub(crate) job: Job,
    pub(crate) progress: Progress,
    pub(crate) request: RenderedRequest,
}

/// Whether a request is on disk.
enum Kept {
    Yes,
    No,
    /// This one is, whose target was wrong.
    Another(RenderedRequest),
}

/// The requests of those that are to be sent, as they were or will be stored; the others come to their end here, or are put off. One
/// whose target was wrong is written anew for the target that is there now.
pub(crate) async fn write(
    shared: &Shared,
    target: &Target,
    deliveries: Vec<Delivery>,
) -> sl_store::Result<Vec<Written>> {
    let outbox = &shared.store.outbox;
    let stored = outbox.bodies(deliveries.iter().map(|delivery| delivery.job.id).collect()).await?;
    let now = shared.clock.now();
    let read = stream::iter(deliveries.into_iter().zip(stored));
    let each = read.map(|(delivery, stored)| write_one(shared, target, delivery, stored, now));
    let each: Vec<Option<(Written, Kept)>> = each.buffered(WRITTEN_AT_ONCE).try_collect().await?;
    let (mut written, mut new, mut is_anew) = (Vec::with_capacity(each.len()), Vec::new(), Vec::new());
    for (one, kept) in each.into_iter().flatten() {
        is_anew.push(!matches!(kept, Kept::Yes));
        match kept {
            Kept::Yes => {}
            Kept::No => new.push((written.len(), one.job.id, one.request.clone())),
            Kept::Another(old) => {
                if !outbox.replace_body(one.job.id, &old, one.request.clone()).await? {
                    // Somebody else was first; the next look sees what they made of it.
                    is_anew.pop();
                    continue;
                }
            }
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
    let (anew, as_it_was): (Vec<_>, Vec<_>) =
        written.into_iter().zip(is_anew).partition(|(_, is_anew)| *is_anew);
    let anew = no_longer_held(shared, anew.into_iter().map(|(one, _)| one).collect()).await?;
    Ok(as_it_was.into_iter().map(|(one, _)| one).chain(anew).collect())
}

/// A request that was written for the target as it is stays what it is from now on, whatever becomes of either.
async fn no_longer_held(shared: &Shared, mut written: Vec<Written>) -> sl_store::Result<Vec<Written>> {
    let held = written.iter().filter(|one| one.progress.held_for.is_some());
    let changes: Vec<Change> = held
        .map(|Written { job, progress, .. }| Change {
            id: job.id,
            from: progress.clone(),
            attempt: None,
            to: Progress { held_for: None, ..progress.clone() },
        })
        .collect();
    if changes.is_empty() {
        return Ok(written);
    }
    let mut went = shared.store.outbox.advance_all(changes).await?.into_iter();
    // Of one that somebody else changed the next look sees what they made of it.
    written.retain_mut(|one| one.progress.held_for.take().is_none() || went.next() == Some(true));
    Ok(written)
}

async fn write_one(
    shared: &Shared,
    target: &Target,
    delivery: Delivery,
    stored: Option<RenderedRequest>,
    now: Timestamp,
) -> sl_store::Result<Option<(Written, Kept)>> {
    let Delivery { job, progress } = delivery;
    if target.refuses_the_future() && job.occurred_at > now {
        let to = Progress { next_attempt_at: Some(job.occurred_at), updated_at: now, ..progress.clone() };
        shared.store.outbox.advance(job.id, &progress, None, to).await?;
        return Ok(None);
    }
    let is_for_another = progress.has_another_target(target.version());
    let (state, why): (_, Why) = if retry::too_old(job.occurred_at, now, target.limits()) {
        // Never sent: our own rule; sent before: the receiver's.
        let state = if progress.attempts == 0 { DeliveryState::Skipped } else { DeliveryState::Expired };
        (state, Skip::TOO_OLD.0.into())
    } else if retry::may_count_twice(&progress, now, target.limits()) {
        (DeliveryState::Parked, retry::reason::AMBIGUOUS.into())
    } else if let Some(request) = stored.clone().filter(|_| !is_for_another) {
        return Ok(Some((Written { job, progress, request }, Kept::Yes)));
    } else {
        match target.render(&shared.store, &job, &shared.settings.public_url, now).await? {
            Rendered::Request(request) => {
                count_warnings(target.label(), &request.lint.warnings);
                let kept = stored.map_or(Kept::No, Kept::Another);
                return Ok(Some((Written { job, progress, request }, kept)));
            }
            Rendered::Skip(Skip(word), warnings) => {
                count_warnings(target.label(), &warnings);
                (DeliveryState::Skipped, Why { word, warnings })
            }
            Rendered::Gone(what) => {
                tracing::warn!(delivery = %job.id, what, "outbox: a row that this delivery tells of is gone");
                (DeliveryState::Expired, "row_gone".into())
            }
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
