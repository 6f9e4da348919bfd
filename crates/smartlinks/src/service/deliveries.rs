//! The postback role: the outbox worker with its platforms, and test events for the API.

use std::sync::Arc;

use async_trait::async_trait;
use sl_api::{Acceptance, EgressCheck, PixelTester, PlatformNotice, TestEvent};
use sl_core::{
    catalog::Pixel,
    pace::Pace,
    platforms::{Platforms, Settings, TestRefused},
    time::Clock,
};
use sl_postback::{Egress, Tester, Worker, WorkerSettings};
use sl_store::Store;

use super::{Stops, Tasks, base::Base, cluster::shards::Shards, supervisor::Supervisor};
use crate::{
    config::{AdPlatform, Config},
    failure::Failure,
    roles::{Role, RoleSet},
};

/// Requests in flight to one destination (ad-platforms 14, rule 5).
const PER_DESTINATION: usize = 8;

/// Starts the worker if that is a role of this process; gives what sends test events in any case.
pub(super) fn start(
    config: &Config,
    roles: &RoleSet,
    base: &Base,
    clock: &Arc<dyn Clock>,
    supervisor: &Supervisor,
    stops: &Stops,
    tasks: &mut Tasks,
) -> Result<Tester, Failure> {
    let stop = &stops.deliveries;
    let mut store = base.store.clone();
    if let Some(cluster) = base.cluster().filter(|_| roles.has(Role::Postback)) {
        let shards = Shards::of(Arc::clone(&store.outbox), &cluster.me);
        store.outbox = Arc::<Shards>::clone(&shards);
        let run = shards.run(Arc::clone(&store.leases), cluster.me.clone(), stop.clone());
        tasks.deliveries.push(supervisor.start("shards of the outbox", stop, run));
    }
    let worker = worker(config, base, store, Arc::clone(clock))?;
    let tester = worker.tester();
    if roles.has(Role::Postback) {
        tasks.deliveries.push(supervisor.start("deliveries", stop, worker.run(stop.clone())));
    }
    Ok(tester)
}

/// The worker, ready to run.
fn worker(config: &Config, base: &Base, store: Store, clock: Arc<dyn Clock>) -> Result<Worker, Failure> {
    let settings = WorkerSettings {
        concurrency: config.postback.concurrency,
        per_destination: PER_DESTINATION,
        pace: Pace::per_minute(config.postback.max_per_minute),
        max_batch: config.postback.max_batch,
        timeout: config.postback.timeout,
        egress: egress(config)?,
        public_url: config.edge.public_url.as_str().to_owned(),
    };
    let chance = Arc::new(rand::random::<f64>);
    let (keys, unrecorded) = (base.secrets.seal.clone(), base.unrecorded.clone());
    Worker::new(settings, store, platforms(config), keys, clock, chance, unrecorded).map_err(Failure::run)
}

/// All platforms, as configured.
fn platforms(config: &Config) -> Platforms {
    Platforms::configured(|kind| {
        let AdPlatform { base_url, version, max_age } = config.ad_platforms.get(&kind).cloned()?;
        Some(Settings { base_url, version, max_age })
    })
}

/// What receivers would still take (ad-platforms 14), for replays.
pub(crate) fn acceptance(config: &Config) -> Acceptance {
    let platforms = platforms(config);
    Arc::new(move |platform| {
        let platform = platform.and_then(|kind| platforms.get(kind));
        platform.map_or(sl_postback::generic::LIMITS, |platform| platform.limits())
    })
}

/// Which destinations may be saved: what the worker would refuse is refused at once.
pub(crate) fn check(config: &Config) -> Result<EgressCheck, Failure> {
    let egress = egress(config)?;
    Ok(Arc::new(move |url| egress.check(url).map_err(|error| error.to_string())))
}

/// A platform whose address the operator has still to ask for (decisions 38).
pub(crate) fn notice(config: &Config) -> PlatformNotice {
    let platforms = platforms(config);
    Arc::new(move |platform| platforms.get(platform).and_then(|platform| platform.unready()))
}

fn egress(config: &Config) -> Result<Egress, Failure> {
    let allowed = Egress::new(&config.egress.allow);
    let allowed = allowed.map_err(|error| Failure::Usage(format!("error: egress.allow: {error}")))?;
    allowed.asking(&config.egress.dns).map_err(|error| Failure::Usage(format!("error: egress.dns: {error}")))
}

/// Test events, as the API asks for them.
pub(crate) struct TestEvents(pub(crate) Tester);

#[async_trait]
impl PixelTester for TestEvents {
    async fn test(&self, pixel: &Pixel, event: TestEvent) -> Result<(), TestRefused> {
        self.0.test(pixel, &event.event_type, event.test_event_code.as_deref()).await
    }
}
