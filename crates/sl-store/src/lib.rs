//! The storage seams, small and in our nouns. A backend is what passes the conformance suite beside them.
//!
//! Every call names the team or something owned by one; nothing here knows tables, keys or bytes. All traits are
//! async; embedded backends work on threads of their own.
//!
//! This crate never stores anything itself.

pub mod catalog;
mod cut;
pub mod heartbeats;
pub mod leases;
pub mod ledger;
pub mod moving;
pub mod outbox;
pub mod pool;
pub mod reports;
#[cfg(feature = "suite")]
pub mod suite;
pub mod upkeep;

use std::sync::Arc;

pub use catalog::Catalog;
pub use cut::CutHour;
pub use heartbeats::Heartbeats;
pub use leases::Leases;
pub use ledger::Ledger;
pub use outbox::{Deliveries, Outbox, Replays};
pub use pool::Pool;
pub use reports::Reports;
pub use upkeep::Upkeep;

/// One backend, seen through its ten seams.
#[derive(Clone)]
pub struct Store {
    /// What people configure.
    pub catalog: Arc<dyn Catalog>,
    /// Pool links.
    pub pool: Arc<dyn Pool>,
    /// Attribution's atomic steps.
    pub ledger: Arc<dyn Ledger>,
    /// What people read.
    pub reports: Arc<dyn Reports>,
    /// What is told to whom, for those who send it.
    pub outbox: Arc<dyn Outbox>,
    /// The same, for those who read it.
    pub deliveries: Arc<dyn Deliveries>,
    /// The same, sent again.
    pub replays: Arc<dyn Replays>,
    /// What is forgotten.
    pub upkeep: Arc<dyn Upkeep>,
    /// Which process currently holds each job that only one may do.
    pub leases: Arc<dyn Leases>,
    /// What processes tell each other of themselves.
    pub heartbeats: Arc<dyn Heartbeats>,
}

impl Store {
    /// Everything that was written through this store before the call survives a power cut from now on: the last
    /// thing of an orderly stop. A role that tells a stream how far it has come goes by [`Ledger::sync`], which says
    /// the position that is safe.
    ///
    /// # Errors
    /// What the backend says; nothing is known to be safe then.
    pub async fn sync(&self) -> Result<()> {
        self.ledger.sync(0).await.map(drop)
    }
}

/// A backend could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The backend can't be reached or has no room; the same call may work later.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Somebody else owns this partition, block or shard now; stop.
    #[error("fenced: {0}")]
    Fenced(String),
    /// What was read can't be understood.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The row does not exist (or belongs to another team).
    #[error("no such row")]
    NotFound,
}

impl StoreError {
    /// Whether the same call may work later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Shorthand of the traits.
pub type Result<T> = std::result::Result<T, StoreError>;
