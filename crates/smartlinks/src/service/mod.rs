//! The service: every role of one process, wired in the order in which they need each other, and stopped in the reverse
//! order.
//!
//! * [`base`]: what is opened before anything runs · [`feed`]: what the edge answers from · [`lessee`]: pool links in blocks
//! * [`creators`]: pool keeper, matcher, reconciliation · [`deliveries`]: the outbox worker
//! * [`redirects`]: the edge · [`shown`]: what the API is made of · [`roles`]: an end that nobody asked for is the service's
//! * [`admin`]: the private listener · [`control`]: commands of this machine · [`progress`], [`gauges`]: where the queues stand
//! * [`upkeep`]: retention · [`doctor`]: what follows a full disk · [`stop`]: the way down

pub(crate) mod admin;
pub(crate) mod base;
pub(crate) mod control;
pub(crate) mod creators;
pub(crate) mod deliveries;
pub(crate) mod doctor;
pub(crate) mod feed;
pub(crate) mod gauges;
pub(crate) mod lessee;
pub(crate) mod progress;
mod redirects;
mod roles;
mod shown;
mod stop;
pub(crate) mod upkeep;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use sl_attribution::{Attribution, AttributionSettings, Progress};
use sl_core::{
    apikey::{KeySecret, Role},
    attribution::Rules,
    ids::TeamId,
    time::Clock,
};
use sl_journal::Journal;
use sl_store::pool::PoolRules;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use self::{
    admin::Admin, base::Base, control::Control, creators::Pace, doctor::Doctor, gauges::Gauges,
    progress::Queues, roles::Roles, shown::Shown, upkeep::Upkeep,
};
use crate::{config::Config, failure::Failure, metrics};

/// Longest time for requests that are under way when the service stops.
const DRAIN: Duration = Duration::from_secs(3);

/// The running service.
pub(crate) struct Service {
    /// Where visitors are redirected.
    pub(crate) edge: SocketAddr,
    /// API, webhooks, metrics.
    pub(crate) admin: SocketAddr,
    /// Secret of the first API key; only at the first start.
    pub(crate) owner_key: Option<KeySecret>,
    clock: Arc<dyn Clock>,
    base: Base,
    stops: Stops,
    tasks: Tasks,
    attribution: watch::Receiver<Progress>,
    failures: mpsc::Receiver<Failure>,
}

/// One token per stage of the way down.
#[derive(Default)]
struct Stops {
    unready: CancellationToken,
    edge: CancellationToken,
    edge_ended: CancellationToken,
    creators: CancellationToken,
    deliveries: CancellationToken,
    helpers: CancellationToken,
    attribution: CancellationToken,
}

struct Tasks {
    edge: JoinHandle<()>,
    lessee: JoinHandle<()>,
    creators: Vec<JoinHandle<()>>,
    deliveries: JoinHandle<()>,
    helpers: Vec<JoinHandle<()>>,
    attribution: JoinHandle<()>,
}

impl Service {
    /// Starts every role. When it returns, both listeners answer.
    ///
    /// # Errors
    /// [`Failure`], naming what can't start and the remedy.
    pub(crate) async fn start(config: &Config, pace: &Pace, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let metrics = metrics::recorder()?;
        let base = Base::open(config, Arc::clone(&clock)).await?;
        let (team, random) = (&config.team, rand::fill::<u8>);
        let owner_key =
            sl_api::ensure_team_and_owner_key(&base.store, &team.name, &team.slug, &*clock, &random)
                .await
                .map_err(Failure::run)?;
        let stops = Stops::default();
        let (report, failures) = mpsc::channel(4);

        let loop_ = attribution(config, &base, Arc::clone(&clock));
        let progress = loop_.progress();
        let roles = Roles(report.clone());
        let run = loop_.run(stops.attribution.clone());
        let attribution = roles.start_fallible("attribution", &stops.attribution, run);

        let (edge, feed, lessee) = redirects::open(config, &base, &clock).await?;
        let edge_address = edge.local_addr();
        let edge_run = edge.run(stops.edge.clone(), DRAIN);
        let edge_ended = stops.edge_ended.clone().drop_guard();
        let doctor = Doctor::new(base.handle.health(), config.data_dir.clone(), report);
        let edge = roles.start_fallible("the edge", &stops.edge, async move {
            let ended = edge_run.await;
            drop(edge_ended);
            ended
        });
        let lessee = lessee.run(stops.edge.clone(), stops.edge_ended.clone());
        let lessee = roles.start("leasing of pool links", &stops.edge, lessee);

        let (standing, creators) =
            creators::start(config, pace, &base, &clock, progress.clone(), (&roles, &stops.creators))?;
        let worker = deliveries::worker(config, &base, Arc::clone(&clock))?;
        let tester = worker.tester();
        let run = worker.run(stops.deliveries.clone());
        let deliveries = roles.start("deliveries", &stops.deliveries, run);

        let admin = Admin::bind(config.admin.listen).await?;
        let admin_address = admin.local_addr();
        let control = Control::bind(&config.data_dir)?;
        let queues = Queues {
            journal: Arc::clone(&base.journal),
            attribution: progress.clone(),
            matcher: standing.matcher.clone(),
        };
        let shown = Shown { queues, standing, tester, metrics };
        let router = sl_api::router(shown::api(config, &base, &clock, shown, stops.unready.clone())?);
        let gauges = Gauges::new(
            base.store.clone(),
            Arc::clone(&base.journal),
            progress.clone(),
            Arc::clone(&clock),
            pool_rules(config),
        );
        let upkeep = Upkeep::new(base.store.clone(), Arc::clone(&clock), config.retention.clone());
        let stop = &stops.helpers;
        let helpers = vec![
            roles.start("catalog changes for the edge", stop, feed.run(stop.clone())),
            roles.start("the API", stop, admin.run(router, stop.clone(), DRAIN)),
            roles.start("commands", stop, control.run(base.store.clone(), Arc::clone(&clock), stop.clone())),
            roles.start("gauges", stop, gauges.run(stop.clone())),
            roles.start("retention", stop, upkeep.run(stop.clone())),
            // It ends by itself when it has something to say.
            tokio::spawn(doctor.run(stop.clone())),
        ];
        let tasks = Tasks { edge, lessee, creators, deliveries, helpers, attribution };
        Ok(Self {
            edge: edge_address,
            admin: admin_address,
            owner_key,
            clock,
            base,
            stops,
            tasks,
            attribution: progress,
            failures,
        })
    }

    /// Makes an API key of an owner of the first team.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn new_key(&self, name: &str) -> Result<String, Failure> {
        let (permissions, now) = (Role::Owner.permissions(), self.clock.now());
        let made =
            sl_api::create_key(&self.base.store, TeamId(1), name, permissions, now, &rand::fill::<u8>).await;
        made.map(|made| made.secret.expose().to_owned()).map_err(Failure::run)
    }

    /// Waits until a role ends that must not. Without failure it never returns.
    pub(crate) async fn failed(&mut self) -> Failure {
        match self.failures.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }
}

fn attribution(config: &Config, base: &Base, clock: Arc<dyn Clock>) -> Attribution {
    let defaults = AttributionSettings::default();
    let settings = AttributionSettings {
        rules: Rules {
            visitor_window: config.edge.visitor_window,
            erase_prints_after: config.retention.truncate_ip_after,
            ..defaults.rules
        },
        ..defaults
    };
    let stream = Box::new(base.journal.stream("attribution"));
    Attribution::new(stream, base.store.clone(), Arc::<Journal>::clone(&base.journal), settings, clock)
}

fn pool_rules(config: &Config) -> PoolRules {
    PoolRules { window: config.attribution.window, quarantine: config.pool.quarantine }
}
