//! What other edges saw: `<prefix>.visitors`, read whole by every edge (decisions 53).

use std::{collections::HashMap, sync::Arc, time::Duration};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    config::FromClientConfigAndContext as _,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaResult,
};
use sl_core::{event::JournalId, time::Timestamp, visitor::Visit};
use sl_journal::codec;
use tokio::{sync::Notify, time::Instant};

use crate::{Cluster, ClusterError, client::Quiet};

/// A visit at another edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The journal that has its click.
    pub journal: JournalId,
    /// The visit to be remembered.
    pub visit: Visit,
}

/// All partitions of the topic, from a moment on.
pub struct Visitors {
    consumer: BaseConsumer<Quiet>,
    arrived: Arc<Notify>,
    own: JournalId,
    /// Per partition, where its records ended when this began, as long as that is not reached.
    behind: HashMap<i32, i64>,
}

const PATIENCE: Duration = Duration::from_secs(5);

impl Visitors {
    /// Visits from `since` on (by the brokers' clocks), except those that the journal `own` has.
    ///
    /// # Errors
    /// [`ClusterError`]; try again.
    pub async fn since(cluster: &Cluster, own: JournalId, since: Timestamp) -> Result<Self, ClusterError> {
        let topic = cluster.visitors().await?;
        let config = cluster.config();
        let mut settings = config.client();
        settings
            // librdkafka assigns nothing without a name; no broker hears it.
            .set("group.id", format!("{}.visitors", config.prefix))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // A topic that was made anew: what it has is news.
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "100")
            .set("queued.max.messages.kbytes", "4096");
        let mut consumer =
            BaseConsumer::from_config_and_context(&settings, Quiet).map_err(|error| config.blame(&error))?;
        let arrived = Arc::new(Notify::new());
        let wake = Arc::clone(&arrived);
        consumer.set_nonempty_callback(move || wake.notify_one());
        let partitions = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
        let begun = tokio::task::spawn_blocking(move || {
            let behind = begin(&consumer, &topic.name, partitions, since)?;
            Ok::<_, rdkafka::error::KafkaError>((consumer, behind))
        });
        let (consumer, behind) =
            begun.await.map_err(ClusterError::unavailable)?.map_err(ClusterError::unavailable)?;
        Ok(Self { consumer, arrived, own, behind })
    }

    /// The next visits, at most `max`, waiting up to `wait` for the first. None of them twice, but a forwarder that
    /// crashed may have sent one twice.
    ///
    /// # Errors
    /// [`ClusterError`]; the same call may be made again.
    pub async fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Seen>, ClusterError> {
        let deadline = Instant::now() + wait;
        loop {
            let seen = self.drain(max)?;
            if !seen.is_empty() || Instant::now() >= deadline {
                return Ok(seen);
            }
            tokio::select! {
                () = self.arrived.notified() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    /// Whether everything that was there when this began has been read: the window is as full as it gets.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.behind.is_empty()
    }

    fn drain(&mut self, max: usize) -> Result<Vec<Seen>, ClusterError> {
        let mut seen = Vec::new();
        while seen.len() < max {
            let Some(polled) = self.consumer.poll(Duration::ZERO) else { break };
            let message = match polled {
                Ok(message) => message,
                Err(error) if seen.is_empty() => return Err(ClusterError::unavailable(error)),
                Err(_) => break,
            };
            let (partition, next) = (message.partition(), message.offset() + 1);
            if self.behind.get(&partition).is_some_and(|end| next >= *end) {
                self.behind.remove(&partition);
            }
            match codec::decode_visit(message.payload().unwrap_or_default()) {
                Ok((journal, _)) if journal == self.own => {}
                Ok((journal, visit)) => seen.push(Seen { journal, visit }),
                Err(error) => {
                    metrics::counter!("smartlinks_visitors_undecodable_total").increment(1);
                    tracing::warn!(partition, offset = next - 1, %error, "a visit can't be read and is left out");
                }
            }
        }
        Ok(seen)
    }
}

/// Starts reading at the first record of `since` or later in each partition; says where those end that have any.
fn begin(
    consumer: &BaseConsumer<Quiet>,
    topic: &str,
    partitions: i32,
    since: Timestamp,
) -> KafkaResult<HashMap<i32, i64>> {
    let mut times = TopicPartitionList::new();
    for partition in 0..partitions {
        times.add_partition_offset(topic, partition, Offset::Offset(since.0.max(0)))?;
    }
    let found = consumer.offsets_for_times(times, PATIENCE)?;
    let (mut list, mut behind) = (TopicPartitionList::new(), HashMap::new());
    for partition in 0..partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
        let first = found.find_partition(topic, partition).map(|element| element.offset());
        let first = match first {
            Some(Offset::Offset(offset)) => offset.max(low),
            // Nothing as late as that.
            _ => high,
        };
        list.add_partition_offset(topic, partition, Offset::Offset(first))?;
        if first < high {
            behind.insert(partition, high);
        }
    }
    consumer.assign(&list)?;
    Ok(behind)
}
