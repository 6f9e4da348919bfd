//! Jobs, progress, bodies, attempts.

use std::time::{Duration, Instant};

use sl_core::{
    breaker::{Rest, Resting},
    delivery::{Attempt, Delivery, DeliveryKind, DeliveryState, Destination, Progress, RenderedRequest},
    ids::{ApiKeyId, ClickId, DeliveryId, PixelId, PostbackId, ReplayId},
    lease::Candidate,
    replay::{Trail, What},
    step::Step,
    time::Timestamp,
};

use super::{
    Backend,
    sample::{self, HOUR, STRANGER, TEAM, after},
};
use crate::{
    Store, StoreError,
    outbox::{Change, Counts, DeliveryFilter, Renewal, SHARDS, Waiting, shard_lease, shard_of},
};

const PIXEL: Destination = Destination::Pixel(PixelId(1));
const POSTBACK: Destination = Destination::Postback(PostbackId(1));

async fn with_jobs(backend: &dyn Backend, jobs: &[(u64, Destination, u64)]) -> Store {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let jobs = jobs.iter().map(|&(number, to, seconds)| sample::job(number, to, after(seconds))).collect();
    store.ledger.apply(Step { jobs, ..sample::step(1) }).await.unwrap();
    store
}

fn id(number: u64, seconds: u64) -> DeliveryId {
    sample::job(number, PIXEL, after(seconds)).id
}

fn progress(state: DeliveryState, next: Option<Timestamp>) -> Progress {
    Progress { state, next_attempt_at: next, attempts: 1, ..Progress::fresh(HOUR) }
}

pub(super) fn attempt(status: u16, at: Timestamp) -> Attempt {
    Attempt { at, millis: 12, status: Some(status), error_type: None, message: None }
}

pub(super) fn request(text: &str) -> RenderedRequest {
    RenderedRequest {
        method: "POST".to_owned(),
        url: "https://graph.example/events".to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: text.as_bytes().to_vec(),
        ..RenderedRequest::default()
    }
}

fn ids(deliveries: &[Delivery]) -> Vec<DeliveryId> {
    deliveries.iter().map(|delivery| delivery.job.id).collect()
}

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

/// Counts follow every change and survive a restart; `due_now` is exact to the millisecond.
pub async fn counts_follow_every_change(backend: &dyn Backend) {
    let jobs: Vec<_> = (0..10).map(|number| (number, PIXEL, number)).collect();
    let store = with_jobs(backend, &jobs).await;
    let outbox = &store.outbox;
    let waiting = Counts { waiting: 10, ..Counts::default() };
    assert_eq!(outbox.counts(after(0)).await.unwrap(), Counts { due_now: 1, ..waiting });
    let nearly = after(5).minus(Duration::from_millis(1));
    assert_eq!(outbox.counts(nearly).await.unwrap(), Counts { due_now: 5, ..waiting });
    assert_eq!(outbox.counts(after(5)).await.unwrap(), Counts { due_now: 6, ..waiting });
    let ends =
        [DeliveryState::Delivered, DeliveryState::Parked, DeliveryState::Expired, DeliveryState::Skipped];
    for (number, state) in (0..).zip(ends) {
        sample::record(&store, id(number, number), None, progress(state, None)).await.unwrap();
    }
    sample::record(&store, id(4, 4), None, progress(DeliveryState::Waiting, Some(after(50)))).await.unwrap();
    let counts = outbox.counts(after(20)).await.unwrap();
    assert_eq!(counts, Counts { due_now: 5, waiting: 6, delivered: 1, parked: 1, expired: 1, skipped: 1 });
    sample::record(&store, id(1, 1), None, progress(DeliveryState::Waiting, Some(after(20)))).await.unwrap();
    let replayed = outbox.counts(after(20)).await.unwrap();
    assert_eq!(replayed, Counts { due_now: 6, waiting: 7, parked: 0, ..counts });
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    assert_eq!(store.outbox.counts(after(20)).await.unwrap(), replayed);
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
    assert_eq!(outbox.counts(after(89)).await.unwrap(), counts);
    let waiting = outbox.due(PIXEL, after(89), 9).await.unwrap();
    assert_eq!(ids(&waiting), [id(1, 10), id(2, 20)]);
    assert_eq!(waiting[0].progress, Progress::fresh(after(10)), "nobody touched it");
    sample::record(&store, id(3, 15), None, progress(DeliveryState::Delivered, None)).await.unwrap();
    assert_eq!(outbox.next_due().await.unwrap(), Some(after(90)));
    assert_eq!(outbox.due_destinations(after(90)).await.unwrap(), [(PIXEL, after(10))]);
    assert_eq!(outbox.counts(after(90)).await.unwrap().due_now, 2);
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

/// A replay goes on from what was read only, adds what is not there, and each counts once.
pub async fn a_renewal_goes_on_from_what_was_read_only(backend: &dyn Backend) {
    let store = with_jobs(backend, &[(1, PIXEL, 1), (2, PIXEL, 2)]).await;
    let outbox = &store.outbox;
    for number in [1, 2] {
        sample::record(&store, id(number, number), None, progress(DeliveryState::Parked, None))
            .await
            .unwrap();
    }
    let read = outbox.list(TEAM, DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await.unwrap();
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
    assert_eq!(outbox.renew(all.clone(), None).await.unwrap(), 2);
    assert_eq!(outbox.renew(all, None).await.unwrap(), 0, "the same again changes nothing");
    let counts = Counts { due_now: 2, waiting: 2, delivered: 1, ..Counts::default() };
    assert_eq!(outbox.counts(after(60)).await.unwrap(), counts);
    assert_eq!(ids(&outbox.due(PIXEL, after(60), 9).await.unwrap()), [id(1, 1)]);
    assert_eq!(ids(&outbox.due(POSTBACK, after(60), 9).await.unwrap()), [id(3, 9)]);
    let unknown = Renewal { from: Some(Progress::fresh(HOUR)), ..new(4, PIXEL) };
    assert_eq!(outbox.renew(vec![unknown], None).await.unwrap(), 0);
    drop(store);
    backend.restart().await;
    assert_eq!(backend.open().await.outbox.counts(after(60)).await.unwrap(), counts);
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
    let outbox = &store.outbox;
    assert_eq!(outbox.renew(vec![new(3), new(4)], Some(trail(1, TEAM))).await.unwrap(), 2);
    outbox.renew(Vec::new(), Some(trail(2, TEAM))).await.unwrap();
    outbox.renew(Vec::new(), Some(trail(3, STRANGER))).await.unwrap();
    let known = outbox.trail(TEAM, trail(1, TEAM).id).await.unwrap().unwrap();
    assert_eq!(known, Trail { replayed: 2, ..trail(1, TEAM) });
    let next = Trail { pages: 2, ..known };
    outbox.renew(vec![new(5), new(4)], Some(next.clone())).await.unwrap();
    drop(store);
    backend.restart().await;
    let outbox = backend.open().await.outbox;
    let all = [trail(2, TEAM), Trail { replayed: 3, ..next }];
    assert_eq!(outbox.trails(TEAM, 9, None).await.unwrap(), all);
    assert_eq!(outbox.trails(TEAM, 1, None).await.unwrap(), all[..1]);
    assert_eq!(outbox.trails(TEAM, 9, Some(all[0].id)).await.unwrap(), all[1..]);
    assert_eq!(outbox.trails(STRANGER, 9, None).await.unwrap(), [trail(3, STRANGER)]);
    assert_eq!(outbox.trail(STRANGER, all[0].id).await.unwrap(), None);
}

/// The same cause makes the same job: it is not reset by a step that brings it again.
pub async fn a_job_that_comes_again_keeps_its_progress(backend: &dyn Backend) {
    let store = with_jobs(backend, &[(1, PIXEL, 1)]).await;
    sample::record(&store, id(1, 1), None, progress(DeliveryState::Delivered, None)).await.unwrap();
    let job = sample::job(1, PIXEL, after(1));
    store.ledger.apply(Step { jobs: vec![job.clone(), job], ..sample::step(2) }).await.unwrap();
    let counts = store.outbox.counts(after(9)).await.unwrap();
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
    assert_eq!(store.outbox.counts(after(9)).await.unwrap(), skipped);
    let filter =
        DeliveryFilter { state: Some(DeliveryState::Skipped), limit: 9, ..DeliveryFilter::default() };
    let listed = store.outbox.list(TEAM, filter).await.unwrap();
    assert_eq!(ids(&listed), [id(1, 1)]);
    assert_eq!(listed[0].progress.reason.as_deref(), Some("no_click"));
    sample::record(&store, id(1, 1), None, listed[0].progress.replayed(after(20))).await.unwrap();
    let waiting = Counts { due_now: 1, waiting: 1, ..Counts::default() };
    assert_eq!(store.outbox.counts(after(20)).await.unwrap(), waiting);
}

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
    assert_eq!(outbox.latest(POSTBACK).await.unwrap(), None);
    for number in [1, 2] {
        outbox.store_body(id(number, number), request("body")).await.unwrap();
    }
    for second in 0..60 {
        let waiting = progress(DeliveryState::Waiting, Some(after(second + 9)));
        sample::record(&store, id(1, 1), Some(attempt(500, after(second))), waiting).await.unwrap();
    }
    let attempts = outbox.attempts(id(1, 1)).await.unwrap();
    let times: Vec<_> = attempts.iter().map(|attempt| attempt.at).collect();
    assert_eq!(times, (10..60).map(after).collect::<Vec<_>>());
    assert_eq!(outbox.latest(POSTBACK).await.unwrap().unwrap().0.job.id, id(1, 1));
    let done = progress(DeliveryState::Delivered, None);
    sample::record(&store, id(2, 2), Some(attempt(200, after(70))), done).await.unwrap();
    let (latest, body) = outbox.latest(POSTBACK).await.unwrap().unwrap();
    assert_eq!((latest.job.id, body), (id(2, 2), request("body")));
    assert_eq!(outbox.latest(PIXEL).await.unwrap(), None);
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
    assert_eq!(outbox.attempts(id(1, 1)).await.unwrap(), [attempt(200, after(2))]);
    assert_eq!(outbox.delivery(TEAM, id(1, 1)).await.unwrap().unwrap().progress, done);
    assert_eq!(outbox.counts(after(9)).await.unwrap(), Counts { delivered: 1, ..Counts::default() });
    assert!(outbox.advance(id(1, 1), &done, None, done.replayed(after(4))).await.unwrap());
}

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
    assert_eq!(outbox.counts(after(70)).await.unwrap(), counts);
    let due = ids(&outbox.due(PIXEL, after(70), 99).await.unwrap());
    assert_eq!(due, (20..40).map(|number| id(number, number)).collect::<Vec<_>>());
    assert_eq!(outbox.due(PIXEL, after(90), 99).await.unwrap().len(), 30);
    assert_eq!(outbox.attempts(id(3, 3)).await.unwrap(), [attempt(200, after(63))]);
    assert_eq!(outbox.attempts(id(5, 5)).await.unwrap(), [attempt(400, after(50))]);
    assert_eq!(outbox.delivery(TEAM, id(5, 5)).await.unwrap().unwrap().progress, meanwhile);
    for (number, to) in [(19, PIXEL), (40, POSTBACK)] {
        outbox.store_body(id(number, number), request("body")).await.unwrap();
        let latest = outbox.latest(to).await.unwrap().map(|(latest, _)| latest.job.id);
        assert_eq!(latest, Some(id(number, number)));
    }
    let unknown = Change { id: id(99, 99), ..change(30, &done) };
    assert_eq!(outbox.advance_all(vec![unknown]).await, Err(StoreError::NotFound));
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    assert_eq!(store.outbox.counts(after(70)).await.unwrap(), counts);
    assert_eq!(store.outbox.delivery(TEAM, id(0, 0)).await.unwrap().unwrap().progress, done);
}

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
        async |store: &Store| store.outbox.delivery(TEAM, id(1, 1)).await.unwrap().unwrap().progress;
    let (late, present) = (progress_of(&store).await, progress_of(&other).await);
    let done = progress(DeliveryState::Delivered, None);
    let (by_late, by_present) = tokio::join!(
        store.outbox.advance(id(1, 1), &late, Some(attempt(200, after(10))), done.clone()),
        other.outbox.advance(id(1, 1), &present, Some(attempt(200, after(10))), done.clone()),
    );
    assert_eq!([by_late.unwrap(), by_present.unwrap()].iter().filter(|heard| **heard).count(), 1);
    assert_eq!(store.outbox.attempts(id(1, 1)).await.unwrap().len(), 1);
    let counts = Counts { due_now: 1, waiting: 1, delivered: 1, ..Counts::default() };
    assert_eq!(other.outbox.counts(after(20)).await.unwrap(), counts);

    let mut due = Vec::new();
    for shard in 0..SHARDS {
        due.extend(store.outbox.due_in(shard, after(20)).await.unwrap());
    }
    assert_eq!(due, [(POSTBACK, after(2))], "each destination is in one shard");
}

/// Lists are newest first; their pages cover every delivery of the filter once.
pub async fn pages_cover_every_delivery_once(backend: &dyn Backend) {
    let jobs: Vec<_> = (0..40).map(|n| (n, if n % 4 == 0 { POSTBACK } else { PIXEL }, n / 3)).collect();
    let store = with_jobs(backend, &jobs).await;
    for &(number, _, seconds) in jobs.iter().filter(|(number, ..)| number % 3 == 0) {
        sample::record(&store, id(number, seconds), None, progress(DeliveryState::Parked, None))
            .await
            .unwrap();
    }
    let parked = Some(DeliveryState::Parked);
    for (state, destination) in [(None, None), (parked, None), (None, Some(PIXEL)), (parked, Some(POSTBACK))]
    {
        let mut filter = DeliveryFilter { state, destination, limit: 7, after: None };
        let mut all = Vec::new();
        loop {
            let page = store.outbox.list(TEAM, filter.clone()).await.unwrap();
            all.extend(ids(&page));
            if page.len() < filter.limit {
                break;
            }
            filter.after = all.last().copied();
        }
        let expected: Vec<_> = jobs
            .iter()
            .rev()
            .filter(|(number, to, _)| {
                (state.is_none() || number % 3 == 0) && destination.is_none_or(|wanted| wanted == *to)
            })
            .map(|&(number, _, seconds)| id(number, seconds))
            .collect();
        assert_eq!(all, expected, "{state:?} {destination:?}");
    }
}

/// A team sees its own deliveries only.
pub async fn deliveries_of_another_team_are_not_there(backend: &dyn Backend) {
    let store = with_jobs(backend, &[(1, PIXEL, 1), (4, PIXEL, 2)]).await;
    let outbox = &store.outbox;
    let click = ClickId::from_bytes(sample::ulid(HOUR, 1));
    let everything = DeliveryFilter { limit: 99, ..DeliveryFilter::default() };
    assert_eq!(outbox.list(TEAM, everything.clone()).await.unwrap().len(), 2);
    assert_eq!(ids(&outbox.of_click(TEAM, click).await.unwrap()), [id(1, 1), id(4, 2)]);
    assert!(outbox.delivery(TEAM, id(1, 1)).await.unwrap().is_some());
    assert_eq!(outbox.list(STRANGER, everything.clone()).await.unwrap(), []);
    assert_eq!(outbox.of_click(STRANGER, click).await.unwrap(), []);
    assert_eq!(outbox.delivery(STRANGER, id(1, 1)).await.unwrap(), None);
    let with_cursor = DeliveryFilter { after: Some(id(4, 2)), ..everything };
    assert_eq!(outbox.list(STRANGER, with_cursor).await.unwrap(), []);
}
