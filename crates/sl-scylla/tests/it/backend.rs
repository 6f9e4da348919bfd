//! A keyspace with nothing in it for every case, on the server that `SMARTLINKS_TEST_CQL` names.
//!
//! Making fifty tables takes seconds, so a keyspace is handed from case to case, emptied in between; there are as many as
//! cases run at once. Those of processes that are gone are removed by the next one.

use std::{future::Future, path::Path, sync::OnceLock, time::Duration};

use parking_lot::Mutex;
use sl_scylla::{ScyllaConfig, ScyllaHandle, schema};
use sl_store::{Store, suite::Backend};

/// CQL in a keyspace that no other case uses meanwhile.
pub(crate) struct Cluster {
    config: ScyllaConfig,
    handle: tokio::sync::Mutex<Option<ScyllaHandle>>,
    /// Goes with the case instead of being used again.
    is_bare: bool,
}

/// Keyspaces that a case has left, and how many there ever were.
static LEFT: Mutex<(Vec<String>, u32)> = Mutex::new((Vec::new(), 0));

pub(crate) fn config(keyspace: String) -> ScyllaConfig {
    let nodes = std::env::var("SMARTLINKS_TEST_CQL")
        .expect("SMARTLINKS_TEST_CQL: addresses of the dev cluster, see deploy/dev-cluster/up");
    ScyllaConfig {
        create: Some("replication = {'class': 'SimpleStrategy', 'replication_factor': 1}".to_owned()),
        timeout: Duration::from_secs(30),
        ..ScyllaConfig::new(nodes.split(',').map(str::to_owned).collect(), keyspace)
    }
}

/// On a runtime of its own: a case's runtime may not be waited for where these are called.
fn wait_for<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let thread = std::thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    });
    thread.join().unwrap()
}

/// Removes keyspaces of processes that are gone.
fn sweep() {
    static SWEPT: OnceLock<()> = OnceLock::new();
    SWEPT.get_or_init(|| {
        wait_for(async {
            for keyspace in schema::keyspaces(&config("test".to_owned())).await.unwrap() {
                let Some((pid, _)) = keyspace.strip_prefix("test_").and_then(|rest| rest.split_once('_'))
                else {
                    continue;
                };
                if !Path::new("/proc").join(pid).exists() {
                    schema::drop_keyspace(&config(keyspace)).await.unwrap();
                }
            }
        });
    });
}

impl Cluster {
    /// Emptied, with the newest schema or none.
    pub(crate) fn fresh() -> Self {
        sweep();
        if let Some(keyspace) = LEFT.lock().0.pop() {
            let config = config(keyspace);
            let emptied = config.clone();
            wait_for(async move { schema::empty_keyspace(&emptied).await.unwrap() });
            return Self { config, handle: Default::default(), is_bare: false };
        }
        let mut made = Self::bare();
        made.is_bare = false;
        made
    }

    /// Without any schema.
    pub(crate) fn bare() -> Self {
        sweep();
        let number = {
            let mut left = LEFT.lock();
            left.1 += 1;
            left.1
        };
        let config = config(format!("test_{}_{number}", std::process::id()));
        Self { config, handle: Default::default(), is_bare: true }
    }

    /// A connection of its own: another process.
    pub(crate) async fn connect(&self) -> ScyllaHandle {
        sl_scylla::connect(&self.config).await.unwrap()
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
        if !self.is_bare {
            LEFT.lock().0.push(self.config.keyspace.clone());
            return;
        }
        let config = self.config.clone();
        if let Err(error) = wait_for(async move { schema::drop_keyspace(&config).await }) {
            eprintln!("keyspace {} stays: {error}", self.config.keyspace);
        }
    }
}
