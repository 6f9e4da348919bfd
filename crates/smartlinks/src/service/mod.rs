//! The service: every role of one process, wired in the order in which they need each other, and stopped in the reverse
//! order.
//!
//! * [`base`]: what is opened before anything runs · [`feed`]: what the edge answers from · [`lessee`]: pool links in blocks
//! * [`creators`]: pool keeper, matcher, reconciliation · [`standing`]: how they stand · [`deliveries`]: the outbox worker
//! * [`attribution`]: clicks, fans and money · [`cluster`]: what the same roles need when there are many of them
//! * [`starting`]: what runs before there is a store, [`waiting`]: what is said meanwhile · [`snapshots`], [`reserve`]: what an edge starts from then, [`lately`], [`remembered`]: whom it knows
//! * [`redirects`]: the edge · [`shown`]: what the API is made of · [`supervisor`]: an end that nobody asked for is the service's
//! * [`admin`]: the private listener · [`control`]: commands of this machine · [`progress`], [`gauges`]: where the queues stand
//! * [`sealed`]: tokens that do not open · [`upkeep`]: retention · [`doctor`], [`reopening`]: what follows a full disk · [`stop`]: the way down

pub(crate) mod admin;
mod attribution;
pub(crate) mod base;
pub(crate) mod cluster;
pub(crate) mod control;
pub(crate) mod creators;
pub(crate) mod deliveries;
pub(crate) mod doctor;
pub(crate) mod feed;
pub(crate) mod first_key;
pub(crate) mod gauges;
mod lately;
mod leased;
pub(crate) mod lessee;
pub(crate) mod progress;
mod redirects;
mod remembered;
mod reopening;
mod reserve;
mod sealed;
mod shown;
mod snapshots;
mod standing;
pub(crate) mod starting;
mod stop;
mod supervisor;
pub(crate) mod upkeep;
mod waiting;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use sl_api::{JournalsFacts, Served};
use sl_attribution::Progress;
use sl_core::{
    apikey::{self, KeySecret},
    ids::TeamId,
    time::Clock,
};
use sl_store::pool::PoolRules;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use self::{
    attribution::Looked,
    base::{Backing, Base},
    cluster::heartbeat::{Heartbeat, Unforwarded},
    control::Control,
    creators::Pace,
    doctor::Doctor,
    gauges::Gauges,
    progress::{Count, Journals, Queues},
    redirects::Running,
    shown::{Ready, Shown},
    standing::Standing,
    starting::Starting,
    supervisor::Supervisor,
    upkeep::Upkeep,
};
use crate::{
    config::Config,
    failure::Failure,
    roles::{Role, RoleSet},
};

/// Longest time for requests that are under way when the service stops.
const DRAIN: Duration = Duration::from_secs(3);

/// The running service.
pub(crate) struct Service {
    /// Where visitors are redirected, if this process does that.
    pub(crate) edge: Option<SocketAddr>,
    /// API, webhooks, metrics.
    pub(crate) admin: SocketAddr,
    /// Secret of the first API key; only at the first start.
    pub(crate) owner_key: Option<KeySecret>,
    clock: Arc<dyn Clock>,
    base: Base,
    stops: Stops,
    tasks: Tasks,
    attribution: watch::Receiver<Progress>,
    redirects: Option<Running>,
    control: Arc<Control>,
    supervisor: Supervisor,
    failures: mpsc::Receiver<Failure>,
}

/// One token per stage of the way down.
#[derive(Clone, Default)]
struct Stops {
    unready: CancellationToken,
    edge: CancellationToken,
    edge_ended: CancellationToken,
    /// What the store says to the edge; ends with the edge, or alone.
    supply: CancellationToken,
    creators: CancellationToken,
    deliveries: CancellationToken,
    helpers: CancellationToken,
    attribution: CancellationToken,
    forwarding: CancellationToken,
    heartbeat: CancellationToken,
}

/// What runs, by the stage in which it is waited for.
#[derive(Default)]
struct Tasks {
    edge: Vec<JoinHandle<()>>,
    supply: Vec<JoinHandle<()>>,
    /// Roles of the creator platform.
    creators: Vec<JoinHandle<()>>,
    deliveries: Vec<JoinHandle<()>>,
    helpers: Vec<JoinHandle<()>>,
    attribution: Vec<JoinHandle<()>>,
    forwarding: Vec<JoinHandle<()>>,
    heartbeat: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts the roles of this process. When it returns, its listeners answer.
    ///
    /// # Errors
    /// [`Failure`], naming what can't start and the remedy.
    pub(crate) async fn start(
        config: &Config,
        roles: &RoleSet,
        pace: &Pace,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let mut starting = Starting::begin(config, roles, &clock).await?;
        starting.reach().await?;
        Self::finish(starting, pace).await
    }

    /// Starts what waited for the store.
    ///
    /// # Errors
    /// [`Failure`], naming what can't start and the remedy.
    pub(crate) async fn finish(mut starting: Starting, pace: &Pace) -> Result<Self, Failure> {
        let Some((store, backing, first_key)) = starting.reached.take() else {
            return Err(Failure::Run("there is no store".to_owned()));
        };
        let redirects = starting.edge(&store).await?;
        let edge = redirects.as_ref().map(|running| running.address);
        let Starting { config, roles, clock, metrics, ground, control, stops, mut tasks, supervisor, .. } =
            starting;
        let (config, roles) = (&config, &roles);
        let base = Base::on(ground, store, backing);
        if roles.has(Role::Api) || roles.has(Role::Postback) {
            sealed::tell(&base.store, &base.secrets.seal).await;
        }

        let (progress, looked) =
            attribution::start(config, roles, &base, &clock, &supervisor, &stops, &mut tasks);
        let part = creators::Part { keeper: roles.has(Role::Pool), matcher: roles.has(Role::Matcher) };
        let (standing, creators) = creators::start(
            config,
            part,
            pace,
            &base,
            &clock,
            progress.clone(),
            (&supervisor, &stops.creators),
        )?;
        tasks.creators = creators;
        let tester = deliveries::start(config, roles, &base, &clock, &supervisor, &stops, &mut tasks)?;

        let journal = Arc::clone(&base.journal);
        let own = starting.acknowledged.map(|acknowledged| Unforwarded { journal, acknowledged });
        tasks.heartbeat = heartbeat(roles, &base, own.clone(), &standing, &supervisor, &stops.heartbeat);
        let queues = Queues {
            journal: Arc::clone(&base.journal),
            attribution: progress.clone(),
            embedded: base.cluster().is_none(),
            matcher: backlog(&standing),
            journals: own.zip(looked).map(|(own, looked)| journals(&standing, own, looked)),
        };
        let answering = [Role::Edge, Role::Api, Role::Intake, Role::Dashboard];
        let answers = answering.into_iter().any(|role| roles.has(role));
        let ready = Ready { unready: stops.unready.clone(), has_topics: starting.has_topics, answers };
        let links = redirects.as_ref().map(|running| running.links.clone());
        let shown = Shown { queues, standing, tester, metrics, teams: shown::teams(&base).await, links };
        let parts = shown::api(config, &base, &clock, shown, ready)?;
        let router = sl_api::router(parts, served(roles));
        let admin = match starting.admin {
            Some(desk) => {
                drop(desk.router.send_replace(router));
                desk.address
            }
            None => {
                let routers = watch::Sender::new(router).subscribe();
                let (address, task) = starting::admin(config, routers, &supervisor, &stops.helpers).await?;
                tasks.helpers.push(task);
                address
            }
        };
        let mut service = Self {
            edge,
            admin,
            owner_key: first_key.take(),
            clock,
            base,
            stops,
            tasks,
            attribution: progress,
            redirects,
            control,
            supervisor,
            failures: starting.failures,
        };
        service.start_helpers(config, roles);
        Ok(service)
    }

    /// Starts what looks after the roles.
    fn start_helpers(&mut self, config: &Config, roles: &RoleSet) {
        let Self { base, clock, supervisor, .. } = self;
        let stop = &self.stops.helpers;
        let gauges = Gauges::new(
            base.store.clone(),
            Arc::clone(&base.journal),
            self.attribution.clone(),
            Arc::clone(clock),
            pool_rules(config),
            roles.has(Role::Api),
        );
        let commands = Arc::clone(&self.control).run(base.store.clone(), Arc::clone(clock), stop.clone());
        self.tasks.helpers.extend([
            supervisor.start("commands", stop, commands),
            supervisor.start("gauges", stop, gauges.run(stop.clone())),
        ]);
        if roles.has(Role::Attribution) {
            let upkeep = Upkeep::new(base.store.clone(), Arc::clone(clock), config.retention.clone());
            let run =
                leased::Turn::of(base).once("retention", stop.clone(), move |end| upkeep.clone().run(end));
            self.tasks.helpers.push(supervisor.start("retention", stop, run));
        }
        if let Backing::Embedded(handle) = &base.backing {
            let segment = config.journal.segment.as_u64();
            let (dir, report) = (config.data_dir.clone(), supervisor.0.clone());
            let doctor = Doctor::new(handle.health(), dir, segment, report);
            // It ends by itself when it has something to say.
            self.tasks.helpers.push(tokio::spawn(doctor.run(stop.clone())));
        }
    }

    /// Makes an API key of an owner of the first team.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn new_key(&self, name: &str) -> Result<String, Failure> {
        let (permissions, now) = (apikey::Role::Owner.permissions(), self.clock.now());
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

/// What the admin listener serves.
fn served(roles: &RoleSet) -> Served {
    Served {
        api: roles.has(Role::Api),
        intake: roles.has(Role::Intake),
        dashboard: roles.has(Role::Dashboard),
    }
}

/// What this process of a cluster says of itself, if it keeps a journal.
fn heartbeat(
    roles: &RoleSet,
    base: &Base,
    own: Option<Unforwarded>,
    standing: &Standing,
    supervisor: &Supervisor,
    stop: &CancellationToken,
) -> Option<JoinHandle<()>> {
    let (cluster, own) = base.cluster().zip(own)?;
    let speaker = (Arc::clone(&base.store.heartbeats), cluster.me.clone());
    let shows = roles.has(Role::Api) || roles.has(Role::Dashboard);
    let keeps = [Role::Edge, Role::Intake, Role::Matcher].into_iter().any(|role| roles.has(role));
    let heartbeat = Heartbeat::new(speaker, own, standing.clone(), (keeps, shows));
    Some(supervisor.start_fallible("heartbeats", stop, heartbeat.run(stop.clone())))
}

/// Work of the matcher that is due now.
fn backlog(standing: &Standing) -> Count {
    let standing = standing.clone();
    Arc::new(move || standing.backlog())
}

/// Journals of this process and of all others.
fn journals(standing: &Standing, own: Unforwarded, looked: Looked) -> Journals {
    let standing = standing.clone();
    Arc::new(move || {
        let (unforwarded, silent) = standing.journals_elsewhere();
        let unforwarded = unforwarded + own.count();
        let is_unread = standing.forwarded_at().max(own.forwarded_at()) > Some(*looked.borrow());
        JournalsFacts { unforwarded, silent, is_unread }
    })
}

pub(crate) fn pool_rules(config: &Config) -> PoolRules {
    PoolRules { window: config.attribution.window, quarantine: config.pool.quarantine }
}
