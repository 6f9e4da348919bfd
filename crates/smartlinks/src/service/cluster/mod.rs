//! The same service over Kafka and ScyllaDB: what carries events between machines, and what they share.
//!
//! * [`sharing`]: loops of attribution for the partitions of this process · [`elsewhere`]: where all of them stand
//! * [`shards`]: destinations that this worker sends to · [`seats`]: how many workers there are · [`visitors`]: whom other edges saw
//! * [`heartbeat`]: what processes say of themselves · [`claims`]: what must be so before one works here

pub(crate) mod claims;
pub(crate) mod elsewhere;
pub(crate) mod heartbeat;
mod seats;
pub(crate) mod shards;
pub(crate) mod sharing;
pub(crate) mod visitors;

use std::{path::Path, sync::Arc, time::Duration};

use sl_core::{attribution::ASKED_FOR, time::Clock};
use sl_journal::Journal;
use sl_kafka::{Forwarder, Forwarding};
use sl_scylla::{ScyllaConfig, ScyllaHandle};
use sl_store::{Store, StoreError};
use tokio::sync::watch;

use crate::{config::Config, failure::Failure};

/// How long before a server that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Kafka and the database, connected.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) kafka: sl_kafka::Cluster,
    pub(crate) scylla: ScyllaHandle,
    /// Names this start of this process.
    pub(crate) me: String,
}

/// Both clusters by their addresses: nobody was asked anything yet.
#[derive(Clone)]
pub(crate) struct Addresses {
    pub(crate) kafka: sl_kafka::Cluster,
    scylla: ScyllaConfig,
    me: String,
}

impl Addresses {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`Failure::Usage`] when one can't work.
    pub(crate) fn of(config: &Config) -> Result<Self, Failure> {
        let kafka = sl_kafka::Cluster::new(config.kafka.settings()).map_err(usage)?;
        Ok(Self { kafka, scylla: scylla_config(config), me: hex::encode(rand::random::<[u8; 16]>()) })
    }

    /// Makes the topics that are not there. Waits for as long as Kafka does not answer.
    ///
    /// # Errors
    /// [`Failure::Usage`] when a setting can't work.
    pub(crate) async fn make_topics(&self, clock: &dyn Clock) -> Result<(), Failure> {
        loop {
            match self.kafka.make_topics(clock.now()).await {
                Ok(()) => return Ok(()),
                Err(sl_kafka::ClusterError::Config(problem)) => return Err(usage(problem)),
                Err(error) => tracing::warn!("kafka.brokers: {error}; trying again"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Connects to the store and brings its schema up to date, for a process with a journal of this name, which had so many records when
    /// it was opened. Waits for as long as it does not answer, and says why.
    ///
    /// # Errors
    /// [`Failure::Run`] when it answers, and can't be used.
    pub(crate) async fn reach(
        &self,
        journal: (&str, u64),
        why: &watch::Sender<String>,
    ) -> Result<(Cluster, Store), Failure> {
        loop {
            match self.try_for(journal).await {
                Ok(reached) => return reached,
                Err(error) if error.is_temporary() => {
                    let error = format!("scylla.nodes: {error}");
                    tracing::warn!("{error}; trying again");
                    why.send_replace(error);
                }
                Err(error) => return Err(Failure::run(error)),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// The same for somebody who waits at a terminal: a store that does not answer is said at once.
    ///
    /// # Errors
    /// [`Failure::Run`], naming the setting.
    pub(crate) async fn reach_now(&self) -> Result<(Cluster, Store), Failure> {
        self.try_reach().await.map_err(|error| Failure::Run(format!("scylla.nodes: {error}")))?
    }

    async fn try_for(
        &self,
        (name, has): (&str, u64),
    ) -> Result<Result<(Cluster, Store), Failure>, StoreError> {
        let reached = self.try_reach().await?;
        if let Ok((_, store)) = &reached {
            let topic = tokio::time::timeout(AGAIN, self.kafka.events()).await;
            let are_there = matches!(topic, Ok(Ok(_)));
            let partitions = claims::Partitions { wanted: self.kafka.config().partitions, are_there };
            if let Some(objection) = claims::objection(store, partitions, name, has).await? {
                return Ok(Err(Failure::Run(objection)));
            }
        }
        Ok(reached)
    }

    /// The inner error is of a store that answers, and may not be used.
    async fn try_reach(&self) -> Result<Result<(Cluster, Store), Failure>, StoreError> {
        let scylla = sl_scylla::connect(&self.scylla).await?;
        if let Some(this) = scylla.moved().await?.filter(|this| this.finished.is_none()) {
            return Ok(Err(Failure::Run(format!(
                "scylla.keyspace = {:?}: an embedded store is being moved here, begun at {}; end that with `smartlinks \
                 migrate` first",
                self.scylla.keyspace,
                this.begun.iso()
            ))));
        }
        let store = scylla.owner().await?;
        Ok(Ok((Cluster { kafka: self.kafka.clone(), scylla, me: self.me.clone() }, store)))
    }

    /// Takes the process's journal to Kafka.
    pub(crate) fn forwarder(&self, journal: &Journal, data_dir: &Path) -> Forwarder {
        let settings = Forwarding::new(data_dir.join("forwarder"));
        Forwarder::new(Box::new(journal.stream("forwarder")), journal.id(), self.kafka.clone(), settings)
    }
}

fn usage(problem: impl std::fmt::Display) -> Failure {
    Failure::Usage(format!("error: {problem}"))
}

/// A day more than upkeep needs, so that its sums are corrected before the server forgets.
const SPARE: Duration = Duration::from_secs(24 * 3600);

/// How the configuration's keyspace is reached and made.
pub(crate) fn scylla_config(config: &Config) -> ScyllaConfig {
    let scylla = &config.scylla;
    let strategy = match &scylla.local_dc {
        Some(dc) => format!("'NetworkTopologyStrategy', '{dc}': {}", scylla.replication),
        None => format!("'NetworkTopologyStrategy', 'replication_factor': {}", scylla.replication),
    };
    let nodes = scylla.nodes.split(',').map(|node| node.trim().to_owned());
    let password = scylla.password.0.as_ref().map(|password| password.expose().to_owned());
    ScyllaConfig {
        create: Some(format!("replication = {{'class': {strategy}}}")),
        datacenter: scylla.local_dc.clone(),
        login: scylla.user.clone().zip(password),
        keep_clicks: Some(config.retention.clicks + SPARE),
        keep_visitors: Some(keep_visitors(config)),
        rules: crate::service::pool_rules(config),
        ..ScyllaConfig::new(nodes.collect(), scylla.keyspace.clone())
    }
}

/// As long as click rows, and never so short that a subscriber could still ask, however late the stream is read.
fn keep_visitors(config: &Config) -> Duration {
    let late = config.kafka.retention + sl_kafka::HELD_LONGER;
    (config.retention.clicks + SPARE).max(ASKED_FOR + late)
}

/// A clock that may be cloned into tasks.
pub(crate) type SharedClock = Arc<dyn Clock>;
