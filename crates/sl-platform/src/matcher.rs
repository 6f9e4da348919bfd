//! Finds out who subscribed through which pool link and writes it to the journal (architecture 5, decisions 22, 48, 50,
//! 51, 55).
//!
//! * [`account`]: one account's work, call after call · [`look`]: one page and what follows · [`counter`]: what the counter of
//!   a link says · [`list`]: who is new on its list · [`told`]: who was told, of how many counted · [`late`]: lists that lack
//!   somebody · [`shared`]: overflow links · [`overflow`]: which these are · [`watch`]: which pages are due · [`aside`]: what
//!   can't be read now · [`search`]: subscribers whose webhook came · [`places`] and [`locate`]: on which page a link is ·
//!   [`retire`]: links that the platform has ended · [`lacks`]: links that lists lack · [`missing`]: what is asked about these ·
//!   [`gone`]: those that the platform has deleted · [`backlog`]: what is left to do
//!
//! A look costs one request for about a hundred links; the subscribers of a link are read only when its counter moved. A
//! counter is stored after the `SubscriberSeen` it caused is in the journal, so that a crash in between repeats a look and
//! loses nobody. Nothing wakes it but the store: attribution writes each `subscriptions.new` whose link is unknown to
//! `Pool::unmatched`, which is read several times in `platform.debounce`; so a restart forgets no search.

mod account;
mod aside;
mod backlog;
mod counter;
mod gone;
mod lacks;
mod late;
mod list;
mod locate;
mod look;
mod missing;
mod overflow;
mod places;
mod retire;
mod search;
mod shared;
#[cfg(test)]
mod tests;
mod told;
mod watch;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use sl_core::{
    catalog::Account, event::Position, ids::AccountId, matching::Looks, step::Unmatched, time::Clock,
};
use sl_journal::ClickLog;
use sl_store::{Result, Store};
use tokio::{
    sync::{Notify, watch as channel},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{account::AccountMatcher, backlog::Backlog, overflow::Overflows};
use crate::{platform::CreatorPlatform, replaced::EndedOverflows};

/// How far attribution is behind the journal: a look counts as begun that much earlier (decisions 50).
pub type Lag = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How far attribution has come: the same values as `Progress::position` of that role.
pub type Applied = Arc<dyn Fn() -> Position + Send + Sync>;

/// The matcher's part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatcherSettings {
    /// `platform.poll`, default 60 s: between two looks at overflow links.
    pub poll: Duration,
    /// `platform.debounce`, default 2 s: subscribers that come within that time are sought together.
    pub debounce: Duration,
    /// Ages of looks and times of searches.
    pub looks: Looks,
}

// === impl MatcherSettings ===

impl MatcherSettings {
    /// Between two readings of who is sought: four in a debounce.
    fn tick(&self) -> Duration {
        (self.debounce / 4).clamp(Duration::from_millis(50), Duration::from_millis(500))
    }

    fn first_age(&self) -> Duration {
        self.looks.ages.first().copied().unwrap_or(self.poll)
    }

    /// The schedule reads a page no sooner again than that.
    fn again(&self) -> Duration {
        self.first_age() / 2
    }
}

/// The role.
pub struct Matcher {
    settings: Arc<MatcherSettings>,
    platform: Arc<dyn CreatorPlatform>,
    store: Store,
    log: Arc<dyn ClickLog>,
    lag: Lag,
    clock: Arc<dyn Clock>,
    handle: MatcherHandle,
    accounts: HashMap<AccountId, AtWork>,
    overflows: Arc<tokio::sync::Mutex<Overflows>>,
    ended_overflows: EndedOverflows,
    tasks: JoinSet<()>,
}

/// An account that is looked after.
struct AtWork {
    inbox: channel::Sender<Vec<Unmatched>>,
    backlog: Arc<Backlog>,
    stop: CancellationToken,
}

/// Talks to the running role.
#[derive(Clone, Default)]
pub struct MatcherHandle {
    woken: Arc<Notify>,
    backlogs: Arc<Mutex<HashMap<AccountId, Arc<Backlog>>>>,
    followed: Arc<Mutex<Followed>>,
}

/// What attribution had applied when it was last read who is sought.
#[derive(Default)]
struct Followed {
    applied: Option<Applied>,
    read_at: Position,
}

// === impl MatcherHandle ===

impl MatcherHandle {
    /// Work that is due now: subscribers to be sought or not yet applied by attribution, and pages to be looked at.
    /// `matcher.backlog` of `GET /api/x/progress`; what waits for a later search or look does not count (decisions 34).
    #[must_use]
    pub fn backlog(&self) -> u64 {
        let backlogs = self.backlogs.lock();
        let due: u64 = backlogs.values().map(|backlog| backlog.count()).sum();
        let followed = self.followed.lock();
        // Somebody may be sought since; the next tick tells.
        let behind = followed.applied.as_ref().is_some_and(|applied| applied() != followed.read_at);
        due + u64::from(behind)
    }

    /// Reads at once who is sought instead of at the next tick; never needed.
    pub fn wake(&self) {
        self.woken.notify_one();
    }
}

// === impl Matcher ===

impl Matcher {
    /// The role; nothing happens before [`Matcher::run`].
    #[must_use]
    pub fn new(
        settings: MatcherSettings,
        platform: Arc<dyn CreatorPlatform>,
        store: Store,
        log: Arc<dyn ClickLog>,
        lag: Lag,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            settings: Arc::new(settings),
            platform,
            store,
            log,
            lag,
            clock,
            handle: MatcherHandle::default(),
            accounts: HashMap::new(),
            overflows: Arc::default(),
            ended_overflows: EndedOverflows::default(),
            tasks: JoinSet::new(),
        }
    }

    /// Lets [`MatcherHandle::backlog`] count what attribution has applied since the last tick: without it a subscriber is
    /// missing from the backlog for up to half a second.
    #[must_use]
    pub fn following(self, applied: Applied) -> Self {
        self.handle.followed.lock().applied = Some(applied);
        self
    }

    /// Tells the keeper of overflow links that were ended.
    #[must_use]
    pub fn telling(mut self, ended: EndedOverflows) -> Self {
        self.ended_overflows = ended;
        self
    }

    /// Talks to the role while it runs.
    #[must_use]
    pub fn handle(&self) -> MatcherHandle {
        self.handle.clone()
    }

    /// Works until `shutdown`. A look that is cut off is taken again after the next start.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut revisions = self.store.catalog.revisions();
        revisions.mark_changed();
        while !shutdown.is_cancelled() {
            if let Err(error) = self.turn(&mut revisions, &shutdown).await {
                tracing::warn!(%error, "who is sought can't be read; trying again");
                revisions.mark_changed();
            }
            tokio::select! {
                () = tokio::time::sleep(self.settings.tick()) => {}
                () = self.handle.woken.notified() => {}
                () = shutdown.cancelled() => {}
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    async fn turn(
        &mut self,
        revisions: &mut channel::Receiver<u64>,
        shutdown: &CancellationToken,
    ) -> Result<()> {
        if revisions.has_changed().unwrap_or(false) {
            revisions.mark_unchanged();
            for team in self.store.catalog.teams().await? {
                for account in self.store.catalog.accounts(team.id).await? {
                    if account.usable.yes {
                        self.take_on(account, shutdown);
                    } else {
                        self.put_down(account.id);
                    }
                }
            }
        }
        let applied = self.handle.followed.lock().applied.clone().map(|applied| applied());
        let mut waiting: BTreeMap<AccountId, Vec<Unmatched>> = BTreeMap::new();
        for row in self.store.pool.unmatched().await? {
            waiting.entry(row.account.clone()).or_default().push(row);
        }
        for (account, work) in &self.accounts {
            let rows = waiting.remove(account).unwrap_or_default();
            let is_new = work.inbox.send_if_modified(|known| {
                let is_new = *known != rows;
                *known = rows;
                is_new
            });
            if is_new {
                work.backlog.sent();
            }
        }
        // Of an account that nobody knows or that is logged out: it has as long as any other to turn up. After that its
        // looks find the subscriber.
        let (looks, now) = (&self.settings.looks, self.clock.now());
        for row in waiting.into_values().flatten() {
            if looks.is_past_searching(row.known_at, self.settings.debounce, now) {
                self.store.pool.give_up(&row.account, &row.fan).await?;
            }
        }
        if let Some(applied) = applied {
            self.handle.followed.lock().read_at = applied;
        }
        Ok(())
    }

    /// Starts the work of an account that is new here.
    fn take_on(&mut self, account: Account, shutdown: &CancellationToken) {
        if self.accounts.contains_key(&account.id) {
            return;
        }
        let (sender, inbox) = channel::channel(Vec::new());
        let backlog = Arc::<Backlog>::default();
        self.handle.backlogs.lock().insert(account.id.clone(), Arc::clone(&backlog));
        let stop = shutdown.child_token();
        let at_work = AtWork { inbox: sender, backlog: Arc::clone(&backlog), stop: stop.clone() };
        self.accounts.insert(account.id.clone(), at_work);
        let work = AccountMatcher {
            account: account.id,
            platform: Arc::clone(&self.platform),
            store: self.store.clone(),
            log: Arc::clone(&self.log),
            clock: Arc::clone(&self.clock),
            lag: Arc::clone(&self.lag),
            settings: Arc::clone(&self.settings),
            inbox,
            backlog,
            inbox_read: 0,
            watch: watch::Watch::default(),
            searches: search::Searches::default(),
            told: HashMap::new(),
            unread: HashSet::new(),
            read_at: HashMap::new(),
            asked: 0,
            turned_at: None,
            refreshed_at: None,
            shared_at: None,
            pass: None,
            overflows: Arc::clone(&self.overflows),
            ended_overflows: self.ended_overflows.clone(),
            shared_as_of: None,
            ended: HashSet::new(),
            settled: HashSet::new(),
            missing: missing::Missing::default(),
        };
        self.tasks.spawn(work.run(stop));
    }

    /// Stops asking for an account that the platform does not answer for: it has no backlog until it is back.
    fn put_down(&mut self, account: AccountId) {
        if let Some(work) = self.accounts.remove(&account) {
            work.stop.cancel();
            self.handle.backlogs.lock().remove(&account);
        }
    }
}
