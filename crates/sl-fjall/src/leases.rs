//! Leases: one process has the directory, so they are known to it alone and end with it.

use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use sl_core::lease::{Lease, Swap};
use sl_store::{Leases, Result};

#[derive(Default)]
pub(crate) struct FjallLeases(Mutex<HashMap<String, Lease>>);

#[async_trait]
impl Leases for FjallLeases {
    async fn lease(&self, name: &str) -> Result<Option<Lease>> {
        Ok(self.0.lock().get(name).cloned())
    }

    async fn swap_lease(&self, name: &str, swap: &Swap) -> Result<bool> {
        let mut leases = self.0.lock();
        let fits = leases.get(name) == swap.from.as_ref();
        if fits {
            leases.insert(name.to_owned(), swap.to.clone());
        }
        Ok(fits)
    }
}
