//! A process that dies between any two writes of outbox or pool: nothing is lost, nothing is doubled, and whoever comes next
//! sets right what it left.

use sl_core::{
    delivery::{Attempt, Delivery, DeliveryState, Destination, Progress},
    ids::PixelId,
    pool::PoolState,
    step::Step,
};
use sl_scylla::ScyllaHandle;
use sl_store::{
    Store,
    outbox::{DeliveryFilter, Renewal},
    pool::LeaseRequest,
    suite::{
        Backend as _,
        sample::{self, RULES, TEAM, account, after, fan, pool_ref, stock},
    },
};

use crate::backend::Cluster;

/// A process that will die, and one that comes next.
struct Pair {
    cluster: Cluster,
    victim: ScyllaHandle,
    dying: Store,
    next: Store,
}

impl Pair {
    async fn new() -> Self {
        let cluster = Cluster::fresh();
        let next = cluster.open().await;
        let victim = sl_scylla::connect(cluster.config()).await.unwrap();
        let dying = victim.store().await.unwrap();
        next.ledger.open(0).await.unwrap();
        Self { cluster, victim, dying, next }
    }

    /// Does `work` with so many writes; whether it came to its end.
    async fn within<T>(&self, writes: u32, work: impl Future<Output = sl_store::Result<T>>) -> bool {
        self.victim.blow_after(writes);
        let done = work.await.is_ok();
        self.victim.release();
        done
    }

    async fn delivery(&self, id: sl_core::ids::DeliveryId) -> Option<Delivery> {
        self.next.deliveries.delivery(TEAM, id).await.unwrap()
    }

    /// Where the next process finds a waiting delivery: in its queue, once, as it stands; it is the first of its fan; and
    /// the figures agree.
    async fn is_found_waiting(&self, to: Destination, delivery: &Delivery) {
        let outbox = &self.next.outbox;
        let due = delivery.progress.next_attempt_at.unwrap();
        let found = outbox.due(to, after(9_999), 9).await.unwrap();
        assert_eq!(found, std::slice::from_ref(delivery));
        assert!(outbox.due_destinations(after(9_999)).await.unwrap().contains(&(to, due)));
        let job = &delivery.job;
        let first = outbox.first_of_fan(to, &account(), job.fan.as_ref().unwrap()).await.unwrap();
        assert_eq!(first, Some((job.id, due)));
    }

    async fn is_nowhere_waiting(&self, to: Destination, delivery: &Delivery) {
        let outbox = &self.next.outbox;
        assert_eq!(outbox.due(to, after(9_999), 9).await.unwrap(), []);
        assert_eq!(outbox.due_destinations(after(9_999)).await.unwrap(), []);
        let fan = delivery.job.fan.as_ref().unwrap();
        assert_eq!(outbox.first_of_fan(to, &account(), fan).await.unwrap(), None);
    }

    async fn parked(&self, to: Destination) -> Vec<Delivery> {
        let state = Some(DeliveryState::Parked);
        let filter = DeliveryFilter { state, destination: Some(to), limit: 9, after: None };
        self.next.deliveries.list(TEAM, filter).await.unwrap()
    }
}

fn attempt(second: u64) -> Attempt {
    Attempt { at: after(second), millis: 1, status: Some(500), error_type: None, message: None }
}

#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_worker_that_dies_between_any_two_writes_loses_and_doubles_no_delivery() {
    let pair = Pair::new().await;
    let (mut writes, mut whole) = (0, 0);
    while whole < 3 {
        writes += 1;
        let to = Destination::Pixel(PixelId(writes.into()));
        let job = sample::job(writes.into(), to, after(1));
        pair.next
            .ledger
            .apply(Step { jobs: vec![job.clone()], ..sample::step(writes.into()) })
            .await
            .unwrap();
        let mut now = Progress::fresh(after(1));
        whole = 0;
        // Put off, parked, replayed and delivered, each by a process that dies after so many writes, or doesn't.
        let later = Progress { next_attempt_at: Some(after(200)), attempts: 1, ..now.clone() };
        let parked = Progress { state: DeliveryState::Parked, next_attempt_at: None, ..later.clone() };
        for to_be in [later, parked.clone(), parked.replayed(after(300))] {
            let advance = pair.dying.outbox.advance(job.id, &now, Some(attempt(9)), to_be.clone());
            let was_whole = pair.within(writes - 1, advance).await;
            let stands = pair.delivery(job.id).await.unwrap();
            assert!(stands.progress == to_be || (!was_whole && stands.progress == now), "{stands:?}");
            if stands.progress.state == DeliveryState::Waiting {
                pair.is_found_waiting(to, &stands).await;
                assert_eq!(pair.parked(to).await, []);
            } else {
                pair.is_nowhere_waiting(to, &stands).await;
                assert_eq!(pair.parked(to).await, std::slice::from_ref(&stands));
            }
            // Whoever comes next does what it was about to do.
            if stands.progress != to_be {
                assert!(
                    pair.next.outbox.advance(job.id, &now, Some(attempt(9)), to_be.clone()).await.unwrap()
                );
            }
            whole += u32::from(was_whole);
            now = to_be;
        }
        assert_eq!(pair.next.deliveries.attempts(job.id).await.unwrap().len(), 3);
        let done = Progress { state: DeliveryState::Delivered, next_attempt_at: None, ..now.clone() };
        assert!(pair.next.outbox.advance(job.id, &now, Some(attempt(10)), done).await.unwrap());
        pair.is_nowhere_waiting(to, &pair.delivery(job.id).await.unwrap()).await;
        let counts = pair.next.deliveries.counts(after(9_999)).await.unwrap();
        assert_eq!((counts.delivered, counts.waiting, counts.due_now), (writes.into(), 0, 0), "{counts:?}");
        assert_eq!((counts.parked, counts.expired, counts.skipped), (0, 0, 0));
    }
    assert!(writes > 4, "there is something between: {writes}");
    drop(pair.cluster);
}

#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_replay_that_dies_between_any_two_writes_enters_each_delivery_once_when_asked_again() {
    let pair = Pair::new().await;
    for writes in 1.. {
        let to = Destination::Pixel(PixelId(writes.into()));
        let job = sl_core::delivery::Job {
            fan: Some(fan(writes.into())),
            ..sample::job(writes.into(), to, after(1))
        };
        let renewal = Renewal { to: Progress::of(&job), job: job.clone(), from: None };
        let was_whole = pair.within(writes - 1, pair.dying.replays.renew(vec![renewal.clone()], None)).await;
        if !was_whole {
            pair.next.replays.renew(vec![renewal.clone()], None).await.unwrap();
        }
        assert_eq!(pair.next.replays.renew(vec![renewal], None).await.unwrap(), 0);
        pair.is_found_waiting(to, &Delivery { progress: Progress::of(&job), job }).await;
        let counts = pair.next.deliveries.counts(after(9_999)).await.unwrap();
        assert_eq!((counts.waiting, counts.due_now), (writes.into(), writes.into()));
        if was_whole {
            assert!(writes > 4, "there is something between: {writes}");
            return;
        }
    }
}

/// Nobody asks again: what the dead one has begun is given up after a while, so that its destination is not due for ever; asked
/// later it is entered anew.
#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_replay_that_dies_and_is_not_asked_for_again_leaves_nothing_due_for_ever() {
    let pair = Pair::new().await;
    let outbox = &pair.next.outbox;
    let mut begun = 0;
    for writes in 1.. {
        let to = Destination::Pixel(PixelId(writes.into()));
        let job = sample::job(writes.into(), to, after(1));
        let renewal = Renewal { to: Progress::of(&job), job: job.clone(), from: None };
        let was_whole = pair.within(writes - 1, pair.dying.replays.renew(vec![renewal.clone()], None)).await;
        let is_there = pair.delivery(job.id).await.is_some();
        let is_due =
            async |at| outbox.due_destinations(after(at)).await.unwrap().iter().any(|(due, _)| *due == to);
        // It may be just about to write the rest.
        let was_due = is_due(300).await;
        assert_eq!(outbox.due(to, after(300), 9).await.unwrap().len(), usize::from(is_there));
        assert_eq!(is_due(300).await, was_due);
        assert_eq!(outbox.due(to, after(9_999), 9).await.unwrap().len(), usize::from(is_there));
        assert_eq!(is_due(9_999).await, is_there, "after {writes} writes");
        begun += u32::from(was_due && !is_there);
        assert_eq!(pair.next.replays.renew(vec![renewal], None).await.unwrap(), usize::from(!is_there));
        pair.is_found_waiting(to, &Delivery { progress: Progress::of(&job), job }).await;
        if was_whole {
            break;
        }
    }
    assert!(begun > 0, "it never dies in between");
}

#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn an_edge_that_dies_between_any_two_writes_hands_no_link_to_two() {
    let pair = Pair::new().await;
    let request = |owner: &str, now| LeaseRequest {
        stock: stock(),
        want: 3,
        owner: owner.to_owned(),
        now: after(now),
        until: after(now + 3_600),
        rules: RULES,
    };
    let (mut given, mut last) = (std::collections::BTreeSet::new(), 0);
    for writes in 1.. {
        let from = u64::from(writes) * 3;
        let new = || sample::new_links(&stock(), from..from + 3);
        let added = pair.within(writes - 1, pair.dying.pool.add(new())).await;
        pair.next.pool.add(new()).await.unwrap();
        let leased = pair.within(writes - 1, pair.dying.pool.lease(request("dying", 0))).await;
        // What the dead one had taken without having been told is in a block that is known.
        let mine = pair.next.pool.lease(request("next", 1)).await.unwrap();
        for (link, _) in &mine.links {
            assert!(given.insert(link.id.number), "{} was handed out twice", link.id.number);
        }
        let theirs: Vec<_> = pair
            .next
            .pool
            .blocks()
            .await
            .unwrap()
            .into_iter()
            .filter(|block| block.owner == "dying")
            .collect();
        let lost: Vec<_> =
            theirs.iter().flat_map(|block| &block.links).map(|(link, _)| link.clone()).collect();
        assert!(lost.iter().all(|link| given.insert(link.id.number)), "{lost:?}");
        let mut ended = true;
        for block in &theirs {
            ended &= pair.within(writes - 1, pair.dying.pool.orphan(block.fence, after(2))).await;
            pair.next.pool.orphan(block.fence, after(3)).await.unwrap();
        }
        for link in lost {
            let entry = pair.next.pool.get(pool_ref(link.id)).await.unwrap().unwrap();
            assert!(entry.facts.orphaned_at >= Some(after(2)) && entry.facts.leased_until.is_none());
        }
        last = from + 3;
        if added && leased && ended {
            assert!(writes > 4, "there is something between: {writes}");
            break;
        }
    }
    let levels = pair.next.pool.levels(after(4), RULES).await.unwrap();
    let all: u64 = levels[0].counts.iter().map(|(_, count)| count).sum();
    assert_eq!(all, last - 3, "each link is there once: {levels:?}");
    assert!(levels[0].counts.contains(&(PoolState::Given, 0)));
    // And each is had by somebody: what nobody has had yet is leased now.
    let rest = pair.next.pool.lease(LeaseRequest { want: 256, ..request("last", 4) }).await.unwrap();
    assert!(rest.links.iter().all(|(link, _)| given.insert(link.id.number)), "{rest:?}");
    assert_eq!(given, (3..last).collect());
}
