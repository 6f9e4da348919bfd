//! Names of the pieces of memory.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    click::{VisitorId, VisitorKeys},
    ids::{AccountId, FanId, PoolLinkId, SmartLinkId, TransactionId},
    step::{DimensionKey, StateKey},
    time::Timestamp,
};

/// One piece of memory. Everything but the first is owned by one creator account, directly or through its link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// Accounts with something that ends by itself: read at start, to know whom to wake.
    Due,
    /// Clock, counters and queues of an account.
    Account(AccountId),
    /// Hits of one visitor.
    Visitor(AccountId, Who),
    /// Who was seen under one lasting fingerprint.
    Print(AccountId, VisitorId),
    /// Who held a pool link, and when.
    Holder(AccountId, PoolLinkId),
    /// Bindings, standing and holds of a fan.
    Fan(AccountId, FanId),
    /// One transaction.
    Transaction(AccountId, TransactionId),
    /// A webhook or message that was applied.
    Applied(AccountId, Arc<str>),
    /// A page of keys to look at again, per queue, in order of time.
    Page(AccountId, u8, u64),
    /// Lifetime totals.
    Link(SmartLinkId),
    /// Rollup of an hour.
    Hour(SmartLinkId, Timestamp),
    /// Money of a fan on a day.
    FanDay(SmartLinkId, FanId, Timestamp),
    /// How many values each dimension has on a day.
    Spread(SmartLinkId, Timestamp),
    /// Rollup of one value of one dimension on a day.
    Dimension(DimensionKey),
}

impl Key {
    /// The bytes under which the store keeps it.
    #[must_use]
    pub fn to_state_key(&self) -> StateKey {
        // Writing to a growing vector cannot fail; an empty key would be a programming error that the tests catch.
        StateKey(postcard::to_extend(self, Vec::with_capacity(64)).unwrap_or_default())
    }
}

/// Under what a visitor's hits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Who {
    /// The first-party cookie: exact.
    Cookie(VisitorId),
    /// Cookies are off: the fingerprint, which only counts hits.
    Print(VisitorId),
}

impl Who {
    /// The cookie the browser returned, else the one it was given, else the fingerprint.
    pub(super) fn of(keys: &VisitorKeys) -> Self {
        match keys.came_with.or(keys.given) {
            Some(cookie) => Self::Cookie(cookie),
            None => Self::Print(keys.lasting.unwrap_or(keys.daily)),
        }
    }

    pub(super) fn cookie(self) -> Option<VisitorId> {
        match self {
            Self::Cookie(cookie) => Some(cookie),
            Self::Print(_) => None,
        }
    }
}
