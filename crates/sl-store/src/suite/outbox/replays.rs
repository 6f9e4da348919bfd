//! Deliveries that somebody takes up again.

use sl_core::{
    delivery::{Delivery, DeliveryState, Progress},
    ids::{ApiKeyId, ReplayId},
    replay::{Trail, What},
};

use super::{
    super::{
        Backend,
        sample::{self, HOUR, STRANGER, TEAM, after},
    },
    PIXEL, POSTBACK, id, ids, progress, with_jobs,
};

use crate::{
    Store,
    outbox::{Counts, DeliveryFilter, Renewal},
};

/// A replay goes on from what was read only, adds what is not there, and each counts once.
pub async fn a_renewal_goes_on_from_what_was_read_only(backend: &dyn Backend) {
    let store = with_jobs(backend, &[(1, PIXEL, 1), (2, PIXEL, 2)]).await;
    let Store { outbox, deliveries, replays, .. } = &store;
    for number in [1, 2] {
        sample::record(&store, id(number, number), None, progress(DeliveryState::Parked, None))
            .await
            .unwrap();
    }
    let read = deliveries.list(TEAM, DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await.unwrap();
    let again = |delivery: &Delivery| Renewal {
        job: delivery.job.clone(),
        from: Some(delivery.progress.clone()),
        to: delivery.progress.replayed(after(50)),
    };
    let new = |number, to| {
        let job = sample::job(number, to, after(9));
        Renewal { to: Progress::of(&job), job, from: None }
    };
    // Meanwhile somebody else delivered the second.
    sample::record(&store, id(2, 2), None, progress(DeliveryState::Delivered, None)).await.unwrap();
    let all: Vec<_> = read.iter().map(again).chain([new(3, POSTBACK), new(3, POSTBACK)]).collect();
    assert_eq!(replays.renew(all.clone(), None).await.unwrap(), 2);
    assert_eq!(replays.renew(all, None).await.unwrap(), 0, "the same again changes nothing");
    let counts = Counts { due_now: 2, waiting: 2, delivered: 1, ..Counts::default() };
    assert_eq!(deliveries.counts(after(60)).await.unwrap(), counts);
    assert_eq!(ids(&outbox.due(PIXEL, after(60), 9).await.unwrap()), [id(1, 1)]);
    assert_eq!(ids(&outbox.due(POSTBACK, after(60), 9).await.unwrap()), [id(3, 9)]);
    let unknown = Renewal { from: Some(Progress::fresh(HOUR)), ..new(4, PIXEL) };
    assert_eq!(replays.renew(vec![unknown], None).await.unwrap(), 0);
    drop(store);
    backend.restart().await;
    assert_eq!(backend.open().await.deliveries.counts(after(60)).await.unwrap(), counts);
}

/// A replay keeps its trail with what it changed, in one row, and a team reads its own only, newest first.
pub async fn a_replay_leaves_a_trail(backend: &dyn Backend) {
    let store = with_jobs(backend, &[(1, PIXEL, 1), (2, PIXEL, 2)]).await;
    let trail = |number, team| Trail {
        id: ReplayId::from_bytes(sample::ulid(after(number), number)),
        team,
        key: ApiKeyId(7),
        what: What::Again,
        filter: "{}".to_owned(),
        asked_at: after(number),
        last_at: after(number),
        pages: 1,
        examined: 5,
        replayed: 0,
    };
    let new = |number| {
        let job = sample::job(number, PIXEL, after(9));
        Renewal { to: Progress::of(&job), job, from: None }
    };
    let replays = &store.replays;
    assert_eq!(replays.renew(vec![new(3), new(4)], Some(trail(1, TEAM))).await.unwrap(), 2);
    replays.renew(Vec::new(), Some(trail(2, TEAM))).await.unwrap();
    replays.renew(Vec::new(), Some(trail(3, STRANGER))).await.unwrap();
    let known = replays.trail(TEAM, trail(1, TEAM).id).await.unwrap().unwrap();
    assert_eq!(known, Trail { replayed: 2, ..trail(1, TEAM) });
    let next = Trail { pages: 2, ..known };
    replays.renew(vec![new(5), new(4)], Some(next.clone())).await.unwrap();
    drop(store);
    backend.restart().await;
    let replays = backend.open().await.replays;
    let all = [trail(2, TEAM), Trail { replayed: 3, ..next }];
    assert_eq!(replays.trails(TEAM, 9, None).await.unwrap(), all);
    assert_eq!(replays.trails(TEAM, 1, None).await.unwrap(), all[..1]);
    assert_eq!(replays.trails(TEAM, 9, Some(all[0].id)).await.unwrap(), all[1..]);
    assert_eq!(replays.trails(STRANGER, 9, None).await.unwrap(), [trail(3, STRANGER)]);
    assert_eq!(replays.trail(STRANGER, all[0].id).await.unwrap(), None);
}
