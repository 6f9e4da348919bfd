//! Pool links: facts in rows of their own, leases in one partition per stock.
//!
//! Nothing is kept in memory over a call: many processes lease from one stock. A question about all links of an account
//! reads all of them, 350 bytes each, a page at a time; a lease reads those it takes, from where the fresh ones begin.

mod add;
mod book;
mod ends;
mod lease;
mod links;
mod news;
mod order;
mod shelf;
mod state;
mod stocks;
mod waiting;
mod whole;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::Arc,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use sl_core::{
    ids::{AccountId, FanId, LinkKind},
    pool::StockKey,
    step::{ListAdd, Unmatched},
    time::Timestamp,
};
use sl_store::{
    Result, StoreError,
    pool::{Block, LeaseRequest, Level, Look, NewPoolLink, Pool, PoolEntry, PoolLinkRef, PoolRules},
};
use tokio::sync::watch;

use self::{
    book::{Book, Books, stock_of},
    ends::Ends,
    lease::Leases,
    links::Fact,
    news::News,
    order::Order,
    stocks::Stocks,
};
pub(crate) use self::{links::Links, waiting::Waiting};
use crate::{cql::Cql, figures::Figures};

/// The pool on CQL.
pub(crate) struct CqlPool {
    stocks: Stocks,
    links: Arc<Links>,
    order: Arc<Order>,
    books: Arc<Books>,
    ends: Arc<Ends>,
    leases: Leases,
    waiting: Waiting,
    news: Arc<News>,
    /// The rules as last told: which links must be looked at depends on them.
    rules: Mutex<PoolRules>,
    figures: Figures<Vec<Level>>,
}

// === impl CqlPool ===

impl CqlPool {
    /// A pool that goes by `rules` until it is told others.
    pub(crate) async fn new(cql: &Arc<Cql>, rules: PoolRules) -> Result<Self> {
        let links = Arc::new(Links::new(Arc::clone(cql)).await?);
        let order = Arc::new(Order::new(Arc::clone(cql)).await?);
        let books = Arc::new(Books::new(Arc::clone(cql)).await?);
        let ends = Arc::new(Ends { books: Arc::clone(&books), links: Arc::clone(&links) });
        let leases = Leases {
            books: Arc::clone(&books),
            links: Arc::clone(&links),
            order: Arc::clone(&order),
            ends: Arc::clone(&ends),
        };
        Ok(Self {
            stocks: Stocks::new(Arc::clone(cql)).await?,
            links,
            order,
            books,
            ends,
            leases,
            waiting: Waiting::new(Arc::clone(cql)).await?,
            news: News::open(Arc::clone(cql)).await?,
            rules: Mutex::new(rules),
            figures: Figures::none(),
        })
    }
}

#[async_trait]
impl Pool for CqlPool {
    async fn add(&self, links: Vec<NewPoolLink>) -> Result<usize> {
        let mut stocks: BTreeMap<StockKey, Vec<NewPoolLink>> = BTreeMap::new();
        for link in links {
            stocks.entry(link.stock.clone()).or_default().push(link);
        }
        let mut added = 0;
        for (key, new) in stocks {
            added += self.add_new(&key, new).await?;
        }
        self.news.say().await?;
        Ok(added)
    }

    async fn retire(&self, links: Vec<PoolLinkRef>, at: Timestamp) -> Result<()> {
        self.links.note(links.into_iter().map(|link| (link, Fact::Retired(at)))).await?;
        self.news.say_retired().await
    }

    async fn levels(&self, now: Timestamp, rules: PoolRules) -> Result<Vec<Level>> {
        *self.rules.lock() = rules;
        if let Some(levels) = self.figures.told() {
            return Ok(levels);
        }
        self.settle_expired(now).await?;
        let (levels, links) = self.count(now, rules).await?;
        self.figures.keep(&levels, links);
        Ok(levels)
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Block> {
        *self.rules.lock() = request.rules;
        match self.stocks.number(&request.stock).await? {
            Some(stock) => self.leases.lease(stock, &request).await,
            None => {
                let LeaseRequest { stock, owner, until, .. } = request;
                Ok(Block { fence: 0, owner, stock, links: Vec::new(), until })
            }
        }
    }

    fn stocked(&self) -> watch::Receiver<u64> {
        self.news.stocked()
    }

    fn retirements(&self) -> watch::Receiver<u64> {
        self.news.retirements()
    }

    async fn retired_in(&self, fences: Vec<u64>) -> Result<Vec<PoolLinkRef>> {
        let mut stocks: BTreeMap<i32, BTreeSet<u64>> = BTreeMap::new();
        for fence in fences {
            stocks.entry(stock_of(fence)).or_default().insert(fence);
        }
        let mut retired = Vec::new();
        for (stock, fences) in stocks {
            let Some(key) = self.stocks.key(stock).await? else { continue };
            for row in self.books.read(stock).await?.blocks.iter().filter(|row| fences.contains(&row.fence)) {
                retired.extend(self.ends.retired_in(&key, row).await?);
            }
        }
        Ok(retired)
    }

    async fn renew(&self, fence: u64, until: Timestamp) -> Result<bool> {
        self.ends.renew(fence, until).await
    }

    async fn give_back(&self, fence: u64, unused: Vec<PoolLinkRef>) -> Result<()> {
        let Some(key) = self.stocks.key(stock_of(fence)).await? else {
            return Err(StoreError::Fenced(format!("there is no block {fence}")));
        };
        self.ends.give_back(&key, fence, &unused).await?;
        self.news.say().await
    }

    async fn blocks(&self) -> Result<Vec<Block>> {
        let mut blocks = Vec::new();
        for (key, stock) in self.stocks.all().await? {
            for row in self.books.read(stock).await?.blocks {
                let numbers = row.links.iter().map(|leased| leased.number);
                let entries = self.links.some(&key.account, key.kind, numbers).await?;
                let inside = row.links.iter().filter_map(|leased| {
                    let entry = entries.get(&leased.number).filter(|entry| leased.is_in(entry))?;
                    Some((entry.link.clone(), leased.recycled))
                });
                let (fence, until, links) = (row.fence, row.until, inside.collect());
                blocks.push(Block { fence, owner: row.owner, stock: key.clone(), links, until });
            }
        }
        Ok(blocks)
    }

    async fn orphan(&self, fence: u64, at: Timestamp) -> Result<()> {
        match self.stocks.key(stock_of(fence)).await? {
            Some(key) => self.ends.orphan(&key, fence, at).await,
            None => Ok(()),
        }
    }

    async fn live(&self, account: &AccountId) -> Result<Vec<PoolEntry>> {
        let rules = *self.rules.lock();
        self.watched(account, rules).await
    }

    async fn between(
        &self,
        account: &AccountId,
        kind: LinkKind,
        numbers: RangeInclusive<u64>,
        limit: usize,
    ) -> Result<Vec<PoolEntry>> {
        self.numbered(account, kind, numbers, limit).await
    }

    async fn get(&self, link: PoolLinkRef) -> Result<Option<PoolEntry>> {
        let find = || self.links.some(&link.account, link.id.kind, [link.id.number]);
        let Some((_, entry)) = find().await?.pop_first() else { return Ok(None) };
        let book = match self.stocks.number(&entry.link.stock).await? {
            Some(stock) => self.books.read(stock).await?,
            None => Book::default(),
        };
        // Read again behind the blocks, as in `shelves`.
        let Some((number, entry)) = find().await?.pop_first() else { return Ok(None) };
        let facts = state::facts(&entry, book.leases().get(&number).copied());
        Ok(Some(PoolEntry { link: entry.link, facts }))
    }

    async fn looked(&self, looks: Vec<Look>) -> Result<()> {
        let facts = looks.into_iter().flat_map(|Look { link, at, subscribers }| {
            let found = (subscribers > 0).then_some([Fact::Used(at), Fact::Subscribers(subscribers)]);
            let facts = std::iter::once(Fact::Looked(at)).chain(found.into_iter().flatten());
            facts.map(move |fact| (link.clone(), fact))
        });
        self.links.note(facts).await?;
        self.news.say().await
    }

    async fn unmatched(&self) -> Result<Vec<Unmatched>> {
        self.waiting.unmatched().await
    }

    async fn give_up(&self, account: &AccountId, fan: &FanId) -> Result<()> {
        self.waiting.give_up(account, fan).await
    }

    async fn list_adds(&self, after: Option<ListAdd>, limit: usize) -> Result<Vec<ListAdd>> {
        self.waiting.list_adds(after, limit).await
    }

    async fn list_added(&self, done: Vec<ListAdd>) -> Result<()> {
        self.waiting.list_added(&done).await
    }
}
