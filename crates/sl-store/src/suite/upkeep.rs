//! What is old goes, in bounded pieces, and nothing else does.

use std::sync::Arc;

use sl_core::{
    click::VisitorId,
    delivery::{DeliveryState, Destination, Progress},
    ids::PixelId,
    step::{ClickMark, LinkTotals, Step},
    time::Timestamp,
};

use super::{
    Backend,
    outbox::{attempt, request},
    reports::ALL_CLICKS,
    sample::{self, TEAM, after, link_id},
};
use crate::{
    Store,
    outbox::DeliveryFilter,
    upkeep::{Forgotten, Horizons},
};

const NOTHING: Horizons =
    Horizons { clicks: Timestamp(i64::MIN), addresses: Timestamp(i64::MIN), deliveries: Timestamp(i64::MIN) };

/// Calls until nothing is left to do; each call stays within the limit.
async fn forget(store: &Store, horizons: Horizons, limit: usize) -> Forgotten {
    let mut all = Forgotten::default();
    for _ in 0..1_000 {
        let some = store.upkeep.forget(horizons, limit).await.unwrap();
        for count in [some.clicks, some.addresses, some.deliveries] {
            assert!(count <= limit as u64, "{some:?}");
        }
        all.clicks += some.clicks;
        all.addresses += some.addresses;
        all.deliveries += some.deliveries;
        if !some.more {
            return all;
        }
    }
    panic!("it never ends: {all:?}");
}

/// 30 clicks, one a minute, on three links in turn.
async fn with_clicks(backend: &dyn Backend) -> Store {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let mut clicks: Vec<_> = (0..30).map(|n| sample::click(n, link_id(1 + n % 3), after(n * 60))).collect();
    for row in &mut clicks {
        Arc::make_mut(&mut row.click).visitor.lasting = Some(VisitorId(7));
    }
    Arc::make_mut(&mut clicks[1].click).request.ip = Some("2001:db8:1:2:3::4".parse().unwrap());
    Arc::make_mut(&mut clicks[2].click).request.ip = None;
    let totals = vec![(link_id(1), LinkTotals { clicks: 10, ..LinkTotals::default() })];
    store.ledger.apply(Step { clicks, totals, ..sample::step(1) }).await.unwrap();
    store
}

/// Click rows go at their horizon, on every link; sums stay, and a mark for a row that is gone brings nothing back.
pub async fn old_click_rows_go_and_sums_stay(backend: &dyn Backend) {
    let store = with_clicks(backend).await;
    let all = ALL_CLICKS;
    let gone = store.reports.clicks(link_id(1), all).await.unwrap().pop().unwrap();
    let horizons = Horizons { clicks: after(10 * 60), ..NOTHING };
    assert_eq!(forget(&store, horizons, 3).await, Forgotten { clicks: 10, ..Forgotten::default() });
    assert_eq!(forget(&store, horizons, 3).await, Forgotten::default(), "once");
    let mut left = 0;
    for link in 1..=3 {
        let rows = store.reports.clicks(link_id(link), all).await.unwrap();
        assert!(rows.iter().all(|row| row.click.at >= after(10 * 60)));
        left += rows.len();
    }
    assert_eq!(left, 20);
    let mark = ClickMark {
        click: gone.click.id,
        link: gone.click.link,
        at: gone.click.at,
        gross_clicks: 9,
        is_duplicate: true,
    };
    store.ledger.apply(Step { click_marks: vec![mark], ..sample::step(2) }).await.unwrap();
    assert_eq!(store.reports.click(TEAM, gone.click.id).await.unwrap(), None);
    assert_eq!(store.reports.totals(&[link_id(1)]).await.unwrap()[0].clicks, 10);
}

/// Addresses are cut to their network and lasting fingerprints erased at their horizon, and later at a later one.
pub async fn old_addresses_are_cut_to_their_network(backend: &dyn Backend) {
    let store = with_clicks(backend).await;
    let horizon = |seconds| Horizons { addresses: after(seconds), ..NOTHING };
    assert_eq!(forget(&store, horizon(5 * 60), 2).await, Forgotten { addresses: 5, ..Forgotten::default() });
    assert_eq!(forget(&store, horizon(5 * 60), 2).await, Forgotten::default(), "once");
    assert_eq!(
        forget(&store, horizon(12 * 60), 50).await,
        Forgotten { addresses: 7, ..Forgotten::default() }
    );
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    for number in 0..30_u64 {
        let at = after(number * 60);
        let id = sample::click(number, link_id(1), at).click.id;
        let click = store.reports.click(TEAM, id).await.unwrap().unwrap().click;
        let old = number < 12;
        let ip = match (number, old) {
            (1, _) => Some("2001:db8:1::".parse().unwrap()),
            (2, _) => None,
            (_, true) => Some("203.0.113.0".parse().unwrap()),
            (_, false) => Some("203.0.113.7".parse().unwrap()),
        };
        assert_eq!(click.request.ip, ip, "{number}");
        assert_eq!(click.visitor.lasting.is_none(), old, "{number}");
        assert_eq!(click.address(), ip.filter(|_| !old), "a network is nobody's address: {number}");
    }
}

/// A round that was cut short, and is taken up an hour later with a later horizon, leaves out nothing of what has become old
/// since.
pub async fn a_round_that_was_cut_short_is_taken_up_with_a_later_horizon(backend: &dyn Backend) {
    let store = with_clicks(backend).await;
    let horizon = |minutes: u64| Horizons { addresses: after(minutes * 60), ..NOTHING };
    let mut begun = 0;
    // Into the second of the three links.
    for _ in 0..3 {
        let some = store.upkeep.forget(horizon(10), 2).await.unwrap();
        assert!(some.more);
        begun += some.addresses;
    }
    let rest = forget(&store, horizon(20), 2).await;
    assert_eq!(begun + rest.addresses, 20);
    assert_eq!(whole(&store, 30).await, (20..30).collect::<Vec<_>>());
}

/// Whatever a clock that was ahead has made of the horizon: once it is right again, rows that come are cut when their time
/// has come.
pub async fn a_clock_that_was_ahead_keeps_no_address_for_good(backend: &dyn Backend) {
    let store = with_clicks(backend).await;
    let horizon = |minutes: u64| Horizons { addresses: after(minutes * 60), ..NOTHING };
    let come = async |numbers: std::ops::Range<u64>| {
        let step = numbers.end;
        let clicks = numbers.map(|n| sample::click(n, link_id(1 + n % 3), after(n * 60))).collect();
        store.ledger.apply(Step { clicks, ..sample::step(step) }).await.unwrap();
    };
    assert_eq!(forget(&store, horizon(1_000), 7).await.addresses, 30);
    // Days ahead, until right before the next round.
    come(30..40).await;
    assert_eq!(forget(&store, horizon(35), 7).await.addresses, 5);
    assert_eq!(whole(&store, 40).await, (35..40).collect::<Vec<_>>());
    // Minutes ahead, and right again for a round.
    assert_eq!(forget(&store, horizon(60), 7).await.addresses, 5);
    assert_eq!(forget(&store, horizon(40), 7).await.addresses, 0);
    come(40..50).await;
    assert_eq!(forget(&store, horizon(45), 7).await.addresses, 5);
    assert_eq!(whole(&store, 50).await, (45..50).collect::<Vec<_>>());
}

/// Which of so many clicks, one a minute, have their whole address.
async fn whole(store: &Store, count: u64) -> Vec<u64> {
    let mut whole = Vec::new();
    for number in 0..count {
        let id = sample::click(number, link_id(1), after(number * 60)).click.id;
        let row = store.reports.click(TEAM, id).await.unwrap().unwrap();
        whole.extend((!row.click.is_forgotten()).then_some(number));
    }
    whole
}

/// Deliveries go with body, attempts and counts, but none that still waits.
pub async fn old_deliveries_go_unless_they_wait(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let to = Destination::Pixel(PixelId(1));
    let jobs: Vec<_> = (0..10).map(|n| sample::job(n, to, after(n))).collect();
    store.ledger.apply(Step { jobs: jobs.clone(), ..sample::step(1) }).await.unwrap();
    for (n, job) in jobs.iter().enumerate() {
        let state = [DeliveryState::Delivered, DeliveryState::Parked, DeliveryState::Waiting][n % 3];
        store.outbox.store_body(job.id, request(&n.to_string())).await.unwrap();
        let progress = Progress { state, ..Progress::fresh(job.created_at) };
        sample::record(&store, job.id, Some(attempt(200, after(99))), progress).await.unwrap();
    }
    let horizons = Horizons { deliveries: after(6), ..NOTHING };
    assert_eq!(forget(&store, horizons, 3).await, Forgotten { deliveries: 4, ..Forgotten::default() });
    assert_eq!(forget(&store, horizons, 3).await, Forgotten::default(), "once");
    for (n, job) in jobs.iter().enumerate() {
        let stays = n >= 6 || n % 3 == 2;
        assert_eq!(store.deliveries.delivery(TEAM, job.id).await.unwrap().is_some(), stays, "{n}");
        assert_eq!(store.outbox.body(job.id).await.unwrap().is_some(), stays, "{n}");
        assert_eq!(store.deliveries.attempts(job.id).await.unwrap().len(), usize::from(stays), "{n}");
    }
    let filter = DeliveryFilter { limit: 99, ..DeliveryFilter::default() };
    assert_eq!(store.deliveries.list(TEAM, filter).await.unwrap().len(), 6);
    let counts = store.deliveries.counts(after(99)).await.unwrap();
    assert_eq!((counts.delivered, counts.parked, counts.waiting, counts.due_now), (2, 1, 3, 3));
    let of_click = jobs[0].click.unwrap();
    let found = store.deliveries.of_click(TEAM, of_click).await.unwrap();
    let found: Vec<_> = found.iter().map(|delivery| delivery.job.id).collect();
    assert_eq!(found, [jobs[6].id, jobs[9].id], "of one click were 0, 3, 6 and 9");
}
