//! Levels for `/metrics`: what is measured by looking, not by counting.

use std::{sync::Arc, time::Duration};

use metrics::gauge;
use sl_attribution::Progress;
use sl_core::time::Clock;
use sl_journal::Journal;
use sl_store::{Result, Store, pool::PoolRules};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Pause between two updates of the gauges.
const LOOK: Duration = Duration::from_secs(2);

/// Looks now and then.
pub(crate) struct Gauges {
    store: Store,
    journal: Arc<Journal>,
    attribution: watch::Receiver<Progress>,
    clock: Arc<dyn Clock>,
    rules: PoolRules,
    /// Whether to look at outbox and pool: in a cluster they are everybody's, and counting them is work.
    stocks: bool,
}

impl Gauges {
    pub(crate) fn new(
        store: Store,
        journal: Arc<Journal>,
        attribution: watch::Receiver<Progress>,
        clock: Arc<dyn Clock>,
        rules: PoolRules,
        stocks: bool,
    ) -> Self {
        Self { store, journal, attribution, clock, rules, stocks }
    }

    /// Looks until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "levels can't be read");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn look(&self) -> Result<()> {
        let journal = self.journal.status();
        gauge!("smartlinks_journal_head").set(float(journal.head.offset));
        gauge!("smartlinks_journal_synced").set(float(journal.synced));
        gauge!("smartlinks_attribution_lag_seconds").set(self.attribution.borrow().lag_seconds);
        if !self.stocks {
            return Ok(());
        }
        let now = self.clock.now();
        let outbox = self.store.deliveries.counts(now).await?;
        for (state, count) in [
            ("due", outbox.due_now),
            ("waiting", outbox.waiting),
            ("delivered", outbox.delivered),
            ("parked", outbox.parked),
            ("expired", outbox.expired),
            ("skipped", outbox.skipped),
        ] {
            gauge!("smartlinks_outbox", "state" => state).set(float(count));
        }
        for level in self.store.pool.levels(now, self.rules).await? {
            for (state, count) in level.counts {
                let labels = [
                    ("account", level.stock.account.to_string()),
                    ("type", level.stock.type_label()),
                    ("state", state.as_str().to_owned()),
                ];
                gauge!("smartlinks_pool_links", &labels).set(float(count));
            }
        }
        Ok(())
    }
}

/// Exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn float(count: u64) -> f64 {
    count as f64
}
