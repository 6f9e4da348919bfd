//! What the tests share: topics of their own on the shared broker, an edge, and what attribution would see.

use std::{
    collections::BTreeMap,
    future::Future,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, ResourceSpecifier},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use sl_core::{
    event::{Event, EventBody, JournalId, Position, Recorded},
    time::{Clock, Timestamp},
};
use sl_journal::{ClickLog, EventStream, Journal, JournalConfig, StreamError, suite};
use sl_kafka::{Cluster, Forwarder, Forwarding, KafkaConfig, KafkaStream};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the tests' clock")]
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp(i64::try_from(now.as_millis()).unwrap())
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(crate) fn shared_brokers() -> String {
    std::env::var("SMARTLINKS_TEST_KAFKA")
        .expect("SMARTLINKS_TEST_KAFKA is not set: eval \"$(deploy/dev-cluster/up)\" first")
}

/// What the crate says goes with a test's output, which is shown when it fails.
fn show_logs() {
    let _already = tracing_subscriber::fmt()
        .with_test_writer()
        .with_env_filter(std::env::var("RUST_LOG").unwrap_or_else(|_| "sl_kafka=info".to_owned()))
        .try_init();
}

pub(crate) fn config(brokers: &str, partitions: u32) -> KafkaConfig {
    show_logs();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (now, count) = (clock().now().0, COUNT.fetch_add(1, Ordering::Relaxed));
    let prefix = format!("t-{now}-{}-{count}", std::process::id());
    KafkaConfig { brokers: brokers.to_owned(), prefix, partitions, replication: 1, ..KafkaConfig::default() }
}

/// Topics of the test's own.
pub(crate) async fn cluster(brokers: &str, partitions: u32) -> Cluster {
    cluster_of(config(brokers, partitions)).await
}

pub(crate) async fn cluster_of(config: KafkaConfig) -> Cluster {
    let cluster = Cluster::new(config).unwrap();
    made(&cluster, clock().now()).await;
    cluster
}

/// Makes the topics and waits until the broker knows them.
pub(crate) async fn made(cluster: &Cluster, now: Timestamp) {
    within("topics are made", || async { cluster.make_topics(now).await.ok() }).await;
    within("topics are known", || async { cluster.events().await.and(cluster.visitors().await).ok() }).await;
}

/// Asks until there is an answer.
pub(crate) async fn within<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// An edge: a journal, and its forwarder while it runs.
pub(crate) struct Edge {
    pub(crate) dir: TempDir,
    pub(crate) cluster: Cluster,
    pub(crate) journal: Option<Arc<Journal>>,
    /// See [`Forwarding::settle`]; no time at all by default.
    pub(crate) settle: Duration,
    forwarder: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Edge {
    pub(crate) fn start(cluster: &Cluster) -> Self {
        let mut edge = Self::without_forwarder(cluster);
        edge.forward();
        edge
    }

    pub(crate) fn without_forwarder(cluster: &Cluster) -> Self {
        let dir = TempDir::new().unwrap();
        let journal = Some(open_journal(dir.path()));
        Self { dir, cluster: cluster.clone(), journal, settle: Duration::ZERO, forwarder: None }
    }

    pub(crate) fn journal(&self) -> &Arc<Journal> {
        self.journal.as_ref().unwrap()
    }

    pub(crate) fn forward(&mut self) {
        let forwarder = forwarder(self.journal(), &self.cluster, self.dir.path(), self.settle);
        let token = CancellationToken::new();
        self.forwarder = Some((token.clone(), tokio::spawn(forwarder.run(token))));
    }

    /// In good order.
    pub(crate) async fn stop_forwarder(&mut self) {
        if let Some((token, task)) = self.forwarder.take() {
            token.cancel();
            tokio::time::timeout(PATIENCE, task).await.expect("a stop is bounded").unwrap();
        }
    }

    /// Dropped wherever it is.
    pub(crate) async fn abort_forwarder(&mut self) {
        if let Some((_, task)) = self.forwarder.take() {
            task.abort();
            let _ = task.await;
        }
    }

    pub(crate) async fn restart(&mut self) {
        self.stop_forwarder().await;
        self.journal.take().unwrap().close().unwrap();
        self.journal = Some(open_journal(self.dir.path()));
        self.forward();
    }

    pub(crate) fn append(&self, event: Event) {
        let _in_the_journal = self.journal().append(event).unwrap();
    }
}

pub(crate) fn open_journal(dir: &Path) -> Arc<Journal> {
    let config =
        JournalConfig { dir: dir.join("journal"), segment_bytes: 1 << 20, ..JournalConfig::default() };
    // The lock of a journal that was just closed may be held by a process that another test is starting.
    for _ in 0..1_000 {
        match Journal::open(config.clone(), clock()) {
            Err(sl_journal::JournalError::Locked(_)) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened.unwrap(),
        }
    }
    panic!("the journal stays locked");
}

pub(crate) fn forwarder(
    journal: &Arc<Journal>,
    cluster: &Cluster,
    dir: &Path,
    settle: Duration,
) -> Forwarder {
    let mut settings = Forwarding::new(dir.join("forwarder"));
    settings.store_every = Duration::from_millis(50);
    settings.settle = settle;
    settings.pause = (Duration::from_millis(50), Duration::from_millis(500));
    Forwarder::new(Box::new(journal.stream("kafka")), journal.id(), cluster.clone(), settings)
}

/// Suite event `n` of an account.
pub(crate) fn event(account: &str, n: u64) -> Event {
    Event { account: account.into(), ..suite::event(n) }
}

pub(crate) fn number(record: &Recorded) -> u64 {
    match &record.event.body {
        EventBody::Webhook(webhook) => webhook.key.parse().unwrap(),
        other => panic!("not an event of the tests: {other:?}"),
    }
}

/// What attribution would make of a partition: it skips what is not above the highest sequence of its journal
/// (decisions 47), and keeps its position with its state.
pub(crate) struct Reading {
    pub(crate) stream: Box<dyn EventStream>,
    pub(crate) position: Position,
    pub(crate) applied: BTreeMap<JournalId, u64>,
    pub(crate) accounts: BTreeMap<String, Vec<u64>>,
    pub(crate) skipped: usize,
    pub(crate) troubles: Vec<StreamError>,
    /// The last one that passed.
    pub(crate) last: Option<StreamError>,
}

impl Reading {
    pub(crate) fn of(stream: impl EventStream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            position: Position::default(),
            applied: BTreeMap::new(),
            accounts: BTreeMap::new(),
            skipped: 0,
            troubles: Vec::new(),
            last: None,
        }
    }

    pub(crate) async fn all(cluster: &Cluster) -> Vec<Self> {
        let mut readings = Vec::new();
        for partition in 0..cluster.config().partitions {
            let open = || async { KafkaStream::open(cluster, partition, clock()).await.ok() };
            readings.push(Self::of(within("a stream opens", open).await));
        }
        readings
    }

    /// One batch, as attribution handles it.
    pub(crate) async fn step(&mut self, wait: Duration) {
        match self.stream.next(1000, wait).await {
            Ok(batch) => {
                for record in batch.records {
                    self.apply(&record);
                }
                self.position = batch.next;
            }
            Err(passing @ StreamError::Io(_)) => self.last = Some(passing),
            Err(trouble) => {
                let behind = match &trouble {
                    StreamError::Gap(first) => *first,
                    StreamError::Undecodable { offset, .. } => {
                        Position { offset: offset + 1, ..self.position }
                    }
                    other => panic!("{other}"),
                };
                self.troubles.push(trouble);
                let seek = tokio::time::timeout(PATIENCE, async {
                    while self.stream.seek(behind).await.is_err() {}
                });
                seek.await.expect("a position can be sought");
            }
        }
    }

    /// Comes back with its state, to another stream.
    pub(crate) async fn resume(self, mut stream: KafkaStream) -> Self {
        let known = self.applied.iter().map(|(journal, sequence)| (*journal, *sequence)).collect();
        let sought = stream.resume(self.position, &known).await.unwrap();
        assert_eq!(sought, self.position, "the length of the partition tells nothing");
        Self { stream: Box::new(stream), ..self }
    }

    /// The next few records, at most so many.
    pub(crate) async fn read_some(&mut self, most: usize) {
        let batch = self.stream.next(most, PATIENCE).await.unwrap();
        batch.records.iter().for_each(|record| self.apply(record));
        self.position = batch.next;
    }

    pub(crate) fn apply(&mut self, record: &Recorded) {
        let highest = self.applied.get(&record.journal);
        if highest.is_some_and(|highest| record.sequence <= *highest) {
            self.skipped += 1;
            return;
        }
        self.applied.insert(record.journal, record.sequence);
        self.accounts.entry(record.event.account.as_str().to_owned()).or_default().push(number(record));
    }
}

/// Reads all partitions until every account has `count` records; then nothing may be missing, out of order or doubled.
pub(crate) async fn expect_complete(readings: &mut [Reading], accounts: &[String], count: u64) {
    let read = async {
        while readings
            .iter()
            .map(|reading| reading.accounts.values().map(Vec::len).sum::<usize>())
            .sum::<usize>()
            < accounts.len() * usize::try_from(count).unwrap()
        {
            for reading in &mut *readings {
                reading.step(Duration::from_millis(20)).await;
            }
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, read).await.is_ok();
    if !in_time {
        for reading in &*readings {
            let (position, head) = (reading.position, reading.stream.head());
            eprintln!("partition {}: at {position:?} of {head:?}", reading.stream.partition());
            eprintln!("  troubles {:?}, last {:?}", reading.troubles, reading.last);
        }
    }
    for account in accounts {
        let found: Vec<_> = readings.iter().filter_map(|reading| reading.accounts.get(account)).collect();
        let numbers = found.first().map(|numbers| numbers.as_slice()).unwrap_or_default();
        assert_eq!(found.len(), 1, "{account} lives in one partition");
        let wanted: Vec<u64> = (0..count).collect();
        let first_wrong = numbers.iter().zip(&wanted).position(|(got, want)| got != want);
        assert_eq!(first_wrong, None, "{account} comes in order: {:?}", &numbers[first_wrong.unwrap_or(0)..]);
        assert_eq!(numbers.len() as u64, count, "{account} is complete; in time: {in_time}");
    }
}

/// Of a test that fails, what a new client is told of the partitions.
pub(crate) struct ToldOnFailure<'a>(pub(crate) &'a Cluster);

impl Drop for ToldOnFailure<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let (client, topic) = (admin(self.0), self.0.config().events_topic());
        match client.inner().fetch_metadata(Some(&topic), Duration::from_secs(10)) {
            Ok(metadata) => {
                for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
                    eprintln!(
                        "partition {}: leader {}, error {:?}",
                        partition.id(),
                        partition.leader(),
                        partition.error()
                    );
                }
            }
            Err(error) => eprintln!("nothing about {topic}: {error}"),
        }
    }
}

/// Puts bytes into a partition, past the forwarder.
pub(crate) fn put_raw(cluster: &Cluster, partition: i32, payload: &[u8]) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &cluster.config().brokers).create().unwrap();
    let topic = cluster.config().events_topic();
    producer.send(BaseRecord::<(), _>::to(&topic).partition(partition).payload(payload)).unwrap();
    producer.flush(PATIENCE).unwrap();
}

pub(crate) fn admin(cluster: &Cluster) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", &cluster.config().brokers).create().unwrap()
}

pub(crate) async fn delete_topic(cluster: &Cluster, topic: &str) {
    admin(cluster).delete_topics(&[topic], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    within("the topic is gone", || async {
        let is_events = topic == cluster.config().events_topic();
        let told = if is_events { cluster.events().await } else { cluster.visitors().await };
        told.err().filter(|error| error.to_string().contains("not there"))
    })
    .await;
}

pub(crate) async fn topic_settings(cluster: &Cluster, topic: &str) -> BTreeMap<String, String> {
    let asked = [ResourceSpecifier::Topic(topic)];
    let told =
        admin(cluster).describe_configs(&asked, &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    told.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
}

/// Changes one setting of a topic. The request replaces all of them, so it repeats the others.
pub(crate) async fn set(cluster: &Cluster, topic: &str, key: &str, value: &str) {
    let asked = [ResourceSpecifier::Topic(topic)];
    let told =
        admin(cluster).describe_configs(&asked, &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    let own = told.entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
    let change = own.fold(AlterConfig::new(ResourceSpecifier::Topic(topic)), |change, entry| {
        change.set(&entry.name, entry.value.as_deref().unwrap_or_default())
    });
    let change = change.set(key, value);
    admin(cluster).alter_configs([&change], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    within("the setting is in force", || async {
        (topic_settings(cluster, topic).await.get(key).map(String::as_str) == Some(value)).then_some(())
    })
    .await;
}
