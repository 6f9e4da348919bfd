//! The order of one fan's events, at destinations that ask for it: a later one waits until the earlier one has come to
//! its end. One that is parked holds nobody up.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use sl_core::{
    batch::{self, goes_alone},
    delivery::Delivery,
};
use tokio_util::sync::CancellationToken;

use crate::{lane, target::Target, worker::Shared};

/// Sends what is due, several fans at once and of up to `together` in one request, but of each fan one after the other.
pub(crate) async fn send_all(
    shared: &Shared,
    target: &Target,
    due: Vec<Delivery>,
    (together, width): (usize, usize),
    shutdown: &CancellationToken,
) -> sl_store::Result<()> {
    for round in rounds(due) {
        if shutdown.is_cancelled() {
            break;
        }
        let looked = stream::iter(round).map(|delivery| first_or_behind(shared, delivery)).buffered(width);
        let first: Vec<Option<Delivery>> = looked.try_collect().await?;
        let first = first.into_iter().flatten().collect();
        let requests = batch::share(first, together, |delivery| goes_alone(&delivery.progress));
        lane::send_all(shared, target, requests, width, shutdown).await?;
    }
    Ok(())
}

/// The first of each fan, the second of each, and so on. What is nobody's is in the first round.
fn rounds(mut due: Vec<Delivery>) -> Vec<Vec<Delivery>> {
    due.sort_by_key(|delivery| (delivery.job.occurred_at, delivery.job.id));
    let (mut before, mut rounds) = (HashMap::new(), Vec::<Vec<Delivery>>::new());
    for delivery in due {
        let mut round = 0;
        if let Some(fan) = &delivery.job.fan {
            let before: &mut usize = before.entry((delivery.job.account.clone(), fan.clone())).or_default();
            round = *before;
            *before += 1;
        }
        match rounds.get_mut(round) {
            Some(round) => round.push(delivery),
            // Never further: the one before it is in the round before.
            None => rounds.push(vec![delivery]),
        }
    }
    rounds
}

/// Gives it back when it is the first of its fan's that wait; otherwise it is put off until after that one.
async fn first_or_behind(shared: &Shared, delivery: Delivery) -> sl_store::Result<Option<Delivery>> {
    let job = &delivery.job;
    let first = match &job.fan {
        Some(fan) => shared.store.outbox.first_of_fan(job.destination, &job.account, fan).await?,
        None => None,
    };
    let Some((_, due)) = first.filter(|(id, _)| *id != job.id) else { return Ok(Some(delivery)) };
    // At once when that is due now, since the next look takes that one first.
    let mut progress = delivery.progress.clone();
    progress.next_attempt_at = Some(due.max(shared.clock.now()).plus(Duration::from_millis(1)));
    progress.updated_at = shared.clock.now();
    shared.store.outbox.advance(job.id, &delivery.progress, None, progress).await?;
    Ok(None)
}
