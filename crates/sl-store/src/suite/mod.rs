//! What every backend promises, as functions that a backend's tests call one by one
//! (`each_case!` names them all).
//!
//! A case gets a [`Backend`] with nothing in it and panics when a promise is broken. [`crash`] is for backends on disk:
//! its writer runs in a child process that is killed.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "the suite is test code: a broken promise panics"
)]

mod cases;
pub mod catalog;
pub mod crash;
pub mod dimensions;
pub mod heartbeats;
pub mod leases;
pub mod ledger;
pub mod outbox;
pub mod pool;
pub mod pool_model;
pub mod reports;
pub mod sample;
pub mod upkeep;

use async_trait::async_trait;

use crate::Store;

/// How the suite gets at a backend.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Opens the data. A second store while the first is in use stands for a second process on the same data: its
    /// ledger is an owner of its own.
    async fn open(&self) -> Store;

    /// Forgets everything that is not on disk. Every store that was opened has been dropped.
    async fn restart(&self);
}
