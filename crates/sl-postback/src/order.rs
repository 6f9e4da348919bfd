//! The order of one fan's events, at destinations that ask for it: a later one waits until the earlier one has come to
//! its end. One that is parked holds nobody up.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt, stream};
use sl_core::{delivery::Delivery, ids::FanId};
use tokio_util::sync::CancellationToken;

use crate::{lane, target::Target, worker::Shared};

/// Sends what is due, several fans at once, but of each fan one after the other.
pub(crate) async fn send_all(
    shared: &Shared,
    target: &Target,
    due: impl IntoIterator<Item = Delivery>,
    width: usize,
    shutdown: &CancellationToken,
) -> sl_store::Result<()> {
    let mut fans: HashMap<Option<FanId>, Vec<Delivery>> = HashMap::new();
    for delivery in due {
        fans.entry(delivery.job.fan.clone()).or_default().push(delivery);
    }
    for of_one in fans.values_mut() {
        of_one.sort_unstable_by_key(|delivery| (delivery.job.occurred_at, delivery.job.id));
    }
    let fans = stream::iter(fans.into_values()).take_until(Box::pin(shutdown.cancelled()));
    let mut done = fans.map(|of_one| one_by_one(shared, target, of_one)).buffer_unordered(width);
    let mut result = Ok(());
    while let Some(one) = done.next().await {
        result = result.and(one);
    }
    result
}

async fn one_by_one(shared: &Shared, target: &Target, of_one: Vec<Delivery>) -> sl_store::Result<()> {
    for delivery in of_one {
        let job = &delivery.job;
        let first = match &job.fan {
            Some(fan) => shared.store.outbox.first_of_fan(job.destination, &job.account, fan).await?,
            None => None,
        };
        match first {
            Some((id, due)) if id != job.id => {
                // Behind the one before it: at once when that is due now, since the next look takes that one first.
                let mut progress = delivery.progress.clone();
                progress.next_attempt_at = Some(due.max(shared.clock.now()).plus(Duration::from_millis(1)));
                progress.updated_at = shared.clock.now();
                shared.store.outbox.advance(job.id, &delivery.progress, None, progress).await?;
            }
            _ => lane::deliver(shared, target, delivery).await?,
        }
    }
    Ok(())
}
