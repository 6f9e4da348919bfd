//! Links that lead nowhere any more, taken out of what is at hand: the platform has ended them.

use std::collections::{BTreeMap, HashSet, VecDeque};

use sl_core::{ids::PoolLinkId, pool::StockKey};

use super::{
    Returned, Stock,
    state::{OnHand, State},
};

// === impl Stock ===

impl Stock {
    /// Nobody is sent to these links from here on, whether they are set aside or not. Answers what was at hand of them, block by
    /// block: certainly nobody was sent there, and the rest of each block stays.
    #[must_use]
    pub fn withdraw(&self, stock: &StockKey, links: &HashSet<PoolLinkId>) -> Vec<Returned> {
        let shelf = self.shelf(stock);
        let withdrawn = shelf.state.lock().withdraw(links);
        let returned = withdrawn.into_iter();
        returned.map(|(fence, unused)| Returned { fence, stock: stock.clone(), unused }).collect()
    }
}

// === impl State ===

impl State {
    /// Links that were there, by block.
    fn withdraw(&mut self, links: &HashSet<PoolLinkId>) -> BTreeMap<u64, Vec<PoolLinkId>> {
        let mut withdrawn: BTreeMap<u64, Vec<PoolLinkId>> = BTreeMap::new();
        for part in self.blocks.iter_mut().chain(&mut self.kept).chain(&mut self.opening) {
            let out = part.links.iter().map(|link| link.id).filter(|id| links.contains(id));
            let out: Vec<PoolLinkId> = out.collect();
            if !out.is_empty() {
                part.links.retain(|link| !links.contains(&link.id));
                withdrawn.entry(part.fence).or_default().extend(out);
            }
        }
        if !withdrawn.is_empty() {
            self.changes += 1;
            self.recount();
        }
        withdrawn
    }

    /// Counts what is there.
    pub(super) fn recount(&mut self) {
        let count = |parts: &VecDeque<OnHand>| parts.iter().map(|part| part.links.len()).sum::<usize>();
        self.aside = count(&self.kept) + count(&self.opening);
        self.on_hand = self.aside + count(&self.blocks);
    }
}
