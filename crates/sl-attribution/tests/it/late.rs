//! Clicks that come when retention has passed their time.

use std::{sync::Arc, time::Duration};

use sl_attribution::AttributionSettings;
use sl_core::{
    attribution::Rules,
    click::ClickRow,
    event::EventBody,
    ids::TeamId,
    time::{ManualClock, Timestamp},
};
use sl_store::{Store, upkeep::Horizons};

use crate::tape::{START, Tape, click, run_with};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Puts a click with an address on the tape.
fn push(tape: &Tape, number: u64, at: Timestamp) {
    let mut click = click(number, at);
    click.request.ip = Some("203.0.113.7".parse().unwrap());
    tape.push(at, EventBody::click(click));
}

/// Attribution at work until it has caught up at `now`, where addresses are kept for so long.
async fn catch_up(tape: &Tape, store: &Store, keep: Duration, now: Timestamp) {
    let rules = Rules { erase_prints_after: keep, ..Rules::default() };
    let settings = AttributionSettings { rules, ..AttributionSettings::default() };
    run_with(tape, store.clone(), settings, Arc::new(ManualClock::at(now))).await.unwrap();
}

async fn row(store: &Store, number: u64) -> ClickRow {
    store.reports.click(TeamId(1), click(number, START).id).await.unwrap().unwrap()
}

/// One round of retention.
async fn round(store: &Store, addresses: Timestamp) {
    let never = Timestamp(i64::MIN);
    let horizons = Horizons { clicks: never, addresses, deliveries: never };
    while store.upkeep.forget(horizons, 10).await.unwrap().more {}
}

#[tokio::test]
async fn a_click_that_comes_behind_retention_keeps_no_address() {
    let dir = tempfile::tempdir().unwrap();
    let handle = sl_fjall::open(dir.path(), sl_fjall::FjallOptions::default()).unwrap();
    let (store, tape, keep) = (handle.store(), Tape::default(), 30 * DAY);
    push(&tape, 1, START);
    catch_up(&tape, &store, keep, START).await;
    assert_eq!(row(&store, 1).await.click.request.ip, Some("203.0.113.7".parse().unwrap()));
    // An edge's disk is back after weeks: retention was here an hour ago, and again an hour later.
    let now = START.plus(31 * DAY);
    round(&store, now.minus(HOUR + keep)).await;
    push(&tape, 2, START.plus(HOUR));
    push(&tape, 3, now.minus(keep - 2 * HOUR));
    catch_up(&tape, &store, keep, now).await;
    round(&store, now.minus(keep)).await;
    for number in [1, 2] {
        let late = row(&store, number).await.click;
        assert_eq!(late.request.ip, Some("203.0.113.0".parse().unwrap()), "{number}");
        assert_eq!(late.visitor.lasting, None, "{number}");
    }
    assert!(!row(&store, 3).await.click.is_forgotten(), "its time comes in two hours");
    round(&store, now.minus(keep - 3 * HOUR)).await;
    assert!(row(&store, 3).await.click.is_forgotten());
}

#[tokio::test]
async fn what_a_round_under_way_may_take_is_taken_at_once() {
    let at_once = [
        (30 * DAY, 30 * DAY - 61 * MINUTE, false),
        (30 * DAY, 30 * DAY - 60 * MINUTE, true),
        (8 * MINUTE, 6 * MINUTE - MINUTE / 60, false),
        (8 * MINUTE, 6 * MINUTE, true),
        (Duration::ZERO, Duration::ZERO, true),
        (MINUTE / 60, Duration::ZERO, true),
    ];
    for (keep, age, is_cut) in at_once {
        let dir = tempfile::tempdir().unwrap();
        let handle = sl_fjall::open(dir.path(), sl_fjall::FjallOptions::default()).unwrap();
        let (store, tape) = (handle.store(), Tape::default());
        push(&tape, 1, START);
        catch_up(&tape, &store, keep, START.plus(age)).await;
        assert_eq!(row(&store, 1).await.click.is_forgotten(), is_cut, "{keep:?} {age:?}");
    }
}
