//! What the processes of a cluster say of themselves, so that whoever is asked answers for all of them: records that Kafka
//! does not have yet, the matcher's backlog, the keeper's reports; and that webhooks came, which reconciliation must know.

use std::{collections::HashMap, sync::Arc, time::Duration};

use sl_journal::Journal;
use sl_kafka::Acknowledged;
use sl_store::{Heartbeats, Result};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    super::standing::Standing,
    claims::{JOURNALS, name_of},
};
use crate::failure::Failure;

mod hear;
mod speak;
#[cfg(test)]
mod tests;

/// Between two looks at what changes quickly.
const LOOK: Duration = Duration::from_millis(500);
/// What changes slowly is read every 10th look, every 5 s.
const SELDOM: u64 = 10;
/// Rows said at once.
const AT_ONCE: usize = 16;

/// What is spoken of: its name, how long a word counts, and how soon it is said again when nothing has changed.
#[derive(Clone, Copy)]
struct Subject(&'static str, Duration, Duration);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// By journal: records that Kafka does not have. Where the journal has clicks, webhooks or subscribers, the last word counts also when the
/// process is silent: they wait until its machine is back. What others write follows anew from what is stored.
const WAITING: Subject = Subject("unforwarded", KEPT, seconds(10));
const PASSING: Subject = Subject("unforwarded", seconds(45), seconds(10));
/// What the one matcher has to do now.
const BACKLOG: Subject = Subject("matcher", KEPT, seconds(10));
/// How long a process that says nothing more is missed.
const KEPT: Duration = seconds(7 * 24 * 3600);
/// Who has said nothing for so long is gone, or cut off: what has come to wait there since then nobody knows.
const SILENT: Duration = seconds(45);
/// By journal: records that Kafka has, and whose it is. As long as attribution may remember a journal.
const CLAIMS: Subject = Subject(JOURNALS, seconds(40 * 24 * 3600), seconds(24 * 3600));
/// By stock: the pool keeper's forecast and refills.
const REPORTS: Subject = Subject("pool", seconds(600), seconds(120));
/// By journal and account: how many came, and to which start of the process. Said when there was one; rhythms are of minutes.
const CAME: Subject = Subject("webhooks", seconds(3600), Duration::MAX);
/// By process: how many could not be kept, and how many say that accounts are to be read.
const REFUSED: Subject = Subject("webhooks refused", seconds(3600), Duration::MAX);
const ACCOUNTS: Subject = Subject("accounts changed", seconds(3600), Duration::MAX);

/// Speaks for this process, and hears the others.
pub(crate) struct Heartbeat {
    heartbeats: Arc<dyn Heartbeats>,
    me: String,
    journal: Unforwarded,
    standing: Standing,
    /// Whether its journal has what nobody could find out anew: clicks, webhooks, subscribers.
    keeps: bool,
    /// Whether people are shown how all stand.
    shows: bool,
    /// Figures said so far: by it who listens knows that somebody is alive, whatever the clocks say.
    count: u64,
    /// Whether the journal was called this process's, and who has done so since.
    is_claimed: bool,
    other: Option<String>,
    /// What was said last, and when, by subject and sender.
    said: HashMap<(&'static str, String), (String, Instant)>,
    /// What reconciliation has heard; `None` while it does not run here.
    heard: Option<HashMap<(&'static str, String), String>>,
    /// Figures that are shown, as they were said, and when that was news.
    figures: HashMap<(&'static str, String), (String, Instant)>,
}

/// This process's journal, and how much of it Kafka has.
#[derive(Clone)]
pub(crate) struct Unforwarded {
    pub(crate) journal: Arc<Journal>,
    pub(crate) acknowledged: watch::Receiver<Option<Acknowledged>>,
}

// === impl Unforwarded ===

impl Unforwarded {
    /// Records that Kafka does not have; one at least as long as that is not known.
    pub(crate) fn count(&self) -> u64 {
        let head = self.journal.status().head.offset;
        self.acknowledged.borrow().map_or(head.min(1), |has| head.saturating_sub(has.end))
    }

    /// When Kafka got the last of the journal's records that it has.
    pub(crate) fn forwarded_at(&self) -> Option<Instant> {
        self.acknowledged.borrow().map(|has| has.at)
    }

    fn name(&self) -> String {
        name_of(&self.journal)
    }
}

// === impl Heartbeat ===

impl Heartbeat {
    pub(crate) fn new(
        (heartbeats, me): (Arc<dyn Heartbeats>, String),
        journal: Unforwarded,
        standing: Standing,
        (keeps, shows): (bool, bool),
    ) -> Self {
        let (said, figures) = (HashMap::new(), HashMap::new());
        Self {
            heartbeats,
            me,
            journal,
            standing,
            keeps,
            shows,
            count: 0,
            is_claimed: false,
            other: None,
            said,
            heard: None,
            figures,
        }
    }

    /// Speaks until `stop`, and then a last time.
    ///
    /// # Errors
    /// [`Failure::Run`] when another process has the same journal.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> std::result::Result<(), Failure> {
        let mut is_silent = false;
        let mut turn = 0;
        loop {
            let last = stop.is_cancelled();
            let looked = if last { self.part().await } else { self.look(turn % SELDOM == 0).await };
            turn += 1;
            if let Err(error) = &looked
                && !is_silent
            {
                tracing::warn!(%error, "other processes can't be told or heard; trying again");
                self.standing.elsewhere(|elsewhere| elsewhere.unforwarded = elsewhere.unforwarded.max(1));
            }
            is_silent = looked.is_err();
            if last {
                return Ok(());
            }
            if let Some(other) = &self.other {
                let journal = self.journal.name();
                return Err(Failure::Run(format!(
                    "data_dir: process {other} has journal {journal} too: the directory was copied, and of two records with one number \
                     one is lost; give one of them an empty directory"
                )));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// The last word: of a journal that Kafka has whole nobody has to hear any more.
    async fn part(&mut self) -> Result<()> {
        self.claim().await?;
        match self.journal.count() {
            0 => self.heartbeats.beat(WAITING.0, &self.journal.name(), "0", Duration::ZERO).await,
            _ => self.look(false).await,
        }
    }

    async fn look(&mut self, seldom: bool) -> Result<()> {
        let subject = if self.keeps { WAITING } else { PASSING };
        self.say_figure(subject, self.journal.name(), self.journal.count()).await?;
        if let Some(backlog) = self.standing.own_backlog() {
            self.say_figure(BACKLOG, "matcher".to_owned(), backlog).await?;
        }
        if seldom {
            self.tell_reports().await?;
            self.claim().await?;
            self.tell_hooks().await?;
            self.hear_hooks().await?;
        }
        if self.shows {
            self.hear(seldom).await?;
        }
        Ok(())
    }
}
