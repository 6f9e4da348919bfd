//! Who does what only one process should do at a time.

use std::sync::Arc;

use async_trait::async_trait;
use sl_core::lease::{Lease, Swap};
use sl_store::{Leases, Result};

use crate::{cql::Cql, statements::statements};

statements! { Statements {
    read: SerialRead "SELECT owner, fence, beat FROM leases WHERE name = ?";
    first: Compare "INSERT INTO leases (name, owner, fence, beat) VALUES (?, ?, ?, ?) IF NOT EXISTS";
    swap: Compare "UPDATE leases SET owner = ?, fence = ?, beat = ? WHERE name = ?
        IF owner = ? AND fence = ? AND beat = ?";
} }

/// Leases over CQL.
pub(crate) struct CqlLeases {
    cql: Arc<Cql>,
    statements: Statements,
}

// === impl CqlLeases ===

impl CqlLeases {
    pub(crate) async fn new(cql: &Arc<Cql>) -> Result<Self> {
        Ok(Self { statements: Statements::prepare(cql).await?, cql: Arc::clone(cql) })
    }
}

#[async_trait]
impl Leases for CqlLeases {
    async fn lease(&self, name: &str) -> Result<Option<Lease>> {
        let row: Option<(String, i64, i64)> = self.cql.row(&self.statements.read, (name,)).await?;
        let lease = |(owner, fence, beat): (String, i64, i64)| Lease {
            owner,
            fence: fence.cast_unsigned(),
            beat: beat.cast_unsigned(),
        };
        Ok(row.map(lease))
    }

    async fn swap_lease(&self, name: &str, swap: &Swap) -> Result<bool> {
        let Lease { owner, fence, beat } = &swap.to;
        let (fence, beat) = (fence.cast_signed(), beat.cast_signed());
        match &swap.from {
            None => self.cql.compare(&self.statements.first, (name, owner, fence, beat)).await,
            Some(from) => {
                let seen = (from.fence.cast_signed(), from.beat.cast_signed());
                let values = (owner, fence, beat, name, &from.owner, seen.0, seen.1);
                self.cql.compare(&self.statements.swap, values).await
            }
        }
    }
}
