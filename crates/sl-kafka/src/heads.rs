//! Where the partitions of `<prefix>.events` end: what attribution has still before it.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    config::FromClientConfigAndContext as _,
    consumer::{BaseConsumer, Consumer as _},
};
use sl_core::event::Position;

use crate::{Cluster, ClusterError, Topic, client::Quiet};

const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the brokers.
pub struct Heads {
    consumer: Arc<BaseConsumer<Quiet>>,
    topic: Topic,
}

impl Heads {
    /// Of the topic as it is now; opened anew after an error, it sees one that was made anew.
    ///
    /// # Errors
    /// [`ClusterError`]; try again.
    pub async fn open(cluster: &Cluster) -> Result<Self, ClusterError> {
        let (topic, config) = (cluster.events().await?, cluster.config());
        let consumer = BaseConsumer::from_config_and_context(&config.client(), Quiet);
        let consumer = Arc::new(consumer.map_err(|error| config.blame(&error))?);
        Ok(Self { consumer, topic })
    }

    /// Behind the last record of each partition, in their order, in the epoch in which the topic was made.
    ///
    /// # Errors
    /// [`ClusterError`]; try again.
    pub async fn read(&self) -> Result<Vec<Position>, ClusterError> {
        let (consumer, topic) = (Arc::clone(&self.consumer), self.topic.clone());
        let ask = move || {
            (0..i32::try_from(topic.partitions).unwrap_or(i32::MAX))
                .map(|partition| {
                    let (_, high) = consumer.fetch_watermarks(&topic.name, partition, PATIENCE)?;
                    Ok(Position { epoch: topic.made, offset: u64::try_from(high).unwrap_or(0) })
                })
                .collect::<rdkafka::error::KafkaResult<Vec<_>>>()
        };
        let heads = tokio::task::spawn_blocking(ask).await.map_err(ClusterError::unavailable)?;
        heads.map_err(ClusterError::unavailable)
    }
}
