//! The topics: made once with stated settings, looked at whenever somebody must know that they are still the same.
//!
//! Kafka has no number that grows when a topic is made anew under its old name, and offsets start at 0 again: a consumer
//! would read on in the middle of other records. So the topic carries its **epoch** (decisions 47), the second in which
//! it was made, in a setting that has no effect on it: `delete.retention.ms` concerns compacted topics only. It is set
//! in the same request that makes the topic, and goes with it.
//!
//! When a partition lost records that were applied, the epoch is **raised**, so that edges send again what they still have.
//! That is the business of this partition alone: in all others every record is still there, at its offset. So the topic
//! keeps the epoch in which it was made beside it (`min.compaction.lag.ms`, without effect likewise), and each partition's
//! own epoch, from which on its records count, is the one of its consumer's position.

use std::{fmt, sync::Arc, time::Duration};

use rdkafka::{
    admin::{
        AdminClient, AdminOptions, AlterConfig, ConfigEntry, ConfigSource, NewTopic, ResourceSpecifier,
        TopicReplication,
    },
    error::KafkaError,
    types::RDKafkaErrorCode,
};
use sl_core::time::Timestamp;

use crate::{
    ClusterError,
    client::Quiet,
    config::{ConfigProblem, KafkaConfig},
};

/// A topic as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Raised when it is made anew, or when one of its partitions lost its end: what is sent carries it.
    pub epoch: u64,
    /// The epoch in which it was made: positions of an earlier one are another topic's.
    pub made: u64,
    /// Fixed when it is made.
    pub partitions: u32,
    /// The largest record it takes, bytes.
    pub longest: usize,
}

/// The Kafka cluster. Cheap to share.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    config: KafkaConfig,
    admin: AdminClient<Quiet>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the whole configuration: it has passwords.
        write!(f, "Cluster({})", self.0.config.brokers)
    }
}

/// Longest wait for an answer about topics.
const PATIENCE: Duration = Duration::from_secs(5);
/// The epoch's place.
const EPOCH: &str = "delete.retention.ms";
/// The place of the epoch in which the topic was made.
const MADE: &str = "min.compaction.lag.ms";
/// Earlier seconds than this one (2020) are no epoch of ours but the setting's default, a day.
const FIRST_EPOCH: u64 = 1_577_836_800;
/// A record of the journal has at most 4 MiB; 64 KiB more for what the forwarder adds.
pub(crate) const LONGEST: usize = (4 << 20) + (64 << 10);
/// What client and topic allow a message, in bytes: 64 KiB more than [`LONGEST`], for what Kafka wraps around it.
pub(crate) const MESSAGE_MAX: &str = "4325376";
const _: () =
    assert!(matches!(usize::from_str_radix(MESSAGE_MAX, 10), Ok(bytes) if bytes == LONGEST + (64 << 10)));

impl Topic {
    /// Whether its epoch was raised since it was made.
    pub(crate) fn is_raised(&self) -> bool {
        self.made < self.epoch
    }
}

impl Cluster {
    /// Connects when first asked something.
    ///
    /// # Errors
    /// [`ConfigProblem`], the first one.
    pub fn new(config: KafkaConfig) -> Result<Self, ConfigProblem> {
        if let Some(problem) = config.problems().into_iter().next() {
            return Err(problem);
        }
        let mut client = config.client();
        // Told to connect only where it must, librdkafka connects anew without any pause while a question waits for the
        // controller and no broker is there: each failure lets it ask for the connection again, which ends the pause.
        client.set("enable.sparse.connections", "false");
        let admin = rdkafka::config::FromClientConfigAndContext::from_config_and_context(&client, Quiet)
            .map_err(|error| config.blame(&error))?;
        Ok(Self(Arc::new(Inner { config, admin })))
    }

    /// The configuration it was made with.
    #[must_use]
    pub fn config(&self) -> &KafkaConfig {
        &self.0.config
    }

    /// Makes the topics that are not there; `now` becomes their epoch.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn make_topics(&self, now: Timestamp) -> Result<(), ClusterError> {
        let config = self.config();
        let epoch = (now.0 / 1000).to_string();
        let retention = config.retention.as_millis().to_string();
        let (events, visitors) = (config.events_topic(), config.visitors_topic());
        let new = [
            self.settings(&events, config.partitions, &epoch, &retention),
            // Every edge reads all of it, so partitions only spread the load over brokers. A visit is of no use once
            // the visitor window, at most a day, is over.
            self.settings(&visitors, config.partitions.min(VISITOR_PARTITIONS), &epoch, "90000000"),
        ];
        for topic in new {
            self.make(topic).await?;
        }
        Ok(())
    }

    fn settings<'a>(
        &self,
        name: &'a str,
        partitions: u32,
        epoch: &'a str,
        retention: &'a str,
    ) -> NewTopic<'a> {
        let copies = i32::from(self.config().replication);
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(copies));
        for (key, value) in fixed_settings(self.config().replication) {
            topic = topic.set(key, value);
        }
        topic.set("retention.ms", retention).set(EPOCH, epoch).set(MADE, epoch)
    }

    async fn make(&self, topic: NewTopic<'_>) -> Result<(), ClusterError> {
        let name = topic.name.to_owned();
        let made = self
            .0
            .admin
            .create_topics([&topic], &options())
            .await
            .map_err(|error| self.unanswered(&error))?;
        match made.into_iter().next() {
            Some(Ok(_)) => {
                tracing::info!(topic = name, partitions = topic.num_partitions, "made a topic");
                Ok(())
            }
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, RDKafkaErrorCode::InvalidReplicationFactor))) => Err(ConfigProblem {
                key: "kafka.replication".to_owned(),
                problem: format!("{}: there are fewer brokers", self.config().replication),
            }
            .into()),
            Some(Err((_, code))) => Err(ClusterError::unavailable(code)),
            None => Err(ClusterError::Unavailable("no answer about a topic".to_owned())),
        }
    }

    /// `<prefix>.events` as it is now.
    ///
    /// # Errors
    /// [`ClusterError::Topic`] when it is not as [`Cluster::make_topics`] makes it.
    pub async fn events(&self) -> Result<Topic, ClusterError> {
        let topic = self.topic(&self.config().events_topic()).await?;
        if topic.partitions != self.config().partitions {
            // Accounts would lie in other partitions than before, and their order would be gone.
            let reason = format!(
                "it has {} partitions and kafka.partitions is {}: set kafka.partitions to what it was made with",
                topic.partitions,
                self.config().partitions
            );
            return Err(ClusterError::Topic { topic: topic.name, reason });
        }
        Ok(topic)
    }

    /// `<prefix>.visitors` as it is now.
    ///
    /// # Errors
    /// As [`Cluster::events`].
    pub async fn visitors(&self) -> Result<Topic, ClusterError> {
        self.topic(&self.config().visitors_topic()).await
    }

    async fn topic(&self, name: &str) -> Result<Topic, ClusterError> {
        let settings = self.describe(name).await?;
        let number = |key: &str| {
            settings
                .iter()
                .find(|entry| entry.name == key)
                .and_then(|entry| entry.value.as_ref()?.parse().ok())
        };
        let epoch =
            number(EPOCH).filter(|epoch| *epoch >= FIRST_EPOCH).ok_or_else(|| ClusterError::Topic {
                topic: name.to_owned(),
                reason: format!("its {EPOCH} is no epoch: delete it and let this service make it"),
            })?;
        // A topic of an earlier version does not say.
        let made = number(MADE).filter(|made| (FIRST_EPOCH..=epoch).contains(made)).unwrap_or(epoch);
        let longest =
            number("max.message.bytes").and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(LONGEST);
        let partitions = self.partitions(name).await?;
        Ok(Topic { name: name.to_owned(), epoch, made, partitions, longest })
    }

    /// A broker that refuses a login or shows a strange certificate is one that does not answer: the client says no more.
    fn unanswered(&self, error: &KafkaError) -> ClusterError {
        let hint = if self.config().security.is_empty() { "" } else { "; or kafka.security is refused" };
        ClusterError::unavailable(format!("{error}{hint}"))
    }

    async fn describe(&self, name: &str) -> Result<Vec<ConfigEntry>, ClusterError> {
        let asked = [ResourceSpecifier::Topic(name)];
        let told = self
            .0
            .admin
            .describe_configs(&asked, &options())
            .await
            .map_err(|error| self.unanswered(&error))?;
        let told =
            told.into_iter().next().ok_or_else(|| ClusterError::unavailable("no answer about a topic"))?;
        let settings = told.map_err(|code| match code {
            RDKafkaErrorCode::UnknownTopicOrPartition => absent(name),
            code => ClusterError::unavailable(code),
        })?;
        if settings.entries.is_empty() {
            // How a topic that was deleted answers.
            return Err(absent(name));
        }
        Ok(settings.entries)
    }

    async fn partitions(&self, name: &str) -> Result<u32, ClusterError> {
        let (cluster, asked) = (self.clone(), name.to_owned());
        let metadata = move || {
            let metadata = cluster.0.admin.inner().fetch_metadata(Some(&asked), PATIENCE)?;
            let topic = metadata.topics().iter().find(|topic| topic.name() == asked);
            Ok::<_, KafkaError>(
                topic.filter(|topic| topic.error().is_none()).map(|topic| topic.partitions().len()),
            )
        };
        let count = tokio::task::spawn_blocking(metadata).await.map_err(ClusterError::unavailable)?;
        let count = count.map_err(ClusterError::unavailable)?.filter(|count| *count > 0);
        count.and_then(|count| u32::try_from(count).ok()).ok_or_else(|| absent(name))
    }

    /// Gives the events topic this epoch, unless it has a later one: a partition lost its end, and what edges still have
    /// in their journals shall come again.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub(crate) async fn raise_epoch(&self, next: u64) -> Result<Topic, ClusterError> {
        let current = self.events().await?;
        if current.epoch >= next {
            return Ok(current);
        }
        let (epoch, made) = (next.to_string(), current.made.to_string());
        // This request replaces all settings of a topic, so it repeats those it has: also what somebody has changed since.
        let settings = self.describe(&current.name).await?;
        let others = settings.iter().filter(|entry| {
            entry.source == ConfigSource::DynamicTopic && ![EPOCH, MADE].contains(&entry.name.as_str())
        });
        let change = others
            .fold(AlterConfig::new(ResourceSpecifier::Topic(&current.name)), |change, entry| {
                change.set(&entry.name, entry.value.as_deref().unwrap_or_default())
            });
        let change = change.set(EPOCH, &epoch).set(MADE, &made);
        let changed =
            self.0.admin.alter_configs([&change], &options()).await.map_err(ClusterError::unavailable)?;
        if let Some(Err((_, code))) = changed.into_iter().next() {
            return Err(ClusterError::unavailable(code));
        }
        let begun = tokio::time::Instant::now();
        loop {
            // The broker that is asked may not have heard of it yet.
            let raised = self.events().await?;
            if raised.epoch >= next {
                return Ok(raised);
            }
            if begun.elapsed() > PATIENCE {
                return Err(ClusterError::Unavailable("the new epoch does not show".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// How much longer than its retention a topic may hold a record: it goes with its segment, whose newest record is up to
/// `segment.ms` (7 days unless a broker is told otherwise) younger; and a day for whoever looks late.
pub const HELD_LONGER: Duration = Duration::from_secs(24 * 8 * 3600);
/// Most partitions of `<prefix>.visitors`: 12 spread evenly over 2, 3, 4, 6 or 12 brokers.
const VISITOR_PARTITIONS: u32 = 12;

/// The settings that all our topics have, and why.
fn fixed_settings(replication: u16) -> [(&'static str, &'static str); 8] {
    [
        // By age alone: size would cut off whatever attribution had not read in a busy hour.
        ("cleanup.policy", "delete"),
        ("retention.bytes", "-1"),
        // Kept as the forwarder compressed it (LZ4): the broker spends nothing on it.
        ("compression.type", "producer"),
        // What the journal can hold, Kafka can.
        ("max.message.bytes", MESSAGE_MAX),
        // An edge whose clock is off must not have its records refused or thrown away early.
        ("message.timestamp.type", "LogAppendTime"),
        // An acknowledged record is on two brokers, where there are so many: one of three may be lost at any moment.
        ("min.insync.replicas", if replication >= 3 { "2" } else { "1" }),
        // No cleaner comes to a topic like this; brokers refuse a `min.compaction.lag.ms` above it.
        ("max.compaction.lag.ms", "9223372036854775807"),
        // Rather wait for a broker that has everything than go on with one that has not.
        ("unclean.leader.election.enable", "false"),
    ]
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

fn absent(topic: &str) -> ClusterError {
    ClusterError::Topic { topic: topic.to_owned(), reason: "it is not there".to_owned() }
}
