//! Where the queues stand, for the API, for `settled` and for the gauges.

use std::sync::Arc;

use sl_api::{PoolStatus, ProgressFacts, ProgressSource, StockStatus};
use sl_attribution::Progress;
use sl_core::pool::StockKey;
use sl_journal::Journal;
use tokio::sync::watch;

/// Reads the running roles.
pub(crate) struct Queues {
    pub(crate) journal: Arc<Journal>,
    pub(crate) attribution: watch::Receiver<Progress>,
}

impl ProgressSource for Queues {
    fn facts(&self) -> ProgressFacts {
        let journal = self.journal.status();
        let attribution = self.attribution.borrow();
        ProgressFacts {
            journal_head: journal.head.offset,
            journal_synced: journal.synced,
            attribution: attribution.position,
            attribution_lag_seconds: attribution.lag_seconds,
            matcher_backlog: 0,
        }
    }
}

/// Stands in while no pool keeper runs in this process: nothing is forecast.
pub(crate) struct NoKeeper;

impl PoolStatus for NoKeeper {
    fn status(&self, _stock: &StockKey) -> StockStatus {
        StockStatus::default()
    }
}
