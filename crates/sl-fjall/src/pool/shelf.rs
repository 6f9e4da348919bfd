//! Every stock in memory, where each link is, and the blocks that are out.

use std::{collections::BTreeMap, hash::BuildHasher as _};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use serde::{Deserialize, Serialize};
use sl_core::{
    ids::{AccountId, ClickId, PoolLinkId},
    pool::{Given, StockKey},
    time::Timestamp,
};
use sl_store::{
    Result,
    pool::{Level, PoolLinkRef, PoolRules},
};

use super::{slot::Slot, stock::Stock};
use crate::{
    codec::encode,
    late::{LateTable, Rows},
    layout::Key,
};

/// Stock number and ordinal.
pub(crate) type Place = (u32, u32);

/// The pool in memory: about 150 bytes a link.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) rules: PoolRules,
    pub(crate) stocks: Vec<Stock>,
    numbers: HashMap<StockKey, u32>,
    /// Where each link of an account is, by kind and number, which its stock and slot have.
    places: HashMap<AccountId, HashTable<Place>>,
    hasher: DefaultHashBuilder,
    pub(crate) blocks: BTreeMap<u64, BlockRow>,
}

/// A block that is out, as it is on disk. Written when it is taken, prolonged or given back, but not when one of its
/// links is given: a link whose holder is no longer the one it had when it was leased has left the block.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BlockRow {
    pub(crate) fence: u64,
    pub(crate) owner: String,
    pub(crate) stock: u32,
    pub(crate) until: Timestamp,
    pub(crate) links: Vec<Leased>,
}

/// A link of a block.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Leased {
    pub(crate) ordinal: u32,
    pub(crate) recycled: bool,
    /// The click of the visitor who had it before.
    pub(crate) before: Option<ClickId>,
}

/// The fact that attribution writes, with how many visitors the link has had.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct GivenRow {
    pub(crate) given: Given,
    pub(crate) handouts: u32,
}

// === impl Shelf ===

impl Shelf {
    pub(crate) fn new(rules: PoolRules) -> Self {
        Self {
            rules,
            stocks: Vec::new(),
            numbers: HashMap::new(),
            places: HashMap::new(),
            hasher: DefaultHashBuilder::default(),
            blocks: BTreeMap::new(),
        }
    }

    /// Takes over the configured times. A change is rare (a new configuration) and files every slot anew.
    pub(crate) fn follow(&mut self, rules: PoolRules) {
        if self.rules != rules {
            for stock in &mut self.stocks {
                stock.refile(self.rules, rules);
            }
            self.rules = rules;
        }
    }

    pub(crate) fn number(&self, key: &StockKey) -> Option<u32> {
        self.numbers.get(key).copied()
    }

    /// The number of a stock that may be new.
    pub(crate) fn number_or_new(&mut self, key: &StockKey) -> u32 {
        if let Some(number) = self.number(key) {
            return number;
        }
        let number = u32::try_from(self.stocks.len()).unwrap_or(u32::MAX);
        self.stocks.push(Stock::new(key.clone()));
        self.numbers.insert(key.clone(), number);
        number
    }

    pub(crate) fn place(&self, account: &AccountId, id: PoolLinkId) -> Option<Place> {
        let here = |place: &Place| id_at(&self.stocks, *place) == Some(id);
        self.places.get(account)?.find(self.hasher.hash_one(Some(id)), here).copied()
    }

    pub(crate) fn place_of(&self, link: &PoolLinkRef) -> Option<Place> {
        self.place(&link.account, link.id)
    }

    pub(crate) fn slot(&self, (stock, ordinal): Place) -> Option<&Slot> {
        self.stocks.get(stock as usize)?.slot(ordinal)
    }

    /// Puts a link at the end of its stock.
    pub(crate) fn push(&mut self, number: u32, slot: Slot) {
        let Some(stock) = self.stocks.get_mut(number as usize) else { return };
        let first = stock.len();
        stock.push(slot, self.rules);
        self.note_places(number, first);
    }

    /// All links of a stock that has none yet, by ordinal.
    pub(crate) fn fill(&mut self, number: u32, slots: Vec<Slot>) {
        let Some(stock) = self.stocks.get_mut(number as usize) else { return };
        stock.fill(slots, self.rules);
        self.note_places(number, 0);
    }

    /// Notes where the links of a stock are, from the ordinal `first` on.
    fn note_places(&mut self, number: u32, first: usize) {
        let Some(stock) = self.stocks.get(number as usize) else { return };
        let places = self.places.entry(stock.key.account.clone()).or_default();
        let hash = |place: &Place| self.hasher.hash_one(id_at(&self.stocks, *place));
        places.reserve(stock.len() - first, hash);
        let from = u32::try_from(first).unwrap_or(u32::MAX);
        for ordinal in (from..).take(stock.len() - first) {
            let place = (number, ordinal);
            places.insert_unique(hash(&place), place, hash);
        }
    }

    pub(crate) fn change(&mut self, (stock, ordinal): Place, change: impl FnOnce(&mut Slot)) {
        if let Some(stock) = self.stocks.get_mut(stock as usize) {
            stock.change(ordinal, self.rules, change);
        }
    }

    pub(crate) fn levels(&mut self, now: Timestamp) -> Vec<Level> {
        let mut levels: Vec<_> = self.stocks.iter_mut().map(|stock| stock.level(now)).collect();
        levels.sort_by(|a, b| a.stock.cmp(&b.stock));
        levels
    }

    /// A step says who holds a link. The same holder again moves its window; a new one takes the link out of its block;
    /// an earlier one than the present holder changes nothing.
    pub(crate) fn stage_given(
        &mut self,
        late: &mut Rows,
        digest: [u8; 8],
        account: &AccountId,
        id: PoolLinkId,
        given: Given,
    ) -> Result<()> {
        let place = self.place(account, id);
        let slot = place.and_then(|place| self.slot(place));
        let holder = slot.and_then(|slot| slot.holder);
        let mut handouts = slot.map_or(0, |slot| slot.handouts);
        let same = holder.is_some_and(|holder| holder.click == given.click);
        if !same {
            if holder.is_some_and(|holder| given.at < holder.at) {
                return Ok(());
            }
            handouts += 1;
        }
        let row = encode(&GivenRow { given, handouts })?;
        late.put(LateTable::Given, &given_key(digest, id), &row);
        if let Some(place) = place {
            self.change(place, |slot| {
                slot.holder = Some(given.into());
                slot.handouts = handouts;
                if !same {
                    slot.fence = None;
                }
            });
        }
        Ok(())
    }
}

/// What the link in a place is.
fn id_at(stocks: &[Stock], (stock, ordinal): Place) -> Option<PoolLinkId> {
    let stock = stocks.get(stock as usize)?;
    Some(PoolLinkId { kind: stock.key.kind, number: stock.slot(ordinal)?.number })
}

/// Where the holder of a link is.
/// Digest of the account · kind · number: so few bytes stay where they are when the row waits in memory.
pub(crate) fn given_key(digest: [u8; 8], id: PoolLinkId) -> [u8; 17] {
    let mut key = [0; 17];
    let link = Key::bare().raw(&digest).pool_link(id);
    key.iter_mut().zip(link.bytes()).for_each(|(place, byte)| *place = *byte);
    key
}
