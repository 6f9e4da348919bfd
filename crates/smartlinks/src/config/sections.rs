//! The sections as types. Their documentation is `default.toml`.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use bytesize::ByteSize;
use ipnet::IpNet;
use serde::Deserialize;
use sl_core::{platforms::PlatformKind, seal::Secret};
use url::Url;

use super::values::{MaybeSecret, dotted_secrets, duration, secret_list, some_duration};

macro_rules! sections {
    ($($(#[$section:meta])* $name:ident { $($(#[$field:meta])* $key:ident: $kind:ty,)* })*) => {
        $($(#[$section])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name { $($(#[$field])* pub(crate) $key: $kind,)* })*
    };
}

sections! {
    /// The whole file.
    Config {
        data_dir: PathBuf,
        storage: Storage,
        team: Team,
        edge: Edge,
        geo: Geo,
        journal: Journal,
        admin: Admin,
        platform: Platform,
        pool: Pool,
        attribution: Attribution,
        postback: Postback,
        egress: Egress,
        ad_platforms: BTreeMap<PlatformKind, AdPlatform>,
        kafka: Kafka,
        scylla: Scylla,
        retention: Retention,
        secrets: Secrets,
        log: Log,
        #[serde(default)] otel: Otel,
    }
    Storage { backend: Backend, }
    Team { name: String, slug: String, }
    Edge {
        listen: SocketAddr,
        public_url: Url,
        threads: Option<usize>,
        max_connections: usize,
        #[serde(deserialize_with = "duration")] header_timeout: Duration,
        max_header_bytes: ByteSize,
        durability: DurabilityWord,
        #[serde(deserialize_with = "duration")] durable_wait: Duration,
        trusted_proxies: Vec<IpNet>,
        client_ip_header: String,
        #[serde(deserialize_with = "duration")] visitor_window: Duration,
        window_entries: usize,
        cookie: bool,
    }
    Geo { country_db: Option<PathBuf>, city_db: Option<PathBuf>, asn_db: Option<PathBuf>, }
    Journal {
        segment: ByteSize,
        #[serde(deserialize_with = "duration")] retention: Duration,
        max_disk: ByteSize,
    }
    Admin {
        listen: SocketAddr,
        #[serde(default)] metrics_token: MaybeSecret,
        metrics_token_file: Option<PathBuf>,
    }
    Platform {
        base_url: Url,
        #[serde(default)] api_key: MaybeSecret,
        api_key_file: Option<PathBuf>,
        #[serde(deserialize_with = "secret_list")] webhook_secrets: Vec<Secret>,
        webhook_secrets_file: Option<PathBuf>,
        accept_unsigned: bool,
        #[serde(deserialize_with = "duration")] poll: Duration,
        #[serde(deserialize_with = "duration")] debounce: Duration,
        requests_per_minute: u32,
    }
    Pool {
        #[serde(deserialize_with = "duration")] cover: Duration,
        min: u32,
        max: u32,
        #[serde(deserialize_with = "duration")] quarantine: Duration,
    }
    Attribution {
        #[serde(deserialize_with = "duration")] window: Duration,
        #[serde(deserialize_with = "duration")] gather: Duration,
    }
    Postback {
        concurrency: usize,
        #[serde(deserialize_with = "duration")] timeout: Duration,
        max_batch: usize,
        max_per_minute: u32,
    }
    Egress { allow: Vec<String>, dns: Vec<SocketAddr>, }
    AdPlatform {
        base_url: String,
        version: Option<String>,
        #[serde(deserialize_with = "some_duration", default)] max_age: Option<Duration>,
    }
    Kafka {
        brokers: String,
        topic_prefix: String,
        partitions: u32,
        replication: u16,
        #[serde(deserialize_with = "duration")] retention: Duration,
        #[serde(deserialize_with = "dotted_secrets", default)] security: BTreeMap<String, Secret>,
        security_file: Option<PathBuf>,
    }
    Scylla {
        nodes: String,
        keyspace: String,
        replication: u16,
        local_dc: Option<String>,
        user: Option<String>,
        #[serde(default)] password: MaybeSecret,
        password_file: Option<PathBuf>,
    }
    Retention {
        #[serde(deserialize_with = "duration")] clicks: Duration,
        #[serde(deserialize_with = "duration")] truncate_ip_after: Duration,
        #[serde(deserialize_with = "duration")] deliveries: Duration,
    }
    Secrets {
        #[serde(default)] key: MaybeSecret,
        key_file: Option<PathBuf>,
        #[serde(default)] visitors_key: MaybeSecret,
        visitors_key_file: Option<PathBuf>,
    }
    #[derive(Default)] Otel { endpoint: Option<Url>, }
    Log { format: LogFormat, level: String, }
}

/// `storage.backend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    Embedded,
    Cluster,
}

/// `edge.durability`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DurabilityWord {
    Synced,
    Buffered,
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Human,
    Json,
}
