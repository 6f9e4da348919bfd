//! All links of an account, with what each stock has out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_core::{
    ids::AccountId,
    pool::{PoolState, StockKey},
    time::Timestamp,
};
use sl_store::{
    Result,
    pool::{Level, PoolEntry, PoolRules},
};

use super::{CqlPool, book::Book, links::Entry, state};

/// Stocks, or accounts, read at once.
const AT_ONCE: usize = 8;

/// A stock as it is now.
pub(super) struct Shelf {
    key: StockKey,
    book: Book,
    pub(super) entries: Vec<Entry>,
}

// === impl CqlPool ===

impl CqlPool {
    /// Stocks with their links, of one account or of all, by key.
    pub(super) async fn shelves(&self, account: Option<&AccountId>) -> Result<Vec<Shelf>> {
        let mut all = self.stocks.all().await?;
        all.retain(|(key, _)| account.is_none_or(|account| key.account == *account));
        let kinds: BTreeSet<_> = all.iter().map(|(key, _)| (key.account.clone(), key.kind)).collect();
        // Blocks before links: a link that is given meanwhile has left its block by then, not the other way round.
        let books = stream::iter(all).map(|(key, stock)| async move {
            let book = self.books.read(stock).await?;
            Ok((key.clone(), Shelf { key, book, entries: Vec::new() }))
        });
        let mut shelves: BTreeMap<StockKey, Shelf> = books.buffer_unordered(AT_ONCE).try_collect().await?;
        let links = stream::iter(kinds)
            .map(|(account, kind)| async move { self.links.all(&account, kind).await })
            .buffer_unordered(AT_ONCE);
        let links: Vec<Vec<Entry>> = links.try_collect().await?;
        for entry in links.into_iter().flatten() {
            if let Some(shelf) = shelves.get_mut(&entry.link.stock) {
                shelf.entries.push(entry);
            }
        }
        Ok(shelves.into_values().collect())
    }

    /// Ends blocks that have run out, of all stocks.
    pub(super) async fn settle_expired(&self, now: Timestamp) -> Result<()> {
        let ends = stream::iter(self.stocks.all().await?)
            .map(|(key, stock)| async move { self.ends.settle_expired(stock, &key, now).await });
        ends.buffer_unordered(AT_ONCE).try_collect().await
    }
}

// === impl Shelf ===

impl Shelf {
    pub(super) fn level(&self, now: Timestamp, rules: PoolRules) -> Level {
        let leases = self.book.leases();
        let (mut counts, mut given_total) = (HashMap::new(), 0);
        for entry in &self.entries {
            let lease = leases.get(&entry.link.id.number).copied();
            *counts.entry(state::state(entry, lease, now, rules)).or_insert(0) += 1;
            given_total += u64::from(state::handouts(entry, lease));
        }
        let counts = PoolState::ALL.map(|state| (state, counts.get(&state).copied().unwrap_or(0)));
        Level { stock: self.key.clone(), counts: counts.to_vec(), given_total }
    }

    /// Links that the matcher must still look at.
    pub(super) fn live(&self, rules: PoolRules) -> Vec<PoolEntry> {
        let leases = self.book.leases();
        let all = self.entries.iter().map(|entry| {
            let facts = state::facts(entry, leases.get(&entry.link.id.number).copied());
            PoolEntry { link: entry.link.clone(), facts }
        });
        all.filter(|entry| state::is_watched(&entry.facts, entry.link.id.kind, rules)).collect()
    }
}
