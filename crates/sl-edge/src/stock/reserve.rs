//! Links set aside: leased, at hand, and nobody is sent there before they are opened.
//!
//! A process that ends without a word can't say which links of a block it gave to whom (decisions 5), and while the servers
//! that lease them are away it gets no others. So whoever feeds the stock writes down what is set aside ([`Stock::aside`]),
//! and opens it only once what it wrote says so no longer. Hence: **what is written down was given to nobody.**
//!
//! 1. [`Stock::begin_opening`] takes links out of what is set aside where a stock is short, 2. the rest is written down,
//! 3. [`Stock::opened`] lets visitors have them.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use sl_core::{ids::PoolLinkId, pool::StockKey};

use super::{
    STARTER, Shelf, Stock,
    state::{OnHand, Ready, State},
};

/// A stock is short once it has fewer links than that that may be handed out: some milliseconds of a burst.
const SHORT: usize = 32;

/// Links of one block that are set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Names the lease.
    pub fence: u64,
    /// Which stock the links are of.
    pub stock: StockKey,
    /// From then on nobody may be sent there, unless the lease is prolonged.
    pub use_until: Instant,
    /// Number, whether it was recycled, and where it leads.
    pub links: Vec<(PoolLinkId, bool, String)>,
}

// === impl Stock ===

impl Stock {
    /// That of one edge among many: sets aside up to `reserve` links of every stock, and never more than it has otherwise. Of a stock
    /// that nobody asks it for it wants `idle`, at least one and at most a block: what it leases no other edge can hand out.
    #[must_use]
    pub fn of_many(reserve: usize, idle: usize) -> Self {
        Self(Arc::new(super::Inner { reserve, idle: idle.clamp(1, STARTER), ..super::Inner::default() }))
    }

    /// Everything that is set aside and not being opened.
    #[must_use]
    pub fn aside(&self) -> Vec<Aside> {
        let mut all = Vec::new();
        for shelf in self.shelves() {
            // Only copied under the lock: visitors are taking links.
            let (kept, page) = {
                let state = shelf.state.lock();
                (state.kept.clone(), state.page.clone())
            };
            for mut part in kept {
                if part.made_for != page.turn {
                    page.lead_there(&mut part.links);
                }
                all.push(part.aside(&shelf.key));
            }
        }
        all.sort_by_key(|aside| aside.fence);
        all
    }

    /// Grows whenever [`Stock::aside`] may have changed.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.shelves().iter().map(|shelf| shelf.state.lock().changes).sum()
    }

    /// Puts links that an earlier process had set aside where they were. Links whose URL can't stand in a header are left
    /// out.
    pub fn put_aside(&self, aside: Aside) {
        let shelf = self.shelf(&aside.stock);
        let page = shelf.page();
        let made = aside.links.iter().map(|(id, recycled, url)| (*id, *recycled, url.as_str()));
        let (links, _) = page.ready(made);
        let part = OnHand { fence: aside.fence, use_until: aside.use_until, links, made_for: page.turn };
        let mut state = shelf.state.lock();
        state.on_hand += part.links.len();
        state.set_aside(part);
        shelf.short.notify_one();
    }

    /// Sets everything aside: nothing is handed out any more.
    pub fn set_all_aside(&self) {
        for shelf in self.shelves() {
            let mut state = shelf.state.lock();
            let parts =
                std::mem::take(&mut state.blocks).into_iter().chain(std::mem::take(&mut state.opening));
            let parts: Vec<_> = parts.collect();
            state.aside = state.kept.iter().map(|part| part.links.len()).sum();
            parts.into_iter().for_each(|part| state.set_aside(part));
        }
    }

    /// Takes half of what is set aside where there is hardly anything else; whether there was any.
    #[must_use]
    pub fn begin_opening(&self) -> bool {
        let mut any = false;
        for shelf in self.shelves() {
            let mut state = shelf.state.lock();
            if state.is_short() {
                state.begin_opening();
            }
            any |= !state.opening.is_empty();
        }
        any
    }

    /// What was taken by [`Stock::begin_opening`] may be handed out.
    pub fn opened(&self) {
        for shelf in self.shelves() {
            let mut state = shelf.state.lock();
            let parts: Vec<_> = std::mem::take(&mut state.opening).into();
            if parts.is_empty() {
                continue;
            }
            for part in parts {
                state.aside -= part.links.len();
                match state.blocks.iter_mut().find(|block| block.fence == part.fence) {
                    Some(block) => block.links.extend(part.links),
                    None => state.blocks.push_back(part),
                }
            }
        }
    }

    /// A lease that is no longer this process's: nobody is sent to what is left of its block, and nobody is told.
    pub fn forget(&self, stock: &StockKey, fence: u64) {
        let shelf = self.shelf(stock);
        let mut state = shelf.state.lock();
        state.forget(fence);
    }

    /// The blocks at hand, with how long they may be used.
    #[must_use]
    pub fn at_hand(&self) -> Vec<(u64, StockKey, Instant)> {
        let mut all = Vec::new();
        for shelf in self.shelves() {
            let state = shelf.state.lock();
            let parts = state.blocks.iter().chain(&state.kept).chain(&state.opening);
            all.extend(parts.map(|part| (part.fence, shelf.key.clone(), part.use_until)));
        }
        all.sort_by_key(|(fence, ..)| *fence);
        all.dedup_by_key(|(fence, ..)| *fence);
        all
    }

    /// Resolves when a stock has links set aside and hardly any others; one call hears of everything since the last.
    pub async fn short(&self) {
        self.0.short.notified().await;
    }

    pub(super) fn shelves(&self) -> Vec<Arc<Shelf>> {
        self.0.shelves.read().values().cloned().collect()
    }
}

// === impl State ===

impl State {
    /// A new block: of its end as much is set aside as the reserve lacks, at most half.
    pub(super) fn put(&mut self, mut block: OnHand, reserve: usize) {
        self.on_hand += block.links.len();
        let lacks = reserve.saturating_sub(self.aside).min(block.links.len() / 2);
        if lacks > 0 {
            let links = block.links.split_off(block.links.len() - lacks);
            self.set_aside(OnHand { links, ..block });
        }
        self.blocks.push_back(block);
    }

    /// All parts of a block.
    pub(super) fn parts(&mut self, fence: u64) -> impl Iterator<Item = &mut OnHand> {
        let parts = self.blocks.iter_mut().chain(&mut self.kept).chain(&mut self.opening);
        parts.filter(move |part| part.fence == fence)
    }

    /// Links of a block come before what is at hand of it; given back when nothing is.
    pub(super) fn join(&mut self, fence: u64, mut links: VecDeque<Ready>) -> Option<VecDeque<Ready>> {
        if let Some(block) = self.blocks.iter_mut().find(|block| block.fence == fence) {
            links.append(&mut block.links);
            block.links = links;
            return None;
        }
        self.join_aside(fence, links)
    }

    /// Likewise, of what is set aside.
    pub(super) fn join_aside(&mut self, fence: u64, mut links: VecDeque<Ready>) -> Option<VecDeque<Ready>> {
        let count = links.len();
        let mut aside = self.kept.iter_mut().chain(&mut self.opening);
        let Some(part) = aside.find(|part| part.fence == fence) else { return Some(links) };
        links.append(&mut part.links);
        part.links = links;
        self.aside += count;
        self.changes += 1;
        None
    }

    pub(super) fn is_short(&self) -> bool {
        let kept = self.aside;
        kept > 0 && !self.kept.is_empty() && self.on_hand - self.aside < SHORT.min(kept.div_ceil(2))
    }

    fn set_aside(&mut self, part: OnHand) {
        self.changes += 1;
        self.aside += part.links.len();
        match self.kept.iter_mut().find(|kept| kept.fence == part.fence) {
            Some(kept) => {
                let mut links = part.links;
                links.append(&mut kept.links);
                kept.links = links;
            }
            None if part.links.is_empty() => {}
            None => self.kept.push_back(part),
        }
    }

    fn begin_opening(&mut self) {
        let kept: usize = self.kept.iter().map(|part| part.links.len()).sum();
        let mut left = kept.div_ceil(2);
        self.changes += 1;
        while left > 0
            && let Some(front) = self.kept.front_mut()
        {
            let rest = front.links.split_off(left.min(front.links.len()));
            let links = std::mem::replace(&mut front.links, rest);
            left -= links.len();
            let OnHand { fence, use_until, made_for, .. } = *front;
            if front.links.is_empty() {
                self.kept.pop_front();
            }
            match self.opening.iter_mut().find(|part| part.fence == fence) {
                Some(part) => part.links.extend(links),
                None => self.opening.push_back(OnHand { fence, use_until, links, made_for }),
            }
        }
    }

    fn forget(&mut self, fence: u64) {
        for parts in [&mut self.blocks, &mut self.kept, &mut self.opening] {
            parts.retain(|part| part.fence != fence);
        }
        self.changes += 1;
        self.recount();
    }
}

// === impl OnHand ===

impl OnHand {
    fn aside(&self, stock: &StockKey) -> Aside {
        let text = |link: &Ready| String::from_utf8_lossy(link.location.as_bytes()).into_owned();
        Aside {
            fence: self.fence,
            stock: stock.clone(),
            use_until: self.use_until,
            links: self.links.iter().map(|link| (link.id, link.recycled, text(link))).collect(),
        }
    }
}
