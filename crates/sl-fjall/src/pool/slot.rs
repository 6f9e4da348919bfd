//! One pool link in memory: what its state depends on, in 88 bytes.

use sl_core::{
    ids::{ClickId, LinkKind},
    matching::last_look,
    pool::Given,
    time::Timestamp,
};
use sl_store::pool::PoolRules;

/// The facts about one link that decide its state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    /// The platform's number.
    pub(crate) number: u64,
    /// Block that has it.
    pub(crate) fence: Option<u64>,
    /// Visitors that have had it.
    pub(crate) handouts: u32,
    /// The newest of them.
    pub(crate) holder: Option<Holder>,
    pub(crate) orphaned_at: Option<Timestamp>,
    pub(crate) last_look_at: Option<Timestamp>,
    pub(crate) used: bool,
    pub(crate) retired: bool,
}

/// Who has a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) click: ClickId,
    pub(crate) at: Timestamp,
    /// End of the window that follows the latest hit.
    pub(crate) open_until: Timestamp,
}

impl From<Given> for Holder {
    fn from(given: Given) -> Self {
        Self { click: given.click, at: given.at, open_until: given.last_hit_at.plus(given.window) }
    }
}

/// The state of a link as far as it does not depend on the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Fresh,
    Leased,
    /// Given, quarantined or recycled, as time tells.
    Held,
    Used,
    Retired,
}

// === impl Slot ===

impl Slot {
    pub(crate) fn new(number: u64) -> Self {
        Self {
            number,
            fence: None,
            handouts: 0,
            holder: None,
            orphaned_at: None,
            last_look_at: None,
            used: false,
            retired: false,
        }
    }

    /// The phase; asks in the order of `PoolFacts::state`.
    pub(crate) fn phase(&self) -> Phase {
        if self.retired {
            Phase::Retired
        } else if self.used {
            Phase::Used
        } else if self.fence.is_some() {
            Phase::Leased
        } else if self.holder.is_some() || self.orphaned_at.is_some() {
            Phase::Held
        } else {
            Phase::Fresh
        }
    }

    /// When the last visitor that may have it can no longer subscribe in time.
    pub(crate) fn open_until(&self, rules: PoolRules) -> Option<Timestamp> {
        let orphaned = self.orphaned_at.map(|at| at.plus(rules.window));
        self.holder.map(|holder| holder.open_until).max(orphaned)
    }

    /// End of quarantine.
    pub(crate) fn free_at(&self, rules: PoolRules) -> Option<Timestamp> {
        self.open_until(rules).map(|until| until.plus(rules.quarantine))
    }

    /// Whether a look proved, after quarantine, that nobody subscribed.
    pub(crate) fn is_cleared(&self, rules: PoolRules) -> bool {
        self.free_at(rules).is_some_and(|free_at| self.last_look_at.is_some_and(|look| look >= free_at))
    }

    /// Whether the matcher must still look at it. A retired one is followed as long as whoever has it may subscribe.
    pub(crate) fn is_watched(&self, kind: LinkKind, rules: PoolRules) -> bool {
        if !self.used && self.fence.is_some() {
            return false;
        }
        let comes_back = !self.used && !self.retired;
        let last = self.open_until(rules).map(|until| last_look(kind, comes_back, until, rules.quarantine));
        last.is_some_and(|from| self.last_look_at.is_none_or(|look| look < from))
    }
}
