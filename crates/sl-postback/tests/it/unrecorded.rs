//! What was sent is recorded, however long the store takes nothing: otherwise it would be sent again.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse};
use sl_core::delivery::DeliveryState;

use crate::{
    faults::Faults,
    world::{Receiver, World, postback},
};

const LOOPBACK: &[&str] = &["127.0.0.0/8"];

/// Waits until it has been counted so often.
pub(crate) async fn counted(count: &AtomicUsize, often: usize) {
    let looking = async {
        while count.load(SeqCst) < often {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looking).await.unwrap();
}

#[tokio::test]
async fn what_a_full_disk_does_not_record_is_not_sent_again() {
    let tracker = Receiver::start(|_, _| "ok".into_response()).await;
    let mut world = World::new(tracker.address).await;
    let faults = Faults::within(&mut world);
    world.save_postback(1, format!("http://{}/", tracker.address), None).await;
    let ids = world.conversions(1..21, &[postback(1)]).await;
    faults.is_full.store(true, SeqCst);
    world.work(LOOPBACK).await;
    counted(&faults.refused, 4).await;
    assert_eq!(tracker.all().len(), 1, "a destination that is not known yet is sent one");
    faults.is_full.store(false, SeqCst);
    for id in &ids {
        let told = world.until_state(*id, DeliveryState::Delivered).await;
        assert_eq!(told.progress.attempts, 1);
    }
    assert_eq!(tracker.all().len(), ids.len());
    world.close().await;
}

#[tokio::test]
async fn an_answer_that_was_recorded_though_the_store_did_not_say_so_counts_once() {
    let tracker = Receiver::start(|_, _| StatusCode::BAD_GATEWAY.into_response()).await;
    let mut world = World::new(tracker.address).await;
    let faults = Faults::within(&mut world);
    world.save_postback(1, format!("http://{}/", tracker.address), None).await;
    let id = world.conversions(1..2, &[postback(1)]).await[0];
    faults.is_cut.store(true, SeqCst);
    world.work(LOOPBACK).await;
    world.until(id, |delivery| delivery.progress.attempts > 0).await;
    // Ended in order, it has asked the store again.
    let again = faults.asked_what_is_due.load(SeqCst);
    counted(&faults.asked_what_is_due, again + 1).await;
    world.rest().await;
    assert_eq!(world.delivery(id).await.progress.attempts, 1);
    assert_eq!(world.store.deliveries.attempts(id).await.unwrap().len(), 1);
    world.close().await;
}

#[tokio::test]
async fn a_worker_ends_though_nothing_is_recorded_and_the_next_one_records_it_before_it_sends() {
    let tracker = Receiver::start(|_, _| "ok".into_response()).await;
    let mut world = World::new(tracker.address).await;
    let faults = Faults::within(&mut world);
    world.save_postback(1, format!("http://{}/", tracker.address), None).await;
    let id = world.conversions(1..2, &[postback(1)]).await[0];
    faults.is_full.store(true, SeqCst);
    world.work(LOOPBACK).await;
    counted(&faults.refused, 2).await;
    // As when the store is opened anew.
    tokio::time::timeout(Duration::from_secs(60), world.rest()).await.unwrap();
    faults.is_full.store(false, SeqCst);
    world.work(LOOPBACK).await;
    let told = world.until_state(id, DeliveryState::Delivered).await;
    assert_eq!((told.progress.attempts, tracker.all().len()), (1, 1));
    world.close().await;
}
