//! One account: what is due is looked at, one call after the other.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use sl_core::{
    ids::{AccountId, PoolLinkId},
    step::Unmatched,
    time::{Clock, Timestamp},
};
use sl_journal::ClickLog;
use sl_store::Store;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Lag, MatcherSettings,
    backlog::Backlog,
    look::LookError,
    missing::Missing,
    overflow::Overflows,
    search::Searches,
    shared::Pass,
    told::Told,
    watch::{Page, Watch},
};
use crate::{pacer::Priority, platform::CreatorPlatform, replaced::EndedOverflows};

/// Pages that the first search for somebody reads at most, and each later one: the newest 4,000 hand-outs, then the newest
/// 800. Who came through an older one is found by the schedule.
const SEARCH_PAGES: (usize, usize) = (40, 8);
/// Scheduled pages read before a search may have its turn again, and as many requests for overflow links: pages, and lists.
pub(super) const AT_ONCE: usize = 4;
/// Reading the pool costs about that much for each link: it is read less often the more links there are.
const READ_COST: Duration = Duration::from_micros(200);
/// First and longest wait after a failed look.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The matcher of one account.
pub(super) struct AccountMatcher {
    pub(super) account: AccountId,
    pub(super) platform: Arc<dyn CreatorPlatform>,
    pub(super) store: Store,
    pub(super) log: Arc<dyn ClickLog>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lag: Lag,
    pub(super) settings: Arc<MatcherSettings>,
    pub(super) inbox: watch::Receiver<Vec<Unmatched>>,
    pub(super) backlog: Arc<Backlog>,
    /// The change of the inbox that `searches` has.
    pub(super) inbox_read: u64,
    pub(super) watch: Watch,
    pub(super) searches: Searches,
    pub(super) told: HashMap<PoolLinkId, Told>,
    /// Shared links whose list was not read to its end at the last look.
    pub(super) unread: HashSet<PoolLinkId>,
    /// When pages were last read.
    pub(super) read_at: HashMap<Page, Timestamp>,
    /// Requests so far, for pages and lists.
    pub(super) asked: usize,
    pub(super) turned_at: Option<Timestamp>,
    pub(super) refreshed_at: Option<Timestamp>,
    /// When the last whole pass over the overflow links began.
    pub(super) shared_at: Option<Timestamp>,
    /// The pass that is not over.
    pub(super) pass: Option<Pass>,
    /// Who shares which link, by the catalog, of all accounts.
    pub(super) overflows: Arc<Mutex<Overflows>>,
    pub(super) ended_overflows: EndedOverflows,
    /// The catalog's revision by which `watch.shared` is.
    pub(super) shared_as_of: Option<u64>,
    /// Overflow links that had their last look: of deleted Smart Links, and those that were replaced.
    pub(super) ended: HashSet<PoolLinkId>,
    /// Links that the platform has ended or deleted, once that was dealt with.
    pub(super) settled: HashSet<PoolLinkId>,
    /// Links that lists lack.
    pub(super) missing: Missing,
}

// === impl AccountMatcher ===

impl AccountMatcher {
    /// Works until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut wait = WAIT.0;
        while !stop.is_cancelled() {
            let turn = tokio::select! {
                turn = self.turn() => turn,
                () = stop.cancelled() => return,
            };
            let pause = match turn {
                Ok(more) => {
                    wait = WAIT.0;
                    if more { Duration::ZERO } else { self.settings.tick() }
                }
                Err(error) => {
                    tracing::warn!(account = %self.account, %error, again_in = ?wait, "subscribers could not be looked up");
                    let pause = wait;
                    wait = (wait * 2).min(WAIT.1);
                    pause
                }
            };
            self.note_backlog();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // A failing platform is not asked more often because somebody subscribed.
                changed = self.inbox.changed(), if pause <= self.settings.tick() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
        }
    }

    /// One round; `true` when more is due already.
    pub(super) async fn turn(&mut self) -> Result<bool, LookError> {
        let now = self.clock.now();
        if self.turned_at.replace(now).is_some_and(|before| now.is_set_back_since(before)) {
            self.forget_times();
        }
        self.inbox_read = self.backlog.change();
        let waiting = self.inbox.borrow_and_update().clone();
        self.searches.refresh(waiting);
        self.note_backlog();
        let (looks, debounce) = (&self.settings.looks, self.settings.debounce);
        if self.searches.next(looks, debounce).is_some_and(|at| at <= now) {
            self.refresh(self.settings.tick()).await?;
            self.search().await?;
        } else {
            self.refresh(self.settings.first_age() / 2).await?;
        }
        let is_midway = self.look_at_shared_links().await?;
        let is_left = self.follow_schedule().await?;
        let is_asking = self.ask_about_missing().await?;
        let is_more = is_left || is_midway || is_asking || self.due_gone(self.clock.now()).is_some();
        self.tell_lost(is_more);
        Ok(is_more)
    }

    /// One line for all links of the account that a round of looks did not find.
    fn tell_lost(&mut self, is_midway: bool) {
        if let Some(links) = self.watch.lost_to_tell(self.clock.now(), is_midway) {
            tracing::warn!(account = %self.account, links, "the platform does not list links it has made; until it does nobody gets them again");
        }
    }

    /// The clock was set back: what was noted as done lies ahead, and would not be done again until the clock is there.
    fn forget_times(&mut self) {
        self.read_at.clear();
        (self.refreshed_at, self.shared_at, self.pass) = (None, None, None);
        self.searches.forget_times();
        self.watch.forget_times();
        self.missing.forget_times();
    }

    /// Reads the pool unless that was done within `fresh`, or within what reading it costs.
    async fn refresh(&mut self, fresh: Duration) -> Result<(), LookError> {
        let now = self.clock.now();
        let count = u32::try_from(self.watch.links.len()).unwrap_or(u32::MAX);
        let fresh = fresh.max(READ_COST.saturating_mul(count));
        if self.refreshed_at.is_none_or(|at| now.since(at) >= fresh) {
            let live = self.store.pool.live(&self.account).await?;
            self.watch.refresh(live, now, &self.settings.looks);
            let Watch { links, shared, aside, late, .. } = &mut self.watch;
            let is_watched = |id: &PoolLinkId| links.contains_key(id) || shared.contains_key(id);
            self.told.retain(|id, _| is_watched(id));
            self.unread.retain(is_watched);
            late.retain(is_watched);
            aside.links.retain(is_watched);
            let oldest = now.minus(Duration::from_secs(3600));
            self.read_at.retain(|_, at| *at >= oldest);
            self.missing.clear_old(now);
            self.refreshed_at = Some(now);
            self.look_ahead(now);
        }
        Ok(())
    }

    /// Seeks subscribers on the live pages, newest first, until all are found.
    async fn search(&mut self) -> Result<(), LookError> {
        let (looks, debounce) = (self.settings.looks.clone(), self.settings.debounce);
        let is_first = self.searches.has_new();
        let sought = self.searches.begin(&looks, debounce, self.clock.now());
        let searched = self.seek(&sought, if is_first { SEARCH_PAGES.0 } else { SEARCH_PAGES.1 }).await;
        if let Err(error) = searched {
            self.searches.undo(&sought);
            return Err(error);
        }
        for row in &sought {
            if self.searches.is_open(&row.fan) && self.searches.is_last(row, &looks, debounce) {
                self.store.pool.give_up(&self.account, &row.fan).await?;
            }
        }
        Ok(())
    }

    async fn seek(&mut self, sought: &[Unmatched], most: usize) -> Result<(), LookError> {
        let begun = self.clock.now();
        let mut done: HashSet<Page> = HashSet::new();
        let shared: Vec<PoolLinkId> = self.watch.shared.keys().copied().collect();
        let links = self.watch.newest_first(begun).into_iter().chain(shared);
        for id in links {
            if done.len() >= most || !sought.iter().any(|row| self.searches.is_open(&row.fan)) {
                break;
            }
            let Some(page) = self.locate(id, Priority::Matching).await? else { continue };
            if done.insert(page) && self.read_at.get(&page).is_none_or(|at| *at < begun) {
                self.look(page, Priority::Matching).await?;
            }
        }
        Ok(())
    }

    /// Pages whose time has come; `true` when some are left.
    async fn follow_schedule(&mut self) -> Result<bool, LookError> {
        for _ in 0..AT_ONCE {
            let now = self.clock.now();
            if let Some(page) = self.watch.due_page(now) {
                self.look(page, Priority::Sweep).await?;
            } else if let Some(id) = self.watch.due_unplaced(now) {
                let page = self.locate(id, Priority::Sweep).await?;
                self.watch.skip_unplaced(id);
                if let Some(page) = page
                    && self.read_at.get(&page).is_none_or(|at| *at < now)
                {
                    self.look(page, Priority::Sweep).await?;
                }
            } else if let Some(id) = self.due_gone(now) {
                self.look_at_gone(id).await?;
            } else if let Some(page) = self.watch.next_beside(now) {
                self.look(page, Priority::Sweep).await?;
            } else {
                return Ok(false);
            }
        }
        let now = self.clock.now();
        let is_left = self.watch.due_count(now) > 0 || self.due_gone(now).is_some();
        Ok(is_left || !self.watch.beside.is_empty())
    }

    fn due_gone(&self, now: Timestamp) -> Option<PoolLinkId> {
        self.watch.due_gone(now, now.minus((self.lag)()), &self.settings.looks)
    }

    fn note_backlog(&self) {
        let now = self.clock.now();
        let looks = &self.settings.looks;
        let count = self.searches.backlog(looks, self.settings.debounce, now) + self.watch.due_count(now);
        self.backlog.note(self.inbox_read, count);
    }
}
