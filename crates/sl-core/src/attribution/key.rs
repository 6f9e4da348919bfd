//! Names of the pieces of memory.

use std::{
    hash::{Hash, Hasher},
    mem,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    click::{VisitorId, VisitorKeys},
    ids::{AccountId, FanId, LinkKind, PoolLinkId, SmartLinkId, TransactionId},
    pack,
    step::{DimensionKey, StateKey},
    time::Timestamp,
};

/// One piece of memory. Everything but the first is owned by one creator account, directly or through its link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

    /// Whether there are as many of its sort as clicks.
    pub(super) fn is_of_visitor(&self) -> bool {
        matches!(self, Self::Visitor(..) | Self::Print(..) | Self::Holder(..))
    }
}

/// What there is one of per click is told apart by its own id: hardly ever do two accounts share one.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        mem::discriminant(self).hash(state);
        match self {
            Self::Due => {}
            Self::Visitor(_, who) => who.hash(state),
            Self::Print(_, print) => print.hash(state),
            Self::Holder(_, link) => link.hash(state),
            Self::Account(account) => account.hash(state),
            Self::Fan(account, fan) => (account, fan).hash(state),
            Self::Transaction(account, id) => (account, id).hash(state),
            Self::Applied(account, name) => (account, name).hash(state),
            Self::Page(account, queue, number) => (account, queue, number).hash(state),
            Self::Link(link) => link.hash(state),
            Self::Hour(link, hour) => (link, hour).hash(state),
            Self::FanDay(link, fan, day) => (link, fan, day).hash(state),
            Self::Spread(link, day) => (link, day).hash(state),
            Self::Dimension(key) => key.hash(state),
        }
    }
}

/// Makes state keys. What there is one of per click is named in few bytes, those first that tell it apart: 10 of the
/// visitor or 8 of the pool link, 8 of the account's digest, a tag. (A hundred million visitors of one account: two share a
/// name once in 200 million such accounts.) Everything else is named by all of its parts.
#[derive(Debug, Default)]
pub struct Names {
    /// The account named last, with its digest: keys come in runs of one account.
    last: Option<(AccountId, [u8; 8])>,
}

impl Names {
    /// The bytes under which the store keeps `key`.
    #[must_use]
    pub fn of(&mut self, key: &Key) -> StateKey {
        let mut name = Vec::with_capacity(32);
        self.append(key, &mut name);
        StateKey(name)
    }

    /// Appends these bytes.
    pub(super) fn append(&mut self, key: &Key, name: &mut Vec<u8>) {
        match key {
            Key::Visitor(account, Who::Cookie(id)) => self.short(name, &ten(*id), account, VISITOR),
            Key::Visitor(account, Who::Print(id)) => self.short(name, &ten(*id), account, UNKNOWN),
            Key::Print(account, id) => self.short(name, &ten(*id), account, PRINT),
            Key::Holder(account, PoolLinkId { kind, number }) => {
                let tag = match kind {
                    LinkKind::TrackingLink => TRACKING,
                    LinkKind::FreeTrial => TRIAL,
                };
                self.short(name, &number.to_be_bytes(), account, tag);
            }
            other => {
                // Writing to a growing vector cannot fail.
                let encoded = pack::append(other, name);
                debug_assert!(encoded.is_ok(), "a Vec grows as needed");
                name.push(LONG);
            }
        }
    }

    fn short(&mut self, name: &mut Vec<u8>, id: &[u8], account: &AccountId, tag: u8) {
        name.extend_from_slice(id);
        name.extend_from_slice(&self.hash(account));
        name.push(tag);
    }

    fn hash(&mut self, account: &AccountId) -> [u8; 8] {
        if let Some((last, hash)) = &self.last
            && last == account
        {
            return *hash;
        }
        let hash = account.digest();
        self.last = Some((account.clone(), hash));
        hash
    }
}

/// Last bytes of names: they say what the name is made of.
pub(super) const VISITOR: u8 = 0;
pub(super) const UNKNOWN: u8 = 1;
pub(super) const PRINT: u8 = 2;
pub(super) const TRACKING: u8 = 3;
pub(super) const TRIAL: u8 = 4;
pub(super) const LONG: u8 = 5;

/// 80 bits of a visitor, all 128 having a part in them.
fn ten(id: VisitorId) -> [u8; 10] {
    let [_, _, _, _, _, _, rest @ ..] = (id.0 ^ (id.0 >> 80 << 32)).to_be_bytes();
    rest
}

/// The key under which a visitor's hits are kept.
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
