//! The roles that live off the creator platform: pool keeper, matcher, reconciliation. Without `platform.api_key` none of
//! them runs: visitors get the creator's page, and webhooks still bring money.

use std::{future::Future, sync::Arc, time::Duration};

use sl_attribution::Progress;
use sl_core::{matching::Looks, time::Clock};
use sl_journal::Journal;
use sl_platform::{
    CreatorPlatform, EndedOverflows, Keeper, KeeperSettings, Matcher, MatcherSettings, OfApi, OfApiConfig,
    PoolSnapshot, Reconcile, ReconcileSettings,
};
use sl_store::Store;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{base::Base, leased, pool_rules, standing::Standing, supervisor::Supervisor};
use crate::{config::Config, failure::Failure};

/// Longest time for one request: a create that takes longer is found by name.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Leases of a cluster.
const KEEPER: &str = "pool keeper";
const MATCHER: &str = "matcher";

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
    let standing = if base.cluster().is_some() { Standing::of_many() } else { Standing::default() };
    if !part.keeper && !part.matcher {
        return Ok((standing, tasks));
    }
    let Some(makers) = Makers::new(config, &part, pace, base, clock, attribution)? else {
        // The warnings of the configuration have said so.
        return Ok((standing, tasks));
    };
    let makers = Makers { standing: standing.clone(), ..makers };
    let turn = leased::Turn::of(base);
    let run = match part {
        // Only who has the keeper's lease asks for the matcher's: together they ask the platform for no more than one pace.
        Part { keeper: true, matcher: true } => {
            turn.clone().once(KEEPER, stop.clone(), move |end: CancellationToken| {
                let (makers, turn) = (makers.clone(), turn.clone());
                async move {
                    let keeper = makers.keeper(end.clone());
                    let matcher = turn.once(MATCHER, end, move |end| makers.matcher(end));
                    tokio::join!(keeper, matcher);
                }
            })
        }
        Part { keeper: true, .. } => turn.once(KEEPER, stop.clone(), move |end| makers.keeper(end)),
        Part { .. } => turn.once(MATCHER, stop.clone(), move |end| makers.matcher(end)),
    };
    tasks.push(supervisor.start("pool keeper, matcher and reconciliation", stop, run));
    Ok((standing, tasks))
}

/// What the roles are made of, each time they begin.
#[derive(Clone)]
struct Makers {
    platform: Arc<dyn CreatorPlatform>,
    keeper: KeeperSettings,
    matcher: MatcherSettings,
    /// One for all runs: a lease that comes back brings no week of transactions with it.
    reconcile: Reconcile,
    store: Store,
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    attribution: watch::Receiver<Progress>,
    standing: Standing,
    /// What the matcher tells the keeper; where they are in different processes nobody hears it.
    ended: EndedOverflows,
}

impl Makers {
    fn new(
        config: &Config,
        part: &Part,
        pace: &Pace,
        base: &Base,
        clock: &Arc<dyn Clock>,
        attribution: watch::Receiver<Progress>,
    ) -> Result<Option<Self>, Failure> {
        let Some(api_key) = config.platform.api_key.0.clone() else { return Ok(None) };
        let mut requests_per_minute = config.platform.requests_per_minute;
        if base.cluster().is_some() && !(part.keeper && part.matcher) {
            // The other role is in another process, and the platform counts both.
            requests_per_minute = (requests_per_minute / 2).max(1);
        }
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
            many_edges: base.cluster().is_some(),
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
        let platform: Arc<dyn CreatorPlatform> = Arc::new(platform);
        let reconcile = Reconcile::new(
            reconcile,
            Arc::clone(&platform),
            base.store.clone(),
            base.journal.clone(),
            Arc::clone(clock),
        );
        Ok(Some(Self {
            platform,
            keeper,
            matcher,
            reconcile,
            store: base.store.clone(),
            journal: Arc::clone(&base.journal),
            clock: Arc::clone(clock),
            attribution,
            standing: Standing::default(),
            ended: EndedOverflows::default(),
        }))
    }

    fn keeper(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        let mut seed = [0; 32];
        rand::fill(&mut seed);
        let (platform, store) = (Arc::clone(&self.platform), self.store.clone());
        let keeper = Keeper::new(self.keeper, platform, store, Arc::clone(&self.clock), seed)
            .replacing(self.ended.clone());
        let (snapshot, standing) = (keeper.snapshot(), self.standing.clone());
        standing.here(|here| here.pool = Some(snapshot));
        async move {
            keeper.run(stop).await;
            let pool = standing.here(|here| here.pool.take());
            pool.iter().for_each(PoolSnapshot::clear);
        }
    }

    fn matcher(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        let (platform, store) = (Arc::clone(&self.platform), self.store.clone());
        let (journal, clock) = (Arc::clone(&self.journal), Arc::clone(&self.clock));
        let (applied, lag) = (self.attribution.clone(), self.attribution.clone());
        let lag = Arc::new(move || Duration::try_from_secs_f64(lag.borrow().lag_seconds).unwrap_or_default());
        let reconcile = self.reconcile.clone();
        let matcher = Matcher::new(self.matcher.clone(), platform, store, journal, lag, clock)
            .following(Arc::new(move || applied.borrow().position))
            .telling(self.ended.clone());
        let (standing, handles) = (self.standing.clone(), (matcher.handle(), reconcile.handle()));
        standing.here(|here| (here.matcher, here.reconcile) = (Some(handles.0), Some(handles.1)));
        async move {
            tokio::join!(matcher.run(stop.clone()), reconcile.run(stop));
            standing.here(|here| (here.matcher, here.reconcile) = (None, None));
        }
    }
}

#[cfg(test)]
mod tests;
