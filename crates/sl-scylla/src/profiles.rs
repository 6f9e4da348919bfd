//! What is promised about each kind of statement.
//!
//! **One datacentre.** That a read sees what was written holds where both ask the same datacentre: `LOCAL_QUORUM` waits for no
//! other, and what is written in one may reach the copies in another minutes later, or after a repair only. Conditional
//! writes are `SERIAL`, over all of them, so a fence holds everywhere: but who takes a partition over elsewhere would
//! decide from memory that lags behind, and its absolute values would overwrite newer ones. So all processes share one
//! `scylla.local_dc`, and the keyspace that they make has copies there alone. Where an operator adds copies elsewhere,
//! these are a reserve: conditional writes then need a quorum of all copies, and a move there is to stop every process, wait
//! until the copies agree (`nodetool repair`), change `scylla.local_dc` and start.

use std::{sync::Arc, time::Duration};

use scylla::{
    client::execution_profile::{ExecutionProfile, ExecutionProfileHandle},
    policies::{
        load_balancing::DefaultPolicy,
        retry::{FallthroughRetryPolicy, RetryPolicy},
        speculative_execution::SimpleSpeculativeExecutionPolicy,
    },
    statement::{Consistency, SerialConsistency},
};

use crate::{config::ScyllaConfig, retries::Patient};

/// After that a read is sent to a second node as well: far above an ordinary read (1 to 5 ms), far below what a person
/// or a worker notices.
const SECOND_TRY: Duration = Duration::from_millis(100);

/// A kind of statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Reading what anybody wrote and was told so.
    ///
    /// `LOCAL_QUORUM`, as the writes: of three replicas two answer and two have it, so at least one of those asked
    /// does, and one node may be down. Sent again after an error and, when slow, to a second node: reading twice
    /// changes nothing.
    Read,
    /// Writing absolute values.
    ///
    /// `LOCAL_QUORUM`, see [`Kind::Read`]. Sent again after an error, since the same write twice is the write once.
    /// Never speculatively: a slow write is slow because nodes are busy, and writing twice makes them busier.
    Write,
    /// A conditional write (a lightweight transaction).
    ///
    /// `SERIAL`, over all datacentres: a fence must hold against an owner anywhere; committed at `LOCAL_QUORUM`, so
    /// that [`Kind::Read`] sees it. Never sent again by the driver: after a timeout it may or may not have happened,
    /// and the second try would then be refused by the first. The caller looks with [`Kind::SerialRead`].
    Compare,
    /// Reading what conditional writes wrote, unfinished ones included, which are completed first. `SERIAL`.
    SerialRead,
    /// Changing the schema, once per version: a long time, no retry.
    Define,
}

/// A profile per kind.
pub(crate) struct Profiles {
    read: ExecutionProfileHandle,
    write: ExecutionProfileHandle,
    compare: ExecutionProfileHandle,
    serial: ExecutionProfileHandle,
    define: ExecutionProfileHandle,
}

// === impl Kind ===

impl Kind {
    pub(crate) fn is_idempotent(self) -> bool {
        matches!(self, Self::Read | Self::Write | Self::SerialRead)
    }
}

// === impl Profiles ===

impl Profiles {
    pub(crate) fn new(config: &ScyllaConfig) -> Self {
        // Token-aware: a request goes to a replica of its partition, in our datacentre if one is named.
        let mut balancing = DefaultPolicy::builder().token_aware(true);
        if let Some(datacenter) = &config.datacenter {
            balancing = balancing.prefer_datacenter(datacenter.clone());
        }
        let balancing = balancing.build();
        let profile = |consistency, retry: Arc<dyn RetryPolicy>| {
            ExecutionProfile::builder()
                .consistency(consistency)
                .serial_consistency(Some(SerialConsistency::Serial))
                .request_timeout(Some(config.timeout))
                .load_balancing_policy(Arc::clone(&balancing))
                .retry_policy(retry)
        };
        let again = || Arc::new(Patient);
        let once = || Arc::new(FallthroughRetryPolicy::new());
        let twice = SimpleSpeculativeExecutionPolicy { max_retry_count: 1, retry_interval: SECOND_TRY };
        let read = profile(Consistency::LocalQuorum, again());
        Self {
            read: read.speculative_execution_policy(Some(Arc::new(twice))).build().into_handle(),
            write: profile(Consistency::LocalQuorum, again()).build().into_handle(),
            compare: profile(Consistency::LocalQuorum, once()).build().into_handle(),
            serial: profile(Consistency::Serial, again()).build().into_handle(),
            define: profile(Consistency::LocalQuorum, once())
                .request_timeout(Some(config.timeout.max(Duration::from_secs(60))))
                .build()
                .into_handle(),
        }
    }

    pub(crate) fn of(&self, kind: Kind) -> ExecutionProfileHandle {
        match kind {
            Kind::Read => &self.read,
            Kind::Write => &self.write,
            Kind::Compare => &self.compare,
            Kind::SerialRead => &self.serial,
            Kind::Define => &self.define,
        }
        .clone()
    }
}
