//! The servers that are filled.

use sl_core::time::Clock;
use sl_kafka::Heads;
use sl_scylla::ScyllaHandle;

use crate::{config::Config, failure::Failure, service::cluster};

/// Connected, with topics and schema.
pub(super) struct Target {
    kafka: sl_kafka::Cluster,
    pub(super) scylla: ScyllaHandle,
    /// Partitions of the events topic.
    pub(super) partitions: u32,
}

impl Target {
    /// Connects, and makes what is missing. A person waits: a server that does not answer is said at once.
    ///
    /// # Errors
    /// [`Failure`], naming the setting.
    pub(super) async fn connect(config: &Config, clock: &dyn Clock) -> Result<Self, Failure> {
        let usage = |problem| Failure::Usage(format!("error: {problem}"));
        let kafka = sl_kafka::Cluster::new(config.kafka.settings()).map_err(usage)?;
        let failed = |error: sl_kafka::ClusterError| match error {
            sl_kafka::ClusterError::Config(problem) => usage(problem),
            error => Failure::Run(format!("kafka.brokers: {error}")),
        };
        kafka.make_topics(clock.now()).await.map_err(failed)?;
        let partitions = kafka.events().await.map_err(failed)?.partitions;
        let scylla = sl_scylla::connect(&cluster::scylla_config(config)).await;
        let scylla = scylla.map_err(|error| Failure::Run(format!("scylla.nodes: {error}")))?;
        Ok(Self { kafka, scylla, partitions })
    }

    /// Nobody has served from it: rows of two histories can't be told apart afterwards.
    ///
    /// # Errors
    /// [`Failure::Run`], naming what is there.
    pub(super) async fn must_be_empty(&self, config: &Config) -> Result<(), Failure> {
        if let Some(table) = self.scylla.occupied().await.map_err(Failure::run)? {
            return Err(Failure::Run(format!(
                "scylla.keyspace = {:?} is in use already (table {table} has rows): move into an empty one, before the \
                 cluster is started for the first time",
                config.scylla.keyspace
            )));
        }
        let heads = Heads::open(&self.kafka).await.map_err(Failure::run)?;
        let ends = heads.read().await.map_err(Failure::run)?;
        if ends.iter().any(|end| end.offset > 0) {
            return Err(Failure::Run(format!(
                "kafka.topic_prefix = {:?}: topic {} has had records already; choose another prefix, or delete the topics",
                config.kafka.topic_prefix,
                config.kafka.settings().events_topic()
            )));
        }
        Ok(())
    }
}
