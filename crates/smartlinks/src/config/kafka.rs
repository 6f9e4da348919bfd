//! `kafka.*` as the crate that talks to Kafka takes it.

use sl_kafka::KafkaConfig;

use super::sections::Kafka;

impl Kafka {
    /// The settings with their secrets laid open: not to be logged.
    pub(crate) fn settings(&self) -> KafkaConfig {
        let security = self.security.iter().map(|(key, value)| (key.clone(), value.expose().to_owned()));
        KafkaConfig {
            brokers: self.brokers.clone(),
            prefix: self.topic_prefix.clone(),
            security: security.collect(),
            partitions: self.partitions,
            replication: self.replication,
            retention: self.retention,
        }
    }
}
