//! A start under way. What needs no server of a cluster runs as soon as it is begun: the journal and its way to Kafka; and when
//! the store can't be reached within a short patience, the edge on what an earlier start wrote down (decisions 53). The
//! process waits for the store as long as it takes, says so, and goes over to it without a start anew.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use sl_api::KeyError;
use sl_core::time::Clock;
use sl_store::Store;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    DRAIN, Stops, Tasks,
    admin::Admin,
    base::{self, Backing, Base, Ground},
    cluster::Addresses,
    control::Control,
    first_key::FirstKey,
    redirects::{self, Footing, Remembering, Running},
    stop,
    supervisor::Supervisor,
    waiting::{self, Waiting},
};
use crate::{
    config::{Backend, Config},
    failure::Failure,
    metrics,
    migrate::marker,
    roles::{Role, RoleSet},
};

/// How long servers are waited for before the edge starts without them: several times what they take when they are there.
const PATIENCE: Duration = Duration::from_secs(3);

/// What runs already, and what is still to come.
pub(crate) struct Starting {
    pub(super) config: Config,
    pub(super) roles: RoleSet,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: PrometheusHandle,
    pub(super) ground: Ground,
    /// Answers once there is a store.
    pub(super) control: Arc<Control>,
    pub(super) stops: Stops,
    pub(super) tasks: Tasks,
    pub(super) supervisor: Supervisor,
    pub(super) failures: mpsc::Receiver<Failure>,
    pub(super) past: Option<Remembering>,
    pub(super) cluster: Option<Addresses>,
    /// Kafka has its topics.
    pub(super) has_topics: watch::Receiver<bool>,
    /// How much of the journal Kafka has, in a cluster.
    pub(super) acknowledged: Option<watch::Receiver<Option<sl_kafka::Acknowledged>>>,
    pub(super) edge: Option<Running>,
    pub(super) admin: Option<Desk>,
    pub(super) reached: Option<(Store, Backing, FirstKey)>,
}

/// The admin listener while the store is waited for.
pub(super) struct Desk {
    pub(super) address: SocketAddr,
    /// What the listener serves.
    pub(super) router: watch::Sender<axum::Router>,
}

impl Starting {
    /// Begins with what is on this machine.
    ///
    /// # Errors
    /// [`Failure`], naming what can't start and the remedy.
    pub(crate) async fn begin(
        config: &Config,
        roles: &RoleSet,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let metrics = metrics::recorder(&**clock)?;
        let ground = Ground::open(config, Arc::clone(clock)).await?;
        let control = Arc::new(Control::bind(&config.data_dir)?);
        let past = roles.has(Role::Edge).then(|| redirects::remember(config, &ground, &**clock));
        let (report, failures) = mpsc::channel(4);
        let cluster = match config.storage.backend {
            Backend::Embedded => None,
            Backend::Cluster => Some(Addresses::of(config)?),
        };
        let mut starting = Self {
            config: config.clone(),
            roles: roles.clone(),
            clock: Arc::clone(clock),
            metrics,
            ground,
            control,
            stops: Stops::default(),
            tasks: Tasks::default(),
            supervisor: Supervisor(report),
            failures,
            past,
            cluster,
            has_topics: watch::Sender::new(true).subscribe(),
            acknowledged: None,
            edge: None,
            admin: None,
            reached: None,
        };
        starting.forward().await?;
        Ok(starting)
    }

    /// Makes the topics, or leaves that to the task that forwards the journal.
    async fn forward(&mut self) -> Result<(), Failure> {
        let Some(cluster) = self.cluster.clone() else { return Ok(()) };
        let made = match tokio::time::timeout(PATIENCE, cluster.make_topics(&*self.clock)).await {
            Ok(made) => made.map(|()| true)?,
            Err(_) => false,
        };
        let has_topics = watch::Sender::new(made);
        self.has_topics = has_topics.subscribe();
        let forwarder = cluster.forwarder(&self.ground.journal, &self.config.data_dir);
        self.acknowledged = Some(forwarder.acknowledged());
        if marker::read(&self.config.data_dir)?.is_some() {
            // Nobody reads under that name any more, and the journal would keep everything for it until it is full.
            self.ground.journal.forget_consumer("attribution");
        }
        let (clock, stop) = (Arc::clone(&self.clock), self.stops.forwarding.clone());
        let run = async move {
            if !made {
                tokio::select! {
                    made = cluster.make_topics(&*clock) => made?,
                    () = stop.cancelled() => return Ok::<_, Failure>(()),
                }
                has_topics.send_replace(true);
            }
            forwarder.run(stop).await;
            Ok(())
        };
        let stop = &self.stops.forwarding;
        self.tasks.forwarding.push(self.supervisor.start_fallible("forwarding to Kafka", stop, run));
        Ok(())
    }

    /// Waits for the store. May be dropped and called again.
    ///
    /// # Errors
    /// [`Failure`], when it is there and can't be used, or when something fails meanwhile that must not.
    pub(crate) async fn reach(&mut self) -> Result<(), Failure> {
        let Some(cluster) = self.cluster.clone() else {
            let (store, backing) = Base::embedded(&self.config, &self.ground).await?;
            let key = self.roles.has(Role::Api);
            let key = if key {
                first_key(&self.config, &store, None, &*self.clock).await?
            } else {
                FirstKey::default()
            };
            self.reached = Some((store, backing, key));
            return Ok(());
        };
        let (tell, why) = watch::channel(String::new());
        let (config, clock, has_api) =
            (self.config.clone(), Arc::clone(&self.clock), self.roles.has(Role::Api));
        let (journal, had) = (super::cluster::claims::name_of(&self.ground.journal), self.ground.had);
        let mut reach = pin!(async move {
            let (cluster, store) = cluster.reach((&journal, had), &tell).await?;
            let key = match has_api {
                true => first_key(&config, &store, Some(&cluster.me), &*clock).await?,
                false => FirstKey::default(),
            };
            Ok::<_, Failure>((store, Backing::Cluster(cluster), key))
        });
        let reached = match tokio::time::timeout(PATIENCE, &mut reach).await {
            Ok(reached) => reached?,
            Err(_) => {
                self.serve_alone(why).await?;
                tokio::select! {
                    reached = reach => reached?,
                    Some(failure) = self.failures.recv() => return Err(failure),
                }
            }
        };
        self.reached = Some(reached);
        Ok(())
    }

    /// The edge without the store, and an admin listener that says so.
    async fn serve_alone(&mut self, why: watch::Receiver<String>) -> Result<(), Failure> {
        if let Some(past) = self.past.take() {
            let kafka = self.cluster.as_ref().map(|cluster| &cluster.kafka);
            let footing = Footing { config: &self.config, ground: &self.ground, kafka, clock: &self.clock };
            let (supervisor, stops, tasks) = (&self.supervisor, &self.stops, &mut self.tasks);
            self.edge = Some(redirects::start(&footing, past, None, supervisor, stops, tasks).await?);
        }
        let admin = self.say_why(why).await?;
        let edge = self.edge.as_ref().map(|edge| tracing::field::display(edge.address));
        tracing::warn!(edge, %admin, "the store can't be reached: serving without it and waiting for it");
        Ok(())
    }

    /// Opens the admin listener, which says why there is no store.
    pub(super) async fn say_why(&mut self, why: watch::Receiver<String>) -> Result<SocketAddr, Failure> {
        let (links, only) =
            (self.edge.as_ref().map(|edge| edge.links.clone()), self.roles.is_only(Role::Edge));
        let waiting = Waiting {
            why,
            is_whole: Arc::new(move || only && links.as_ref().is_some_and(sl_edge::LinkTable::is_loaded)),
            metrics: self.metrics.clone(),
            metrics_token: self.config.admin.metrics_token.0.clone(),
        };
        let (router, routers) = watch::channel(waiting::router(waiting));
        let (address, task) = admin(&self.config, routers, &self.supervisor, &self.stops.helpers).await?;
        self.tasks.helpers.push(task);
        self.admin = Some(Desk { address, router });
        Ok(address)
    }

    /// Why there is nothing to wait for: an edge that ran has ended.
    pub(crate) fn edge_failure(&self) -> Option<Failure> {
        let has_ended = self.edge.is_some() && self.tasks.edge.iter().any(JoinHandle::is_finished);
        has_ended.then(|| Failure::Run("the edge ended by itself".to_owned()))
    }

    /// The edge with the store.
    pub(super) async fn edge(&mut self, store: &Store) -> Result<Option<Running>, Failure> {
        if let Some(failure) = self.edge_failure() {
            return Err(failure);
        }
        let (supervisor, stops, tasks) = (&self.supervisor, &self.stops, &mut self.tasks);
        let mut running = match (self.edge.take(), self.past.take()) {
            (Some(mut running), _) => {
                if self.cluster.is_none() {
                    running.take_over(store).await;
                }
                running
            }
            (None, Some(past)) => {
                let kafka = self.cluster.as_ref().map(|cluster| &cluster.kafka);
                let footing =
                    Footing { config: &self.config, ground: &self.ground, kafka, clock: &self.clock };
                redirects::start(&footing, past, Some(store), supervisor, stops, tasks).await?
            }
            (None, None) => return Ok(None),
        };
        running.supply(store, supervisor, stops, tasks);
        Ok(Some(running))
    }

    /// Ends what runs, in order, before there was a store.
    ///
    /// # Errors
    /// [`Failure::Run`] when the journal's last sync fails.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let Self { stops, tasks, edge, ground, control, .. } = self;
        let end = tokio::time::Instant::now() + stop::ALL;
        stops.unready.cancel();
        stops.edge.cancel();
        stop::within(end, "redirects", stop::all(tasks.edge)).await;
        if let Some(edge) = edge {
            edge.close().await;
        }
        stops.helpers.cancel();
        stop::within(end, "what says that the store is waited for", stop::all(tasks.helpers)).await;
        stops.forwarding.cancel();
        stop::within(end, "what the journal has still for Kafka", stop::all(tasks.forwarding)).await;
        drop(control);
        ground.close().await
    }
}

/// Binds the admin listener and serves.
pub(super) async fn admin(
    config: &Config,
    routers: watch::Receiver<axum::Router>,
    supervisor: &Supervisor,
    stop: &CancellationToken,
) -> Result<(SocketAddr, JoinHandle<()>), Failure> {
    let admin = Admin::bind(config.admin.listen).await?;
    let address = admin.local_addr();
    Ok((address, supervisor.start("the API", stop, admin.run(routers, stop.clone(), DRAIN))))
}

async fn first_key(
    config: &Config,
    store: &Store,
    me: Option<&str>,
    clock: &dyn Clock,
) -> Result<FirstKey, Failure> {
    loop {
        match FirstKey::make(config, store, me, clock).await {
            Err(KeyError::Store(error)) if error.is_temporary() && me.is_some() => {
                tracing::warn!(%error, "the first key can't be looked for; trying again");
                tokio::time::sleep(base::AGAIN).await;
            }
            made => return made.map_err(Failure::run),
        }
    }
}
