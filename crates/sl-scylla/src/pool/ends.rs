//! Blocks prolonged, given back, lost.

use std::sync::Arc;

use sl_core::{pool::StockKey, time::Timestamp};
use sl_store::{Result, StoreError, pool::PoolLinkRef};

use super::{
    book::{BlockRow, Book, Books, Change, Leased, stock_of},
    lease::link_ref,
    links::{Fact, Links},
};
use crate::statements::Tries;

/// Ends blocks, or puts their end off.
pub(super) struct Ends {
    pub(super) books: Arc<Books>,
    pub(super) links: Arc<Links>,
}

/// Why a block ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Because {
    /// Somebody says so; it is lost from then on.
    Said(Timestamp),
    /// It has run out by then, and is lost from its end on.
    RunOut(Timestamp),
}

// === impl Ends ===

impl Ends {
    /// Prolongs a block that is still out.
    pub(super) async fn renew(&self, fence: u64, until: Timestamp) -> Result<bool> {
        let stock = stock_of(fence);
        let _turn = self.books.turn(stock).await;
        let mut tries = Tries::of("the blocks of a stock");
        loop {
            if let Some(kept) = tries.settled(self.renew_once(stock, fence, until).await).await? {
                return Ok(kept);
            }
        }
    }

    async fn renew_once(&self, stock: i32, fence: u64, until: Timestamp) -> Result<Option<bool>> {
        let book = self.books.read_to_change(stock).await?;
        let Some(row) = book.block(fence) else { return Ok(Some(false)) };
        let row = BlockRow { until, ..row.clone() };
        Ok(self.books.change(stock, &book, vec![Change::Put(row)]).await?.then_some(true))
    }

    /// Puts links back where they were before the lease.
    pub(super) async fn give_back(&self, key: &StockKey, fence: u64, unused: &[PoolLinkRef]) -> Result<()> {
        let stock = stock_of(fence);
        let _turn = self.books.turn(stock).await;
        let (mut tries, mut tried) = (Tries::of("the blocks of a stock"), false);
        loop {
            let once = self.give_back_once(stock, key, fence, unused, &mut tried).await;
            if let Some(()) = tries.settled(once).await? {
                return Ok(());
            }
        }
    }

    async fn give_back_once(
        &self,
        stock: i32,
        key: &StockKey,
        fence: u64,
        unused: &[PoolLinkRef],
        tried: &mut bool,
    ) -> Result<Option<()>> {
        let mut book = self.books.read_to_change(stock).await?;
        let Some(row) = book.block(fence).cloned() else {
            // Gone by our own hand, when a try before was applied after all.
            let fenced =
                || StoreError::Fenced(format!("block {fence} was settled; its links pass quarantine"));
            return if *tried { Ok(Some(())) } else { Err(fenced()) };
        };
        let is_back = |leased: &Leased| unused.contains(&link_ref(key, leased.number));
        let (inside, given) = self.apart(key, &row).await?;
        self.note_handouts(key, &given).await?;
        let (back, kept): (Vec<_>, Vec<_>) = inside.into_iter().partition(is_back);
        let fresh = back.iter().filter(|leased| !leased.recycled).map(|leased| leased.ordinal).min();
        book.fresh_from = fresh.map_or(book.fresh_from, |ordinal| ordinal.min(book.fresh_from));
        let change = match kept.is_empty() {
            true => Change::Remove(fence),
            false => Change::Put(BlockRow { links: kept, ..row }),
        };
        let said = self.books.change(stock, &book, vec![change]).await;
        *tried = said.is_err();
        Ok(said?.then_some(()))
    }

    /// Ends a block: what is left in it may have been handed out, so it passes quarantine from `at`.
    pub(super) async fn orphan(&self, key: &StockKey, fence: u64, at: Timestamp) -> Result<()> {
        self.end(key, fence, Because::Said(at)).await
    }

    /// A block that ran out without a word is lost at its end: none of its links is fresh again (decisions 50).
    pub(super) async fn settle_expired(&self, stock: i32, key: &StockKey, now: Timestamp) -> Result<()> {
        let book = self.books.read(stock).await?;
        for row in book.blocks.iter().filter(|row| row.until <= now) {
            self.end(key, row.fence, Because::RunOut(now)).await?;
        }
        Ok(())
    }

    async fn end(&self, key: &StockKey, fence: u64, because: Because) -> Result<()> {
        let stock = stock_of(fence);
        let _turn = self.books.turn(stock).await;
        let mut tries = Tries::of("the blocks of a stock");
        loop {
            if let Some(()) = tries.settled(self.end_once(stock, key, fence, because).await).await? {
                return Ok(());
            }
        }
    }

    /// The links' facts are written before the block is removed: in between they are leased and orphaned, and who dies
    /// there leaves a block that runs out.
    async fn end_once(&self, stock: i32, key: &StockKey, fence: u64, because: Because) -> Result<Option<()>> {
        let book: Book = self.books.read_to_change(stock).await?;
        let Some(row) = book.block(fence) else { return Ok(Some(())) };
        let at = match because {
            Because::Said(at) => at,
            Because::RunOut(now) if row.until <= now => row.until,
            // Prolonged meanwhile.
            Because::RunOut(_) => return Ok(Some(())),
        };
        let (inside, given) = self.apart(key, row).await?;
        self.note_handouts(key, &given).await?;
        self.links
            .note(inside.iter().map(|leased| (link_ref(key, leased.number), Fact::Orphaned(at))))
            .await?;
        Ok(self.books.change(stock, &book, vec![Change::Remove(fence)]).await?.then_some(()))
    }

    /// Links of a block that nobody is known to hold and that are retired.
    pub(super) async fn retired_in(&self, key: &StockKey, row: &BlockRow) -> Result<Vec<PoolLinkRef>> {
        let numbers = row.links.iter().map(|leased| leased.number);
        let entries = self.links.some(&key.account, key.kind, numbers).await?;
        let is_retired = |leased: &&Leased| {
            let entry = entries.get(&leased.number).filter(|entry| leased.is_in(entry));
            entry.is_some_and(|entry| entry.facts.retired_at.is_some())
        };
        Ok(row.links.iter().filter(is_retired).map(|leased| link_ref(key, leased.number)).collect())
    }

    /// Links of a block that nobody is known to hold, and those that were given out of it.
    async fn apart(&self, key: &StockKey, row: &BlockRow) -> Result<(Vec<Leased>, Vec<Leased>)> {
        let numbers = row.links.iter().map(|leased| leased.number);
        let entries = self.links.some(&key.account, key.kind, numbers).await?;
        let is_in = |leased: &Leased| entries.get(&leased.number).is_some_and(|entry| leased.is_in(entry));
        Ok(row.links.iter().copied().partition(is_in))
    }

    /// Links that leave their block in a visitor's hands have had one more.
    async fn note_handouts(&self, key: &StockKey, given: &[Leased]) -> Result<()> {
        let facts = given
            .iter()
            .map(|leased| (link_ref(key, leased.number), Fact::Handouts(leased.handouts.saturating_add(1))));
        self.links.note(facts).await
    }
}
