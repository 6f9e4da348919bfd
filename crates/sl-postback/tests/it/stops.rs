//! A worker that is told to stop sends nothing new, and what is under way is recorded.

use std::{
    sync::{Arc, Mutex, atomic::AtomicUsize, mpsc},
    time::Duration,
};

use axum::response::IntoResponse;
use sl_core::delivery::DeliveryState;
use tokio::io::AsyncReadExt;

use crate::{
    faults::Faults,
    unrecorded::counted,
    world::{Receiver, World, postback},
};

const LOOPBACK: &[&str] = &["127.0.0.0/8"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_turn_when_the_worker_stops_is_not_sent() {
    let (answer, wait) = mpsc::channel::<()>();
    let (wait, come) = (Mutex::new(wait), Arc::new(AtomicUsize::new(0)));
    let came = Arc::clone(&come);
    let tracker = Receiver::start(move |_, _| {
        came.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        tokio::task::block_in_place(|| wait.lock().unwrap().recv_timeout(Duration::from_secs(60)).unwrap());
        "ok".into_response()
    })
    .await;
    let mut world = World::new(tracker.address).await;
    (world.concurrency, world.timeout) = (1, Duration::from_secs(60));
    let faults = Faults::within(&mut world);
    for number in 1..=2 {
        world.save_postback(number, format!("http://{}/", tracker.address), None).await;
    }
    let ids = world.conversions(1..2, &[postback(1), postback(2)]).await;
    world.work(LOOPBACK).await;
    // One is under way, and the other's lane has read what it will send.
    counted(&come, 1).await;
    counted(&faults.asked_what_is_due, 2).await;
    let stopping = tokio::spawn(async move {
        world.rest().await;
        world
    });
    // Enough for two.
    while !stopping.is_finished() {
        let _ = answer.send(());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let world = stopping.await.unwrap();
    assert_eq!(tracker.all().len(), 1);
    let mut told = 0;
    for id in ids {
        told += u32::from(world.delivery(id).await.progress.state == DeliveryState::Delivered);
    }
    assert_eq!(told, 1, "what was under way is recorded, and the other one waits");
    world.close().await;
}

#[tokio::test]
async fn what_has_no_answer_at_the_last_moment_is_recorded_as_one_that_may_have_arrived() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut world = World::new(address).await;
    world.timeout = Duration::from_secs(600);
    world.save_postback(1, format!("http://{address}/"), None).await;
    let id = world.conversions(1..2, &[postback(1)]).await[0];
    world.work(LOOPBACK).await;
    let (mut silent, _) = listener.accept().await.unwrap();
    assert!(silent.read(&mut [0; 1024]).await.unwrap() > 0);
    // From here on time passes as soon as nobody has anything to do.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    world.rest().await;
    assert!(began.elapsed() < Duration::from_secs(11), "{:?}", began.elapsed());
    let progress = world.delivery(id).await.progress;
    assert_eq!((progress.state, progress.attempts), (DeliveryState::Waiting, 1));
    assert!(progress.ambiguous_since.is_some());
    world.close().await;
}
