//! Leases.

use sl_core::lease::{Lease, Swap};

use super::Backend;

/// Of two who saw the same, one gets it; names are apart.
pub async fn a_lease_goes_to_one_of_those_who_saw_the_same(backend: &dyn Backend) {
    let leases = backend.open().await.leases;
    let lease = |owner: &str, fence, beat| Lease { owner: owner.to_owned(), fence, beat };
    assert_eq!(leases.lease("keeper").await.unwrap(), None);
    let first = |owner| Swap { from: None, to: lease(owner, 1, 0) };
    let (a, b) = (first("a"), first("b"));
    let (a, b) = tokio::join!(leases.swap_lease("keeper", &a), leases.swap_lease("keeper", &b));
    assert!(a.unwrap() ^ b.unwrap(), "one of the two");
    let held = leases.lease("keeper").await.unwrap().unwrap();
    let alive = Swap { from: Some(held.clone()), to: Lease { beat: 1, ..held.clone() } };
    assert!(leases.swap_lease("keeper", &alive).await.unwrap());
    assert!(!leases.swap_lease("keeper", &alive).await.unwrap(), "it has moved on");
    let over = Swap { from: Some(alive.to.clone()), to: lease("c", 2, 0) };
    assert!(leases.swap_lease("keeper", &over).await.unwrap());
    assert_eq!(leases.lease("keeper").await.unwrap(), Some(lease("c", 2, 0)));
    assert_eq!(leases.lease("matcher").await.unwrap(), None);
}
