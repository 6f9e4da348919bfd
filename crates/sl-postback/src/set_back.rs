//! A clock that was set back: what waits for a time of before goes on waiting for as long as was left, and no longer.

use std::time::Duration;

use sl_core::time::Timestamp;
use sl_store::outbox::Waiting;
use tokio::time::MissedTickBehavior;

use crate::worker::Shared;

/// Waiting deliveries read at once.
const PAGE: usize = 200;
/// Between two looks while the clock is not where it was.
const AGAIN: Duration = Duration::from_secs(5);

/// How soon a clock that was set back is noticed.
const LOOK: Duration = Duration::from_secs(1);

/// Watches for ever. Beside the worker's other work, since after a start a million jobs may wait for a later time.
pub(crate) async fn watch(shared: &Shared) {
    let (mut seen, mut look) = (SetBack::default(), tokio::time::interval(LOOK));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if let Err(error) = seen.look(shared).await {
            tracing::error!(%error, "outbox: what waits could not be read; trying again");
        }
    }
}

/// What was seen of the clock.
#[derive(Default)]
struct SetBack {
    last: Option<Timestamp>,
    /// Jobs dated by the clock of before may still come in until then.
    until: Option<Timestamp>,
    looked_at: Option<Timestamp>,
}

impl SetBack {
    /// Looks whether the clock was set back; until it has read all that waits once, whether it was since the last start.
    async fn look(&mut self, shared: &Shared) -> sl_store::Result<()> {
        let now = shared.clock.now();
        let before = self.last.replace(now);
        if let Some(before) = before.filter(|before| now.is_set_back_since(*before)) {
            tracing::warn!(by = ?before.since(now), "the clock was set back; deliveries wait as long as was left");
            self.until = self.until.max(Some(before));
        }
        let behind = self.until.is_some_and(|until| now < until);
        if self.looked_at.is_none_or(|at| behind && now.is_past(at, AGAIN)) {
            let ahead = set_right(shared, now).await?;
            self.until = self.until.max(ahead);
            // Not before: one that could not read everything comes again.
            self.looked_at = Some(now);
        }
        Ok(())
    }
}

/// Dates anew what waits for a time of before; gives the latest of those times. What is due by the clock of now needs no
/// look: whatever was dated by a clock of before is due after it.
async fn set_right(shared: &Shared, now: Timestamp) -> sl_store::Result<Option<Timestamp>> {
    let (mut behind, mut latest) = (None, None);
    loop {
        let page = shared.store.outbox.ahead(now, behind, PAGE).await?;
        let Some(last) = page.last() else { return Ok(latest) };
        behind = Waiting::of(last);
        for delivery in &page {
            let Some(right) = delivery.progress.set_back(now) else { continue };
            latest = latest.max(Some(delivery.progress.updated_at));
            // Otherwise it was sent in this moment.
            shared.store.outbox.advance(delivery.job.id, &delivery.progress, None, right).await?;
        }
        // A store that answers at once would keep everything else waiting.
        tokio::task::yield_now().await;
    }
}
