//! What the processes of a cluster say of themselves, so that whoever is asked answers for all of them: records that Kafka
//! does not have yet, the matcher's backlog, the keeper's reports; and that webhooks came, which reconciliation must know.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_core::ids::AccountId;
use sl_journal::Journal;
use sl_platform::ReconcileHandle;
use sl_store::{Heartbeats, Result};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::standing::{Hooks, Standing};

/// Between two looks at what changes quickly.
const LOOK: Duration = Duration::from_millis(500);
/// So many of them between two looks at what does not: 5 s.
const SELDOM: u64 = 10;
/// Rows said at once.
const AT_ONCE: usize = 16;

/// What is spoken of: its name, how long a word counts, and how soon it is said again when nothing has changed.
#[derive(Clone, Copy)]
struct Subject(&'static str, Duration, Duration);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// By journal: records that Kafka has ...
const FORWARDED: Subject = Subject("unforwarded", seconds(45), seconds(10));
/// ... or does not have: they wait, even when their process is silent, until its machine is back or somebody gives it up.
const WAITING: Subject = Subject("unforwarded", seconds(7 * 24 * 3600), seconds(3600));
/// The one matcher's.
const BACKLOG: Subject = Subject("matcher", seconds(45), seconds(10));
/// By stock.
const REPORTS: Subject = Subject("pool", seconds(600), seconds(120));
/// By process and account: how many came. Said when there was one; rhythms are of minutes.
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
    /// Whether people are shown how all stand.
    shows: bool,
    /// What was said last, and when, by subject and sender.
    said: HashMap<(&'static str, String), (String, Instant)>,
    /// What reconciliation has heard; `None` while it does not run here.
    heard: Option<HashMap<(&'static str, String), String>>,
}

/// This process's journal, and how much of it Kafka has.
#[derive(Clone)]
pub(crate) struct Unforwarded {
    pub(crate) journal: Arc<Journal>,
    pub(crate) acknowledged: watch::Receiver<Option<u64>>,
}

// === impl Unforwarded ===

impl Unforwarded {
    /// Records that Kafka does not have; one at least as long as that is not known.
    pub(crate) fn count(&self) -> u64 {
        let head = self.journal.status().head.offset;
        self.acknowledged.borrow().map_or(head.min(1), |acknowledged| head.saturating_sub(acknowledged))
    }

    fn name(&self) -> String {
        format!("{:016x}", self.journal.id().0)
    }
}

// === impl Heartbeat ===

impl Heartbeat {
    pub(crate) fn new(
        (heartbeats, me): (Arc<dyn Heartbeats>, String),
        journal: Unforwarded,
        standing: Standing,
        shows: bool,
    ) -> Self {
        Self { heartbeats, me, journal, standing, shows, said: HashMap::new(), heard: None }
    }

    /// Speaks until `stop`, and then a last time.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut is_silent = false;
        for turn in 0.. {
            let last = stop.is_cancelled();
            let looked = self.look(turn % SELDOM == 0).await;
            if let Err(error) = &looked
                && !is_silent
            {
                tracing::warn!(%error, "other processes can't be told or heard; trying again");
                self.standing.elsewhere(|elsewhere| elsewhere.unforwarded = elsewhere.unforwarded.max(1));
            }
            is_silent = looked.is_err();
            if last {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn look(&mut self, seldom: bool) -> Result<()> {
        let waiting = self.journal.count();
        let subject = if waiting == 0 { FORWARDED } else { WAITING };
        self.say(subject, vec![(self.journal.name(), waiting.to_string())]).await?;
        if let Some(backlog) = self.standing.own_backlog() {
            self.say(BACKLOG, vec![("matcher".to_owned(), backlog.to_string())]).await?;
        }
        if seldom {
            self.tell_reports().await?;
            self.tell_hooks().await?;
            self.hear_hooks().await?;
        }
        if self.shows {
            self.hear(seldom).await?;
        }
        Ok(())
    }

    /// Says what is news, or has not been said for long.
    async fn say(
        &mut self,
        Subject(subject, lasting, again): Subject,
        words: Vec<(String, String)>,
    ) -> Result<()> {
        let now = Instant::now();
        let is_news = |sender: &String, words: &String| {
            let said = self.said.get(&(subject, sender.clone()));
            said.is_none_or(|(said, at)| said != words || now.duration_since(*at) >= again)
        };
        let news: Vec<_> = words.into_iter().filter(|(sender, words)| is_news(sender, words)).collect();
        let saying = stream::iter(news.clone()).map(|(sender, words)| {
            let heartbeats = Arc::clone(&self.heartbeats);
            async move { heartbeats.beat(subject, &sender, &words, lasting).await }
        });
        saying.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        self.said.extend(news.into_iter().map(|(sender, words)| ((subject, sender), (words, now))));
        Ok(())
    }

    async fn tell_reports(&mut self) -> Result<()> {
        let reports = self.standing.own_reports().into_iter();
        let words = reports
            .filter_map(|(stock, report)| Some((stock.to_string(), serde_json::to_string(&report).ok()?)));
        self.say(REPORTS, words.collect()).await
    }

    async fn tell_hooks(&mut self) -> Result<()> {
        let Hooks { came, refused, accounts } = self.standing.hooks();
        let came =
            came.into_iter().map(|(account, count)| (format!("{} {account}", self.me), count.to_string()));
        self.say(CAME, came.collect()).await?;
        for (subject, count) in [(REFUSED, refused), (ACCOUNTS, accounts)] {
            if count > 0 {
                self.say(subject, vec![(self.me.clone(), count.to_string())]).await?;
            }
        }
        Ok(())
    }

    /// Tells reconciliation, if it runs here, of webhooks that came in elsewhere since the last look.
    async fn hear_hooks(&mut self) -> Result<()> {
        let Some(reconcile) = self.standing.reconcile() else {
            self.heard = None;
            return Ok(());
        };
        let mut news = Vec::new();
        for subject in [REFUSED, CAME, ACCOUNTS] {
            for (sender, words) in self.heartbeats.beats(subject.0).await? {
                news.push(((subject.0, sender), words));
            }
        }
        // What came before is no news for a role that has just begun: it reads everything.
        if let Some(heard) = &self.heard {
            let is_new = |(from, words): &&(_, String)| heard.get(from) != Some(words);
            news.iter()
                .filter(is_new)
                .for_each(|((subject, sender), _)| pass_on(&reconcile, subject, sender));
        }
        self.heard = Some(news.into_iter().collect());
        Ok(())
    }

    /// Takes over what the API shows of others.
    async fn hear(&self, seldom: bool) -> Result<()> {
        let (own, count) = (self.journal.name(), |words: &str| words.parse::<u64>().unwrap_or(0));
        let waiting = self.heartbeats.beats(FORWARDED.0).await?;
        let waiting = waiting.iter().filter(|(journal, _)| *journal != own);
        let unforwarded = waiting.map(|(_, words)| count(words)).sum();
        let backlog = self.heartbeats.beats(BACKLOG.0).await?.iter().map(|(_, words)| count(words)).sum();
        self.standing
            .elsewhere(|elsewhere| (elsewhere.unforwarded, elsewhere.backlog) = (unforwarded, backlog));
        if seldom {
            let reports = self.heartbeats.beats(REPORTS.0).await?.into_iter();
            // Words of a newer version may mean nothing here.
            let reports =
                reports.filter_map(|(stock, words)| Some((stock, serde_json::from_str(&words).ok()?)));
            let reports = reports.collect();
            self.standing.elsewhere(|elsewhere| elsewhere.reports = reports);
        }
        Ok(())
    }
}

fn pass_on(reconcile: &ReconcileHandle, subject: &str, sender: &str) {
    if subject == REFUSED.0 {
        reconcile.webhook_refused();
    } else if subject == ACCOUNTS.0 {
        reconcile.accounts_changed();
    } else if let Some((_, account)) = sender.split_once(' ') {
        reconcile.webhook_came(&AccountId::from(account));
    }
}
