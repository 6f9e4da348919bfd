//! Bodies, attempts and progress of one delivery.

use sl_core::{
    delivery::{DeliveryKind, DeliveryState, Progress},
    step::Step,
};

use super::{
    super::{
        Backend,
        sample::{self, HOUR, TEAM, after},
    },
    PIXEL, POSTBACK, attempt, id, progress, request, with_jobs,
};

use crate::{StoreError, outbox::Counts};

/// The first body stays, also for callers at the same moment, and survives a restart (decisions 56).
pub async fn the_first_body_stays(backend: &dyn Backend) {
    let store = with_jobs(backend, &[(1, PIXEL, 1)]).await;
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..20 {
        let outbox = store.outbox.clone();
        callers
            .spawn(async move { outbox.store_body(id(1, 1), request(&number.to_string())).await.unwrap() });
    }
    let stored = callers.join_all().await;
    assert!(stored.iter().all(|body| *body == stored[0]), "everybody sends the same bytes");
    assert_eq!(store.outbox.store_body(id(1, 1), request("late")).await.unwrap(), stored[0]);
    assert_eq!(store.outbox.body(id(2, 1)).await.unwrap(), None);
    drop(store);
    backend.restart().await;
    assert_eq!(backend.open().await.outbox.body(id(1, 1)).await.unwrap().as_ref(), Some(&stored[0]));
}

/// A request is written anew in the place of the one that was read, and of no other; that holds over a restart.
pub async fn a_request_is_written_anew_only_in_the_place_of_the_one_that_was_read(backend: &dyn Backend) {
    let store = with_jobs(backend, &[(1, PIXEL, 1)]).await;
    let outbox = store.outbox.clone();
    let rewrite =
        async |old: &str, new: &str| outbox.rewrite(id(1, 1), request(old), request(new)).await.unwrap();
    assert!(!rewrite("old", "new").await, "there is none");
    assert_eq!(outbox.body(id(1, 1)).await.unwrap(), None);
    outbox.store_body(id(1, 1), request("old")).await.unwrap();
    assert!(rewrite("old", "new").await);
    assert!(!rewrite("old", "late").await, "somebody else was first");
    let stored = outbox.store_body(id(1, 1), request("first")).await.unwrap();
    assert_eq!(stored, request("new"), "it is the one now");
    drop((store, outbox));
    backend.restart().await;
    assert_eq!(backend.open().await.outbox.body(id(1, 1)).await.unwrap(), Some(request("new")));
}

/// A click event keeps its body only until it is final (decisions 56).
pub async fn a_click_events_body_goes_when_it_is_final(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let mut job = sample::job(1, PIXEL, after(1));
    (job.kind, job.conversion) = (DeliveryKind::Click, None);
    let jobs = vec![job, sample::job(2, PIXEL, after(1))];
    store.ledger.apply(Step { jobs, ..sample::step(1) }).await.unwrap();
    for number in [1, 2] {
        store.outbox.store_body(id(number, 1), request("body")).await.unwrap();
        sample::record(&store, id(number, 1), None, progress(DeliveryState::Parked, None)).await.unwrap();
        assert!(store.outbox.body(id(number, 1)).await.unwrap().is_some(), "parked can be replayed");
        sample::record(&store, id(number, 1), None, progress(DeliveryState::Delivered, None)).await.unwrap();
    }
    assert_eq!(store.outbox.body(id(1, 1)).await.unwrap(), None);
    assert!(store.outbox.body(id(2, 1)).await.unwrap().is_some());
}

/// Attempts are kept in order, the last 50 of them; the newest of a destination is known.
pub async fn the_last_fifty_attempts_are_kept(backend: &dyn Backend) {
    let store = with_jobs(backend, &[(1, POSTBACK, 1), (2, POSTBACK, 2)]).await;
    let outbox = &store.outbox;
    assert_eq!(store.deliveries.latest(POSTBACK).await.unwrap(), None);
    for number in [1, 2] {
        outbox.store_body(id(number, number), request("body")).await.unwrap();
    }
    for second in 0..60 {
        let waiting = progress(DeliveryState::Waiting, Some(after(second + 9)));
        sample::record(&store, id(1, 1), Some(attempt(500, after(second))), waiting).await.unwrap();
    }
    let attempts = store.deliveries.attempts(id(1, 1)).await.unwrap();
    let times: Vec<_> = attempts.iter().map(|attempt| attempt.at).collect();
    assert_eq!(times, (10..60).map(after).collect::<Vec<_>>());
    assert_eq!(store.deliveries.latest(POSTBACK).await.unwrap().unwrap().0.job.id, id(1, 1));
    let done = progress(DeliveryState::Delivered, None);
    sample::record(&store, id(2, 2), Some(attempt(200, after(70))), done).await.unwrap();
    let (latest, body) = store.deliveries.latest(POSTBACK).await.unwrap().unwrap();
    assert_eq!((latest.job.id, body), (id(2, 2), request("body")));
    assert_eq!(store.deliveries.latest(PIXEL).await.unwrap(), None);
    let unknown =
        outbox.advance(id(9, 9), &Progress::fresh(HOUR), None, progress(DeliveryState::Parked, None)).await;
    assert_eq!(unknown, Err(StoreError::NotFound));
}

/// A progress goes on from what is stored only: a write that comes from an older look changes nothing.
pub async fn a_progress_goes_on_from_what_is_stored(backend: &dyn Backend) {
    let store = with_jobs(backend, &[(1, PIXEL, 1)]).await;
    let outbox = &store.outbox;
    let first = Progress::fresh(after(1));
    let done = progress(DeliveryState::Delivered, None);
    assert!(outbox.advance(id(1, 1), &first, Some(attempt(200, after(2))), done.clone()).await.unwrap());
    let again = first.replayed(after(3));
    assert!(!outbox.advance(id(1, 1), &first, Some(attempt(500, after(3))), again).await.unwrap());
    assert_eq!(store.deliveries.attempts(id(1, 1)).await.unwrap(), [attempt(200, after(2))]);
    assert_eq!(store.deliveries.delivery(TEAM, id(1, 1)).await.unwrap().unwrap().progress, done);
    assert_eq!(
        store.deliveries.counts(after(9)).await.unwrap(),
        Counts { delivered: 1, ..Counts::default() }
    );
    assert!(outbox.advance(id(1, 1), &done, None, done.replayed(after(4))).await.unwrap());
}
