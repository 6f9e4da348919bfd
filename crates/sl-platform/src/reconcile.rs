//! What no webhook promises: which accounts there are, money that no webhook brought, lists that fans are added to
//! (contract A.12, B.6, E.3 to E.5, decisions 54, 58).
//!
//! * [`accounts`]: the accounts of the key into the catalog · [`money`]: transactions into the journal, [`turns`]: whose they are
//!   read now · [`lists`]: fans into lists · [`gaps`]: when no webhooks came
//!
//! Each runs apart from the others: a list that the platform does not take delays no money.

mod accounts;
mod gaps;
mod lists;
mod money;
mod turns;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sl_core::{
    ids::{AccountId, TeamId},
    time::Clock,
};
use sl_journal::ClickLog;
use sl_store::Store;
use tokio::{
    sync::{Mutex, Notify},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::{accounts::Accounts, gaps::Gaps, lists::Lists, money::Money};
use crate::platform::CreatorPlatform;

/// First and longest wait after a round that failed.
const WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// The part of the configuration; the defaults are those of decisions 54.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconcileSettings {
    /// Owner of accounts that are new here: the team of `platform.api_key` (decisions 58). Default: the first.
    pub team: TeamId,
    /// Between two readings of transactions. Default 1 h.
    pub every: Duration,
    /// Between two readings of accounts. Default 1 h; sooner where webhooks come in elsewhere, so that nobody says when one was
    /// connected.
    pub accounts_every: Duration,
    /// An account that the list lacks counts as gone once a reading that much later lacks it, too; and the list is read again after that
    /// time while an account on it is logged out. Default 60 s.
    pub absent_after: Duration,
    /// After a start, until transactions are read. Default 10 s.
    pub first_after: Duration,
    /// How far back transactions are read after a start: the longest outage that loses no money. Default 7 d.
    pub first_span: Duration,
    /// How far a reading reaches back behind the one before. Default 48 h.
    pub overlap: Duration,
    /// Pages of transactions that one account may read before the next has its turn. Default 2,000: 200,000 transactions.
    pub pages_at_once: usize,
    /// Between two looks at the fans that wait to be added to lists. Default 10 s.
    pub lists_every: Duration,
}

impl Default for ReconcileSettings {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            team: TeamId(1),
            every: HOUR,
            accounts_every: HOUR,
            absent_after: Duration::from_secs(60),
            first_after: Duration::from_secs(10),
            first_span: HOUR * 24 * 7,
            overlap: HOUR * 48,
            pages_at_once: 2000,
            lists_every: Duration::from_secs(10),
        }
    }
}

/// The role. Clones are the same one, and run one at a time: the next knows what was read.
#[derive(Clone)]
pub struct Reconcile {
    settings: ReconcileSettings,
    platform: Arc<dyn CreatorPlatform>,
    store: Store,
    clock: Arc<dyn Clock>,
    money: Arc<Mutex<Money>>,
    handle: ReconcileHandle,
}

/// Talks to the running role.
#[derive(Clone)]
pub struct ReconcileHandle {
    accounts: Arc<Notify>,
    money: Arc<Notify>,
    gaps: Gaps,
}

// === impl ReconcileHandle ===

impl ReconcileHandle {
    /// Reads the accounts now: after `accounts.connected` of one that nobody knows.
    pub fn accounts_changed(&self) {
        self.accounts.notify_one();
    }

    /// Reads the transactions now: after a gap in webhooks (decisions 54).
    pub fn webhooks_missed(&self) {
        self.money.notify_one();
    }

    /// A webhook of the account was kept: by their rhythm a gap is recognised.
    pub fn webhook_came(&self, account: &AccountId) {
        self.gaps.came(account);
    }

    /// A webhook could not be kept: a gap that ends with the next one that is.
    pub fn webhook_refused(&self) {
        self.gaps.refused();
    }
}

// === impl Reconcile ===

impl Reconcile {
    /// The role; nothing happens before [`Reconcile::run`].
    #[must_use]
    pub fn new(
        settings: ReconcileSettings,
        platform: Arc<dyn CreatorPlatform>,
        store: Store,
        log: Arc<dyn ClickLog>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (accounts, money) = (Arc::<Notify>::default(), Arc::<Notify>::default());
        let handle = ReconcileHandle { accounts, gaps: Gaps::new(Arc::clone(&money)), money };
        let money = Money::new(settings, Arc::clone(&platform), store.clone(), log, Arc::clone(&clock));
        Self { settings, platform, store, clock, money: Arc::new(Mutex::new(money)), handle }
    }

    /// Talks to the role while it runs.
    #[must_use]
    pub fn handle(&self) -> ReconcileHandle {
        self.handle.clone()
    }

    /// Works until `shutdown`. The accounts are read at once, the transactions a little later: in a cluster nobody may have read them
    /// since this process last had the role.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { settings, platform, store, clock, money, handle } = self;
        let mut money = money.lock().await;
        money.begin_run(Instant::now());
        handle.gaps.forget();
        let back = Arc::clone(&handle.money);
        let mut accounts =
            Accounts::new(&settings, Arc::clone(&platform), store.clone(), Arc::clone(&clock), back);
        let mut lists = Lists::new(platform, store, clock, settings.lists_every);
        let never = Notify::new();
        let works = futures_util::future::join4(
            repeat(&mut accounts, Duration::ZERO, settings.accounts_every, &handle.accounts),
            repeat(&mut *money, settings.first_after, settings.every, &handle.money),
            repeat(&mut lists, settings.lists_every, settings.lists_every, &never),
            handle.gaps.watch(),
        );
        tokio::select! {
            _ = works => {}
            () = shutdown.cancelled() => {}
        }
        handle.gaps.forget();
        money.end_run(Instant::now());
    }
}

/// Why a round was not finished. What was done stays done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoundError {
    #[error(transparent)]
    Platform(#[from] crate::PlatformError),
    #[error("the store can't be read or written: {0}")]
    Store(#[from] sl_store::StoreError),
    #[error("the journal does not take a transaction: {0}")]
    Journal(#[from] sl_journal::LostReason),
}

/// One of the three works.
#[async_trait]
trait Round: Send {
    /// Its word in the log.
    const WHAT: &'static str;

    /// Does what is to be done now; all of it when `is_told`.
    async fn round(&mut self, is_told: bool) -> Result<Next, RoundError>;
}

/// When there is something to be done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// So soon, if that is sooner than always.
    In(Duration),
    /// After the usual time.
    Later,
}

/// Rounds for ever: after `first`, then every `every`, at once when told, sooner while they fail.
async fn repeat<R: Round>(
    round: &mut R,
    first: Duration,
    every: Duration,
    told: &Notify,
) -> std::convert::Infallible {
    let (mut pause, mut wait) = (first, WAIT.0.min(every));
    loop {
        let is_told = tokio::select! {
            () = tokio::time::sleep(pause) => false,
            () = told.notified() => true,
        };
        match round.round(is_told).await {
            Ok(next) => {
                wait = WAIT.0.min(every);
                pause = match next {
                    Next::In(span) => span.min(every),
                    Next::Later => every,
                };
            }
            Err(error) => {
                tracing::warn!(what = R::WHAT, %error, again_in = ?wait, "the platform could not be read");
                pause = wait;
                wait = (wait * 2).min(WAIT.1);
            }
        }
    }
}
