//! A receiver that rests: the queue is left as it is, over restarts too, until it has rested or was changed.

use std::time::Duration;

use axum::{http::StatusCode, response::IntoResponse};
use sl_core::{
    breaker::Resting,
    delivery::{DeliveryState, Progress},
    ids::PostbackId,
    time::Clock,
};

use crate::world::{Received, Receiver, World, postback};

const LOOPBACK: &[&str] = &["127.0.0.0/8"];
const MINUTE: Duration = Duration::from_secs(60);

fn no(_: usize, _: &Received) -> axum::response::Response {
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

fn slow_down(_: usize, _: &Received) -> axum::response::Response {
    (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3600")]).into_response()
}

/// Waits until the destination rests.
async fn resting(world: &World) -> Resting {
    let looking = async {
        loop {
            if let Some((_, resting)) = world.store.outbox.resting().await.unwrap().pop() {
                return resting;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.unwrap()
}

/// Waits until no destination rests: a lane may have seen the change before the look that ends its rest.
async fn roused(world: &World) {
    let looking = async {
        while !world.store.outbox.resting().await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.unwrap();
}

/// Waits until another destination, told after it, has been: the worker has looked at everything since.
async fn looked(world: &World, number: u64) {
    let id = world.conversions(number..number + 1, &[postback(2)]).await[0];
    world.until_state(id, DeliveryState::Delivered).await;
}

#[tokio::test]
async fn however_many_wait_for_a_receiver_that_rests_nothing_is_written_about_them() {
    let (receiver, other) = (Receiver::start(no).await, Receiver::start(|_, _| "ok".into_response()).await);
    let mut world = World::new(receiver.address).await;
    world.save_postback(1, format!("http://{}/", receiver.address), None).await;
    world.save_postback(2, format!("http://{}/", other.address), None).await;
    let ids = world.conversions(1..401, &[postback(1)]).await;
    world.work(LOOPBACK).await;
    let mut rest = resting(&world).await;
    looked(&world, 1_000).await;
    let failed = receiver.all().len() as u64;
    assert!((20..20 + 8).contains(&failed), "as many as are needed, and what was under way then: {failed}");
    for round in 0..5 {
        looked(&world, 1_001 + round).await;
        assert_eq!(receiver.all().len() as u64, failed + round, "one probe each time it has rested");
        let mut untouched = 0;
        for id in &ids {
            let delivery = world.delivery(*id).await;
            if delivery.progress.attempts == 0 {
                assert_eq!(delivery.progress, Progress::of(&delivery.job));
                untouched += 1;
            }
        }
        assert!(untouched >= 400 - failed - round, "{untouched}");
        world.clock.set(rest.rest.until);
        let before = rest;
        while rest == before {
            rest = resting(&world).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    world.close().await;
}

#[tokio::test]
async fn a_wish_to_be_left_alone_holds_over_a_restart_and_the_queue_goes_on_in_its_order() {
    let receiver = Receiver::start(move |before, one| match before {
        0 => slow_down(before, one),
        _ => "ok".into_response(),
    })
    .await;
    let other = Receiver::start(|_, _| "ok".into_response()).await;
    let mut world = World::new(receiver.address).await;
    world.save_postback(1, format!("http://{}/?e={{external_click_id}}", receiver.address), None).await;
    world.save_postback(2, format!("http://{}/", other.address), None).await;
    let ids = world.conversions(1..21, &[postback(1)]).await;
    world.work(LOOPBACK).await;
    let rest = resting(&world).await.rest;
    assert!(rest.until.since(rest.from) >= 60 * MINUTE, "{rest:?}");
    for number in 1_000..1_002 {
        world.work(LOOPBACK).await;
        looked(&world, number).await;
        assert_eq!(receiver.all().len(), 1, "it asked for an hour");
        world.clock.set(rest.until.minus(Duration::from_millis(1)));
    }
    world.clock.set(rest.until);
    for id in &ids[1..] {
        world.until_state(*id, DeliveryState::Delivered).await;
    }
    let first: Vec<_> = receiver.all()[1..].iter().map(|one| one.uri.clone()).take(1).collect();
    assert_eq!(first, ["/?e=2"], "the oldest that was due is the probe");
    world.close().await;
}

#[tokio::test]
async fn a_receiver_that_is_changed_rests_no_longer() {
    let (receiver, better) =
        (Receiver::start(slow_down).await, Receiver::start(|_, _| "ok".into_response()).await);
    let mut world = World::new(receiver.address).await;
    world.save_postback(1, format!("http://{}/", receiver.address), None).await;
    let ids = world.conversions(1..11, &[postback(1)]).await;
    world.work(LOOPBACK).await;
    let rest = resting(&world).await;
    let mut row = world.store.catalog.postback(PostbackId(1)).await.unwrap().unwrap();
    row.url = format!("http://{}/", better.address);
    row.updated_at = world.clock.now().newer_than(rest.version);
    world.store.catalog.put_postback(row).await.unwrap();
    for id in &ids[1..] {
        world.until_state(*id, DeliveryState::Delivered).await;
    }
    roused(&world).await;
    world.close().await;
}

#[tokio::test]
async fn what_was_meant_for_a_receiver_that_rests_and_is_deleted_is_parked_at_once() {
    let receiver = Receiver::start(slow_down).await;
    let mut world = World::new(receiver.address).await;
    world.save_postback(1, format!("http://{}/", receiver.address), None).await;
    let ids = world.conversions(1..11, &[postback(1)]).await;
    world.work(LOOPBACK).await;
    resting(&world).await;
    world.store.catalog.delete_postback(PostbackId(1)).await.unwrap();
    for id in &ids[1..] {
        let parked = world.until_state(*id, DeliveryState::Parked).await.progress;
        assert_eq!(parked.reason.as_deref(), Some("destination_deleted"));
    }
    world.close().await;
}
