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
        // A process may have died before leases were told of them, one of an earlier version before they had their places.
        let untold =
            known.values().filter(|entry| entry.facts.given.is_none() && entry.facts.retired_at.is_none());
        let untold: Vec<_> = untold.map(|entry| (entry.link.ordinal, entry.link.id.number)).collect();
        if let Some(from) = untold.iter().map(|(ordinal, _)| *ordinal).min() {
            self.order.put(stock, untold.into_iter()).await?;
            self.fresh_from(stock, from).await?;
        }
        if new.is_empty() {
            return Ok(0);
        }
        let from = self.reserve(stock, new.len() as u64).await?;
        self.fill(stock, from, new).await
    }

    /// Writes links at their ordinals, and lets leases find them. Their places come first: one without its link is passed over,
    /// and the link comes again with another, but a link that is known without a place would never be leased.
    async fn fill(&self, stock: i32, from: u64, new: Vec<NewPoolLink>) -> Result<usize> {
        let links: Vec<_> = (from..).zip(new).map(|(ordinal, new)| link_of(new, ordinal)).collect();
        self.order.put(stock, links.iter().map(|link| (link.ordinal, link.id.number))).await?;
        self.links.put(&links).await?;
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

    /// A lease between the reservation and the rows found nothing there: it may have gone past, which is set back, or be
    /// about to, which this change forbids it.
    async fn fresh_from(&self, stock: i32, from: u64) -> Result<()> {
        let mut tries = Tries::of("the ordinals of a stock");
        loop {
            let once = async {
                let mut book = self.books.read_to_change(stock).await?;
                book.fresh_from = book.fresh_from.min(from);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sl_store::{
        Pool as _,
        pool::LeaseRequest,
        suite::sample::{self, HOUR, RULES},
    };

    use super::*;
    use crate::{connect, schema};

    /// On a server: two machines, one of which leases at the very moment when the other adds.
    #[tokio::test]
    #[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
    async fn a_lease_that_looked_before_the_rows_were_there_does_not_go_past_them() {
        let config = crate::config::of_the_dev_cluster("adds");
        let pool = CqlPool::new(&connect(&config).await.unwrap().cql, config.rules).await.unwrap();
        let stock = pool.stocks.number_or_new(&sample::stock()).await.unwrap();
        let from = pool.reserve(stock, 4).await.unwrap();
        let mut seen = pool.books.read_to_change(stock).await.unwrap();
        assert_eq!((seen.fresh_from, seen.ordinals), (0, 4));
        seen.fresh_from = seen.ordinals;
        pool.fill(stock, from, sample::new_links(&sample::stock(), 0..4)).await.unwrap();
        assert!(!pool.books.change(stock, &seen, Vec::new()).await.unwrap());
        let request = LeaseRequest {
            stock: sample::stock(),
            want: 10,
            owner: "edge".into(),
            now: HOUR,
            until: HOUR.plus(Duration::from_secs(60)),
            rules: RULES,
        };
        assert_eq!(pool.lease(request.clone()).await.unwrap().links.len(), 4);

        // The other process dies before it has told anybody: the links come again.
        pool.fill(stock, pool.reserve(stock, 4).await.unwrap(), sample::new_links(&sample::stock(), 4..8))
            .await
            .unwrap();
        let mut seen = pool.books.read_to_change(stock).await.unwrap();
        seen.fresh_from = seen.ordinals;
        assert!(pool.books.change(stock, &seen, Vec::new()).await.unwrap());
        assert_eq!(pool.lease(request.clone()).await.unwrap().links.len(), 0);
        assert_eq!(pool.add(sample::new_links(&sample::stock(), 4..8)).await.unwrap(), 0);
        assert_eq!(pool.lease(request.clone()).await.unwrap().links.len(), 4);

        // One of an earlier version died between links and places.
        let (from, new) = (pool.reserve(stock, 4).await.unwrap(), sample::new_links(&sample::stock(), 8..12));
        let links: Vec<_> = (from..).zip(new).map(|(ordinal, new)| link_of(new, ordinal)).collect();
        pool.links.put(&links).await.unwrap();
        assert_eq!(pool.lease(request.clone()).await.unwrap().links.len(), 0);
        assert_eq!(pool.add(sample::new_links(&sample::stock(), 8..12)).await.unwrap(), 0);
        assert_eq!(pool.lease(request).await.unwrap().links.len(), 4);
        schema::drop_keyspace(&config).await.unwrap();
    }
}
