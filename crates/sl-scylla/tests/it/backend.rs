//! A keyspace of its own for every case, on the server that `SMARTLINKS_TEST_CQL` names.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use sl_scylla::{ScyllaConfig, ScyllaHandle};
use sl_store::{Store, suite::Backend};
use tokio::sync::Mutex;

/// CQL in a keyspace of its own, which goes with it.
pub(crate) struct Cluster {
    config: ScyllaConfig,
    handle: Mutex<Option<ScyllaHandle>>,
}

impl Cluster {
    pub(crate) fn fresh() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let nodes = std::env::var("SMARTLINKS_TEST_CQL")
            .expect("SMARTLINKS_TEST_CQL: addresses of the dev cluster, see deploy/dev-cluster/up");
        let nodes = nodes.split(',').map(str::to_owned).collect();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let config = ScyllaConfig {
            create: Some("replication = {'class': 'SimpleStrategy', 'replication_factor': 1}".to_owned()),
            timeout: Duration::from_secs(30),
            ..ScyllaConfig::new(nodes, format!("test_{}_{number}", std::process::id()))
        };
        Self { config, handle: Mutex::new(None) }
    }

    pub(crate) fn config(&self) -> &ScyllaConfig {
        &self.config
    }
}

#[async_trait::async_trait]
impl Backend for Cluster {
    async fn open(&self) -> Store {
        let mut handle = self.handle.lock().await;
        if handle.is_none() {
            *handle = Some(sl_scylla::connect(&self.config).await.unwrap());
        }
        handle.as_ref().unwrap().store().await.unwrap()
    }

    async fn restart(&self) {
        drop(self.handle.lock().await.take());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let config = self.config.clone();
        // A runtime of its own: a case's runtime may not be waited for here.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(sl_scylla::schema::drop_keyspace(&config))
        });
        if let Err(error) = dropping.join().unwrap() {
            eprintln!("keyspace {} stays: {error}", self.config.keyspace);
        }
    }
}
