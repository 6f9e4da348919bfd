//! Where the queues stand, for the API, for `settled` and for the gauges.

use std::sync::Arc;

use sl_api::{JournalsFacts, ProgressFacts, ProgressSource};
use sl_attribution::Progress;
use sl_journal::Journal;
use tokio::sync::watch;

/// Tells how much there is to do now.
pub(crate) type Count = Arc<dyn Fn() -> u64 + Send + Sync>;
/// Tells how all journals stand.
pub(crate) type Journals = Arc<dyn Fn() -> JournalsFacts + Send + Sync>;

/// Reads the running roles.
pub(crate) struct Queues {
    pub(crate) journal: Arc<Journal>,
    pub(crate) attribution: watch::Receiver<Progress>,
    /// The matcher's backlog.
    pub(crate) matcher: Count,
    /// Journals of all processes, in a cluster.
    pub(crate) journals: Option<Journals>,
    /// Attribution reads this process's own journal.
    pub(crate) embedded: bool,
}

impl ProgressSource for Queues {
    fn facts(&self) -> ProgressFacts {
        let journal = self.journal.status();
        // A copy: the matcher borrows the same value below, and a second borrow waits for ever behind a writer that
        // waits for the first.
        let attribution = self.attribution.borrow().clone();
        ProgressFacts {
            journal_head: journal.head.offset,
            journal_synced: journal.synced,
            journals: self.journals.as_ref().map(|journals| journals()),
            attribution: attribution.position,
            attribution_behind: match self.embedded {
                true => journal.head.offset.saturating_sub(attribution.position.offset),
                false => attribution.behind,
            },
            attribution_lag_seconds: attribution.lag_seconds,
            matcher_backlog: (self.matcher)(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use sl_journal::JournalConfig;

    use super::*;
    use crate::clock;

    #[test]
    fn attribution_goes_on_while_the_matcher_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let config = JournalConfig { dir: dir.path().to_owned(), ..JournalConfig::default() };
        let journal = Journal::open(config, clock::system()).unwrap();
        let (progress, attribution) = watch::channel(Progress::default());
        let progress = Arc::new(progress);
        // Attribution writes what it has reached just when the matcher is asked, from a thread of its own.
        let backlog = move || {
            let (done, written) = mpsc::channel();
            let progress = Arc::clone(&progress);
            thread::spawn(move || {
                progress.send_modify(|progress| progress.poisoned += 1);
                done.send(()).unwrap();
            });
            u64::from(written.recv_timeout(Duration::from_secs(10)).is_ok())
        };
        let matcher: Count = Arc::new(backlog);
        let queues = Queues { journal, attribution, matcher, journals: None, embedded: true };
        assert_eq!(queues.facts().matcher_backlog, 1, "attribution waited for the answer");
    }
}
