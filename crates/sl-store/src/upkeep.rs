//! What is forgotten, and when.

use std::sync::Arc;

use async_trait::async_trait;
use sl_core::{click::ClickRow, time::Timestamp};

use crate::Result;

/// Retention of raw rows. Rollups and conversions stay for good.
#[async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// Removes and cuts at most about `limit` rows of each sort, so that nothing else waits long. Call it again at once
    /// while there is `more`, then every hour or so.
    async fn forget(&self, horizons: Horizons, limit: usize) -> Result<Forgotten>;
}

/// What is older than this goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizons {
    /// Click rows made before are removed: now less `retention.clicks`.
    pub clicks: Timestamp,
    /// Click rows made before lose the visitor's address and lasting fingerprint, see [`cut`]: now less
    /// `retention.truncate_ip_after`.
    pub addresses: Timestamp,
    /// Deliveries created before are removed with bodies and attempts, unless they still wait: now less
    /// `retention.deliveries`.
    pub deliveries: Timestamp,
}

/// What one call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Click rows removed.
    pub clicks: u64,
    /// Click rows whose address was cut.
    pub addresses: u64,
    /// Deliveries removed.
    pub deliveries: u64,
    /// The limit was reached: there is more to do.
    pub more: bool,
}

/// Leaves of a visitor what [`sl_core::click::Click::forget_person`] leaves. Says whether that changed anything.
pub fn cut(row: &mut ClickRow) -> bool {
    if row.click.is_forgotten() {
        return false;
    }
    Arc::make_mut(&mut row.click).forget_person();
    true
}
