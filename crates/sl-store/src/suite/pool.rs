//! Pool links: stock, leases, looks.

use std::{collections::BTreeSet, time::Duration};

use sl_core::{
    ids::{LinkKind, PoolLinkId},
    matching::LATE,
    pool::{PoolState, StockKey},
    step::{ListAdd, Step, Unmatched},
    time::Timestamp,
};

use super::{
    Backend,
    sample::{
        self, HOUR, RULES, TEAM, account, after, fan, new_links, pool_id, pool_ref, stock, trial_stock,
    },
};
use crate::{
    Store, StoreError,
    pool::{Block, LeaseRequest, Look},
};

const HOURS: u64 = 3_600;

async fn with_links(backend: &dyn Backend, count: u64) -> Store {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    assert_eq!(store.pool.add(new_links(&stock(), 0..count)).await.unwrap() as u64, count);
    store
}

fn request(want: usize, now: u64) -> LeaseRequest {
    LeaseRequest {
        stock: stock(),
        want,
        owner: "edge-1".to_owned(),
        now: after(now),
        until: after(now + HOURS),
        rules: RULES,
    }
}

async fn give(store: &Store, offset: u64, links: &[u64], at: Timestamp) {
    let given = links
        .iter()
        .map(|&number| (account(), pool_id(number), sample::given(1_000 * offset + number, at)))
        .collect();
    store.ledger.apply(Step { given, ..sample::step(offset) }).await.unwrap();
}

async fn look(store: &Store, links: &[u64], at: Timestamp, subscribers: u32) {
    let looks =
        links.iter().map(|&number| Look { link: pool_ref(pool_id(number)), at, subscribers }).collect();
    store.pool.looked(looks).await.unwrap();
}

async fn live(store: &Store) -> Vec<u64> {
    let live = store.pool.live(&account()).await.unwrap();
    live.iter().map(|entry| entry.link.id.number).collect()
}

async fn count(store: &Store, stock: &StockKey, now: Timestamp, state: PoolState) -> u64 {
    let levels = store.pool.levels(now, RULES).await.unwrap();
    let level = levels.iter().find(|level| level.stock == *stock).unwrap();
    level.counts.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count)
}

fn numbers(block: &Block) -> Vec<u64> {
    block.links.iter().map(|(link, _)| link.id.number).collect()
}

fn refs(links: &[u64]) -> Vec<crate::pool::PoolLinkRef> {
    links.iter().map(|&number| pool_ref(pool_id(number))).collect()
}

/// Links leave in the order in which they were made; ordinals are given without gaps, over restarts too.
pub async fn fresh_links_leave_in_creation_order(backend: &dyn Backend) {
    let store = with_links(backend, 5).await;
    assert_eq!(store.pool.add(new_links(&stock(), 3..8)).await.unwrap(), 3, "two were known");
    let first = store.pool.lease(request(4, 0)).await.unwrap();
    assert_eq!(numbers(&first), [0, 1, 2, 3]);
    assert!(first.links.iter().all(|(_, recycled)| !recycled));
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    assert_eq!(store.pool.add(new_links(&stock(), 8..9)).await.unwrap(), 1);
    let second = store.pool.lease(request(9, 1)).await.unwrap();
    assert_eq!(numbers(&second), [4, 5, 6, 7, 8]);
    let ordinals: Vec<_> = second.links.iter().map(|(link, _)| link.ordinal).collect();
    assert_eq!(ordinals, [4, 5, 6, 7, 8]);
    assert!(second.fence > first.fence);
    let empty = store.pool.lease(request(9, 2)).await.unwrap();
    assert_eq!(empty.links, []);
}

/// Whoever found a stock empty is told when there is something again: added, given back, or looked at.
pub async fn a_stock_that_gets_links_is_told(backend: &dyn Backend) {
    let store = with_links(backend, 1).await;
    let mut stocked = store.pool.stocked();
    let block = store.pool.lease(request(9, 0)).await.unwrap();
    assert!(!stocked.has_changed().unwrap(), "taking is no gain");
    store.pool.add(new_links(&stock(), 1..2)).await.unwrap();
    assert!(stocked.has_changed().unwrap());
    stocked.mark_unchanged();
    store.pool.give_back(block.fence, refs(&[0])).await.unwrap();
    assert!(stocked.has_changed().unwrap());
    stocked.mark_unchanged();
    look(&store, &[0], after(9), 0).await;
    assert!(stocked.has_changed().unwrap());
}

/// Two processes lease from one stock: no link goes to both, each sees what the other has, and whoever found the stock empty
/// is told what the other brings.
pub async fn two_processes_share_a_stock(backend: &dyn Backend) {
    let here = with_links(backend, 60).await;
    let there = backend.open().await;
    let mut owners = tokio::task::JoinSet::new();
    for number in 0..6 {
        let pool = [&here, &there][number % 2].pool.clone();
        let asked = LeaseRequest { owner: format!("edge-{number}"), ..request(10, 0) };
        owners.spawn(async move { pool.lease(asked).await.unwrap() });
    }
    let blocks = owners.join_all().await;
    let links: BTreeSet<_> = blocks.iter().flat_map(numbers).collect();
    assert_eq!(links.len(), 60);
    assert_eq!(there.pool.lease(request(1, 1)).await.unwrap().links, []);
    let mut fences: Vec<_> = blocks.iter().map(|block| block.fence).collect();
    fences.sort_unstable();
    let seen: Vec<_> = here.pool.blocks().await.unwrap().iter().map(|block| block.fence).collect();
    assert_eq!(seen, fences);
    let mut stocked = there.pool.stocked();
    stocked.mark_unchanged();
    let back = numbers(&blocks[0]);
    here.pool.give_back(blocks[0].fence, refs(&back)).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(5), stocked.changed()).await;
    assert!(matches!(told, Ok(Ok(()))), "told in time");
    assert_eq!(numbers(&there.pool.lease(request(99, 2)).await.unwrap()), back);
    there.pool.orphan(blocks[1].fence, after(3)).await.unwrap();
    assert!(!here.pool.renew(blocks[1].fence, after(9)).await.unwrap(), "the other one has ended it");
}

/// Two owners never get the same link, however many ask at once.
pub async fn no_link_is_in_two_blocks(backend: &dyn Backend) {
    let store = with_links(backend, 500).await;
    let mut owners = tokio::task::JoinSet::new();
    for owner in 0..20 {
        let pool = store.pool.clone();
        owners.spawn(async move {
            let mut taken = Vec::new();
            for _ in 0..4 {
                let asked = LeaseRequest { owner: format!("edge-{owner}"), ..request(7, 0) };
                taken.push(pool.lease(asked).await.unwrap());
            }
            taken
        });
    }
    let blocks: Vec<Block> = owners.join_all().await.into_iter().flatten().collect();
    let fences: BTreeSet<_> =
        blocks.iter().filter(|block| !block.links.is_empty()).map(|block| block.fence).collect();
    let links: Vec<_> = blocks.iter().flat_map(numbers).collect();
    assert_eq!(links.len(), 500);
    assert_eq!(links.iter().collect::<BTreeSet<_>>().len(), 500);
    assert_eq!(fences.len(), blocks.iter().filter(|block| !block.links.is_empty()).count());
    assert_eq!(count(&store, &stock(), HOUR, PoolState::Leased).await, 500);
}

/// A block survives a restart; what came back is what it was before; the rest, orphaned, passes quarantine.
pub async fn a_block_that_is_out_is_known_after_a_restart(backend: &dyn Backend) {
    let store = with_links(backend, 10).await;
    let block = store.pool.lease(request(6, 0)).await.unwrap();
    store.pool.give_back(block.fence, refs(&[4, 5])).await.unwrap();
    give(&store, 1, &[0], after(5)).await;
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    let blocks = store.pool.blocks().await.unwrap();
    assert_eq!(blocks.len(), 1);
    assert_eq!((blocks[0].fence, &*blocks[0].owner, blocks[0].until), (block.fence, "edge-1", block.until));
    assert_eq!(numbers(&blocks[0]), [1, 2, 3], "given and returned links have left it");
    store.pool.orphan(block.fence, after(60)).await.unwrap();
    store.pool.orphan(block.fence, after(61)).await.unwrap();
    assert_eq!(store.pool.blocks().await.unwrap(), []);
    assert!(!store.pool.renew(block.fence, after(9_999)).await.unwrap());
    let gone = store.pool.give_back(block.fence, refs(&[1])).await.unwrap_err();
    assert!(matches!(gone, StoreError::Fenced(_)), "{gone:?}");
    let next = store.pool.lease(request(99, 70)).await.unwrap();
    assert_eq!(numbers(&next), [4, 5, 6, 7, 8, 9]);
    let entry = store.pool.get(pool_ref(pool_id(1))).await.unwrap().unwrap();
    assert_eq!((entry.facts.orphaned_at, entry.facts.given), (Some(after(60)), None));
    let entry = store.pool.get(pool_ref(pool_id(0))).await.unwrap().unwrap();
    assert_eq!(entry.facts.orphaned_at, None, "its click keeps it");
    assert_eq!(entry.facts.given, Some(sample::given(1_000, after(5))));
}

/// A lease that ran out is never fresh again; one that was renewed goes on (decisions 50).
pub async fn an_expired_block_passes_quarantine(backend: &dyn Backend) {
    let store = with_links(backend, 4).await;
    let lost = store.pool.lease(request(2, 0)).await.unwrap();
    let kept = store.pool.lease(request(2, 0)).await.unwrap();
    assert!(store.pool.renew(kept.fence, after(9 * HOURS)).await.unwrap());
    let now = after(2 * HOURS);
    assert_eq!(count(&store, &stock(), now, PoolState::Leased).await, 2);
    assert_eq!(count(&store, &stock(), now, PoolState::Quarantined).await, 2);
    assert_eq!(store.pool.lease(request(9, 2 * HOURS)).await.unwrap().links, []);
    assert!(!store.pool.renew(lost.fence, after(9 * HOURS)).await.unwrap());
    // Window and quarantine from the end of the lease: 1 + 6 + 24 hours.
    look(&store, &[0], after(31 * HOURS), 0).await;
    look(&store, &[1], after(31 * HOURS).minus(Duration::from_secs(1)), 0).await;
    let again = store.pool.lease(request(9, 31 * HOURS)).await.unwrap();
    assert_eq!(
        again.links.iter().map(|(link, recycled)| (link.id.number, *recycled)).collect::<Vec<_>>(),
        [(0, true)]
    );
}

/// A link is recycled only after a look that began when its quarantine had ended and found nobody (decisions 50).
pub async fn only_a_qualifying_look_recycles(backend: &dyn Backend) {
    let store = with_links(backend, 6).await;
    store.pool.lease(request(6, 0)).await.unwrap();
    give(&store, 1, &[0, 1, 2, 3, 4, 5], after(0)).await;
    let free = after(30 * HOURS);
    assert_eq!(count(&store, &stock(), after(10), PoolState::Given).await, 6);
    assert_eq!(count(&store, &stock(), after(7 * HOURS), PoolState::Quarantined).await, 6);
    look(&store, &[0, 1, 2], free.minus(Duration::from_secs(1)), 0).await;
    look(&store, &[2, 3, 4], free, 0).await;
    look(&store, &[5], free, 1).await;
    // The visitor of 4 came back: its quarantine starts anew.
    let mut again = sample::given(1_004, after(0));
    again.last_hit_at = after(HOURS);
    let step = Step { given: vec![(account(), pool_id(4), again)], ..sample::step(2) };
    store.ledger.apply(step).await.unwrap();
    assert_eq!(count(&store, &stock(), free, PoolState::Recycled).await, 2);
    assert_eq!(count(&store, &stock(), free, PoolState::Used).await, 1);
    assert_eq!(count(&store, &stock(), free, PoolState::Quarantined).await, 3);
    let block = store.pool.lease(LeaseRequest {
        now: free,
        until: free.plus(Duration::from_secs(60)),
        ..request(9, 0)
    });
    let block = block.await.unwrap();
    assert_eq!(numbers(&block), [2, 3], "neighbours, by ordinal");
    assert!(block.links.iter().all(|(_, recycled)| *recycled));
    store.pool.give_back(block.fence, refs(&[3])).await.unwrap();
    assert_eq!(count(&store, &stock(), free, PoolState::Recycled).await, 1, "it is what it was before");
    let held = sample::given(77, free);
    let step = Step { given: vec![(account(), pool_id(2), held)], ..sample::step(3) };
    store.ledger.apply(step).await.unwrap();
    let entry = store.pool.get(pool_ref(pool_id(2))).await.unwrap().unwrap();
    assert_eq!((entry.facts.given, entry.facts.rounds, entry.facts.leased_until), (Some(held), 1, None));
    let level = &store.pool.levels(free, RULES).await.unwrap()[0];
    assert_eq!(level.given_total, 7);
}

/// Figures and lists are of every link once, in whatever pieces a backend reads them.
pub async fn every_link_counts_once(backend: &dyn Backend) {
    let store = with_links(backend, 100).await;
    store.pool.lease(request(100, 0)).await.unwrap();
    let held: Vec<u64> = (0..100).filter(|number| number % 3 > 0).collect();
    give(&store, 1, &held, after(0)).await;
    let level = store.pool.levels(after(10), RULES).await.unwrap().remove(0);
    assert_eq!(level.given_total, 66);
    let there: Vec<_> = level.counts.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(there.iter().map(|(_, count)| count).sum::<u64>(), 100);
    assert!(there.contains(&(PoolState::Given, 66)) && there.contains(&(PoolState::Leased, 34)), "{there:?}");
    let live = store.pool.live(&account()).await.unwrap();
    assert_eq!(live.iter().map(|entry| entry.link.id.number).collect::<Vec<_>>(), held);
}

/// An earlier holder's late hit changes nothing for the present one.
pub async fn a_former_holder_does_not_take_a_link_back(backend: &dyn Backend) {
    let store = with_links(backend, 1).await;
    give(&store, 1, &[0], after(100)).await;
    let early = sample::given(5, after(1));
    let step = Step { given: vec![(account(), pool_id(0), early)], ..sample::step(2) };
    store.ledger.apply(step).await.unwrap();
    let entry = store.pool.get(pool_ref(pool_id(0))).await.unwrap().unwrap();
    assert_eq!(entry.facts.given.unwrap().at, after(100));
}

/// Effects may come before causes (decisions 46): a click whose link is added later still holds it.
pub async fn a_link_given_before_it_is_known_is_not_fresh(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    give(&store, 1, &[0], after(1)).await;
    store.pool.add(new_links(&stock(), 0..2)).await.unwrap();
    assert_eq!(numbers(&store.pool.lease(request(9, 2)).await.unwrap()), [1]);
    assert_eq!(count(&store, &stock(), after(2), PoolState::Given).await, 1);
}

/// Trial links are single use: after their quarantine they are retired, whoever looks.
pub async fn a_trial_link_is_single_use(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    store.pool.add(new_links(&trial_stock(), 0..2)).await.unwrap();
    let id = PoolLinkId { kind: sl_core::ids::LinkKind::FreeTrial, number: 0 };
    let given = vec![(account(), id, sample::given(1, after(0)))];
    store.ledger.apply(Step { given, ..sample::step(1) }).await.unwrap();
    let free = after(30 * HOURS);
    store.pool.looked(vec![Look { link: pool_ref(id), at: free, subscribers: 0 }]).await.unwrap();
    let before = free.minus(Duration::from_secs(1));
    assert_eq!(count(&store, &trial_stock(), before, PoolState::Quarantined).await, 1);
    assert_eq!(count(&store, &trial_stock(), free, PoolState::Retired).await, 1);
    assert_eq!(count(&store, &trial_stock(), before, PoolState::Retired).await, 0, "an earlier question");
    let asked = LeaseRequest { stock: trial_stock(), ..request(9, 31 * HOURS) };
    assert_eq!(numbers(&store.pool.lease(asked).await.unwrap()), [1]);
}

/// Nobody gets a retired link any more, whatever it was.
pub async fn retired_links_are_gone_for_good(backend: &dyn Backend) {
    let store = with_links(backend, 3).await;
    give(&store, 1, &[1], after(0)).await;
    store.pool.retire(refs(&[0, 1, 9]), after(5)).await.unwrap();
    assert_eq!(count(&store, &stock(), after(6), PoolState::Retired).await, 2);
    assert_eq!(numbers(&store.pool.lease(request(9, 6)).await.unwrap()), [2]);
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    assert_eq!(count(&store, &stock(), after(6), PoolState::Retired).await, 2);
}

/// Whoever has a retired link may have subscribed before: it is looked at until that is known, and not again after its quarantine.
pub async fn a_retired_link_is_live_until_whoever_has_it_is_known(backend: &dyn Backend) {
    let store = with_links(backend, 4).await;
    let block = store.pool.lease(request(3, 0)).await.unwrap();
    store.pool.retire(refs(&[0, 1, 3]), after(1)).await.unwrap();
    assert_eq!(live(&store).await, [0; 0], "nobody has one");
    // One was given out of the block meanwhile, and one may have been.
    give(&store, 1, &[0], after(2)).await;
    assert_eq!(live(&store).await, [0]);
    store.pool.orphan(block.fence, after(3)).await.unwrap();
    assert_eq!(live(&store).await, [0, 1, 2]);
    look(&store, &[0, 1, 2], after(6 * HOURS + 3).plus(LATE), 0).await;
    assert_eq!(live(&store).await, [2], "only that one may come back");
    drop(store);
    backend.restart().await;
    assert_eq!(live(&backend.open().await).await, [2]);
}

/// Links that are retired while they are in blocks are told to whoever asks, in any process, and those that are handed out are not.
pub async fn retired_links_of_a_block_are_told(backend: &dyn Backend) {
    let here = with_links(backend, 6).await;
    let there = backend.open().await;
    let mut heard = there.pool.retirements();
    let block = there.pool.lease(request(4, 0)).await.unwrap();
    let other = here.pool.lease(LeaseRequest { owner: "edge-2".to_owned(), ..request(1, 0) }).await.unwrap();
    assert_eq!(there.pool.retired_in(vec![block.fence]).await.unwrap(), []);
    assert!(!heard.has_changed().unwrap());
    give(&here, 1, &[0], after(1)).await;
    here.pool.retire(refs(&[0, 1, 3, 4, 5]), after(2)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), heard.changed()).await.unwrap().unwrap();
    let retired = async |fences: Vec<u64>| {
        let mut retired = there.pool.retired_in(fences).await.unwrap();
        retired.sort();
        retired
    };
    assert_eq!(retired(vec![block.fence]).await, refs(&[1, 3]));
    assert_eq!(retired(vec![block.fence, other.fence, 99]).await, refs(&[1, 3, 4]));
    there.pool.give_back(block.fence, refs(&[1, 3])).await.unwrap();
    assert_eq!(retired(vec![block.fence]).await, []);
    assert_eq!(numbers(&there.pool.lease(request(9, 3)).await.unwrap()), [0; 0], "they are not fresh again");
    assert!(
        there.pool.renew(block.fence, after(2 * HOURS)).await.unwrap(),
        "the rest of the block is still out"
    );
}

/// The matcher sees the links that wait for a look, of one account, by ordinal, until their last one.
pub async fn live_links_are_listed_until_their_last_look(backend: &dyn Backend) {
    let store = with_links(backend, 5).await;
    let block = store.pool.lease(request(1, 0)).await.unwrap();
    give(&store, 1, &[3, 1, 2], after(0)).await;
    store.pool.orphan(block.fence, after(0)).await.unwrap();
    store.pool.levels(after(1), RULES).await.unwrap();
    assert_eq!(live(&store).await, [0, 1, 2, 3], "an orphan needs its look too");
    assert_eq!(store.pool.live(&"acct_other".into()).await.unwrap(), []);
    look(&store, &[1], after(60), 1).await;
    look(&store, &[2], after(6 * HOURS), 0).await;
    assert_eq!(live(&store).await, [0, 1, 2, 3], "windows are still open");
    look(&store, &[1], after(6 * HOURS), 1).await;
    look(&store, &[3, 0], after(30 * HOURS), 0).await;
    assert_eq!(live(&store).await, [1, 2], "whoever subscribed at its window's end may not be shown yet");
    let shown = after(6 * HOURS).plus(LATE);
    look(&store, &[1], shown, 1).await;
    assert_eq!(live(&store).await, [2], "used: until its window is shown; others: until quarantine ends");
    let entry = store.pool.get(pool_ref(pool_id(1))).await.unwrap().unwrap();
    assert_eq!(entry.facts.used_at, Some(after(60)));
    assert_eq!((entry.facts.last_look_at, entry.facts.subscribers_seen), (Some(shown), 1));
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    store.pool.levels(after(1), RULES).await.unwrap();
    assert_eq!(live(&store).await, [2]);
}

/// Whoever has read a page of the platform's list learns which links should be on it, of whatever stock and in whatever state.
pub async fn links_between_two_numbers_come_by_number(backend: &dyn Backend) {
    let store = with_links(backend, 40).await;
    store.pool.add(new_links(&trial_stock(), 10..13)).await.unwrap();
    store.pool.add(new_links(&StockKey { trial_days: Some(30), ..trial_stock() }, 13..15)).await.unwrap();
    give(&store, 1, &[7], after(0)).await;
    store.pool.retire(refs(&[8]), after(1)).await.unwrap();
    let between = async |kind, numbers, limit| {
        let found = store.pool.between(&account(), kind, numbers, limit).await.unwrap();
        found.iter().map(|entry| entry.link.id.number).collect::<Vec<_>>()
    };
    let (tracking, trial) = (LinkKind::TrackingLink, LinkKind::FreeTrial);
    assert_eq!(between(tracking, 5..=11, 100).await, [5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(between(tracking, 2..=39, 34).await, (2..36).collect::<Vec<_>>(), "the lowest ones");
    assert_eq!(between(tracking, 38..=u64::MAX, 100).await, [38, 39]);
    assert_eq!(between(trial, 0..=13, 100).await, [10, 11, 12, 13], "all stocks");
    assert_eq!(between(trial, 15..=u64::MAX, 100).await, [0; 0]);
    let other = store.pool.between(&"acct_other".into(), tracking, 0..=u64::MAX, 100).await.unwrap();
    assert_eq!(other, []);
    let found = store.pool.between(&account(), tracking, 7..=8, 100).await.unwrap();
    let facts: Vec<_> =
        found.iter().map(|entry| (entry.facts.given.is_some(), entry.facts.retired_at)).collect();
    assert_eq!(facts, [(true, None), (false, Some(after(1)))]);
}

/// What the matcher has to find and to add stays until it is done.
pub async fn the_matchers_work_stays_until_it_is_done(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let waiting = |number, seconds| Unmatched {
        team: TEAM,
        account: account(),
        fan: fan(number),
        subscribed_at: after(seconds),
        known_at: after(seconds),
    };
    let add = |number, seconds| ListAdd {
        account: account(),
        list: "9".to_owned(),
        fan: fan(number),
        created_at: after(seconds),
        link: (number > 1).then(|| sample::link_id(number)),
    };
    let step = Step {
        unmatched: vec![waiting(1, 30), waiting(2, 10), waiting(3, 20)],
        list_adds: vec![add(1, 30), add(2, 10), add(3, 20)],
        ..sample::step(1)
    };
    store.ledger.apply(step).await.unwrap();
    assert_eq!(store.pool.unmatched().await.unwrap(), [waiting(2, 10), waiting(3, 20), waiting(1, 30)]);
    let step = Step { matched: vec![(account(), fan(3))], ..sample::step(2) };
    store.ledger.apply(step).await.unwrap();
    store.pool.give_up(&account(), &fan(2)).await.unwrap();
    assert_eq!(store.pool.unmatched().await.unwrap(), [waiting(1, 30)]);
    assert_eq!(store.pool.list_adds(None, 2).await.unwrap(), [add(2, 10), add(3, 20)], "oldest first");
    assert_eq!(store.pool.list_adds(Some(add(3, 20)), 9).await.unwrap(), [add(1, 30)], "behind one of them");
    assert_eq!(store.pool.list_adds(Some(add(1, 30)), 9).await.unwrap(), []);
    assert_eq!(store.pool.list_adds(None, 0).await.unwrap(), []);
    store.pool.list_added(vec![add(2, 10)]).await.unwrap();
    assert_eq!(store.pool.list_adds(Some(add(2, 10)), 1).await.unwrap(), [add(3, 20)], "one that is gone");
    assert_eq!(store.pool.list_adds(None, 9).await.unwrap(), [add(3, 20), add(1, 30)]);
}
