//! How the cluster is reached.

use std::{fmt, time::Duration};

use sl_store::pool::PoolRules;

/// Addresses, names and rights.
#[derive(Clone)]
pub struct ScyllaConfig {
    /// Nodes to ask first, `host:port`; the rest of the cluster is learned from them.
    pub nodes: Vec<String>,
    /// Keyspace that holds everything: letters, digits and underscores.
    pub keyspace: String,
    /// Makes the keyspace when it is not there: what follows `WITH`, for example `replication = {'class':
    /// 'NetworkTopologyStrategy', 'replication_factor': 3}`. `None`: the operator has made it.
    pub create: Option<String>,
    /// The datacentre this process is in: requests stay there. `None` when there is one only.
    pub datacenter: Option<String>,
    /// Name and password.
    pub login: Option<(String, String)>,
    /// How long raw click rows live at most (`retention.clicks`, and a little more); `None` for ever. The server lets them
    /// go by itself then; [`sl_store::Upkeep`] removes them on the hour.
    pub keep_clicks: Option<Duration>,
    /// How long the memory of a visitor lives at least that is bound to no fan, and of who held a pool link, since it was last
    /// written; `None` for ever. At least [`sl_core::attribution::ASKED_FOR`] and what the stream may hold a record for.
    pub keep_visitors: Option<Duration>,
    /// What `Pool::live` goes by until `lease` or `levels` has brought the configured times: a process that only looks never
    /// does. Defaults: those of `attribution.window` (6 h) and `pool.quarantine` (24 h).
    pub rules: PoolRules,
    /// Longest time one request may take, its retries included. Default 10 s.
    pub timeout: Duration,
}

// === impl ScyllaConfig ===

impl ScyllaConfig {
    /// A keyspace on these nodes, everything else as it is by default.
    #[must_use]
    pub fn new(nodes: Vec<String>, keyspace: impl Into<String>) -> Self {
        Self {
            nodes,
            keyspace: keyspace.into(),
            create: None,
            datacenter: None,
            login: None,
            keep_clicks: None,
            keep_visitors: None,
            rules: PoolRules {
                window: Duration::from_secs(6 * 3600),
                quarantine: Duration::from_secs(24 * 3600),
            },
            timeout: Duration::from_secs(10),
        }
    }
}

/// Shows everything but the password.
impl fmt::Debug for ScyllaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, keyspace, create, datacenter, login, keep_clicks, keep_visitors, rules, timeout } =
            self;
        f.debug_struct("ScyllaConfig")
            .field("nodes", nodes)
            .field("keyspace", keyspace)
            .field("create", create)
            .field("datacenter", datacenter)
            .field("login", &login.as_ref().map(|(name, _)| name))
            .field("keep_clicks", keep_clicks)
            .field("keep_visitors", keep_visitors)
            .field("rules", rules)
            .field("timeout", timeout)
            .finish()
    }
}

/// A keyspace of this test process on the servers of the dev cluster.
#[cfg(test)]
pub(crate) fn of_the_dev_cluster(name: &str) -> ScyllaConfig {
    let nodes = std::env::var("SMARTLINKS_TEST_CQL").expect("SMARTLINKS_TEST_CQL");
    ScyllaConfig {
        create: Some("replication = {'class': 'SimpleStrategy', 'replication_factor': 1}".to_owned()),
        timeout: Duration::from_secs(30),
        ..ScyllaConfig::new(
            nodes.split(',').map(str::to_owned).collect(),
            format!("{name}_{}", std::process::id()),
        )
    }
}
