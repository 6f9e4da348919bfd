//! Pool links: stock, leases, looks.

use std::{ops::RangeInclusive, time::Duration};

use async_trait::async_trait;
use sl_core::{
    ids::{AccountId, FanId, LinkKind, PoolLinkId},
    pool::{PoolFacts, PoolLink, StockKey},
    step::{ListAdd, Unmatched},
    time::Timestamp,
};
use tokio::sync::watch;

use crate::Result;

/// Pool links and the facts about them. Each method is one role's (decisions 50).
#[async_trait]
pub trait Pool: Send + Sync + 'static {
    // === keeper, and the matcher, who sees what has ended at the platform ===

    /// Adds links the platform made, in creation order; a link that is already known is left alone. Returns how many
    /// were new. The ordinal is given here: the next free one of the stock.
    async fn add(&self, links: Vec<NewPoolLink>) -> Result<usize>;

    /// Takes links out for good: nobody gets them any more. Whoever has one keeps it, and it stays [live](Pool::live) until its last
    /// look; one in a block that is out leaves it when its owner hears of it.
    async fn retire(&self, links: Vec<PoolLinkRef>, at: Timestamp) -> Result<()>;

    /// Counts per state, for every stock that has links.
    async fn levels(&self, now: Timestamp, rules: PoolRules) -> Result<Vec<Level>>;

    // === edge ===

    /// Takes up to `want` links for `owner`, fresh ones first, then recycled, each in ordinal order (recycled in runs of
    /// neighbours). Durable when the call returns: no other owner gets them before they have passed quarantine.
    async fn lease(&self, request: LeaseRequest) -> Result<Block>;

    /// Moves whenever there may be more to lease than before: links were added, given back, or looked at after their
    /// quarantine.
    fn stocked(&self) -> watch::Receiver<u64>;

    /// Moves whenever links were retired: some may be in blocks that are out.
    fn retirements(&self) -> watch::Receiver<u64>;

    /// Links still in these blocks that are retired: nobody may be sent there.
    async fn retired_in(&self, fences: Vec<u64>) -> Result<Vec<PoolLinkRef>>;

    /// Prolongs a block; `false` when it is no longer this owner's.
    async fn renew(&self, fence: u64, until: Timestamp) -> Result<bool>;

    /// Gives back links that were certainly never handed out: they are what they were before.
    async fn give_back(&self, fence: u64, unused: Vec<PoolLinkRef>) -> Result<()>;

    /// Blocks that are out, with their links: what a start after an unclean stop must settle.
    async fn blocks(&self) -> Result<Vec<Block>>;

    /// Ends a block whose process is gone: links that attribution knows as given keep their click, all others become
    /// orphans of `at` and pass quarantine (decisions 5).
    async fn orphan(&self, fence: u64, at: Timestamp) -> Result<()>;

    // === matcher ===

    /// Links given and not yet past their last look, of one account, by stock and ordinal.
    async fn live(&self, account: &AccountId) -> Result<Vec<PoolEntry>>;

    /// Links of an account whose numbers lie between two, both included, by number; at most `limit`, the lowest ones.
    async fn between(
        &self,
        account: &AccountId,
        kind: LinkKind,
        numbers: RangeInclusive<u64>,
        limit: usize,
    ) -> Result<Vec<PoolEntry>>;

    /// One link.
    async fn get(&self, link: PoolLinkRef) -> Result<Option<PoolEntry>>;

    /// Writes down looks. Call it only after the `SubscriberSeen` they caused is in the journal.
    async fn looked(&self, looks: Vec<Look>) -> Result<()>;

    /// Subscribers whose link is still unknown, by account and time.
    async fn unmatched(&self) -> Result<Vec<Unmatched>>;

    /// Leaves a subscriber to the schedule of looks: found as organic.
    async fn give_up(&self, account: &AccountId, fan: &FanId) -> Result<()>;

    /// Fans waiting to be added to a list of the platform (contract B.6), the oldest first; those behind `after`.
    async fn list_adds(&self, after: Option<ListAdd>, limit: usize) -> Result<Vec<ListAdd>>;

    /// Done, or given up.
    async fn list_added(&self, done: Vec<ListAdd>) -> Result<()>;
}

/// Names a pool link across accounts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolLinkRef {
    /// Creator account.
    pub account: AccountId,
    /// Link.
    pub id: PoolLinkId,
}

/// A link the platform has just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPoolLink {
    /// Owner.
    pub team: sl_core::ids::TeamId,
    /// Stock it joins.
    pub stock: StockKey,
    /// The platform's number.
    pub id: PoolLinkId,
    /// The address at the platform.
    pub url: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A link with its facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolEntry {
    /// The link.
    pub link: PoolLink,
    /// What is known about the link.
    pub facts: PoolFacts,
}

/// The configured times that turn facts into states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolRules {
    /// `attribution.window`.
    pub window: Duration,
    /// `pool.quarantine`.
    pub quarantine: Duration,
}

/// How much of one stock is in which state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Stock.
    pub stock: StockKey,
    /// How many links are in each state.
    pub counts: Vec<(sl_core::pool::PoolState, u64)>,
    /// Links ever handed out from it, including recycled rounds: its slope is the demand.
    pub given_total: u64,
}

/// What an edge asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    /// Stock.
    pub stock: StockKey,
    /// How many links are wanted, at most 256.
    pub want: usize,
    /// Which process asks.
    pub owner: String,
    /// Now.
    pub now: Timestamp,
    /// End of the lease.
    pub until: Timestamp,
    /// Times by which recycled links are told.
    pub rules: PoolRules,
}

/// Links that one process may hand out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Grows with every lease: the higher one wins.
    pub fence: u64,
    /// Which process has it.
    pub owner: String,
    /// Stock.
    pub stock: StockKey,
    /// In hand-out order, each with whether it was recycled. May be empty: the stock is.
    pub links: Vec<(PoolLink, bool)>,
    /// End of the lease.
    pub until: Timestamp,
}

/// One look at a link's counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Which link.
    pub link: PoolLinkRef,
    /// When the look began.
    pub at: Timestamp,
    /// Subscribers counted.
    pub subscribers: u32,
}
