//! What the processes of a cluster say of themselves, so that whoever is asked answers for all of them: records that Kafka
//! does not have yet, the matcher's backlog, the keeper's reports; and that webhooks came, which reconciliation must know.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_core::ids::AccountId;
use sl_journal::Journal;
use sl_kafka::Acknowledged;
use sl_platform::ReconcileHandle;
use sl_store::{Heartbeats, Result};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    super::standing::{Hooks, Standing},
    claims::{JOURNALS, name_of},
};
use crate::failure::Failure;

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

/// By journal: records that Kafka does not have. Where the journal has clicks, webhooks or subscribers, the last word counts also when the
/// process is silent: they wait until its machine is back. What others write follows anew from what is stored.
const WAITING: Subject = Subject("unforwarded", KEPT, seconds(10));
const PASSING: Subject = Subject("unforwarded", seconds(45), seconds(10));
/// The one matcher's.
const BACKLOG: Subject = Subject("matcher", KEPT, seconds(10));
/// How long somebody is missed who says nothing more.
const KEPT: Duration = seconds(7 * 24 * 3600);
/// Who has said nothing for so long is gone, or cut off: what has come to wait there since then nobody knows.
const SILENT: Duration = seconds(45);
/// By journal: records that Kafka has, and whose it is. As long as attribution may remember a journal.
const CLAIMS: Subject = Subject(JOURNALS, seconds(40 * 24 * 3600), seconds(24 * 3600));
/// By stock.
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

    /// When Kafka got the last of them.
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

    /// Says a figure that is news, or has not been said for long.
    async fn say_figure(
        &mut self,
        Subject(subject, lasting, again): Subject,
        sender: String,
        figure: u64,
    ) -> Result<()> {
        let (now, figure, key) = (Instant::now(), figure.to_string(), (subject, sender));
        let said = self.said.get(&key);
        if said.is_some_and(|(said, at)| *said == figure && now.duration_since(*at) < again) {
            return Ok(());
        }
        self.count += 1;
        self.heartbeats.beat(subject, &key.1, &format!("{figure} {}", self.count), lasting).await?;
        self.said.insert(key, (figure, now));
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

    /// Says whose the journal is and how far it has come, for a start that has an older copy of it.
    async fn claim(&mut self) -> Result<()> {
        let own = self.journal.name();
        if self.is_claimed {
            let said =
                self.heartbeats.beats(JOURNALS).await?.into_iter().find(|(journal, _)| *journal == own);
            let owner = said.and_then(|(_, words)| words.split(' ').nth(1).map(str::to_owned));
            self.other = owner.filter(|owner| *owner != self.me);
        }
        let acknowledged = *self.journal.acknowledged.borrow();
        if let (None, Some(has)) = (&self.other, acknowledged) {
            self.say(CLAIMS, vec![(own, format!("{} {}", has.end, self.me))]).await?;
            self.is_claimed = true;
        }
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
        let (journal, me) = (self.journal.name(), self.me.clone());
        let came = came
            .into_iter()
            .map(|(account, count)| (format!("{journal} {account}"), format!("{count} {me}")));
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

    /// Figures of a subject by sender, and whether that is silent.
    async fn figures(&mut self, subject: &'static str) -> Result<Vec<(String, u64, bool)>> {
        let (now, mut heard) = (Instant::now(), HashMap::new());
        let mut figures = Vec::new();
        for (sender, words) in self.heartbeats.beats(subject).await? {
            let key = (subject, sender.clone());
            let known = self.figures.remove(&key).filter(|(known, _)| *known == words);
            let since = known.map_or(now, |(_, since)| since);
            let figure = words.split(' ').next().and_then(|figure| figure.parse().ok());
            figures.push((sender, figure.unwrap_or(0), now.duration_since(since) > SILENT));
            heard.insert(key, (words, since));
        }
        self.figures.retain(|(of, _), _| *of != subject);
        self.figures.extend(heard);
        Ok(figures)
    }

    /// Takes over what the API shows of others.
    async fn hear(&mut self, seldom: bool) -> Result<()> {
        let own = self.journal.name();
        let journals = self.figures(WAITING.0).await?.into_iter().filter(|(journal, ..)| *journal != own);
        let (mut unforwarded, mut silent) = (0, 0);
        for (_, waiting, is_silent) in journals {
            unforwarded += waiting;
            silent += u64::from(is_silent);
        }
        let matcher = self.figures(BACKLOG.0).await?;
        // Without a matcher nobody knows who has subscribed.
        let backlog =
            matcher.into_iter().map(|(_, backlog, is_silent)| backlog.max(u64::from(is_silent))).sum();
        self.standing.elsewhere(|elsewhere| {
            if unforwarded < elsewhere.unforwarded {
                elsewhere.forwarded_at = Some(Instant::now());
            }
            (elsewhere.unforwarded, elsewhere.silent, elsewhere.backlog) = (unforwarded, silent, backlog);
        });
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

#[cfg(test)]
mod tests {
    use sl_core::event::{Event, EventBody};
    use sl_fjall::FjallOptions;
    use sl_journal::{ClickLog as _, JournalConfig};
    use sl_store::Store;
    use tempfile::TempDir;

    use super::*;
    use crate::clock;

    /// A process that keeps clicks and shows how all stand, and how much of its journal Kafka has.
    struct Process {
        heartbeat: Heartbeat,
        acknowledged: watch::Sender<Option<Acknowledged>>,
        _dir: TempDir,
    }

    fn store(dir: &TempDir) -> Store {
        sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store()
    }

    fn process(store: &Store, me: &str) -> Process {
        let dir = tempfile::tempdir().unwrap();
        let config = JournalConfig { dir: dir.path().to_owned(), ..JournalConfig::default() };
        let journal = Journal::open(config, clock::system()).unwrap();
        let (acknowledged, seen) = watch::channel(Some(Acknowledged { end: 0, at: Instant::now() }));
        let own = Unforwarded { journal, acknowledged: seen };
        let speaker = (Arc::clone(&store.heartbeats), me.to_owned());
        let heartbeat = Heartbeat::new(speaker, own, Standing::of_many(), (true, true));
        Process { heartbeat, acknowledged, _dir: dir }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_elsewhere_is_counted_and_who_falls_silent_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let (mut api, mut edge) = (process(&store, "api"), process(&store, "edge"));
        edge.heartbeat.look(true).await.unwrap();
        api.heartbeat.look(true).await.unwrap();
        let elsewhere = |api: &Process| api.heartbeat.standing.journals_elsewhere();
        assert_eq!(elsewhere(&api), (0, 0));
        let (team, at) = (sl_core::ids::TeamId(1), clock::system().now());
        let event = Event { team, account: "a".into(), at, body: EventBody::Tick };
        let journal = Arc::clone(&edge.heartbeat.journal.journal);
        journal.fate(journal.append(event).unwrap()).await;
        edge.heartbeat.look(false).await.unwrap();
        api.heartbeat.look(false).await.unwrap();
        assert_eq!(elsewhere(&api), (1, 0));
        // It says nothing any more; what it had counts.
        tokio::time::advance(SILENT + LOOK).await;
        api.heartbeat.look(false).await.unwrap();
        assert_eq!(elsewhere(&api), (1, 1));
        // It is back, and ends with everything forwarded.
        edge.acknowledged.send_replace(Some(Acknowledged { end: 1, at: Instant::now() }));
        edge.heartbeat.part().await.unwrap();
        api.heartbeat.look(false).await.unwrap();
        assert_eq!(elsewhere(&api), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_processes_with_one_journal_one_ends_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let (first, mut second) = (process(&store, "first"), process(&store, "second"));
        second.heartbeat.journal = first.heartbeat.journal.clone();
        let stop = CancellationToken::new();
        let running = tokio::spawn(first.heartbeat.run(stop.clone()));
        tokio::time::sleep(LOOK * 2).await;
        assert!(!running.is_finished());
        second.heartbeat.look(true).await.unwrap();
        let why = running.await.unwrap().unwrap_err().to_string();
        assert!(why.contains("process second has journal") && why.contains("copied"), "{why}");
    }
}
