//! Names of the pieces of memory.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    click::{VisitorId, VisitorKeys},
    ids::{AccountId, FanId, LinkKind, PoolLinkId, SmartLinkId, TransactionId},
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
    /// The bytes under which the store keeps it. Many at once: [`Names`].
    #[must_use]
    pub fn to_state_key(&self) -> StateKey {
        Names::default().of(self)
    }
}

/// Makes state keys. What there is one of per click is named in as few bytes as keep it apart: a tag, 16 bytes of the
/// visitor or 9 of the pool link, and 8 bytes of the account's hash (with a million accounts two share them once in 37
/// million installations); everything else by all of its parts.
#[derive(Debug, Default)]
pub struct Names {
    /// The account named last, with its hash: keys come in runs of one account.
    last: Option<(AccountId, [u8; 8])>,
}

impl Names {
    /// The bytes under which the store keeps `key`.
    #[must_use]
    pub fn of(&mut self, key: &Key) -> StateKey {
        let mut name = Vec::with_capacity(32);
        match key {
            Key::Visitor(account, Who::Cookie(id)) => {
                self.short(&mut name, VISITOR, &id.0.to_be_bytes(), account)
            }
            Key::Visitor(account, Who::Print(id)) => {
                self.short(&mut name, UNKNOWN, &id.0.to_be_bytes(), account)
            }
            Key::Print(account, id) => self.short(&mut name, PRINT, &id.0.to_be_bytes(), account),
            Key::Holder(account, PoolLinkId { kind: LinkKind::TrackingLink, number }) => {
                self.short(&mut name, TRACKING, &number.to_be_bytes(), account);
            }
            Key::Holder(account, PoolLinkId { kind: LinkKind::FreeTrial, number }) => {
                self.short(&mut name, TRIAL, &number.to_be_bytes(), account);
            }
            // Writing to a growing vector cannot fail; an empty key would be a programming error that the tests catch.
            other => name = postcard::to_extend(other, name).unwrap_or_default(),
        }
        StateKey(name)
    }

    fn short(&mut self, name: &mut Vec<u8>, tag: u8, id: &[u8], account: &AccountId) {
        name.push(tag);
        name.extend_from_slice(id);
        name.extend_from_slice(&self.hash(account));
    }

    fn hash(&mut self, account: &AccountId) -> [u8; 8] {
        if let Some((last, hash)) = &self.last
            && last == account
        {
            return *hash;
        }
        let digest: [u8; 32] = Sha256::digest(account.as_str().as_bytes()).into();
        let hash = digest.first_chunk::<8>().copied().unwrap_or_default();
        self.last = Some((account.clone(), hash));
        hash
    }
}

/// First bytes of short names; those of long ones are the numbers of the variants, from 0 up.
const VISITOR: u8 = 0xf0;
const UNKNOWN: u8 = 0xf1;
const PRINT: u8 = 0xf2;
const TRACKING: u8 = 0xf3;
const TRIAL: u8 = 0xf4;

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
