//! Pool links: rows on disk, their phases in memory.

mod blocks;
mod open;
mod rows;
mod shelf;
mod slot;
mod stock;

use std::{ops::RangeInclusive, sync::Arc};

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use sl_core::{
    ids::{AccountId, FanId, LinkKind},
    step::{ListAdd, Unmatched},
    time::Timestamp,
};
use sl_store::{
    Result,
    pool::{Block, LeaseRequest, Level, Look, NewPoolLink, Pool, PoolEntry, PoolLinkRef, PoolRules},
};
use tokio::sync::watch;

pub(crate) use self::{
    rows::LinkRow,
    shelf::{GivenRow, Shelf},
    stock::Stock,
};
use crate::{
    db::{Db, blocking, commit, scan},
    layout::{Key, LIST_ADD, UNMATCHED},
};

/// The pool on fjall.
pub(crate) struct FjallPool {
    db: Arc<Db>,
    /// Every slot. Held over a commit, so that disk and memory change in the same order.
    shelf: Arc<Mutex<Shelf>>,
    stocked: watch::Sender<u64>,
    retirements: watch::Sender<u64>,
}

// === impl FjallPool ===

impl FjallPool {
    pub(crate) fn open(db: Arc<Db>, rules: PoolRules) -> Result<Self> {
        let shelf = open::load(&db, rules)?;
        let (stocked, retirements) = (watch::Sender::new(0), watch::Sender::new(0));
        Ok(Self { db, shelf: Arc::new(Mutex::new(shelf)), stocked, retirements })
    }

    /// Locks the slots for a step of the ledger: held until the step is committed.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock()
    }

    fn is_stocked(&self) {
        self.stocked.send_modify(|revision| *revision += 1);
    }

    /// Runs `work` under the lock, on a thread where it may wait for the disk.
    async fn locked<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Db, &mut Shelf) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (db, shelf) = (Arc::clone(&self.db), Arc::clone(&self.shelf));
        blocking(move || work(&db, &mut shelf.lock())).await
    }
}

#[async_trait]
impl Pool for FjallPool {
    async fn add(&self, links: Vec<NewPoolLink>) -> Result<usize> {
        let added = self.locked(move |db, shelf| rows::add(db, shelf, links)).await?;
        self.db.synced().await?;
        self.is_stocked();
        Ok(added)
    }

    async fn retire(&self, links: Vec<PoolLinkRef>, at: Timestamp) -> Result<()> {
        self.locked(move |db, shelf| rows::retire(db, shelf, &links, at)).await?;
        self.retirements.send_modify(|revision| *revision += 1);
        self.db.synced().await
    }

    async fn levels(&self, now: Timestamp, rules: PoolRules) -> Result<Vec<Level>> {
        self.locked(move |db, shelf| {
            shelf.follow(rules);
            blocks::settle_expired(db, shelf, now)?;
            Ok(shelf.levels(now))
        })
        .await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Block> {
        let lease = move |db: &Db, shelf: &mut Shelf| {
            // After a failed write memory may be ahead of what is stored, which would look like damage.
            db.writes()?;
            blocks::lease(db, shelf, request)
        };
        let block = self.locked(lease).await?;
        if !block.links.is_empty() {
            self.db.synced().await?;
        }
        Ok(block)
    }

    fn stocked(&self) -> watch::Receiver<u64> {
        self.stocked.subscribe()
    }

    fn retirements(&self) -> watch::Receiver<u64> {
        self.retirements.subscribe()
    }

    async fn retired_in(&self, fences: Vec<u64>) -> Result<Vec<PoolLinkRef>> {
        self.locked(move |_, shelf| Ok(blocks::retired_in(shelf, &fences))).await
    }

    async fn renew(&self, fence: u64, until: Timestamp) -> Result<bool> {
        self.locked(move |db, shelf| blocks::renew(db, shelf, fence, until)).await
    }

    async fn give_back(&self, fence: u64, unused: Vec<PoolLinkRef>) -> Result<()> {
        self.locked(move |db, shelf| blocks::give_back(db, shelf, fence, &unused)).await?;
        self.is_stocked();
        Ok(())
    }

    async fn blocks(&self) -> Result<Vec<Block>> {
        self.locked(|db, shelf| blocks::all(db, shelf)).await
    }

    async fn orphan(&self, fence: u64, at: Timestamp) -> Result<()> {
        self.locked(move |db, shelf| blocks::orphan(db, shelf, fence, at)).await?;
        self.db.synced().await
    }

    async fn live(&self, account: &AccountId) -> Result<Vec<PoolEntry>> {
        let account = account.clone();
        self.locked(move |db, shelf| rows::live(db, shelf, &account)).await
    }

    async fn between(
        &self,
        account: &AccountId,
        kind: LinkKind,
        numbers: RangeInclusive<u64>,
        limit: usize,
    ) -> Result<Vec<PoolEntry>> {
        let account = account.clone();
        let (db, shelf) = (Arc::clone(&self.db), Arc::clone(&self.shelf));
        blocking(move || rows::between(&db, &shelf, &account, kind, numbers, limit)).await
    }

    async fn get(&self, link: PoolLinkRef) -> Result<Option<PoolEntry>> {
        rows::entry(&self.db, &self.shelf.lock(), &link)
    }

    async fn looked(&self, looks: Vec<Look>) -> Result<()> {
        self.locked(move |db, shelf| rows::looked(db, shelf, &looks)).await?;
        self.is_stocked();
        Ok(())
    }

    async fn unmatched(&self) -> Result<Vec<Unmatched>> {
        let mut all: Vec<Unmatched> = scan(&self.db.snapshot(), &self.db.reports, &Key::table(UNMATCHED))?;
        all.sort_by(|a, b| (&a.account, a.subscribed_at, &a.fan).cmp(&(&b.account, b.subscribed_at, &b.fan)));
        Ok(all)
    }

    async fn give_up(&self, account: &AccountId, fan: &FanId) -> Result<()> {
        let mut batch = self.db.batch();
        batch.remove(&self.db.reports, unmatched_key(account, fan));
        commit(batch)
    }

    async fn list_adds(&self, after: Option<ListAdd>, limit: usize) -> Result<Vec<ListAdd>> {
        let db = Arc::clone(&self.db);
        blocking(move || rows::list_adds(&db, after.as_ref(), limit)).await
    }

    async fn list_added(&self, done: Vec<ListAdd>) -> Result<()> {
        let mut batch = self.db.batch();
        for add in &done {
            batch.remove(&self.db.reports, list_add_key(add));
        }
        commit(batch)
    }
}

/// Where a subscriber waits whose link is unknown.
pub(crate) fn unmatched_key(account: &AccountId, fan: &FanId) -> Key {
    Key::table(UNMATCHED).text(account.as_str()).text(fan.as_str())
}

/// Where a fan waits to be added to a list.
pub(crate) fn list_add_key(add: &ListAdd) -> Key {
    Key::table(LIST_ADD).at(add.created_at).text(add.account.as_str()).text(&add.list).text(add.fan.as_str())
}
