//! Tests of crashes and of owners that come to a halt: what happens between any two writes.

use std::sync::atomic::{AtomicI64, Ordering};

use sl_store::{Result, StoreError};
use tokio::sync::watch;

use crate::ScyllaHandle;

/// Lets so many writes through; the next ones are refused, or held until they may go on.
pub(crate) struct Fuse {
    left: AtomicI64,
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Refusing,
    Holding,
    /// A write waits.
    Held,
    Released,
}

// === impl Fuse ===

impl Fuse {
    pub(crate) fn unset() -> Self {
        Self { left: AtomicI64::new(i64::MAX), state: watch::Sender::new(State::Refusing) }
    }

    /// Refuses what comes after so many.
    pub(crate) fn refuse_after(&self, writes: u32) {
        self.state.send_replace(State::Refusing);
        self.left.store(writes.into(), Ordering::SeqCst);
    }

    /// Holds what comes after so many, until [`Self::release`].
    pub(crate) fn hold_after(&self, writes: u32) {
        self.state.send_replace(State::Holding);
        self.left.store(writes.into(), Ordering::SeqCst);
    }

    /// Returns once a write is held.
    pub(crate) async fn held(&self) {
        // Fails when the sender is gone, which is here.
        let mut states = self.state.subscribe();
        let _held = states.wait_for(|state| *state == State::Held).await;
    }

    /// Lets what was held go on, and everything after it.
    pub(crate) fn release(&self) {
        self.left.store(i64::MAX, Ordering::SeqCst);
        self.state.send_replace(State::Released);
    }

    /// While it is set, rows are written one by one, so that there is a moment between any two. The number tells one run
    /// from the next: each begins with another row.
    pub(crate) fn is_set(&self) -> Option<usize> {
        let left = self.left.load(Ordering::Relaxed);
        (left != i64::MAX).then(|| usize::try_from(left).unwrap_or(0))
    }

    pub(crate) async fn pass(&self) -> Result<()> {
        if self.is_set().is_none() || self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        let holds = self.state.send_if_modified(|state| {
            let holds = matches!(state, State::Holding | State::Held);
            if holds {
                *state = State::Held;
            }
            holds
        });
        if !holds {
            return Err(StoreError::Unavailable("the fuse of a test has blown".to_owned()));
        }
        let mut states = self.state.subscribe();
        let _released = states.wait_for(|state| *state == State::Released).await;
        Ok(())
    }
}

// === impl ScyllaHandle ===

impl ScyllaHandle {
    /// Lets so many more writes through this connection, one by one, and refuses all others.
    pub fn blow_after(&self, writes: u32) {
        self.cql.fuse().refuse_after(writes);
    }

    /// Holds this connection after so many more writes, one by one, until [`Self::release`].
    pub fn hold_after(&self, writes: u32) {
        self.cql.fuse().hold_after(writes);
    }

    /// Returns once a write is held.
    pub async fn held(&self) {
        self.cql.fuse().held().await;
    }

    /// Lets what is held go on.
    pub fn release(&self) {
        self.cql.fuse().release();
    }
}
