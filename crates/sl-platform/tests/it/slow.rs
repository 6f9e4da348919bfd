//! A store that takes its time, or fails.

use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use sl_core::{
    ids::{AccountId, FanId, LinkKind},
    pool::PoolState,
    step::{ListAdd, Unmatched},
    time::Timestamp,
};
use sl_store::{
    Result, StoreError,
    pool::{Block, LeaseRequest, Level, Look, NewPoolLink, Pool, PoolEntry, PoolLinkRef, PoolRules},
};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::{upstream::until, world::World};

/// A pool that adds links once it is let, after it has failed as often as asked.
struct Gated {
    pool: Arc<dyn Pool>,
    gate: Semaphore,
    /// So many adds fail first.
    fails: AtomicUsize,
    /// Adds under way now, and at most.
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Gated {
    fn of(world: &mut World, open: usize, fails: usize) -> Arc<Self> {
        let gate = Semaphore::new(open);
        let pool = Arc::new(Self {
            pool: world.store.pool.clone(),
            gate,
            fails: fails.into(),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        world.store.pool = pool.clone();
        pool
    }
}

#[async_trait]
impl Pool for Gated {
    async fn add(&self, links: Vec<NewPoolLink>) -> Result<usize> {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        let fails =
            self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let added = match fails {
            true => Err(StoreError::Unavailable("not now".to_owned())),
            false => self.pool.add(links).await,
        };
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        added
    }

    async fn retire(&self, links: Vec<PoolLinkRef>, at: Timestamp) -> Result<()> {
        self.pool.retire(links, at).await
    }

    async fn levels(&self, now: Timestamp, rules: PoolRules) -> Result<Vec<Level>> {
        self.pool.levels(now, rules).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Block> {
        self.pool.lease(request).await
    }

    fn stocked(&self) -> watch::Receiver<u64> {
        self.pool.stocked()
    }

    fn retirements(&self) -> watch::Receiver<u64> {
        self.pool.retirements()
    }

    async fn retired_in(&self, fences: Vec<u64>) -> Result<Vec<PoolLinkRef>> {
        self.pool.retired_in(fences).await
    }

    async fn renew(&self, fence: u64, until: Timestamp) -> Result<bool> {
        self.pool.renew(fence, until).await
    }

    async fn give_back(&self, fence: u64, unused: Vec<PoolLinkRef>) -> Result<()> {
        self.pool.give_back(fence, unused).await
    }

    async fn blocks(&self) -> Result<Vec<Block>> {
        self.pool.blocks().await
    }

    async fn orphan(&self, fence: u64, at: Timestamp) -> Result<()> {
        self.pool.orphan(fence, at).await
    }

    async fn live(&self, account: &AccountId) -> Result<Vec<PoolEntry>> {
        self.pool.live(account).await
    }

    async fn between(
        &self,
        account: &AccountId,
        kind: LinkKind,
        numbers: RangeInclusive<u64>,
        limit: usize,
    ) -> Result<Vec<PoolEntry>> {
        self.pool.between(account, kind, numbers, limit).await
    }

    async fn get(&self, link: PoolLinkRef) -> Result<Option<PoolEntry>> {
        self.pool.get(link).await
    }

    async fn looked(&self, looks: Vec<Look>) -> Result<()> {
        self.pool.looked(looks).await
    }

    async fn unmatched(&self) -> Result<Vec<Unmatched>> {
        self.pool.unmatched().await
    }

    async fn give_up(&self, account: &AccountId, fan: &FanId) -> Result<()> {
        self.pool.give_up(account, fan).await
    }

    async fn list_adds(&self, after: Option<ListAdd>, limit: usize) -> Result<Vec<ListAdd>> {
        self.pool.list_adds(after, limit).await
    }

    async fn list_added(&self, done: Vec<ListAdd>) -> Result<()> {
        self.pool.list_added(done).await
    }
}

#[tokio::test]
async fn links_are_made_while_those_before_are_written_down_and_visitors_get_them_after_eight() {
    let mut world = World::start().await;
    world.link(1, |_| {}).await;
    let pool = Gated::of(&mut world, 0, 0);
    let mut keeper = world.keeper();
    let stop = CancellationToken::new();
    let turns = tokio::spawn(async move { while keeper.turn(&stop).await.unwrap() {} });
    until("all calls of the round, and the overflow link's", async || world.upstream.count("POST") == 21)
        .await;
    assert_eq!(world.count(&[PoolState::Fresh]).await, 0);
    pool.gate.add_permits(1);
    until("a part of the round", async || world.count(&[PoolState::Fresh]).await >= 8).await;
    // What was made meanwhile is written together.
    pool.gate.add_permits(20);
    tokio::time::timeout(Duration::from_secs(20), turns).await.unwrap().unwrap();
    assert_eq!(world.count(&[PoolState::Fresh]).await, 20);
    assert_eq!(world.upstream.links("tracking-links").len(), 21);
    assert_eq!(pool.most.load(Ordering::SeqCst), 1, "one at a time, in order");
}

#[tokio::test]
async fn links_that_could_not_be_written_down_are_found_again_and_not_made_twice() {
    let mut world = World::start().await;
    world.link(1, |_| {}).await;
    let pool = Gated::of(&mut world, 100, 1);
    let mut keeper = world.keeper();
    let stop = CancellationToken::new();
    let mut failed = 0;
    for _ in 0..40 {
        match keeper.turn(&stop).await {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                assert!(error.is_temporary(), "{error}");
                failed += 1;
            }
        }
        world.clock.advance(Duration::from_secs(6));
    }
    assert_eq!((failed, pool.fails.load(Ordering::SeqCst)), (1, 0));
    assert_eq!(world.count(&[PoolState::Fresh]).await, 20);
    let rows = world.upstream.links("tracking-links");
    let names: BTreeSet<_> = rows.iter().map(|row| row.name.clone()).collect();
    assert_eq!((rows.len(), names.len()), (21, 21), "20 in stock and the overflow link");
}
