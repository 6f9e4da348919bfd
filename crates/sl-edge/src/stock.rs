//! Pool links this process may hand out: blocks leased outside, pushed in here, taken one by one by clicks.
//!
//! The lessee keeps the leases; the edge only knows when to stop using one: a minute before it ends, by a monotonic
//! clock (decisions 50). What was certainly never handed out is given back.
//!
//! Where leases are kept far away, a part of every stock may be set aside ([`reserve`]): nobody is sent there before it is
//! opened, so whoever wrote it down knows after any stop that those links are still nobody's.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderValue;
use parking_lot::{Mutex, RwLock};
use sl_core::{
    ids::PoolLinkId,
    pool::{PoolLink, StockKey},
};
use tokio::sync::Notify;

mod page;
mod reserve;
mod state;
mod withdrawal;
pub use reserve::Aside;
use state::{OnHand, Ready, Slice, State};

/// A lease is not used in its last minute: a click in flight, a stalled thread and a clock that runs slow all fit in.
const MARGIN: Duration = Duration::from_secs(60);
/// Links per block at most (decisions 50).
pub const BLOCK: usize = 256;
/// Kept at hand at any time by the only edge there is, as far as there are so many: a whole block, so that a burst on a quiet stock
/// finds links until the next ones are leased. 256 links × ~150 B = 38 kB a stock; after an unclean stop as many pass quarantine.
const STARTER: usize = BLOCK;

/// Links taken between two looks at how many there should be: a look costs as much as a link.
const BETWEEN_LOOKS: usize = 16;

/// A leased block, as it comes from outside.
#[derive(Debug, Clone)]
pub struct StockBlock {
    /// Names the lease.
    pub fence: u64,
    /// Which stock the links are of.
    pub stock: StockKey,
    /// In hand-out order, each with whether it was recycled.
    pub links: Vec<(PoolLink, bool)>,
    /// How long the lease still lasts, counted from when it was asked for.
    pub good_for: Duration,
}

/// A block that is over: used up, about to expire, or drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// Names the lease.
    pub fence: u64,
    /// Which stock it was of.
    pub stock: StockKey,
    /// Links that certainly nobody was sent to, in hand-out order. Others of the block are given, or their click was
    /// lost.
    pub unused: Vec<PoolLinkId>,
}

/// How much of one stock is here, and how much should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Which stock.
    pub stock: StockKey,
    /// Links at hand.
    pub on_hand: usize,
    /// Links to lease now, in blocks of [`BLOCK`].
    pub want: usize,
    /// Hits that wanted a link, since the start.
    pub asked: u64,
    /// ... and found none.
    pub missed: u64,
}

/// All stocks of this process. Clones share them.
#[derive(Clone, Default)]
pub struct Stock(Arc<Inner>);

struct Inner {
    shelves: RwLock<HashMap<StockKey, Arc<Shelf>>>,
    low: Arc<Notify>,
    /// A stock has links set aside and hardly any others.
    short: Arc<Notify>,
    /// Links of each stock to set aside, as far as there are twice as many.
    reserve: usize,
    /// Links of each stock to have at hand when nobody asks for any.
    idle: usize,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            shelves: RwLock::default(),
            low: Arc::default(),
            short: Arc::default(),
            reserve: 0,
            idle: STARTER,
        }
    }
}

impl fmt::Debug for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stock({} shelves)", self.0.shelves.read().len())
    }
}

/// One stock. Its lock is held for a few loads and stores.
pub struct Shelf {
    key: StockKey,
    low: Arc<Notify>,
    short: Arc<Notify>,
    state: Mutex<State>,
}

/// A link taken for one visitor.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The platform's number.
    pub id: PoolLinkId,
    /// Somebody held it before.
    pub recycled: bool,
    /// Where it leads.
    pub location: HeaderValue,
    fence: u64,
}

// === impl Stock ===

impl Stock {
    /// The shelf of one stock, made if need be.
    #[must_use]
    pub fn shelf(&self, key: &StockKey) -> Arc<Shelf> {
        if let Some(shelf) = self.0.shelves.read().get(key) {
            return Arc::clone(shelf);
        }
        let mut shelves = self.0.shelves.write();
        let shelf = shelves.entry(key.clone()).or_insert_with(|| {
            // A new one is empty.
            self.0.low.notify_one();
            Arc::new(Shelf {
                key: key.clone(),
                low: Arc::clone(&self.0.low),
                short: Arc::clone(&self.0.short),
                state: Mutex::new(State { idle: self.0.idle, ..State::default() }),
            })
        });
        Arc::clone(shelf)
    }

    /// Adds a block whose lease was asked for at `asked_at`. A link whose URL can't stand in a header is left out and
    /// named in the answer: nobody is sent there.
    pub fn put_block(&self, block: StockBlock, asked_at: Instant) -> Vec<PoolLinkId> {
        let shelf = self.shelf(&block.stock);
        let page = shelf.page();
        let made = block.links.iter().map(|(link, recycled)| (link.id, *recycled, link.url.as_str()));
        let (links, refused) = page.ready(made);
        let use_until = asked_at + block.good_for.saturating_sub(MARGIN);
        let block = OnHand { fence: block.fence, use_until, links, made_for: page.turn };
        let mut state = shelf.state.lock();
        state.put(block, self.0.reserve);
        state.told = false;
        refused
    }

    /// A lease was prolonged: it lasts `good_for` from `asked_at` on. `false` when the block is no longer here.
    pub fn renewed(&self, stock: &StockKey, fence: u64, good_for: Duration, asked_at: Instant) -> bool {
        let shelf = self.shelf(stock);
        let mut state = shelf.state.lock();
        state.changes += 1;
        let mut is_here = false;
        for part in state.parts(fence) {
            part.use_until = asked_at + good_for.saturating_sub(MARGIN);
            is_here = true;
        }
        is_here
    }

    /// What is at hand and what should be leased, for every stock that a Smart Link draws from.
    #[must_use]
    pub fn wanted(&self, now: Instant) -> Vec<Want> {
        let shelves = self.0.shelves.read();
        let mut wants: Vec<Want> = shelves.values().map(|shelf| shelf.wanted(now)).collect();
        wants.sort_by(|a, b| a.stock.cmp(&b.stock));
        wants
    }

    /// `asked` visitors in ten minutes are expected, from what was seen before a start. Of a stock that no Smart Link draws
    /// from nobody is.
    pub fn expect(&self, stock: &StockKey, asked: usize, now: Instant) {
        if let Some(shelf) = self.0.shelves.read().get(stock) {
            shelf.state.lock().slice = Some(Slice { began: now, asked: 0, before: asked });
        }
    }

    /// Resolves when a stock runs low or a visitor found it empty; one call hears of everything since the last.
    pub async fn low(&self) {
        self.0.low.notified().await;
    }

    /// Blocks that are over at `now`: used up, or a minute before the end of their lease. Each is reported once; give
    /// back what it holds, then end the lease.
    #[must_use]
    pub fn expire(&self, now: Instant) -> Vec<Returned> {
        self.collect(|state, key| state.expire(key, now))
    }

    /// Takes everything away: what is left is given back at shutdown.
    #[must_use]
    pub fn drain_unused(&self) -> Vec<Returned> {
        self.collect(State::drain)
    }

    fn collect(&self, end: impl Fn(&mut State, &StockKey)) -> Vec<Returned> {
        let mut all = Vec::new();
        for shelf in self.shelves() {
            let mut state = shelf.state.lock();
            end(&mut state, &shelf.key);
            all.extend(std::mem::take(&mut state.over).into_values());
        }
        all.sort_by_key(|returned| returned.fence);
        all
    }
}

// === impl Shelf ===

impl Shelf {
    /// Which links they are.
    pub(crate) fn stock(&self) -> &StockKey {
        &self.key
    }

    /// The next link, if there is one at hand whose lease may still be used. Nobody waits for the next block, however soon it may
    /// come: the caller holds its thread, and a lock of the window, that other visitors need. So that hardly anybody finds nothing, the
    /// lessee hears of it when half of what there should be is left: 128 links last for the 10 ms of a lease up to 12,800 visitors
    /// of one stock a second.
    pub fn take(&self, now: Instant) -> Option<Taken> {
        let mut state = self.state.lock();
        state.count(now);
        let taken = state.take(&self.key, now);
        if taken.is_none() {
            state.missed += 1;
        }
        // Told once: links that do not come for the asking are looked for at the lessee's own pace.
        let few = taken.is_none() || state.on_hand < BETWEEN_LOOKS;
        let looks = few || state.asked.is_multiple_of(BETWEEN_LOOKS as u64);
        if looks && !state.told && state.on_hand < state.target(now) / 2 {
            state.told = true;
            self.low.notify_one();
        }
        if state.is_short() {
            self.short.notify_one();
        }
        taken
    }

    /// Puts back a link that certainly nobody was sent to: it is the next one again.
    pub fn put_back(&self, taken: Taken) {
        let mut state = self.state.lock();
        let Taken { id, recycled, location, fence } = taken;
        if state.join(fence, VecDeque::from([Ready { id, recycled, location }])).is_none() {
            state.on_hand += 1;
        } else if let Some(over) = state.over.get_mut(&fence) {
            over.unused.insert(0, id);
        }
        // Otherwise its lease has been ended: it passes quarantine as an orphan.
    }

    fn wanted(&self, now: Instant) -> Want {
        let mut state = self.state.lock();
        state.turn(now);
        let want = state.target(now).saturating_sub(state.on_hand);
        Want {
            stock: self.key.clone(),
            on_hand: state.on_hand,
            want,
            asked: state.asked,
            missed: state.missed,
        }
    }
}

#[cfg(test)]
mod tests;
