//! Retention: what is older than configured goes, a little at a time.

use std::{sync::Arc, time::Duration};

use sl_core::time::Clock;
use sl_store::{Result, Store, upkeep::Horizons};
use tokio_util::sync::CancellationToken;

use crate::config::Retention;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(3600);
/// Rows of each sort at once, so that nothing else waits long.
const ROWS: usize = 1000;
/// Between two pieces of a round.
const BREATH: Duration = Duration::from_millis(20);

/// Forgets what may be forgotten.
#[derive(Clone)]
pub(crate) struct Upkeep {
    store: Store,
    clock: Arc<dyn Clock>,
    retention: Retention,
}

impl Upkeep {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>, retention: Retention) -> Self {
        Self { store, clock, retention }
    }

    /// Works until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let work = async {
            loop {
                if let Err(error) = self.round().await {
                    tracing::warn!(%error, "old rows can't be removed; trying again in an hour");
                }
                tokio::time::sleep(ROUND).await;
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    async fn round(&self) -> Result<()> {
        let now = self.clock.now();
        let horizons = Horizons {
            clicks: now.minus(self.retention.clicks),
            addresses: now.minus(self.retention.truncate_ip_after),
            deliveries: now.minus(self.retention.deliveries),
        };
        while self.store.upkeep.forget(horizons, ROWS).await?.more {
            tokio::time::sleep(BREATH).await;
        }
        Ok(())
    }
}
