//! A click as the window knows it.

use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderValue;
use sl_core::{
    click::{Rung, VisitorId},
    ids::{ClickId, PoolLinkId},
    time::Timestamp,
    visitor::Target,
};

/// What is remembered of a click.
pub(crate) struct Remembered {
    pub(crate) click: ClickId,
    pub(crate) at: Timestamp,
    pub(crate) target: Target,
    /// The visitor's fingerprint when it clicked.
    pub(crate) daily: VisitorId,
    /// The cookie it was given.
    pub(crate) given: Option<VisitorId>,
    pub(crate) rung: Rung,
    pub(crate) pool_link: Option<PoolLinkId>,
    /// Where its own link leads; `None` for overflow and profile, which follow the Smart Link.
    pub(crate) own: Option<HeaderValue>,
    pub(crate) record: Record,
}

/// What became of the record of a click. At first it is under way.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The journal has it for certain.
    stored: AtomicBool,
    /// There is none, for good: a repeat, whose record says that its click has one, does not know better.
    lost: AtomicBool,
}

// === impl Remembered ===

impl Remembered {
    pub(crate) fn is_stored(&self) -> bool {
        self.record.stored.load(Ordering::Relaxed) && !self.is_lost()
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.record.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn stored(&self) {
        self.record.stored.store(true, Ordering::Relaxed);
    }

    /// Notes that the click is lost: it answers for nobody any more, whatever keys still lead to it.
    pub(crate) fn lost(&self) {
        self.record.lost.store(true, Ordering::Relaxed);
    }
}

// === impl Record ===

impl Record {
    /// The record of a click that came from a journal: it is stored.
    pub(crate) fn kept() -> Self {
        Self { stored: AtomicBool::new(true), ..Self::default() }
    }
}
