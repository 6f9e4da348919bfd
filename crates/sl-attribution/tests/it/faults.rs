//! One bad record, a hold nobody touches.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sl_attribution::AttributionError;
use sl_core::{
    event::{EventBody, JournalId, Position},
    step::Step,
    time::ManualClock,
};
use sl_journal::StreamError;

use crate::tape::{LINK, START, Tape, click, history, run, seen};

#[tokio::test]
async fn a_record_that_cannot_be_decoded_is_left_out_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let handle = sl_fjall::open(dir.path(), sl_fjall::FjallOptions::default()).unwrap();
    let tape = Tape { broken: Some(5), ..history() };
    let poisoned = run(&tape, handle.store(), 64, Arc::new(ManualClock::at(START))).await.unwrap();
    assert_eq!(poisoned, 1);
    let totals = handle.store().reports.totals(&[LINK]).await.unwrap();
    assert_eq!(totals[0].clicks, 199, "record 5 was a click");
}

#[tokio::test]
async fn who_has_lost_the_partition_before_the_store_answers_takes_it_from_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let handle = sl_fjall::open(dir.path(), sl_fjall::FjallOptions::default()).unwrap();
    let owner = handle.store().ledger;
    owner.open(0).await.unwrap();
    let late = Tape { fenced: true, ..history() };
    let ended = run(&late, handle.store(), 64, Arc::new(ManualClock::at(START))).await;
    assert!(matches!(ended, Err(AttributionError::Stream(StreamError::Fenced))), "{ended:?}");
    let position = Position { epoch: 0, offset: 1 };
    owner.apply(Step { position, ..Step::default() }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_can_not_be_read_at_the_start_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let handle = sl_fjall::open(dir.path(), sl_fjall::FjallOptions::default()).unwrap();
    let tape = history();
    tape.away.store(20, Ordering::Relaxed);
    assert_eq!(run(&tape, handle.store(), 64, Arc::new(ManualClock::at(START))).await.unwrap(), 0);
    assert_eq!(handle.store().reports.totals(&[LINK]).await.unwrap()[0].clicks, 200);
}

#[tokio::test]
async fn a_due_hold_ends_by_a_tick_although_nothing_else_happens() {
    let dir = tempfile::tempdir().unwrap();
    let handle = sl_fjall::open(dir.path(), sl_fjall::FjallOptions::default()).unwrap();
    let tape = Tape::default();
    tape.push(START, EventBody::click(click(1, START)));
    let look = START.plus(Duration::from_secs(60));
    tape.push(look, EventBody::SubscriberSeen(seen(1, None, look)));
    let clock = Arc::new(ManualClock::at(look));
    run(&tape, handle.store(), 64, clock.clone()).await.unwrap();
    assert_eq!(tape.ticks(), 0);
    // A restart finds what waits.
    clock.advance(Duration::from_secs(600));
    for _ in 0..2 {
        run(&tape, handle.store(), 64, clock.clone()).await.unwrap();
    }
    assert!(tape.ticks() >= 1);
    let totals = handle.store().reports.totals(&[LINK]).await.unwrap();
    assert_eq!(totals[0].subscribers, 1);
}

#[tokio::test]
async fn records_of_a_journal_long_forgotten_are_left_out_and_counted_and_its_new_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let handle = sl_fjall::open(dir.path(), sl_fjall::FjallOptions::default()).unwrap();
    let tape = Tape::default();
    let day = |days: u64| START.plus(Duration::from_secs(days * 24 * 3600));
    let put = |journal: u64, sequence: u64, number: u64, days: u64| {
        tape.push(day(days), EventBody::click(click(number, day(days))));
        let mut records = tape.records.lock().unwrap();
        let last = records.last_mut().unwrap();
        (last.journal, last.sequence) = (JournalId(journal), sequence);
    };
    put(2, 0, 1, 0);
    let clock = Arc::new(ManualClock::at(day(0)));
    assert_eq!(run(&tape, handle.store(), 64, clock.clone()).await.unwrap(), 0);
    // Nothing of it for 40 days; then its disk is back, and all it has is sent again.
    put(1, 0, 2, 40);
    clock.set(day(40));
    assert_eq!(run(&tape, handle.store(), 64, clock.clone()).await.unwrap(), 0);
    let known = handle.store().ledger.open(0).await.unwrap().applied;
    assert_eq!(known.iter().map(|(journal, _)| journal).collect::<Vec<_>>(), [JournalId(1)]);
    put(2, 0, 1, 0);
    put(2, 1, 3, 40);
    assert_eq!(run(&tape, handle.store(), 64, clock.clone()).await.unwrap(), 1);
    let totals = handle.store().reports.totals(&[LINK]).await.unwrap();
    assert_eq!(totals[0].clicks, 3, "the first click counts once");
}

#[tokio::test]
async fn that_the_stream_lost_its_end_is_stored_before_anything_is_done_about_it() {
    let dir = tempfile::tempdir().unwrap();
    let handle = sl_fjall::open(dir.path(), sl_fjall::FjallOptions::default()).unwrap();
    let store = handle.store();
    let tape = Tape { cut: Some(120), ledger: Some(store.ledger.clone()), ..history() };
    assert_eq!(run(&tape, store.clone(), 64, Arc::new(ManualClock::at(START))).await.unwrap(), 1);
    let lost = Position { epoch: 0, offset: 120 }.lost();
    let sought = tape.sought.lock().unwrap().clone();
    assert_eq!(sought, [(Position::default(), Position::default()), (lost, lost)]);
    let totals = store.reports.totals(&[LINK]).await.unwrap();
    assert_eq!(totals[0].clicks, 200, "what came again was known");
    assert_eq!(store.ledger.open(0).await.unwrap().position, Position { epoch: 1, offset: tape.len() });
}
