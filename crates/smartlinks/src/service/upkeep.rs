//! Retention: what is older than configured goes, a little at a time.

use std::{sync::Arc, time::Duration};

use sl_core::{steady::PROBATION, time::Clock};
use sl_store::{Result, Store, upkeep::Horizons};
use tokio_util::sync::CancellationToken;

use crate::config::Retention;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(3600);
/// Before the first one. A machine's clock may be wrong when it starts, and is put right soon; what was removed by it is not.
const FIRST: Duration = PROBATION.saturating_mul(2);
/// Rows of each sort at once, so that nothing else waits long.
const ROWS: usize = 1000;
/// Pause between two pieces of a round.
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
            tokio::time::sleep(FIRST).await;
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sl_core::time::{ManualClock, Timestamp};
    use sl_store::upkeep::{self, Forgotten};

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    #[async_trait::async_trait]
    impl upkeep::Upkeep for Counted {
        async fn forget(&self, _: Horizons, _: usize) -> Result<Forgotten> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Forgotten::default())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_removed_by_a_clock_that_nobody_has_put_right_yet() {
        let dir = tempfile::tempdir().unwrap();
        let rounds = Arc::new(Counted::default());
        let opened = sl_fjall::open(dir.path().join("store"), sl_fjall::FjallOptions::default()).unwrap();
        let store = Store { upkeep: Arc::<Counted>::clone(&rounds), ..opened.store() };
        let loaded = crate::config::load(None, std::iter::empty::<(String, String)>());
        let Ok((config, _)) = loaded else { panic!("the defaults") };
        let retention = config.retention;
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        tokio::spawn(Upkeep::new(store, clock, retention).run(CancellationToken::new()));
        for (wait, want) in [(FIRST - BREATH, 0), (2 * BREATH, 1), (ROUND - 2 * BREATH, 1), (2 * BREATH, 2)] {
            tokio::time::sleep(wait).await;
            assert_eq!(rounds.0.load(Ordering::Relaxed), want, "{wait:?}");
        }
    }
}
