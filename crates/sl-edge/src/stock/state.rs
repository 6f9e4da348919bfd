//! What is at hand of one stock, and how much of it there should be.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use http::HeaderValue;
use sl_core::{ids::PoolLinkId, pool::StockKey};

use super::{Returned, Taken, page::Page};

/// Demand is counted in slices this long: blocks cover at least 10 minutes (decisions 50).
pub(super) const SLICE: Duration = Duration::from_secs(600);

/// What there is of one stock.
#[derive(Default)]
pub(super) struct State {
    /// To have at hand when nobody asks for any.
    pub(super) idle: usize,
    /// What may be handed out. A block has at most one part here and one in each of the next two.
    pub(super) blocks: VecDeque<OnHand>,
    /// Set aside.
    pub(super) kept: VecDeque<OnHand>,
    /// About to be opened.
    pub(super) opening: VecDeque<OnHand>,
    /// By fence.
    pub(super) over: BTreeMap<u64, Returned>,
    /// Links of all three.
    pub(super) on_hand: usize,
    /// Links of `kept` and `opening`.
    pub(super) aside: usize,
    /// How often `kept` has changed.
    pub(super) changes: u64,
    pub(super) asked: u64,
    pub(super) missed: u64,
    /// The lessee has been told since the last block came that there are few.
    pub(super) told: bool,
    pub(super) slice: Option<Slice>,
    /// The creator's page.
    pub(super) page: Page,
}

/// Demand of the running and of the last full slice.
#[derive(Clone, Copy)]
pub(super) struct Slice {
    pub(super) began: Instant,
    pub(super) asked: usize,
    pub(super) before: usize,
}

/// A part of a block.
#[derive(Clone)]
pub(super) struct OnHand {
    pub(super) fence: u64,
    pub(super) use_until: Instant,
    pub(super) links: VecDeque<Ready>,
    /// The [`Page::turn`] of when they were made. Some may lead to a later page already: who took them has put them back.
    pub(super) made_for: u64,
}

/// A link as a visitor gets it.
#[derive(Clone)]
pub(super) struct Ready {
    pub(super) id: PoolLinkId,
    pub(super) recycled: bool,
    pub(super) location: HeaderValue,
}

// === impl OnHand ===

impl OnHand {
    /// Has the processor fetch what the next visitors will need: blocks were leased long ago. The entry behind the next one, and
    /// the text of the next one, whose entry the call before has fetched.
    pub(super) fn fetch_next(&self) {
        let (links, _) = self.links.as_slices();
        prefetch_index::prefetch_index(links, 1);
        if let Some(next) = links.first() {
            prefetch_index::prefetch_index(next.location.as_bytes(), 0);
        }
    }
}

// === impl State ===

impl State {
    pub(super) fn take(&mut self, key: &StockKey, now: Instant) -> Option<Taken> {
        loop {
            let block = self.blocks.front_mut()?;
            if block.made_for != self.page.turn {
                self.page.lead_there(block.links.front_mut());
            }
            if now < block.use_until
                && let Some(Ready { id, recycled, location }) = block.links.pop_front()
            {
                self.on_hand -= 1;
                block.fetch_next();
                return Some(Taken { id, recycled, location, fence: block.fence });
            }
            self.end_front(key);
        }
    }

    /// The front block has no other part here, so there is no need to look for one among many.
    pub(super) fn end_front(&mut self, key: &StockKey) {
        if let Some(OnHand { fence, links, .. }) = self.blocks.pop_front() {
            let left = links.len();
            let unused = self.join_aside(fence, links);
            self.report(key, fence, left, unused);
        }
    }

    /// A part of a block is over: the last one reports what is left of it.
    pub(super) fn ended(&mut self, key: &StockKey, OnHand { fence, links, .. }: OnHand) {
        let left = links.len();
        let unused = self.join(fence, links);
        self.report(key, fence, left, unused);
    }

    pub(super) fn report(
        &mut self,
        key: &StockKey,
        fence: u64,
        left: usize,
        unused: Option<VecDeque<Ready>>,
    ) {
        let Some(links) = unused else { return };
        self.on_hand -= left;
        let over = self.over.entry(fence);
        let over = over.or_insert_with(|| Returned { fence, stock: key.clone(), unused: Vec::new() });
        over.unused.extend(links.iter().map(|link| link.id));
    }

    pub(super) fn expire(&mut self, key: &StockKey, now: Instant) {
        let holds = |part: &OnHand| now < part.use_until && !part.links.is_empty();
        let (blocks, over) = std::mem::take(&mut self.blocks).into_iter().partition(holds);
        let (kept, kept_over): (_, VecDeque<OnHand>) =
            std::mem::take(&mut self.kept).into_iter().partition(holds);
        let aside: usize = kept_over.iter().map(|part| part.links.len()).sum();
        (self.blocks, self.kept) = (blocks, kept);
        self.aside -= aside;
        self.changes += u64::from(aside > 0);
        for part in VecDeque::into_iter(over).chain(kept_over) {
            self.ended(key, part);
        }
    }

    pub(super) fn drain(&mut self, key: &StockKey) {
        let aside = std::mem::take(&mut self.kept).into_iter().chain(std::mem::take(&mut self.opening));
        let all: Vec<_> = std::mem::take(&mut self.blocks).into_iter().chain(aside).collect();
        self.changes += 1;
        self.aside = 0;
        for part in all {
            self.ended(key, part);
        }
    }

    pub(super) fn count(&mut self, now: Instant) {
        self.asked += 1;
        self.turn(now);
        if let Some(slice) = &mut self.slice {
            slice.asked += 1;
        }
    }

    /// Starts the next slice when the running one is full; an idle one is forgotten after two.
    pub(super) fn turn(&mut self, now: Instant) {
        let slice = self.slice.get_or_insert(Slice { began: now, asked: 0, before: 0 });
        let age = now.saturating_duration_since(slice.began);
        if age >= SLICE {
            let before = if age < 2 * SLICE { slice.asked } else { 0 };
            *slice = Slice { began: now, asked: 0, before };
        }
    }

    /// Links to have at hand: half as much again as ten minutes asked for, by the busier of the last two slices. The
    /// running one is read as if it went on as it began, once a tenth of it has passed.
    pub(super) fn target(&self, now: Instant) -> usize {
        let Some(slice) = self.slice else { return self.idle };
        let age = now.saturating_duration_since(slice.began).max(SLICE / 10).min(SLICE);
        let running = slice.asked as f64 * SLICE.as_secs_f64() / age.as_secs_f64();
        let busy = running.max(slice.before as f64);
        // A float of a count of clicks in ten minutes is exact, and saturates where it is not.
        self.idle + (busy * 1.5) as usize
    }
}
