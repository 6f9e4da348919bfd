//! Retention removes runs of deliveries under one mark each.

use sl_core::{
    delivery::{DeliveryState, Destination, Progress},
    ids::PixelId,
    step::Step,
    time::Timestamp,
};
use sl_store::{
    outbox::{Counts, DeliveryFilter},
    suite::{
        Backend as _,
        sample::{self, TEAM, after},
    },
    upkeep::Horizons,
};

use crate::backend::Cluster;

#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn runs_of_old_deliveries_go_and_what_follows_them_stays() {
    let store = Cluster::fresh().open().await;
    store.ledger.open(0).await.unwrap();
    let to = Destination::Pixel(PixelId(1));
    let jobs: Vec<_> = (0..12).map(|number| sample::job(number, to, after(number))).collect();
    store.ledger.apply(Step { jobs: jobs.clone(), ..sample::step(1) }).await.unwrap();
    for job in &jobs {
        let done = Progress {
            state: DeliveryState::Delivered,
            next_attempt_at: None,
            ..Progress::fresh(job.created_at)
        };
        assert!(store.outbox.advance(job.id, &Progress::of(job), None, done).await.unwrap());
    }
    let never = Timestamp(i64::MIN);
    let horizons = Horizons { clicks: never, addresses: never, deliveries: after(9) };
    let mut gone = Vec::new();
    loop {
        let some = store.upkeep.forget(horizons, 4).await.unwrap();
        gone.push(some.deliveries);
        if !some.more {
            break;
        }
    }
    assert_eq!(gone, [4, 4, 1]);
    let filter = DeliveryFilter { limit: 99, ..DeliveryFilter::default() };
    let left: Vec<_> =
        store.deliveries.list(TEAM, filter).await.unwrap().iter().map(|delivery| delivery.job.id).collect();
    assert_eq!(left, jobs[9..].iter().rev().map(|job| job.id).collect::<Vec<_>>());
    let counts = store.deliveries.counts(after(99)).await.unwrap();
    assert_eq!(counts, Counts { delivered: 3, ..Counts::default() });
}
