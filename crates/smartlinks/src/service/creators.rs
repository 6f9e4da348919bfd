//! The roles that live off the creator platform: pool keeper, matcher, reconciliation. Without `platform.api_key` none of
//! them runs: visitors get the creator's page, and webhooks still bring money.

use std::{future::Future, sync::Arc, time::Duration};

use parking_lot::RwLock;

use sl_api::{PoolStatus, StockStatus, Upstream};
use sl_attribution::Progress;
use sl_core::{ids::AccountId, matching::Looks, pool::StockKey, time::Clock};
use sl_journal::Journal;
use sl_platform::{
    CreatorPlatform, Keeper, KeeperSettings, Matcher, MatcherHandle, MatcherSettings, OfApi, OfApiConfig,
    PoolSnapshot, Reconcile, ReconcileHandle, ReconcileSettings, StockReport,
};
use sl_store::Store;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{base::Base, leased, pool_rules, supervisor::Supervisor};
use crate::{config::Config, failure::Failure};

/// Longest time for one request: a create that takes longer is found by name.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Between two readings of the accounts where nobody says that one was connected.
const ACCOUNTS_ELSEWHERE: Duration = Duration::from_secs(60);

/// How closely the platform is followed. The default is right for people; a demo of seconds looks sooner.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Ages of looks and times of searches are divided by this.
    pub(crate) faster: u32,
    pub(crate) reconcile: ReconcileSettings,
}

impl Default for Pace {
    fn default() -> Self {
        Self { faster: 1, reconcile: ReconcileSettings::default() }
    }
}

/// What the API shows of these roles, as far as this process has them now.
#[derive(Clone, Default)]
pub(crate) struct Standing(Arc<RwLock<Running>>);

#[derive(Default)]
struct Running {
    pool: PoolSnapshot,
    matcher: Option<MatcherHandle>,
    reconcile: Option<ReconcileHandle>,
}

impl Standing {
    /// Work of the matcher that is due now.
    pub(crate) fn backlog(&self) -> u64 {
        self.0.read().matcher.as_ref().map_or(0, MatcherHandle::backlog)
    }
}

impl PoolStatus for Standing {
    fn status(&self, stock: &StockKey) -> StockStatus {
        let StockReport { forecast_per_hour, time_to_empty, last_refill_at, last_error } =
            self.0.read().pool.status(stock);
        StockStatus { forecast_per_hour, time_to_empty, last_refill_at, last_error }
    }
}

/// Without a platform key, or where the matcher is elsewhere, nobody is told.
impl Upstream for Standing {
    fn webhook_came(&self, account: &AccountId) {
        self.0.read().reconcile.iter().for_each(|reconcile| reconcile.webhook_came(account));
    }

    fn webhook_refused(&self) {
        self.0.read().reconcile.iter().for_each(ReconcileHandle::webhook_refused);
    }

    fn accounts_changed(&self) {
        self.0.read().reconcile.iter().for_each(ReconcileHandle::accounts_changed);
    }
}

/// Which of these roles the process has.
pub(crate) struct Part {
    pub(crate) keeper: bool,
    /// ... with reconciliation.
    pub(crate) matcher: bool,
}

/// Starts them: in a cluster each in one process at a time.
pub(crate) fn start(
    config: &Config,
    part: Part,
    pace: &Pace,
    base: &Base,
    clock: &Arc<dyn Clock>,
    attribution: watch::Receiver<Progress>,
    (supervisor, stop): (&Supervisor, &CancellationToken),
) -> Result<(Standing, Vec<JoinHandle<()>>), Failure> {
    let mut tasks = Vec::new();
    if !part.keeper && !part.matcher {
        return Ok((Standing::default(), tasks));
    }
    let Some(makers) = Makers::new(config, pace, base, clock, attribution)? else {
        tracing::warn!("platform.api_key is not set: no pool links are made and no subscriber is matched");
        return Ok((Standing::default(), tasks));
    };
    let standing = makers.standing.clone();
    if part.keeper {
        let (makers, stop) = (makers.clone(), stop.clone());
        let role = move |end| makers.keeper(end);
        let run = leased::once(base, "pool keeper", stop.clone(), role);
        tasks.push(supervisor.start("the pool keeper", &stop, run));
    }
    if part.matcher {
        let stop = stop.clone();
        let role = move |end| makers.matcher(end);
        let run = leased::once(base, "matcher", stop.clone(), role);
        tasks.push(supervisor.start("the matcher and reconciliation", &stop, run));
    }
    Ok((standing, tasks))
}

/// What the roles are made of, each time they begin.
#[derive(Clone)]
struct Makers {
    platform: Arc<dyn CreatorPlatform>,
    keeper: KeeperSettings,
    matcher: MatcherSettings,
    reconcile: ReconcileSettings,
    store: Store,
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    attribution: watch::Receiver<Progress>,
    standing: Standing,
}

impl Makers {
    fn new(
        config: &Config,
        pace: &Pace,
        base: &Base,
        clock: &Arc<dyn Clock>,
        attribution: watch::Receiver<Progress>,
    ) -> Result<Option<Self>, Failure> {
        let Some(api_key) = config.platform.api_key.0.clone() else { return Ok(None) };
        let requests_per_minute = config.platform.requests_per_minute;
        let client = OfApiConfig {
            base_url: config.platform.base_url.clone(),
            api_key,
            requests_per_minute,
            timeout: TIMEOUT,
        };
        let platform = OfApi::new(client).map_err(|error| Failure::Usage(format!("error: {error}")))?;
        let keeper = KeeperSettings {
            cover: config.pool.cover,
            min: config.pool.min,
            max: config.pool.max,
            requests_per_minute,
            rules: pool_rules(config),
        };
        let matcher = MatcherSettings {
            poll: config.platform.poll,
            debounce: config.platform.debounce,
            looks: Looks::new(config.attribution.window, config.pool.quarantine).faster(pace.faster),
        };
        let mut reconcile = pace.reconcile;
        if base.cluster().is_some() {
            // The process that takes the webhooks may be another one.
            reconcile.accounts_every = reconcile.accounts_every.min(ACCOUNTS_ELSEWHERE);
        }
        Ok(Some(Self {
            platform: Arc::new(platform),
            keeper,
            matcher,
            reconcile,
            store: base.store.clone(),
            journal: Arc::clone(&base.journal),
            clock: Arc::clone(clock),
            attribution,
            standing: Standing::default(),
        }))
    }

    fn keeper(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        let mut seed = [0; 32];
        rand::fill(&mut seed);
        let (platform, store) = (Arc::clone(&self.platform), self.store.clone());
        let keeper = Keeper::new(self.keeper, platform, store, Arc::clone(&self.clock), seed);
        self.standing.0.write().pool = keeper.snapshot();
        keeper.run(stop)
    }

    fn matcher(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        let (platform, store) = (Arc::clone(&self.platform), self.store.clone());
        let (journal, clock) = (Arc::clone(&self.journal), Arc::clone(&self.clock));
        let (applied, lag) = (self.attribution.clone(), self.attribution.clone());
        let lag = Arc::new(move || Duration::try_from_secs_f64(lag.borrow().lag_seconds).unwrap_or_default());
        let reconcile = Reconcile::new(
            self.reconcile,
            Arc::clone(&platform),
            store.clone(),
            journal.clone(),
            Arc::clone(&clock),
        );
        let matcher = Matcher::new(self.matcher.clone(), platform, store, journal, lag, clock)
            .following(Arc::new(move || applied.borrow().position));
        {
            let mut running = self.standing.0.write();
            running.matcher = Some(matcher.handle());
            running.reconcile = Some(reconcile.handle());
        }
        let standing = self.standing.clone();
        async move {
            tokio::join!(matcher.run(stop.clone()), reconcile.run(stop));
            let mut running = standing.0.write();
            (running.matcher, running.reconcile) = (None, None);
        }
    }
}
