//! The cluster store: the ten seams of `sl-store` on a CQL cluster, ScyllaDB or Cassandra, shared by many processes.
//!
//! Writes are absolute and may come twice; nothing is counted up in the database, and no batch spans partitions. What must
//! happen once (a step of attribution, a lease, a unique name) is decided by a conditional write on a single row, in
//! tables whose cells no ordinary write touches ([`profiles`] has the argument per kind of statement). A step is one
//! redo record and then its writes, which anybody may repeat ([`ledger`]). The tables are `schemas/cql`, migrated at
//! the start ([`schema`]).
//!
//! **Timestamps.** A step's number is the time at which it was made in microseconds, or one more than the number before
//! it when clocks say less, and its writes carry it (`USING TIMESTAMP`): of two owners the later one wins, a step that
//! is written again loses against whatever came after it, and a row that another role removes meanwhile (a delivery's
//! work, a subscriber who was found) stays removed. So whoever removes or overwrites a row of a step must use a
//! timestamp above the row's own: the larger of now and `WRITETIME(row) + 1`.
//!
//! This crate never decides anything about clicks, money or deliveries, and never deletes what retention does not name.

mod catalog;
mod codec;
mod config;
mod cql;
mod days;
mod effects;
mod failure;
mod figures;
#[cfg(feature = "testing")]
mod fuse;
mod heartbeats;
mod leases;
mod ledger;
mod moving;
mod outbox;
mod pool;
mod profiles;
mod reports;
mod retries;
pub mod schema;
mod statements;
mod upkeep;
mod writes;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sl_store::{Result, Store, pool::PoolRules};
use tokio::sync::OnceCell;

pub use config::ScyllaConfig;
pub use moving::{Come, Move, Mover};

use crate::{
    catalog::CqlCatalog,
    cql::Cql,
    effects::Effects,
    heartbeats::CqlHeartbeats,
    leases::CqlLeases,
    ledger::{CqlLedger, Ttls},
    outbox::{CqlOutbox, Tables},
    pool::CqlPool,
    reports::CqlReports,
    upkeep::CqlUpkeep,
};

/// A connection to the cluster; every [`Store`] taken from it shares it.
#[derive(Clone)]
pub struct ScyllaHandle {
    cql: Arc<Cql>,
    ttls: Ttls,
    rules: PoolRules,
    shared: Arc<OnceCell<Shared>>,
}

/// What the stores of [`ScyllaHandle::owner`] have in common.
struct Shared {
    store: Store,
    catalog: Arc<CqlCatalog>,
    tables: Arc<Tables>,
}

/// What has been asked of the servers through a connection, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteCounts {
    /// Requests that write.
    pub requests: u64,
    /// Rows in them.
    pub rows: u64,
}

/// Connects, migrates the schema and hands out a store.
///
/// # Errors
/// `Unavailable` when no node answers, `Damaged` when the schema is not as this program knows it.
pub async fn open(config: &ScyllaConfig) -> Result<Store> {
    connect(config).await?.store().await
}

/// Connects and migrates the schema.
///
/// # Errors
/// As [`open`].
pub async fn connect(config: &ScyllaConfig) -> Result<ScyllaHandle> {
    at(config, schema::newest()).await
}

/// [`connect`] with an older schema: for tests of an update.
///
/// # Errors
/// As [`open`].
#[cfg(feature = "testing")]
pub async fn connect_at(config: &ScyllaConfig, version: i32) -> Result<ScyllaHandle> {
    at(config, version).await
}

async fn at(config: &ScyllaConfig, version: i32) -> Result<ScyllaHandle> {
    let cql = Cql::connect(config).await?;
    schema::migrate(&cql, version).await?;
    // Twenty years is the longest that servers take.
    const LONGEST: u64 = 630_720_000;
    let ttl = |keep: Option<Duration>| {
        let seconds = keep.map_or(0, |keep| keep.as_secs().clamp(1, LONGEST));
        i32::try_from(seconds).unwrap_or(0)
    };
    let ttls = Ttls { clicks: ttl(config.keep_clicks), visitors: ttl(config.keep_visitors) };
    Ok(ScyllaHandle { cql, ttls, rules: config.rules, shared: Arc::default() })
}

// === impl ScyllaHandle ===

impl ScyllaHandle {
    /// A store over this connection, as if it were another process: its ledger is an owner of its own, and it follows what
    /// others change by itself.
    ///
    /// # Errors
    /// As [`open`].
    pub async fn store(&self) -> Result<Store> {
        Ok(self.make().await?.store)
    }

    /// The process's store with a ledger that is an owner of its own: everything else is shared by all of them, and follows
    /// what others change once.
    ///
    /// # Errors
    /// As [`open`].
    pub async fn owner(&self) -> Result<Store> {
        let shared = self.shared.get_or_try_init(|| self.make()).await?;
        let ledger = self.ledger(&shared.catalog, &shared.tables).await?;
        Ok(Store { ledger: Arc::new(ledger), ..shared.store.clone() })
    }

    async fn make(&self) -> Result<Shared> {
        let catalog = Arc::new(CqlCatalog::new(Arc::clone(&self.cql)).await?);
        let tables = Tables::new(&self.cql).await?;
        let outbox = Arc::new(CqlOutbox::new(Arc::clone(&tables)));
        let store = Store {
            catalog: Arc::clone(&catalog) as _,
            pool: Arc::new(CqlPool::new(&self.cql, self.rules).await?),
            ledger: Arc::new(self.ledger(&catalog, &tables).await?),
            reports: Arc::new(CqlReports::new(Arc::clone(&self.cql)).await?),
            upkeep: Arc::new(CqlUpkeep::new(&self.cql, Arc::clone(&outbox)).await?),
            deliveries: Arc::clone(&outbox) as _,
            replays: Arc::clone(&outbox) as _,
            outbox,
            leases: Arc::new(CqlLeases::new(&self.cql).await?),
            heartbeats: Arc::new(CqlHeartbeats::new(&self.cql).await?),
        };
        Ok(Shared { store, catalog, tables })
    }

    async fn ledger(&self, catalog: &Arc<CqlCatalog>, tables: &Arc<Tables>) -> Result<CqlLedger> {
        let effects = Effects::new(&self.cql, Arc::clone(catalog), Arc::clone(tables)).await?;
        CqlLedger::new(Arc::clone(&self.cql), effects, self.ttls).await
    }

    /// What was written so far.
    #[must_use]
    pub fn written(&self) -> WriteCounts {
        let written = self.cql.written();
        WriteCounts {
            requests: written.requests.load(Ordering::Relaxed),
            rows: written.rows.load(Ordering::Relaxed),
        }
    }
}
