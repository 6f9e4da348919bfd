//! Links that the platform has made.

use std::collections::HashSet;

use sl_core::pool::{PoolLink, StockKey};
use sl_store::{Result, pool::NewPoolLink};

use super::CqlPool;
use crate::statements::Tries;

// === impl CqlPool ===

impl CqlPool {
    /// Adds links of one stock that are not known yet.
    pub(super) async fn add_new(&self, key: &StockKey, new: Vec<NewPoolLink>) -> Result<usize> {
        let stock = self.stocks.number_or_new(key).await?;
        let _turn = self.books.turn(stock).await;
        let numbers = new.iter().map(|link| link.id.number);
        let known = self.links.some(&key.account, key.kind, numbers).await?;
        let mut seen = HashSet::new();
        let is_new = |link: &NewPoolLink| !known.contains_key(&link.id.number) && seen.insert(link.id.number);
        let new: Vec<_> = new.into_iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(0);
        }
        let from = self.reserve(stock, new.len() as u64).await?;
        let links: Vec<_> = (from..).zip(new).map(|(ordinal, new)| link_of(new, ordinal)).collect();
        self.links.put(&links).await?;
        self.order.put(stock, links.iter().map(|link| (link.ordinal, link.id.number))).await?;
        self.fresh_from(stock, from).await?;
        Ok(links.len())
    }

    /// Takes ordinals. Those of a process that dies before it has written the links stay empty; its links come again.
    async fn reserve(&self, stock: i32, count: u64) -> Result<u64> {
        let mut tries = Tries::of("the ordinals of a stock");
        loop {
            let once = async {
                let mut book = self.books.read_to_change(stock).await?;
                let from = book.ordinals;
                book.ordinals += count;
                Ok(self.books.change(stock, &book, Vec::new()).await?.then_some(from))
            };
            if let Some(from) = tries.settled(once.await).await? {
                return Ok(from);
            }
        }
    }

    /// A lease between the reservation and the rows found nothing there and may have gone past: sets it back.
    async fn fresh_from(&self, stock: i32, from: u64) -> Result<()> {
        let mut tries = Tries::of("the ordinals of a stock");
        loop {
            let once = async {
                let mut book = self.books.read_to_change(stock).await?;
                if book.fresh_from <= from {
                    return Ok(Some(()));
                }
                book.fresh_from = from;
                Ok(self.books.change(stock, &book, Vec::new()).await?.then_some(()))
            };
            if let Some(()) = tries.settled(once.await).await? {
                return Ok(());
            }
        }
    }
}

fn link_of(new: NewPoolLink, ordinal: u64) -> PoolLink {
    PoolLink {
        id: new.id,
        team: new.team,
        stock: new.stock,
        url: new.url,
        ordinal,
        created_at: new.created_at,
    }
}
