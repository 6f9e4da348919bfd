//! Leases: which process currently holds each job that only one may do.

use async_trait::async_trait;
use sl_core::lease::{Lease, Swap};

use crate::Result;

/// One register per name, moved by compare-and-set. What to write is decided by [`sl_core::lease::Candidate`].
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// What is stored under a name; `None` before the first owner. Never older than the last swap that returned.
    async fn lease(&self, name: &str) -> Result<Option<Lease>>;

    /// Writes `swap.to` if `swap.from` is what is stored; `false`, and nothing is written, otherwise.
    ///
    /// # Errors
    /// As everywhere; whether it was written is then unknown, and the next [`Leases::lease`] tells.
    async fn swap_lease(&self, name: &str, swap: &Swap) -> Result<bool>;
}
