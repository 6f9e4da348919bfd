//! Tests of crashes: a process that dies between any two writes.

use std::sync::atomic::{AtomicI64, Ordering};

use sl_store::{Result, StoreError};

/// Lets so many writes through and no more. Not set in service.
pub(crate) struct Fuse(AtomicI64);

// === impl Fuse ===

impl Fuse {
    pub(crate) fn unset() -> Self {
        Self(AtomicI64::new(i64::MAX))
    }

    pub(crate) fn set(&self, writes: u32) {
        self.0.store(writes.into(), Ordering::SeqCst);
    }

    /// While it is set, rows are written one by one, so that there is a moment between any two.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) != i64::MAX
    }

    pub(crate) fn pass(&self) -> Result<()> {
        if self.is_set() && self.0.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(StoreError::Unavailable("the fuse of a test has blown".to_owned()));
        }
        Ok(())
    }
}
