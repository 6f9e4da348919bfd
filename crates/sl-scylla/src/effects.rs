//! What a step of the ledger writes into the tables of catalog, pool and outbox.

use std::sync::Arc;

use sl_core::{
    delivery::Job,
    ids::{AccountId, FanId, PoolLinkId},
    pool::Given,
    step::{AccountSignal, ListAdd, Unmatched},
};
use sl_store::Result;

use crate::{
    catalog::CqlCatalog,
    cql::Cql,
    outbox::{Jobs, Tables},
    pool::{Links, Waiting},
};

/// The parts of a step that other seams read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work<'step> {
    /// Jobs that are not stored yet, see [`Effects::unknown_jobs`].
    pub(crate) jobs: &'step [Job],
    pub(crate) given: &'step [(AccountId, PoolLinkId, Given)],
    pub(crate) unmatched: &'step [Unmatched],
    pub(crate) matched: &'step [(AccountId, FanId)],
    pub(crate) signals: &'step [AccountSignal],
    pub(crate) list_adds: &'step [ListAdd],
}

/// Writes them.
pub(crate) struct Effects {
    cql: Arc<Cql>,
    catalog: Arc<CqlCatalog>,
    jobs: Jobs,
    links: Links,
    waiting: Waiting,
}

// === impl Effects ===

impl Effects {
    pub(crate) async fn new(cql: &Arc<Cql>, catalog: Arc<CqlCatalog>, outbox: Arc<Tables>) -> Result<Self> {
        let (links, jobs) = (Links::new(Arc::clone(cql)).await?, Jobs::new(outbox));
        Ok(Self { cql: Arc::clone(cql), catalog, jobs, links, waiting: Waiting::new(Arc::clone(cql)).await? })
    }

    /// Leaves out jobs that are known, and jobs that come twice: asked before the redo record is made, so that a job
    /// that comes again in a later step does not begin anew.
    pub(crate) async fn unknown_jobs(&self, jobs: Vec<Job>) -> Result<Vec<Job>> {
        self.jobs.unknown(jobs).await
    }

    /// Writes everything with the step's number, however often; returns when all of it is acknowledged.
    pub(crate) async fn write(&self, work: Work<'_>, number: i64) -> Result<()> {
        let mut writes = Vec::new();
        writes.extend(work.given.iter().map(|(account, link, given)| self.links.give(account, *link, given)));
        for row in work.unmatched {
            writes.push(self.waiting.wait(row, number)?);
        }
        writes.extend(work.matched.iter().map(|(account, fan)| self.waiting.found(account, fan, number)));
        for add in work.list_adds {
            writes.push(self.waiting.add(add, number)?);
        }
        self.cql.write_all(writes).await?;
        self.jobs.write(work.jobs, number).await?;
        for signal in work.signals {
            self.catalog.signal_again(signal).await?;
        }
        Ok(())
    }
}
