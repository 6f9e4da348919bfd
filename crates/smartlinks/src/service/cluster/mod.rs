//! The same service over Kafka and ScyllaDB: what carries events between machines, and what they share.
//!
//! * [`sharing`]: loops of attribution for the partitions of this process · [`elsewhere`]: where all of them stand
//! * [`shards`]: destinations that this worker sends to · [`visitors`]: whom other edges saw

pub(crate) mod elsewhere;
pub(crate) mod shards;
pub(crate) mod sharing;
pub(crate) mod visitors;

use std::{path::Path, sync::Arc, time::Duration};

use sl_core::time::Clock;
use sl_journal::Journal;
use sl_kafka::{Forwarder, Forwarding};
use sl_scylla::{ScyllaConfig, ScyllaHandle};

use crate::{config::Config, failure::Failure};

/// How long before a server that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Both clusters.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) kafka: sl_kafka::Cluster,
    pub(crate) scylla: ScyllaHandle,
    /// This start of this process, and no other.
    pub(crate) me: String,
}

impl Cluster {
    /// Connects to both and makes what is missing there. Waits for as long as one of them does not answer.
    ///
    /// # Errors
    /// [`Failure::Usage`] when a setting can't work.
    pub(crate) async fn connect(config: &Config, clock: &dyn Clock) -> Result<Self, Failure> {
        let usage = |problem| Failure::Usage(format!("error: {problem}"));
        let kafka = sl_kafka::Cluster::new(config.kafka.settings()).map_err(usage)?;
        let me = hex::encode(rand::random::<[u8; 16]>());
        loop {
            match kafka.make_topics(clock.now()).await {
                Ok(()) => break,
                Err(sl_kafka::ClusterError::Config(problem)) => return Err(usage(problem)),
                Err(error) => tracing::warn!("kafka.brokers: {error}; trying again"),
            }
            tokio::time::sleep(AGAIN).await;
        }
        let settings = scylla_config(config);
        loop {
            match sl_scylla::connect(&settings).await {
                Ok(scylla) => match scylla.moved().await {
                    Ok(Some(this)) if this.finished.is_none() => {
                        return Err(Failure::Run(format!(
                            "scylla.keyspace = {:?}: an embedded store is being moved here, begun at {}; end that with \
                             `smartlinks migrate` first",
                            config.scylla.keyspace,
                            this.begun.iso()
                        )));
                    }
                    Ok(_) => return Ok(Self { kafka, scylla, me }),
                    Err(error) => tracing::warn!("scylla.nodes: {error}; trying again"),
                },
                Err(error) if error.is_temporary() => tracing::warn!("scylla.nodes: {error}; trying again"),
                Err(error) => return Err(Failure::run(error)),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Takes the process's journal to Kafka.
    pub(crate) fn forwarder(&self, journal: &Journal, data_dir: &Path) -> Forwarder {
        let settings = Forwarding::new(data_dir.join("forwarder"));
        Forwarder::new(Box::new(journal.stream("forwarder")), journal.id(), self.kafka.clone(), settings)
    }
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
        ..ScyllaConfig::new(nodes.collect(), scylla.keyspace.clone())
    }
}

/// A clock that may be cloned into tasks.
pub(crate) type SharedClock = Arc<dyn Clock>;
