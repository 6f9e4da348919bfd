//! Leases: links chosen, taken by one conditional write, which is refused when anything about the stock's blocks has
//! changed since they were chosen.

use std::{collections::BTreeMap, sync::Arc};

use sl_core::{
    ids::PoolLinkId,
    pool::{PoolLink, PoolState},
};
use sl_store::{
    Result,
    pool::{Block, LeaseRequest},
};

use super::{
    book::{BlockRow, Book, Books, Change, Leased},
    ends::Ends,
    links::{Entry, Links},
    order::Order,
    state::{handouts, state},
};
use crate::statements::Tries;

/// Decisions 50: a block holds at most that many links.
const BLOCK_LINKS: usize = 256;

/// Takes links out.
pub(super) struct Leases {
    pub(super) books: Arc<Books>,
    pub(super) links: Arc<Links>,
    pub(super) order: Arc<Order>,
    pub(super) ends: Arc<Ends>,
}

/// Links chosen for a block.
#[derive(Default)]
struct Chosen {
    leased: Vec<Leased>,
    links: Vec<(PoolLink, bool)>,
}

// === impl Leases ===

impl Leases {
    /// Takes up to `request.want` links of the stock with that number.
    pub(super) async fn lease(&self, stock: i32, request: &LeaseRequest) -> Result<Block> {
        self.ends.settle_expired(stock, &request.stock, request.now).await?;
        let _turn = self.books.turn(stock).await;
        let (mut tries, mut tried) = (Tries::of("the blocks of a stock"), None);
        loop {
            let once = self.lease_once(stock, request, &mut tried).await;
            if let Some(block) = tries.settled(once).await? {
                return Ok(block);
            }
        }
    }

    async fn lease_once(
        &self,
        stock: i32,
        request: &LeaseRequest,
        tried: &mut Option<u64>,
    ) -> Result<Option<Block>> {
        let mut book = self.books.read_to_change(stock).await?;
        if let Some(row) = tried.and_then(|fence| book.block(fence)).filter(|row| row.owner == request.owner)
        {
            // The last try, to which there was no answer, was applied after all.
            return self.block(row, request).await.map(Some);
        }
        let chosen = self.choose(stock, &mut book, request).await?;
        let fence = book.next_fence(stock);
        let block = Block {
            fence,
            owner: request.owner.clone(),
            stock: request.stock.clone(),
            links: chosen.links,
            until: request.until,
        };
        if block.links.is_empty() {
            return Ok(Some(block));
        }
        let row = BlockRow { fence, owner: block.owner.clone(), until: block.until, links: chosen.leased };
        let said = self.books.change(stock, &book, vec![Change::Put(row)]).await;
        *tried = said.is_err().then_some(fence);
        Ok(said?.then_some(block))
    }

    async fn block(&self, row: &BlockRow, request: &LeaseRequest) -> Result<Block> {
        let numbers = row.links.iter().map(|leased| leased.number);
        let entries = self.links.some(&request.stock.account, request.stock.kind, numbers).await?;
        let links = row.links.iter().filter_map(|leased| {
            entries.get(&leased.number).map(|entry| (entry.link.clone(), leased.recycled))
        });
        Ok(Block {
            fence: row.fence,
            owner: row.owner.clone(),
            stock: request.stock.clone(),
            links: links.collect(),
            until: row.until,
        })
    }

    /// Fresh links from the lowest ordinal up, then recycled ones likewise: those are neighbours because they were handed
    /// out as neighbours. Fresh ones begin at a known place, and the rest is read only when they do not suffice.
    async fn choose(&self, stock: i32, book: &mut Book, request: &LeaseRequest) -> Result<Chosen> {
        let (want, mut chosen) = (request.want.min(BLOCK_LINKS), Chosen::default());
        book.fresh_from = self.take(PoolState::Fresh, stock, book, request, want, &mut chosen).await?;
        if chosen.leased.len() < want {
            self.take(PoolState::Recycled, stock, book, request, want, &mut chosen).await?;
        }
        Ok(chosen)
    }

    /// Takes links in one state until there are `want`; returns the ordinal it got to.
    async fn take(
        &self,
        wanted: PoolState,
        stock: i32,
        book: &Book,
        request: &LeaseRequest,
        want: usize,
        chosen: &mut Chosen,
    ) -> Result<u64> {
        let leases = book.leases();
        let mut ordinal = if wanted == PoolState::Fresh { book.fresh_from } else { 0 };
        while ordinal < book.ordinals && chosen.leased.len() < want {
            let page = self.order.page(stock, ordinal, BLOCK_LINKS).await?;
            let entries = self.entries(&page.numbers, request).await?;
            for (at, number) in &page.numbers {
                if chosen.leased.len() == want {
                    return Ok(*at);
                }
                let Some(entry) = entries.get(number).filter(|entry| entry.link.ordinal == *at) else {
                    continue;
                };
                let lease = leases.get(number).copied();
                if state(entry, lease, request.now, request.rules) == wanted {
                    let recycled = wanted == PoolState::Recycled;
                    chosen.links.push((entry.link.clone(), recycled));
                    chosen.leased.push(Leased {
                        number: *number,
                        ordinal: *at,
                        recycled,
                        before: entry.facts.given.map(|given| given.click),
                        handouts: handouts(entry, lease),
                    });
                }
            }
            ordinal = page.next;
        }
        Ok(ordinal.min(book.ordinals))
    }

    async fn entries(&self, numbers: &[(u64, u64)], request: &LeaseRequest) -> Result<BTreeMap<u64, Entry>> {
        let numbers = numbers.iter().map(|(_, number)| *number);
        self.links.some(&request.stock.account, request.stock.kind, numbers).await
    }
}

/// The name of a link of a stock.
pub(super) fn link_ref(stock: &sl_core::pool::StockKey, number: u64) -> sl_store::pool::PoolLinkRef {
    sl_store::pool::PoolLinkRef {
        account: stock.account.clone(),
        id: PoolLinkId { kind: stock.kind, number },
    }
}
