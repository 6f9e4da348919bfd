//! Several deliveries in one call.

use sl_core::delivery::{DeliveryState, Progress};

use super::{
    super::{
        Backend,
        sample::{self, TEAM, after},
    },
    PIXEL, POSTBACK, attempt, id, ids, progress, request, with_jobs,
};

use crate::{
    StoreError,
    outbox::{Change, Counts},
};

/// Several bodies at once are those that one by one would have been stored, each the first of its delivery, after a restart too.
pub async fn several_bodies_are_kept_like_each_of_them(backend: &dyn Backend) {
    let jobs: Vec<_> = (0..300).map(|number| (number, PIXEL, 1)).collect();
    let store = with_jobs(backend, &jobs).await;
    let of = |number: u64| (id(number, 1), request(&number.to_string()));
    store.outbox.store_body(id(7, 1), request("first")).await.unwrap();
    let stored = store.outbox.store_bodies((0..250).map(of).collect()).await.unwrap();
    let mut want: Vec<_> = (0..250).map(|number| of(number).1).collect();
    want[7] = request("first");
    assert_eq!(stored, want);
    assert!(store.outbox.store_bodies(Vec::new()).await.unwrap().is_empty());
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    let ids = (0..300).rev().map(|number| id(number, 1)).collect();
    let mut want: Vec<_> = (0..300).rev().map(|number| (number < 250).then(|| of(number).1)).collect();
    want[300 - 1 - 7] = Some(request("first"));
    assert_eq!(store.outbox.bodies(ids).await.unwrap(), want);
}

/// Several that go on at once do so each for itself: one that somebody else changed stays as that left it, and the figures,
/// queues, attempts and the newest answer are those of one by one.
pub async fn several_go_on_each_for_itself(backend: &dyn Backend) {
    let jobs: Vec<_> = (0..40).map(|number| (number, PIXEL, number)).collect();
    let store = with_jobs(backend, &[&jobs[..], &[(40, POSTBACK, 40)]].concat()).await;
    let outbox = &store.outbox;
    let meanwhile = progress(DeliveryState::Parked, None);
    sample::record(&store, id(5, 5), Some(attempt(400, after(50))), meanwhile.clone()).await.unwrap();
    let change = |number: u64, to: &Progress| Change {
        id: id(number, number),
        from: Progress::fresh(after(number)),
        attempt: Some(attempt(200, after(60 + number))),
        to: to.clone(),
    };
    let done = progress(DeliveryState::Delivered, None);
    let later = progress(DeliveryState::Waiting, Some(after(90)));
    let changes = (0..20).map(|number| change(number, if number < 10 { &done } else { &later }));
    // Another destination has a newest answer of its own.
    let changes: Vec<_> = changes.chain([change(40, &done)]).collect();
    let went = outbox.advance_all(changes.clone()).await.unwrap();
    assert_eq!(went, (0..21).map(|nth| nth != 5).collect::<Vec<_>>());
    assert_eq!(outbox.advance_all(changes).await.unwrap(), [false; 21], "the same again comes too late");
    assert!(outbox.advance_all(Vec::new()).await.unwrap().is_empty());
    let counts = Counts { due_now: 20, waiting: 30, delivered: 10, parked: 1, ..Counts::default() };
    assert_eq!(store.deliveries.counts(after(70)).await.unwrap(), counts);
    let due = ids(&outbox.due(PIXEL, after(70), 99).await.unwrap());
    assert_eq!(due, (20..40).map(|number| id(number, number)).collect::<Vec<_>>());
    assert_eq!(outbox.due(PIXEL, after(90), 99).await.unwrap().len(), 30);
    assert_eq!(store.deliveries.attempts(id(3, 3)).await.unwrap(), [attempt(200, after(63))]);
    assert_eq!(store.deliveries.attempts(id(5, 5)).await.unwrap(), [attempt(400, after(50))]);
    assert_eq!(store.deliveries.delivery(TEAM, id(5, 5)).await.unwrap().unwrap().progress, meanwhile);
    for (number, to) in [(19, PIXEL), (40, POSTBACK)] {
        outbox.store_body(id(number, number), request("body")).await.unwrap();
        let latest = store.deliveries.latest(to).await.unwrap().map(|(latest, _)| latest.job.id);
        assert_eq!(latest, Some(id(number, number)));
    }
    let unknown = Change { id: id(99, 99), ..change(30, &done) };
    assert_eq!(outbox.advance_all(vec![unknown]).await, Err(StoreError::NotFound));
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    assert_eq!(store.deliveries.counts(after(70)).await.unwrap(), counts);
    assert_eq!(store.deliveries.delivery(TEAM, id(0, 0)).await.unwrap().unwrap().progress, done);
}
