//! What every process of a run shares, and the creators in it.

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_core::{
    catalog::{OverflowLink, SmartLink},
    ids::{AccountId, LinkKind, PoolLinkId, SmartLinkId},
    pool::StockKey,
    time::{Clock, Timestamp},
};
use sl_kafka::{KafkaConfig, partition};
use sl_loadtest::service::Service;
use sl_scylla::ScyllaConfig;
use sl_store::{Store, suite::sample};

use crate::{Options, Outcome, servers::Servers};

/// Topics and a keyspace of this run alone.
pub(crate) struct Shared {
    pub(crate) kafka: sl_kafka::Cluster,
    pub(crate) store: Store,
    /// Of the team that has everything.
    pub(crate) owner_key: Option<String>,
    settings: Vec<(&'static str, String)>,
    scylla_config: ScyllaConfig,
}

/// The system's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "a program of its own, which owns its clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Every edge is asked by one thread here, so one thread answers.
pub(crate) fn edge_settings() -> Vec<(&'static str, String)> {
    vec![("EDGE__THREADS", "1".to_owned()), ("EDGE__TRUSTED_PROXIES", "127.0.0.0/8".to_owned())]
}

impl Shared {
    /// `name` tells runs on the same servers apart.
    pub(crate) async fn make(name: &str, options: &Options, servers: &Servers, dir: &Path) -> Outcome<Self> {
        let name = format!("load_{name}_{}_{}", std::process::id(), SystemClock.now().0);
        let settings = vec![
            ("STORAGE__BACKEND", "cluster".to_owned()),
            ("SECRETS__KEY", "5e".repeat(32)),
            ("KAFKA__BROKERS", servers.kafka.clone()),
            ("KAFKA__TOPIC_PREFIX", name.clone()),
            ("KAFKA__PARTITIONS", options.partitions.to_string()),
            ("KAFKA__REPLICATION", "1".to_owned()),
            ("SCYLLA__NODES", servers.cql.clone()),
            ("SCYLLA__KEYSPACE", name.clone()),
            ("SCYLLA__REPLICATION", "1".to_owned()),
        ];
        // A first process makes topics, tables and the team, as everywhere.
        let dir = dir.join(format!("{name}-first"));
        std::fs::create_dir_all(&dir)?;
        let mut first = Service::start(&options.program, "api", &dir, &settings)?.0;
        let owner_key = first.owner_key.take();
        first.stop()?;
        let config = KafkaConfig {
            brokers: servers.kafka.clone(),
            prefix: name.clone(),
            partitions: options.partitions,
            replication: 1,
            ..KafkaConfig::default()
        };
        let kafka = sl_kafka::Cluster::new(config)?;
        let scylla_config = ScyllaConfig::new(servers.cql.split(',').map(str::to_owned).collect(), name);
        let store = sl_scylla::open(&scylla_config).await?;
        fill(&store, options.creators, options.stock).await?;
        Ok(Self { kafka, store, owner_key, settings, scylla_config })
    }

    /// Settings of a process of it.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        self.settings.iter().cloned().chain(edge_settings()).collect()
    }

    /// Partitions that have a creator, ascending.
    pub(crate) fn partitions(&self, creators: u64) -> Vec<u32> {
        let all = self.kafka.config().partitions;
        let mut partitions: Vec<_> =
            (0..creators).map(|number| partition::of_account(&account(number), all)).collect();
        partitions.sort_unstable();
        partitions.dedup();
        partitions
    }

    /// Its keyspace.
    pub(crate) fn keyspace(&self) -> &str {
        &self.scylla_config.keyspace
    }

    /// Removes the tables.
    pub(crate) async fn remove(self) -> Outcome<()> {
        Ok(sl_scylla::schema::drop_keyspace(&self.scylla_config).await?)
    }
}

fn account(number: u64) -> AccountId {
    AccountId::from(format!("acct_load{number}"))
}

/// Smart Links of all creators.
pub(crate) fn links(creators: u64) -> Vec<SmartLinkId> {
    (0..creators).map(sample::link_id).collect()
}

/// Makes the creators, each with a Smart Link, a shared link and so many links of their own.
pub(crate) async fn fill(store: &Store, creators: u64, stock: u64) -> Outcome<()> {
    let portions =
        |number| (0..stock).step_by(256).map(move |first| (number, first..(first + 256).min(stock)));
    for number in 0..creators {
        let account = account(number);
        store.catalog.put_account(sample::account_row(account.as_str(), sample::TEAM)).await?;
        store.catalog.put_link(SmartLink { account, ..sample::smart_link(number, sample::TEAM) }).await?;
        let id = PoolLinkId { kind: LinkKind::TrackingLink, number: u64::MAX >> 2 };
        let url = format!("https://onlyfans.com/creator{number}/c1");
        store.catalog.set_overflow(sample::link_id(number), OverflowLink { id, url }).await?;
    }
    let add = |(number, numbers)| async move {
        let stock = StockKey { account: account(number), kind: LinkKind::TrackingLink, trial_days: None };
        store.pool.add(sample::new_links(&stock, numbers)).await
    };
    // Every creator's first block, then every creator's second.
    let mut all: Vec<_> = (0..creators).flat_map(portions).collect();
    all.sort_by_key(|(number, numbers)| (numbers.start, *number));
    stream::iter(all).map(add).buffer_unordered(8).try_for_each(|_| async { Ok(()) }).await?;
    Ok(())
}

/// A clock for streams.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}
