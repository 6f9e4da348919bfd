//! The one consumer that reads for all streams of a process: connections and threads are shared, each partition has a
//! queue of its own. It belongs to no group and asks Kafka for no position: streams say where they read.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    config::FromClientConfigAndContext as _,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, base_consumer::PartitionQueue},
    error::{KafkaError, KafkaResult},
    types::RDKafkaErrorCode,
};
use tokio::sync::{Notify, watch};

use crate::{
    Cluster, ClusterError, Topic,
    client::{Quiet, heard},
};

pub(crate) type Queue = PartitionQueue<Watermarks>;

/// What the brokers last said of each partition's end.
#[derive(Default)]
pub(crate) struct Watermarks(Mutex<HashMap<i32, u64>>);

impl ClientContext for Watermarks {
    heard!();

    fn stats(&self, statistics: Statistics) {
        let mut heads = self.0.lock();
        for partition in statistics.topics.values().flat_map(|topic| topic.partitions.values()) {
            if let Ok(head) = u64::try_from(partition.hi_offset) {
                heads.insert(partition.partition, head);
            }
        }
    }
}

impl ConsumerContext for Watermarks {}

/// The topic as it was when it was last asked for, and how often that was.
#[derive(Clone, Default)]
pub(crate) struct Looked {
    pub(crate) epoch: u64,
    pub(crate) made: u64,
    pub(crate) times: u64,
}

pub(crate) struct Reader {
    consumer: Arc<BaseConsumer<Watermarks>>,
    cluster: Cluster,
    topic: String,
    looked: watch::Receiver<Looked>,
    /// Somebody wants to know now.
    doubt: Arc<Notify>,
    watcher: tokio::task::JoinHandle<()>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Longest wait for a broker's answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is made sure that the topic is still the same one. Its brokers usually say so themselves.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Reader {
    /// Reads `topic`. Must be called inside a runtime.
    pub(crate) fn start(cluster: &Cluster, topic: &Topic) -> Result<Arc<Self>, ClusterError> {
        let config = cluster.config();
        let mut settings = config.client();
        settings
            // librdkafka assigns nothing without a name; no broker hears it.
            .set("group.id", format!("{}.reader", config.prefix))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // A position that is not there is the state's business, never silently another one.
            .set("auto.offset.reset", "error")
            .set("statistics.interval.ms", "1000")
            .set("fetch.wait.max.ms", "100")
            // Read ahead of the decisions per partition; 48 of them are 200 MB at most.
            .set("queued.max.messages.kbytes", "4096")
            .set("fetch.queue.backoff.ms", "20");
        let consumer = BaseConsumer::from_config_and_context(&settings, Watermarks::default())
            .map_err(|error| config.blame(&error))?;
        let consumer = Arc::new(consumer);
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (consumer, stop) = (Arc::clone(&consumer), Arc::clone(&stop));
            std::thread::Builder::new()
                .name("kafka-reader".to_owned())
                .spawn(move || serve(&consumer, &stop))
                .map_err(ClusterError::unavailable)?
        };
        let (told, looked) = watch::channel(Looked { epoch: topic.epoch, made: topic.made, times: 0 });
        let doubt = Arc::new(Notify::new());
        let watcher = tokio::spawn(look(cluster.clone(), told, Arc::clone(&doubt)));
        let (cluster, topic) = (cluster.clone(), topic.name.clone());
        Ok(Arc::new(Self { consumer, cluster, topic, looked, doubt, watcher, stop, thread: Some(thread) }))
    }

    /// Reads the partition from `offset` on, into a queue that wakes `arrived`. Blocks for a moment. A queue that the
    /// partition had before must be gone.
    pub(crate) fn assign(&self, partition: i32, offset: u64, arrived: Arc<Notify>) -> KafkaResult<Queue> {
        self.unassign(partition);
        let mut queue = self
            .consumer
            .split_partition_queue(&self.topic, partition)
            .ok_or_else(|| KafkaError::Subscription(format!("there is no partition {partition}")))?;
        queue.set_nonempty_callback(move || arrived.notify_one());
        let mut list = TopicPartitionList::new();
        let offset = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
        list.add_partition_offset(&self.topic, partition, offset)?;
        self.consumer.incremental_assign(&list)?;
        Ok(queue)
    }

    /// Stops reading it.
    pub(crate) fn unassign(&self, partition: i32) {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        // Not assigned: nothing to do.
        let _ = self.consumer.incremental_unassign(&list);
    }

    /// First offset and the one behind the last. Blocks.
    pub(crate) fn ends(&self, partition: i32) -> KafkaResult<(u64, u64)> {
        let (low, high) = match self.consumer.fetch_watermarks(&self.topic, partition, PATIENCE) {
            // Said of a partition without a leader, too, by what librdkafka remembers: after an outage for minutes. A new client
            // remembers nothing.
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownPartition)) => {
                self.ends_anew(partition)?
            }
            ends => ends?,
        };
        let (low, high) = (u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0));
        self.consumer.context().0.lock().insert(partition, high);
        Ok((low, high))
    }

    fn ends_anew(&self, partition: i32) -> KafkaResult<(i64, i64)> {
        let client = BaseConsumer::from_config_and_context(&self.cluster.config().client(), Quiet)?;
        client.fetch_watermarks(&self.topic, partition, PATIENCE)
    }

    /// The end of the partition as last heard.
    pub(crate) fn head(&self, partition: i32) -> u64 {
        self.consumer.context().0.lock().get(&partition).copied().unwrap_or(0)
    }

    pub(crate) fn looked(&self) -> Looked {
        self.looked.borrow().clone()
    }

    /// Has the topic looked at now.
    pub(crate) fn doubt(&self) {
        self.doubt.notify_one();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.watcher.abort();
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It holds the last but one reference and wakes within its poll.
            let _ = thread.join();
        }
    }
}

/// Serves statistics and errors of the consumer as a whole.
fn serve(consumer: &BaseConsumer<Watermarks>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => {
                // Each partition has its queue before it is assigned.
                tracing::error!(
                    partition = rdkafka::Message::partition(&message),
                    "a record came by the wrong way"
                );
            }
            Some(Err(error)) => tracing::debug!(%error, "reading from Kafka"),
        }
    }
}

async fn look(cluster: Cluster, told: watch::Sender<Looked>, doubt: Arc<Notify>) {
    loop {
        match cluster.events().await {
            Ok(topic) => told.send_modify(|looked| {
                (looked.epoch, looked.made) = (topic.epoch, topic.made);
                looked.times += 1;
            }),
            Err(error @ ClusterError::Unavailable(_)) => tracing::debug!(%error, "looking at the topic"),
            Err(error) => tracing::error!(%error, "the topic can't be read"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = doubt.notified() => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
