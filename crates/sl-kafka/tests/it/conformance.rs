//! The suite of `sl-journal`: journal, forwarder, topic and stream in a row are one log.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rdkafka::{Offset, TopicPartitionList, admin::AdminOptions};
use sl_journal::{ClickLog, EventStream, suite};
use sl_kafka::{Group, KafkaStream};

use crate::world::{self, Edge};

struct OnKafka {
    edge: Edge,
    /// Streams by way of consumer groups, or without any.
    groups: Option<Mutex<Vec<Group>>>,
}

impl OnKafka {
    async fn fresh(grouped: bool) -> Self {
        let cluster = world::cluster(&world::shared_brokers(), 1).await;
        Self { edge: Edge::start(&cluster), groups: grouped.then(Mutex::default) }
    }

    async fn leave(&self) {
        let Some(groups) = &self.groups else { return };
        let groups = std::mem::take(&mut *groups.lock());
        for group in groups {
            group.leave().await;
        }
    }
}

#[async_trait]
impl suite::Backend for OnKafka {
    fn log(&self) -> Arc<dyn ClickLog> {
        Arc::clone(self.edge.journal()) as _
    }

    async fn stream(&self, name: &str) -> Box<dyn EventStream> {
        let cluster = &self.edge.cluster;
        let mut stream = match &self.groups {
            None => KafkaStream::open(cluster, 0, world::clock()).await.unwrap(),
            Some(groups) => {
                let mut group = Group::join(cluster, name, world::clock()).await.unwrap();
                let stream = group.next().await.unwrap();
                groups.lock().push(group);
                stream
            }
        };
        stream.seek(sl_core::event::Position::default()).await.unwrap();
        Box::new(stream)
    }

    async fn restart(&mut self) {
        self.leave().await;
        self.edge.restart().await;
    }

    async fn lose_oldest(&mut self) {
        self.leave().await;
        let (half, mut before) = (i64::try_from(suite::GAP / 2).unwrap(), TopicPartitionList::new());
        let topic = self.edge.cluster.config().events_topic();
        before.add_partition_offset(&topic, 0, Offset::Offset(half)).unwrap();
        world::admin(&self.edge.cluster).delete_records(&before, &AdminOptions::new()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn streams_pass_the_suite() {
    suite::run(async || OnKafka::fresh(false).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn streams_of_a_group_pass_the_suite() {
    suite::run(async || OnKafka::fresh(true).await).await;
}
