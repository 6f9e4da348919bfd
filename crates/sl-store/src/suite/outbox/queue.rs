//! What is due, when, and how much waits.

use std::time::Duration;

use sl_core::{
    breaker::{Rest, Resting},
    delivery::{DeliveryState, Progress},
    step::Step,
};

use super::{
    super::{
        Backend,
        sample::{self, TEAM, after},
    },
    PIXEL, POSTBACK, id, ids, progress, with_jobs,
};

use crate::outbox::{Counts, DeliveryFilter, Waiting};

/// Due jobs come per destination, oldest first, and not before their time.
pub async fn due_jobs_come_oldest_first_per_destination(backend: &dyn Backend) {
    let jobs = [(3, PIXEL, 30), (1, PIXEL, 10), (2, PIXEL, 20), (4, POSTBACK, 15)];
    let store = with_jobs(backend, &jobs).await;
    let outbox = &store.outbox;
    assert_eq!(outbox.due_destinations(after(9)).await.unwrap(), []);
    assert_eq!(outbox.next_due().await.unwrap(), Some(after(10)));
    assert_eq!(outbox.due_destinations(after(10)).await.unwrap(), [(PIXEL, after(10))]);
    let both = [(PIXEL, after(10)), (POSTBACK, after(15))];
    assert_eq!(outbox.due_destinations(after(20)).await.unwrap(), both);
    let due = outbox.due(PIXEL, after(20), 9).await.unwrap();
    assert_eq!(ids(&due), [id(1, 10), id(2, 20)]);
    assert_eq!(due[0].progress, Progress::fresh(after(10)));
    assert_eq!(ids(&outbox.due(PIXEL, after(99), 1).await.unwrap()), [id(1, 10)]);
    sample::record(&store, id(1, 10), None, progress(DeliveryState::Waiting, Some(after(25)))).await.unwrap();
    assert_eq!(outbox.next_due().await.unwrap(), Some(after(15)));
    assert_eq!(outbox.due_destinations(after(40)).await.unwrap()[0], (PIXEL, after(20)));
    assert_eq!(ids(&outbox.due(PIXEL, after(40), 9).await.unwrap()), [id(2, 20), id(1, 10), id(3, 30)]);
    sample::record(&store, id(1, 10), None, progress(DeliveryState::Waiting, Some(after(5)))).await.unwrap();
    assert_eq!(ids(&outbox.due(PIXEL, after(6), 9).await.unwrap()), [id(1, 10)], "earlier than ever before");
    for (number, seconds) in [(1, 10), (2, 20), (3, 30), (4, 15)] {
        sample::record(&store, id(number, seconds), None, progress(DeliveryState::Delivered, None))
            .await
            .unwrap();
    }
    assert_eq!(outbox.next_due().await.unwrap(), None);
    assert_eq!(outbox.due_destinations(after(99)).await.unwrap(), []);
}

/// Who asks what is due in a year sees everything that waits, and nothing is lost by the question: neither what waits on, nor what comes
/// in where nothing was.
pub async fn a_look_a_year_ahead_sees_all_that_waits_and_loses_nothing(backend: &dyn Backend) {
    const HOURS: u64 = 3_600;
    let store = with_jobs(backend, &[(1, PIXEL, 10), (2, PIXEL, 20), (3, POSTBACK, 15)]).await;
    let (outbox, ever) = (&store.outbox, after(366 * 24 * HOURS));
    let waits = |seconds| progress(DeliveryState::Waiting, Some(after(seconds)));
    sample::record(&store, id(1, 10), None, waits(5 * HOURS)).await.unwrap();
    sample::record(&store, id(3, 15), None, waits(72 * HOURS)).await.unwrap();
    let all = [(PIXEL, after(20)), (POSTBACK, after(72 * HOURS))];
    for _ in 0..2 {
        assert_eq!(outbox.due_destinations(ever).await.unwrap(), all);
        assert_eq!(ids(&outbox.due(PIXEL, ever, 9).await.unwrap()), [id(2, 20), id(1, 10)]);
        assert_eq!(ids(&outbox.due(POSTBACK, ever, 9).await.unwrap()), [id(3, 15)]);
    }
    assert_eq!(outbox.due_destinations(after(60)).await.unwrap(), [(PIXEL, after(20))]);
    for (number, seconds) in [(1, 10), (2, 20), (3, 15)] {
        sample::record(&store, id(number, seconds), None, progress(DeliveryState::Parked, None))
            .await
            .unwrap();
    }
    assert_eq!(outbox.due_destinations(ever).await.unwrap(), []);
    // Into minutes that were just found empty.
    sample::record(&store, id(2, 20), None, waits(20)).await.unwrap();
    sample::record(&store, id(3, 15), None, waits(72 * HOURS)).await.unwrap();
    assert_eq!(outbox.due_destinations(ever).await.unwrap(), all);
    assert_eq!(outbox.due_destinations(after(20)).await.unwrap(), [(PIXEL, after(20))]);
    assert_eq!(ids(&outbox.due(POSTBACK, after(72 * HOURS), 9).await.unwrap()), [id(3, 15)]);
}

/// Counts follow every change and survive a restart; `due_now` is exact to the millisecond.
pub async fn counts_follow_every_change(backend: &dyn Backend) {
    let jobs: Vec<_> = (0..10).map(|number| (number, PIXEL, number)).collect();
    let store = with_jobs(backend, &jobs).await;
    let deliveries = &store.deliveries;
    let waiting = Counts { waiting: 10, ..Counts::default() };
    assert_eq!(deliveries.counts(after(0)).await.unwrap(), Counts { due_now: 1, ..waiting });
    let nearly = after(5).minus(Duration::from_millis(1));
    assert_eq!(deliveries.counts(nearly).await.unwrap(), Counts { due_now: 5, ..waiting });
    assert_eq!(deliveries.counts(after(5)).await.unwrap(), Counts { due_now: 6, ..waiting });
    let ends =
        [DeliveryState::Delivered, DeliveryState::Parked, DeliveryState::Expired, DeliveryState::Skipped];
    for (number, state) in (0..).zip(ends) {
        sample::record(&store, id(number, number), None, progress(state, None)).await.unwrap();
    }
    sample::record(&store, id(4, 4), None, progress(DeliveryState::Waiting, Some(after(50)))).await.unwrap();
    let counts = deliveries.counts(after(20)).await.unwrap();
    assert_eq!(counts, Counts { due_now: 5, waiting: 6, delivered: 1, parked: 1, expired: 1, skipped: 1 });
    sample::record(&store, id(1, 1), None, progress(DeliveryState::Waiting, Some(after(20)))).await.unwrap();
    let replayed = deliveries.counts(after(20)).await.unwrap();
    assert_eq!(replayed, Counts { due_now: 6, waiting: 7, parked: 0, ..counts });
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    assert_eq!(store.deliveries.counts(after(20)).await.unwrap(), replayed);
    assert_eq!(store.outbox.next_due().await.unwrap(), Some(after(5)));
}

/// What is due later is read without what is due already, every job once, also when the page ends amid one millisecond.
pub async fn what_waits_for_later_is_read_in_pages(backend: &dyn Backend) {
    let same = (20..25).map(|number| (number, PIXEL, 50));
    let jobs: Vec<_> = [(1, PIXEL, 10), (2, POSTBACK, 60), (3, PIXEL, 70), (4, POSTBACK, 15)]
        .into_iter()
        .chain(same)
        .collect();
    let store = with_jobs(backend, &jobs).await;
    sample::record(&store, id(3, 70), None, progress(DeliveryState::Parked, None)).await.unwrap();
    sample::record(&store, id(1, 10), None, progress(DeliveryState::Waiting, Some(after(99)))).await.unwrap();
    for limit in 1..9 {
        let (mut all, mut behind) = (Vec::new(), None);
        loop {
            let page = store.outbox.ahead(after(15), behind, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            behind = Waiting::of(last);
            all.extend(ids(&page));
        }
        let same = (20..25).map(|number| id(number, 50));
        assert_eq!(all, same.chain([id(1, 10), id(2, 60)]).collect::<Vec<_>>(), "{limit}");
    }
    assert_eq!(store.outbox.ahead(after(99), None, 9).await.unwrap(), []);
}

/// A destination that rests has nothing due until then, also after a restart; what waits there keeps its time and order.
pub async fn a_destination_that_rests_has_nothing_due_and_what_waits_is_left_as_it_is(backend: &dyn Backend) {
    let store = with_jobs(backend, &[(1, PIXEL, 10), (2, PIXEL, 20), (3, POSTBACK, 15)]).await;
    let resting = Resting { rest: Rest { from: after(30), until: after(90) }, version: after(5) };
    store.outbox.rest(PIXEL, Some(resting)).await.unwrap();
    assert_eq!(store.outbox.resting().await.unwrap(), [(PIXEL, resting)]);
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    let outbox = &store.outbox;
    assert_eq!(outbox.resting().await.unwrap(), [(PIXEL, resting)]);
    assert_eq!(outbox.due_destinations(after(89)).await.unwrap(), [(POSTBACK, after(15))]);
    assert_eq!(outbox.next_due().await.unwrap(), Some(after(15)));
    let counts = Counts { due_now: 1, waiting: 3, ..Counts::default() };
    assert_eq!(store.deliveries.counts(after(89)).await.unwrap(), counts);
    let waiting = outbox.due(PIXEL, after(89), 9).await.unwrap();
    assert_eq!(ids(&waiting), [id(1, 10), id(2, 20)]);
    assert_eq!(waiting[0].progress, Progress::fresh(after(10)), "nobody touched it");
    sample::record(&store, id(3, 15), None, progress(DeliveryState::Delivered, None)).await.unwrap();
    assert_eq!(outbox.next_due().await.unwrap(), Some(after(90)));
    assert_eq!(outbox.due_destinations(after(90)).await.unwrap(), [(PIXEL, after(10))]);
    assert_eq!(store.deliveries.counts(after(90)).await.unwrap().due_now, 2);
    outbox.rest(PIXEL, None).await.unwrap();
    assert_eq!(outbox.due_destinations(after(30)).await.unwrap(), [(PIXEL, after(10))]);
    drop(store);
    backend.restart().await;
    assert_eq!(backend.open().await.outbox.resting().await.unwrap(), []);
}

/// Of a fan's waiting events at a destination the one that happened first, whenever it is due.
pub async fn the_first_waiting_of_a_fan_is_the_earliest_to_have_happened(backend: &dyn Backend) {
    // Each happened when it was made; another fan's came before all of them.
    let store = with_jobs(backend, &[(30, PIXEL, 0)]).await;
    let job = |(number, to, seconds)| sl_core::delivery::Job {
        fan: Some(sample::fan(1)),
        ..sample::job(number, to, after(seconds))
    };
    let jobs = [(15, PIXEL, 3), (8, PIXEL, 2), (1, PIXEL, 1), (22, POSTBACK, 0)].map(job).to_vec();
    store.ledger.apply(Step { jobs, ..sample::step(2) }).await.unwrap();
    let outbox = &store.outbox;
    let first = async |to| outbox.first_of_fan(to, &sample::account(), &sample::fan(1)).await.unwrap();
    assert_eq!(first(PIXEL).await, Some((id(1, 1), after(1))));
    assert_eq!(first(POSTBACK).await, Some((id(22, 0), after(0))));
    sample::record(&store, id(1, 1), None, progress(DeliveryState::Waiting, Some(after(90)))).await.unwrap();
    assert_eq!(first(PIXEL).await, Some((id(1, 1), after(90))), "put off, it is the first all the same");
    sample::record(&store, id(1, 1), None, progress(DeliveryState::Delivered, None)).await.unwrap();
    assert_eq!(first(PIXEL).await, Some((id(8, 2), after(2))));
    sample::record(&store, id(8, 2), None, progress(DeliveryState::Parked, None)).await.unwrap();
    assert_eq!(first(PIXEL).await, Some((id(15, 3), after(3))));
    sample::record(&store, id(15, 3), None, progress(DeliveryState::Expired, None)).await.unwrap();
    assert_eq!(first(PIXEL).await, None);
}

/// The same cause makes the same job: it is not reset by a step that brings it again.
pub async fn a_job_that_comes_again_keeps_its_progress(backend: &dyn Backend) {
    let store = with_jobs(backend, &[(1, PIXEL, 1)]).await;
    sample::record(&store, id(1, 1), None, progress(DeliveryState::Delivered, None)).await.unwrap();
    let job = sample::job(1, PIXEL, after(1));
    store.ledger.apply(Step { jobs: vec![job.clone(), job], ..sample::step(2) }).await.unwrap();
    let counts = store.deliveries.counts(after(9)).await.unwrap();
    assert_eq!(counts, Counts { delivered: 1, ..Counts::default() });
    assert_eq!(store.outbox.due(PIXEL, after(9), 9).await.unwrap(), []);
}

/// A job that carries its reason to be skipped is never due, is counted and listed as skipped, also after a restart, and
/// can be replayed like any other (decisions 34, 55).
pub async fn a_job_skipped_from_the_start_is_never_due(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let job = sl_core::delivery::Job { skip: Some("no_click".to_owned()), ..sample::job(1, PIXEL, after(1)) };
    store.ledger.apply(Step { jobs: vec![job], ..sample::step(1) }).await.unwrap();
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    assert_eq!(store.outbox.due(PIXEL, after(9), 9).await.unwrap(), []);
    assert_eq!(store.outbox.next_due().await.unwrap(), None);
    let skipped = Counts { skipped: 1, ..Counts::default() };
    assert_eq!(store.deliveries.counts(after(9)).await.unwrap(), skipped);
    let filter =
        DeliveryFilter { state: Some(DeliveryState::Skipped), limit: 9, ..DeliveryFilter::default() };
    let listed = store.deliveries.list(TEAM, filter).await.unwrap();
    assert_eq!(ids(&listed), [id(1, 1)]);
    assert_eq!(listed[0].progress.reason.as_deref(), Some("no_click"));
    sample::record(&store, id(1, 1), None, listed[0].progress.replayed(after(20))).await.unwrap();
    let waiting = Counts { due_now: 1, waiting: 1, ..Counts::default() };
    assert_eq!(store.deliveries.counts(after(20)).await.unwrap(), waiting);
}
