//! Where the queues stand, for the API, for `settled` and for the gauges.

use std::sync::Arc;

use sl_api::{ProgressFacts, ProgressSource};
use sl_attribution::Progress;
use sl_journal::Journal;
use sl_platform::MatcherHandle;
use tokio::sync::watch;

/// Reads the running roles.
pub(crate) struct Queues {
    pub(crate) journal: Arc<Journal>,
    pub(crate) attribution: watch::Receiver<Progress>,
    /// `None` without a platform key.
    pub(crate) matcher: Option<MatcherHandle>,
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
            matcher_backlog: self.matcher.as_ref().map_or(0, MatcherHandle::backlog),
        }
    }
}
