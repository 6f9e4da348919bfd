//! The roles that live off the creator platform: pool keeper, matcher, reconciliation. Without `platform.api_key` none of
//! them runs: visitors get the creator's page, and webhooks still bring money.

use std::{sync::Arc, time::Duration};

use sl_api::{PoolStatus, StockStatus, Upstream};
use sl_attribution::Progress;
use sl_core::{ids::AccountId, matching::Looks, pool::StockKey, time::Clock};
use sl_journal::Journal;
use sl_platform::{
    CreatorPlatform, Keeper, KeeperSettings, Matcher, MatcherHandle, MatcherSettings, OfApi, OfApiConfig,
    PoolSnapshot, Reconcile, ReconcileHandle, ReconcileSettings, StockReport,
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{base::Base, pool_rules, supervisor::Supervisor};
use crate::{config::Config, failure::Failure};

/// Longest time for one request: a create that takes longer is found by name.
const TIMEOUT: Duration = Duration::from_secs(30);

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

/// What the API shows of these roles.
#[derive(Clone, Default)]
pub(crate) struct Standing {
    pub(crate) pool: PoolSnapshot,
    pub(crate) matcher: Option<MatcherHandle>,
    reconcile: Option<ReconcileHandle>,
}

impl PoolStatus for Standing {
    fn status(&self, stock: &StockKey) -> StockStatus {
        let StockReport { forecast_per_hour, time_to_empty, last_refill_at, last_error } =
            self.pool.status(stock);
        StockStatus { forecast_per_hour, time_to_empty, last_refill_at, last_error }
    }
}

/// Without a platform key nobody is told.
impl Upstream for Standing {
    fn webhook_came(&self, account: &AccountId) {
        self.reconcile.iter().for_each(|reconcile| reconcile.webhook_came(account));
    }

    fn webhook_refused(&self) {
        self.reconcile.iter().for_each(ReconcileHandle::webhook_refused);
    }

    fn accounts_changed(&self) {
        self.reconcile.iter().for_each(ReconcileHandle::accounts_changed);
    }
}

/// Which of these roles the process has.
pub(crate) struct Part {
    pub(crate) keeper: bool,
    /// ... with reconciliation.
    pub(crate) matcher: bool,
}

/// Starts them.
pub(crate) fn start(
    config: &Config,
    part: Part,
    pace: &Pace,
    base: &Base,
    clock: &Arc<dyn Clock>,
    attribution: watch::Receiver<Progress>,
    (supervisor, stop): (&Supervisor, &CancellationToken),
) -> Result<(Standing, Vec<JoinHandle<()>>), Failure> {
    if !part.keeper && !part.matcher {
        return Ok((Standing::default(), Vec::new()));
    }
    let Some(api_key) = config.platform.api_key.0.clone() else {
        tracing::warn!("platform.api_key is not set: no pool links are made and no subscriber is matched");
        return Ok((Standing::default(), Vec::new()));
    };
    let requests_per_minute = config.platform.requests_per_minute;
    let client = OfApiConfig {
        base_url: config.platform.base_url.clone(),
        api_key,
        requests_per_minute,
        timeout: TIMEOUT,
    };
    let platform: Arc<dyn CreatorPlatform> =
        Arc::new(OfApi::new(client).map_err(|error| Failure::Usage(format!("error: {error}")))?);
    let keeper = KeeperSettings {
        cover: config.pool.cover,
        min: config.pool.min,
        max: config.pool.max,
        requests_per_minute,
        rules: pool_rules(config),
    };
    let mut seed = [0; 32];
    rand::fill(&mut seed);
    let keeper = Keeper::new(keeper, Arc::clone(&platform), base.store.clone(), Arc::clone(clock), seed);
    let matcher = MatcherSettings {
        poll: config.platform.poll,
        debounce: config.platform.debounce,
        looks: Looks::new(config.attribution.window, config.pool.quarantine).faster(pace.faster),
    };
    let applied = attribution.clone();
    let lag =
        Arc::new(move || Duration::try_from_secs_f64(attribution.borrow().lag_seconds).unwrap_or_default());
    let journal = Arc::<Journal>::clone(&base.journal);
    let matcher = Matcher::new(
        matcher,
        Arc::clone(&platform),
        base.store.clone(),
        journal.clone(),
        lag,
        Arc::clone(clock),
    )
    .following(Arc::new(move || applied.borrow().position));
    let reconcile = Reconcile::new(pace.reconcile, platform, base.store.clone(), journal, Arc::clone(clock));
    let mut standing = Standing { pool: keeper.snapshot(), ..Standing::default() };
    let mut tasks = Vec::new();
    if part.keeper {
        tasks.push(supervisor.start("the pool keeper", stop, keeper.run(stop.clone())));
    }
    if part.matcher {
        standing.matcher = Some(matcher.handle());
        standing.reconcile = Some(reconcile.handle());
        tasks.push(supervisor.start("the matcher", stop, matcher.run(stop.clone())));
        tasks.push(supervisor.start("reconciliation", stop, reconcile.run(stop.clone())));
    }
    Ok((standing, tasks))
}
