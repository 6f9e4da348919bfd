//! What is forgotten, and when.
//!
//! Click rows also have a time to live, so that whole tables of them leave the disk; what is done here counts them, ends
//! at the horizon to the millisecond, and holds where no time to live was set. Several processes may do it at once: they
//! remove the same.

mod clicks;

use std::sync::Arc;

use async_trait::async_trait;
use sl_store::{
    Result,
    upkeep::{Forgotten, Horizons, Upkeep},
};

use self::clicks::Clicks;
use crate::{cql::Cql, outbox::CqlOutbox};

/// Retention on CQL.
pub(crate) struct CqlUpkeep {
    clicks: Clicks,
    outbox: Arc<CqlOutbox>,
}

// === impl CqlUpkeep ===

impl CqlUpkeep {
    pub(crate) async fn new(cql: &Arc<Cql>, outbox: Arc<CqlOutbox>) -> Result<Self> {
        Ok(Self { clicks: Clicks::new(Arc::clone(cql)).await?, outbox })
    }
}

#[async_trait]
impl Upkeep for CqlUpkeep {
    async fn forget(&self, horizons: Horizons, limit: usize) -> Result<Forgotten> {
        let limit = limit.max(1);
        let mut done = Forgotten {
            clicks: self.clicks.remove(horizons.clicks, limit).await?,
            addresses: self.clicks.cut(horizons.addresses, limit).await?,
            deliveries: self.outbox.forget(horizons.deliveries, limit).await?,
            more: false,
        };
        done.more = [done.clicks, done.addresses, done.deliveries].iter().any(|done| *done >= limit as u64);
        Ok(done)
    }
}
