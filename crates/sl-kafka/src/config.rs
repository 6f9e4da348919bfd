//! Where the brokers are and how topics are made: `kafka.*` of the configuration.

use std::{collections::BTreeMap, fmt, time::Duration};

use rdkafka::{
    ClientConfig,
    error::KafkaError,
    producer::{BaseProducer, DefaultProducerContext},
};

/// `kafka.*`.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `kafka.brokers`: some brokers of the cluster, `host:port` with commas between.
    pub brokers: String,
    /// `kafka.topic_prefix`: topics are called `<prefix>.events` and `<prefix>.visitors`, groups `<prefix>.<role>`.
    pub prefix: String,
    /// `kafka.security`: TLS and SASL keys as librdkafka names them.
    pub security: BTreeMap<String, String>,
    /// `kafka.partitions` of `<prefix>.events`: how many attributors can share the work. Fixed when the topic is made,
    /// since an account must not change its partition.
    pub partitions: u32,
    /// `kafka.replication`: copies of each record.
    pub replication: u16,
    /// `kafka.retention` of `<prefix>.events`: how long attribution may stand still without losing anything. 7 days are a
    /// long week-end and the time to notice.
    pub retention: Duration,
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the values of `security`: passwords are among them.
        let Self { brokers, prefix, partitions, replication, .. } = self;
        write!(f, "KafkaConfig({brokers}, {prefix}, {partitions} partitions, {replication} copies)")
    }
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            prefix: "smartlinks".to_owned(),
            security: BTreeMap::new(),
            // 48 divides evenly among 2, 3, 4, 6, 8, 12, 16 and 24 attributors.
            partitions: 48,
            replication: 3,
            retention: Duration::from_secs(7 * 86_400),
        }
    }
}

/// A setting that can't work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigProblem {
    /// Full name of the key.
    pub key: String,
    /// What is wrong, and the remedy. Never a secret.
    pub problem: String,
}

/// The families of librdkafka's keys that concern security. Everything else is this crate's own business: a wrong
/// `acks` would lose records.
const SECURITY: [&str; 5] = ["security.", "sasl.", "ssl.", "enable.ssl.", "enable.sasl."];

impl KafkaConfig {
    /// `<prefix>.events`.
    #[must_use]
    pub fn events_topic(&self) -> String {
        format!("{}.events", self.prefix)
    }

    /// `<prefix>.visitors`.
    #[must_use]
    pub fn visitors_topic(&self) -> String {
        format!("{}.visitors", self.prefix)
    }

    /// Everything that is wrong, without asking a broker.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut wrong = |key: &str, problem: String| {
            problems.push(ConfigProblem { key: key.to_owned(), problem });
        };
        let named = |broker: &str| {
            broker
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if !self.brokers.split(',').all(|broker| named(broker.trim())) {
            wrong("kafka.brokers", format!("{:?} is no list of host:port", self.brokers));
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if self.prefix.is_empty() || self.prefix.len() > 200 || !self.prefix.chars().all(legal) {
            let problem = format!("{:?}: letters, digits, '.', '_' and '-' only, at most 200", self.prefix);
            wrong("kafka.topic_prefix", problem);
        }
        if !(1..=10_000).contains(&self.partitions) {
            wrong("kafka.partitions", format!("{}: it must be between 1 and 10000", self.partitions));
        }
        if !(1..=9).contains(&self.replication) {
            wrong("kafka.replication", format!("{}: it must be between 1 and 9", self.replication));
        }
        if self.retention < Duration::from_secs(3600) {
            let problem = format!("{:?}: below 1h, attribution loses records in any outage", self.retention);
            wrong("kafka.retention", problem);
        }
        for key in self.security.keys().filter(|key| !SECURITY.iter().any(|family| key.starts_with(family))) {
            wrong(&format!("kafka.security.{key}"), "not a TLS or SASL key of librdkafka".to_owned());
        }
        if problems.is_empty() && !self.security.is_empty() {
            problems.extend(self.needs_tls().or_else(|| self.accepted().err()));
        }
        problems
    }

    /// What asks for TLS in a program that was built without it.
    fn needs_tls(&self) -> Option<ConfigProblem> {
        let asks = |(key, value): &(&String, &String)| match key.as_str() {
            "security.protocol" => value.to_ascii_lowercase().ends_with("ssl"),
            "sasl.mechanism" | "sasl.mechanisms" => value.to_ascii_uppercase().starts_with("SCRAM"),
            _ => false,
        };
        let (key, value) = self.security.iter().filter(|_| !cfg!(feature = "tls")).find(asks)?;
        let problem = format!(
            "{value}: this smartlinks was built without TLS for Kafka; build it with `cargo build --release --features \
             kafka-tls`, which needs OpenSSL (Debian: apt-get install libssl-dev pkg-config)"
        );
        Some(ConfigProblem { key: format!("kafka.security.{key}"), problem })
    }

    /// Whether librdkafka takes the keys, and this build has what they need. Connects to nothing.
    fn accepted(&self) -> Result<(), ConfigProblem> {
        // A port nobody listens on: creating a client starts its threads, which try their brokers.
        let mut config = self.client();
        config.set("bootstrap.servers", "127.0.0.1:1");
        let created: Result<BaseProducer<DefaultProducerContext>, _> = config.create();
        created.map(drop).map_err(|error| self.blame(&error))
    }

    /// What librdkafka refused. Its own words may repeat a value, so they are left out where that may be a secret.
    pub(crate) fn blame(&self, error: &KafkaError) -> ConfigProblem {
        match error {
            KafkaError::ClientConfig(_, words, key, _) => {
                let secret = ["password", "secret", "key", "pem", "token", "config", "certificate"];
                let telling = secret.iter().all(|part| !key.contains(part));
                let problem = if telling { words.clone() } else { "librdkafka refuses the value".to_owned() };
                ConfigProblem { key: format!("kafka.security.{key}"), problem }
            }
            other => {
                let problem = if self.security.is_empty() {
                    other.to_string()
                } else {
                    "librdkafka can't work with these keys together: check paths and passwords".to_owned()
                };
                ConfigProblem { key: "kafka.security".to_owned(), problem }
            }
        }
    }

    /// What every client has in common.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "smartlinks").set("bootstrap.servers", &self.brokers);
        for (key, value) in &self.security {
            config.set(key, value);
        }
        config
            // A broker that comes back is found within a second, not after minutes of growing pauses.
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true")
            // A topic that somebody deletes under a producer would come back with a broker's own settings, and no epoch.
            .set("allow.auto.create.topics", "false")
            .set("topic.metadata.refresh.interval.ms", "60000");
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut KafkaConfig)) -> Vec<String> {
        let mut config = KafkaConfig::default();
        change(&mut config);
        config.problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_default_is_fine() {
        assert!(KafkaConfig::default().problems().is_empty());
    }

    #[test]
    fn every_wrong_key_is_named_at_once() {
        let problems = with(|config| {
            config.brokers = "broker-1".into();
            config.prefix = "a b".into();
            config.partitions = 0;
            config.replication = 0;
            config.retention = Duration::from_secs(1);
            config.security.insert("acks".into(), "0".into());
        });
        let keys = ["brokers", "topic_prefix", "partitions", "replication", "retention", "security.acks"];
        assert_eq!(problems.len(), keys.len(), "{problems:?}");
        for (problem, key) in problems.iter().zip(keys) {
            assert!(problem.starts_with(&format!("kafka.{key}: ")), "{problem}");
        }
    }

    #[test]
    fn librdkafka_judges_security_keys_and_no_secret_is_repeated() {
        let problems = with(|config| {
            config.security.insert("security.protocol".into(), "carrier_pigeon".into());
        });
        assert!(problems.concat().starts_with("kafka.security.security.protocol: "), "{problems:?}");
        let problems = with(|config| {
            config.security.insert("sasl.passwort".into(), "hunter2".into());
        });
        assert!(problems.concat().contains("sasl.passwort"), "{problems:?}");
        assert!(!problems.concat().contains("hunter2"), "{problems:?}");
    }

    #[test]
    fn tls_is_there_or_it_is_said_how_to_get_it() {
        for (key, value) in [("security.protocol", "SSL"), ("sasl.mechanisms", "SCRAM-SHA-512")] {
            let problems = with(|config| {
                config.security.insert("security.protocol".into(), "sasl_plaintext".into());
                config.security.insert("sasl.mechanisms".into(), "PLAIN".into());
                config.security.insert("sasl.username".into(), "u".into());
                config.security.insert("sasl.password".into(), "hunter2".into());
                config.security.insert(key.into(), value.into());
            });
            let wanted = format!("kafka.security.{key}: {value}: this smartlinks was built without TLS");
            match problems.as_slice() {
                [] if cfg!(feature = "tls") => {}
                [problem] => {
                    assert!(problem.starts_with(&wanted) && problem.contains("kafka-tls"), "{problem}")
                }
                others => panic!("{others:?}"),
            }
        }
    }

    #[test]
    fn plain_sasl_passes_through() {
        let problems = with(|config| {
            for (key, value) in [
                ("security.protocol", "sasl_plaintext"),
                ("sasl.mechanisms", "PLAIN"),
                ("sasl.username", "u"),
                ("sasl.password", "hunter2"),
            ] {
                config.security.insert(key.into(), value.into());
            }
        });
        assert!(problems.is_empty(), "{problems:?}");
    }
}
