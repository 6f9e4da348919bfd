//! A wall clock that leaps past window and quarantine while blocks are out.

use std::collections::HashSet;

use sl_core::{pool::PoolState, time::ManualClock};
use sl_fjall::{FjallHandle, FjallOptions};
use sl_store::{Store, pool::Look, suite::sample};
use tempfile::TempDir;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const RULES: PoolRules = PoolRules { window: HOUR, quarantine: HOUR };

/// A lessee that has leased the 20 links there are.
struct World {
    _dir: TempDir,
    _handle: FjallHandle,
    store: Store,
    clock: Arc<ManualClock>,
    stock: Stock,
    lessee: Lessee,
}

impl World {
    async fn with_a_block_out() -> Self {
        let dir = TempDir::new().unwrap();
        let handle = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap();
        let (store, stock) = (handle.store(), Stock::default());
        let clock = Arc::new(ManualClock::at(sample::after(0)));
        store.pool.add(sample::new_links(&sample::stock(), 0..20)).await.unwrap();
        // A Smart Link draws from it.
        let _shelf = stock.shelf(&sample::stock());
        let lessee = Lessee::new(
            "edge-1".to_owned(),
            stock.clone(),
            Arc::clone(&store.pool),
            clock.clone(),
            RULES,
            None,
        );
        let mut world = Self { _dir: dir, _handle: handle, store, clock, stock, lessee };
        world.lessee.look().await.unwrap();
        assert_eq!(world.count(PoolState::Leased).await, 20);
        world
    }

    async fn count(&self, state: PoolState) -> u64 {
        let levels = self.store.pool.levels(self.clock.now(), RULES).await.unwrap();
        let counts = levels.into_iter().flat_map(|level| level.counts);
        counts.filter(|(of, _)| *of == state).map(|(_, count)| count).sum()
    }

    /// Everybody who comes now.
    fn hand_out_all(&self) -> Vec<PoolLinkId> {
        let shelf = self.stock.shelf(&sample::stock());
        std::iter::from_fn(|| shelf.take(Instant::now())).map(|taken| taken.id).collect()
    }
}

#[tokio::test]
async fn links_of_a_block_that_a_leap_of_the_clock_has_ended_are_not_on_the_shelf_twice() {
    let mut world = World::with_a_block_out().await;
    world.clock.advance(72 * HOUR);
    // Somebody else looks first, and finds the block over and its links free again.
    assert_eq!(world.count(PoolState::Quarantined).await, 20);
    let look = |n| Look { link: sample::pool_ref(sample::pool_id(n)), at: world.clock.now(), subscribers: 0 };
    world.store.pool.looked((0..20).map(look).collect()).await.unwrap();
    assert_eq!(world.count(PoolState::Recycled).await, 20);

    world.lessee.look().await.unwrap();
    let given = world.hand_out_all();
    assert_eq!((given.len(), given.iter().collect::<HashSet<_>>().len()), (20, 20));
}

#[tokio::test]
async fn a_leap_of_the_clock_ends_no_block_that_is_still_handed_out() {
    let mut world = World::with_a_block_out().await;
    world.clock.advance(72 * HOUR);
    world.store.pool.add(sample::new_links(&sample::stock(), 20..30)).await.unwrap();
    world.lessee.lease_wanted(1).await.unwrap();
    assert_eq!(world.count(PoolState::Leased).await, 30);
    let given = world.hand_out_all();
    assert_eq!((given.len(), given.iter().collect::<HashSet<_>>().len()), (30, 30));
}

#[tokio::test]
async fn links_that_are_retired_while_they_are_at_hand_are_handed_out_to_nobody() {
    let mut world = World::with_a_block_out().await;
    let shelf = world.stock.shelf(&sample::stock());
    let first = shelf.take(Instant::now()).unwrap().id;
    let retired: Vec<PoolLinkId> = (0..5).map(sample::pool_id).collect();
    assert_eq!(first, retired[0]);
    let links = retired.iter().copied().map(sample::pool_ref).collect();
    world.store.pool.retire(links, world.clock.now()).await.unwrap();
    world.lessee.looked_through = None;
    world.lessee.look().await.unwrap();
    let given = world.hand_out_all();
    assert_eq!(given, (5..20).map(sample::pool_id).collect::<Vec<_>>());
    // They are nobody's: the one that went out is the only one that may have a visitor.
    world.lessee.look().await.unwrap();
    assert_eq!(world.count(PoolState::Retired).await, 5);
    assert_eq!(world.count(PoolState::Fresh).await, 0);
    let live = world.store.pool.live(&sample::account()).await.unwrap();
    let live: Vec<_> =
        live.into_iter().map(|entry| entry.link.id).filter(|id| retired.contains(id)).collect();
    assert_eq!(live, [first]);
}

#[tokio::test]
async fn what_was_retired_before_it_was_taken_over_is_handed_out_to_nobody() {
    let mut world = World::with_a_block_out().await;
    world.store.pool.retire(vec![sample::pool_ref(sample::pool_id(3))], world.clock.now()).await.unwrap();
    let (pool, stock) = (Arc::clone(&world.store.pool), world.stock.clone());
    world.lessee = Lessee::new("edge-1".to_owned(), stock, pool, world.clock.clone(), RULES, None);
    world.lessee.look().await.unwrap();
    assert!(!world.hand_out_all().contains(&sample::pool_id(3)));
}
