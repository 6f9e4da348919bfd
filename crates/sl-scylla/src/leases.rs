//! Leases: which process currently holds each job that only one may do.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use sl_core::lease::{Lease, Swap};
use sl_store::{Leases, Result};

use crate::{cql::Cql, statements::statements};

statements! { Statements {
    look: Read "SELECT owner, fence, beat FROM leases WHERE name = ?";
    settle: SerialRead "SELECT owner, fence, beat FROM leases WHERE name = ?";
    first: Compare "INSERT INTO leases (name, owner, fence, beat) VALUES (?, ?, ?, ?) IF NOT EXISTS";
    swap: Compare "UPDATE leases SET owner = ?, fence = ?, beat = ? WHERE name = ?
        IF owner = ? AND fence = ? AND beat = ?";
} }

/// Leases over CQL.
pub(crate) struct CqlLeases {
    cql: Arc<Cql>,
    statements: Statements,
    /// Names whose last swap was refused or brought no answer: it may be under way.
    doubtful: Mutex<HashSet<String>>,
}

// === impl CqlLeases ===

impl CqlLeases {
    pub(crate) async fn new(cql: &Arc<Cql>) -> Result<Self> {
        let (statements, doubtful) = (Statements::prepare(cql).await?, Mutex::default());
        Ok(Self { statements, cql: Arc::clone(cql), doubtful })
    }
}

#[async_trait]
impl Leases for CqlLeases {
    /// An ordinary read sees every swap that was acknowledged, for a fraction of what one at `SERIAL` costs, and every
    /// worker looks at every name once a second. Older than that is harmless: whatever comes of it is a swap, which is refused
    /// then. After one that was, what is under way is completed first, so that nobody goes round in circles.
    async fn lease(&self, name: &str) -> Result<Option<Lease>> {
        let doubtful = self.doubtful.lock().contains(name);
        let statement = if doubtful { &self.statements.settle } else { &self.statements.look };
        let row: Option<(String, i64, i64)> = self.cql.row(statement, (name,)).await?;
        if doubtful {
            self.doubtful.lock().remove(name);
        }
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
        // Before it is sent: whoever asks may not wait for the answer.
        self.doubtful.lock().insert(name.to_owned());
        let taken = match &swap.from {
            None => self.cql.compare(&self.statements.first, (name, owner, fence, beat)).await?,
            Some(from) => {
                let seen = (from.fence.cast_signed(), from.beat.cast_signed());
                let values = (owner, fence, beat, name, &from.owner, seen.0, seen.1);
                self.cql.compare(&self.statements.swap, values).await?
            }
        };
        if taken {
            self.doubtful.lock().remove(name);
        }
        Ok(taken)
    }
}
