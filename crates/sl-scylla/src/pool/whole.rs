//! Links that come from another store, with their places and facts.

use std::collections::BTreeMap;

use sl_core::pool::StockKey;
use sl_store::{
    Result, StoreError,
    moving::{Holder, Stock},
    pool::{PoolEntry, PoolLinkRef},
};

use super::{CqlPool, links::Fact};
use crate::statements::Tries;

// === impl CqlPool ===

impl CqlPool {
    /// Writes links where their ordinals say. Who holds them comes by [`CqlPool::put_holders`].
    pub(crate) async fn put_links(&self, entries: Vec<PoolEntry>) -> Result<()> {
        let mut stocks: BTreeMap<StockKey, Vec<PoolEntry>> = BTreeMap::new();
        for entry in entries {
            stocks.entry(entry.link.stock.clone()).or_default().push(entry);
        }
        for (key, entries) in stocks {
            let stock = self.stocks.number_or_new(&key).await?;
            let (links, facts): (Vec<_>, Vec<_>) =
                entries.into_iter().map(|entry| (entry.link, entry.facts)).unzip();
            self.links.put(&links).await?;
            self.order.put(stock, links.iter().map(|link| (link.ordinal, link.id.number))).await?;
            let facts = links.iter().zip(facts).flat_map(|(link, facts)| {
                let name = PoolLinkRef { account: key.account.clone(), id: link.id };
                let seen = Some(facts.subscribers_seen).filter(|seen| *seen > 0);
                let facts = [
                    facts.orphaned_at.map(Fact::Orphaned),
                    facts.used_at.map(Fact::Used),
                    facts.last_look_at.map(Fact::Looked),
                    facts.retired_at.map(Fact::Retired),
                    seen.map(Fact::Subscribers),
                ];
                facts.into_iter().flatten().map(move |fact| (name.clone(), fact))
            });
            self.links.note(facts).await?;
        }
        Ok(())
    }

    /// Writes who holds links, and how many have had them.
    pub(crate) async fn put_holders(&self, holders: &[Holder]) -> Result<()> {
        self.links.hold(holders).await?;
        let handouts = holders.iter().map(|holder| {
            let name = PoolLinkRef { account: holder.account.clone(), id: holder.link };
            (name, Fact::Handouts(holder.handouts))
        });
        self.links.note(handouts).await
    }

    /// New links of a stock go behind those that are there, and fresh ones are looked for where they begin.
    pub(crate) async fn put_stock(&self, stock: &Stock) -> Result<()> {
        let number = self.stocks.number_or_new(&stock.key).await?;
        let _turn = self.books.turn(number).await;
        let mut tries = Tries::of("the ordinals of a stock");
        loop {
            let once = async {
                let mut book = self.books.read_to_change(number).await?;
                if !book.blocks.is_empty() {
                    return Err(StoreError::Fenced(format!("links of stock {} are out already", stock.key)));
                }
                (book.ordinals, book.fresh_from) = (stock.links, stock.fresh_from);
                Ok(self.books.change(number, &book, Vec::new()).await?.then_some(()))
            };
            if let Some(()) = tries.settled(once.await).await? {
                return Ok(());
            }
        }
    }
}
