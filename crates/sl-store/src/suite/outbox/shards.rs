//! Shards of the outbox among workers.

use std::time::{Duration, Instant};

use sl_core::{delivery::DeliveryState, lease::Candidate};

use super::{
    super::{
        Backend,
        sample::{TEAM, after},
    },
    PIXEL, POSTBACK, attempt, id, progress, with_jobs,
};
use crate::{
    Store,
    outbox::{Counts, SHARDS, shard_lease, shard_of},
};

/// Two workers, one shard: one has it, the other takes over once the first has been silent for the whole span, under a larger
/// fencing number; and what both tell of one delivery is heard once.
pub async fn a_shard_is_one_workers_at_a_time(backend: &dyn Backend) {
    const SPAN: Duration = Duration::from_secs(4);
    let store = with_jobs(backend, &[(1, PIXEL, 1), (2, POSTBACK, 2)]).await;
    let other = backend.open().await;
    let name = shard_lease(shard_of(PIXEL));
    let look = async |store: &Store, worker: &mut Candidate, now| {
        let stored = store.leases.lease(&name).await.unwrap();
        if let Some(swap) = worker.next(stored, now) {
            let taken = store.leases.swap_lease(&name, &swap).await.unwrap();
            worker.settled(swap, taken, now);
        }
    };
    let start = Instant::now();
    let (mut first, mut second) = (Candidate::new("first", SPAN), Candidate::new("second", SPAN));
    look(&store, &mut first, start).await;
    look(&other, &mut second, start).await;
    assert!(first.holds(start) && !second.holds(start));
    let fence = store.leases.lease(&name).await.unwrap().unwrap().fence;
    // The first one says nothing any more.
    look(&other, &mut second, start + SPAN / 2).await;
    assert!(!second.holds(start + SPAN / 2));
    look(&other, &mut second, start + SPAN).await;
    assert!(second.holds(start + SPAN) && !first.holds(start + SPAN));
    assert!(other.leases.lease(&name).await.unwrap().unwrap().fence > fence);
    look(&store, &mut first, start + SPAN).await;
    assert!(!first.holds(start + SPAN), "it learns that it has lost the shard");

    let progress_of =
        async |store: &Store| store.deliveries.delivery(TEAM, id(1, 1)).await.unwrap().unwrap().progress;
    let (late, present) = (progress_of(&store).await, progress_of(&other).await);
    let done = progress(DeliveryState::Delivered, None);
    let (by_late, by_present) = tokio::join!(
        store.outbox.advance(id(1, 1), &late, Some(attempt(200, after(10))), done.clone()),
        other.outbox.advance(id(1, 1), &present, Some(attempt(200, after(10))), done.clone()),
    );
    assert_eq!([by_late.unwrap(), by_present.unwrap()].iter().filter(|heard| **heard).count(), 1);
    assert_eq!(store.deliveries.attempts(id(1, 1)).await.unwrap().len(), 1);
    let counts = Counts { due_now: 1, waiting: 1, delivered: 1, ..Counts::default() };
    assert_eq!(other.deliveries.counts(after(20)).await.unwrap(), counts);

    let mut due = Vec::new();
    for shard in 0..SHARDS {
        due.extend(store.outbox.due_in(shard, after(20)).await.unwrap());
    }
    assert_eq!(due, [(POSTBACK, after(2))], "each destination is in one shard");
}
