//! Questions about all links of an account, with what each stock has out: links are read a page at a time, and only what is
//! asked for is kept of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::RangeInclusive,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sl_core::{
    ids::{AccountId, LinkKind},
    pool::{PoolState, StockKey},
    time::Timestamp,
};
use sl_store::{
    Result,
    pool::{Level, PoolEntry, PoolRules},
};

use super::{
    CqlPool,
    book::{BlockRow, Book, Leased},
    links::Entry,
    state,
};

/// Stocks, or accounts, read at once.
const AT_ONCE: usize = 8;

/// Blocks that are out, of some stocks.
pub(super) struct Shelves(BTreeMap<StockKey, Book>);

/// Leased links by number, of each stock.
type Leases<'book> = BTreeMap<&'book StockKey, HashMap<u64, (&'book BlockRow, &'book Leased)>>;

/// Links of one stock, counted.
#[derive(Debug, Default)]
struct Tally {
    states: HashMap<PoolState, u64>,
    given_total: u64,
}

// === impl CqlPool ===

impl CqlPool {
    /// Counts per state of every stock that has links, by key, and of how many links that is.
    pub(super) async fn count(&self, now: Timestamp, rules: PoolRules) -> Result<(Vec<Level>, u64)> {
        let shelves = self.shelves(None).await?;
        let leases = shelves.leases();
        let add = |tallies: &mut HashMap<StockKey, Tally>, entry: Entry| {
            let Some(leases) = leases.get(&entry.link.stock) else { return };
            let lease = leases.get(&entry.link.id.number).copied();
            let (state, handouts) = (state::state(&entry, lease, now, rules), state::handouts(&entry, lease));
            let tally = tallies.entry(entry.link.stock).or_default();
            *tally.states.entry(state).or_default() += 1;
            tally.given_total += u64::from(handouts);
        };
        let kinds = stream::iter(shelves.kinds())
            .map(|(account, kind)| async move { self.links.fold(&account, kind, &add).await });
        let kinds: Vec<Vec<HashMap<StockKey, Tally>>> = kinds.buffer_unordered(AT_ONCE).try_collect().await?;
        let mut stocks: BTreeMap<StockKey, Tally> = BTreeMap::new();
        for (stock, tally) in kinds.into_iter().flatten().flatten() {
            stocks.entry(stock).or_default().add(tally);
        }
        let links = stocks.values().flat_map(|tally| tally.states.values()).sum();
        Ok((stocks.into_iter().map(|(stock, tally)| tally.level(stock)).collect(), links))
    }

    /// Links of an account that the matcher must still look at, by stock and ordinal.
    pub(super) async fn watched(&self, account: &AccountId, rules: PoolRules) -> Result<Vec<PoolEntry>> {
        let shelves = self.shelves(Some(account)).await?;
        let leases = shelves.leases();
        let add = |watched: &mut Vec<PoolEntry>, entry: Entry| {
            let Some(leases) = leases.get(&entry.link.stock) else { return };
            let facts = state::facts(&entry, leases.get(&entry.link.id.number).copied());
            if state::is_watched(&facts, entry.link.id.kind, rules) {
                watched.push(PoolEntry { link: entry.link, facts });
            }
        };
        let mut watched = Vec::new();
        for (account, kind) in shelves.kinds() {
            watched.extend(self.links.fold(&account, kind, &add).await?.into_iter().flatten());
        }
        watched.sort_by(|a, b| (&a.link.stock, a.link.ordinal).cmp(&(&b.link.stock, b.link.ordinal)));
        Ok(watched)
    }

    /// Links of an account by number.
    pub(super) async fn numbered(
        &self,
        account: &AccountId,
        kind: LinkKind,
        numbers: RangeInclusive<u64>,
        limit: usize,
    ) -> Result<Vec<PoolEntry>> {
        let shelves = self.shelves(Some(account)).await?;
        let leases = shelves.leases();
        let facts = |entry: Entry| {
            let lease =
                leases.get(&entry.link.stock).and_then(|leases| leases.get(&entry.link.id.number).copied());
            let facts = state::facts(&entry, lease);
            PoolEntry { link: entry.link, facts }
        };
        Ok(self.links.between(account, kind, numbers, limit).await?.into_values().map(facts).collect())
    }

    /// Stocks of one account or of all. Blocks are read before links: a link that is given meanwhile has left its block by
    /// then, not the other way round.
    async fn shelves(&self, account: Option<&AccountId>) -> Result<Shelves> {
        let mut all = self.stocks.all().await?;
        all.retain(|(key, _)| account.is_none_or(|account| key.account == *account));
        let books = stream::iter(all)
            .map(|(key, stock)| async move { Ok((key, self.books.read(stock).await?)) })
            .buffer_unordered(AT_ONCE);
        Ok(Shelves(books.try_collect().await?))
    }

    /// Ends blocks that have run out, of all stocks.
    pub(super) async fn settle_expired(&self, now: Timestamp) -> Result<()> {
        let ends = stream::iter(self.stocks.all().await?)
            .map(|(key, stock)| async move { self.ends.settle_expired(stock, &key, now).await });
        ends.buffer_unordered(AT_ONCE).try_collect().await
    }
}

// === impl Shelves ===

impl Shelves {
    fn leases(&self) -> Leases<'_> {
        self.0.iter().map(|(key, book)| (key, book.leases())).collect()
    }

    /// Links lie together by account and kind, in whatever stock.
    fn kinds(&self) -> BTreeSet<(AccountId, LinkKind)> {
        self.0.keys().map(|key| (key.account.clone(), key.kind)).collect()
    }
}

// === impl Tally ===

impl Tally {
    fn add(&mut self, more: Self) {
        for (state, count) in more.states {
            *self.states.entry(state).or_default() += count;
        }
        self.given_total += more.given_total;
    }

    fn level(&self, stock: StockKey) -> Level {
        let counts = PoolState::ALL.map(|state| (state, self.states.get(&state).copied().unwrap_or(0)));
        Level { stock, counts: counts.to_vec(), given_total: self.given_total }
    }
}
