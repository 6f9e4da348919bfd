//! Our own limits of requests.

use std::time::Duration;

use axum::{http::StatusCode, response::IntoResponse};
use sl_core::{
    catalog::Pixel,
    delivery::DeliveryState,
    ids::{PixelId, PostbackId},
    pace::Pace,
    time::Clock,
};

use crate::world::{PIXEL, Receiver, World, confirmed, postback};

const LOOPBACK: &[&str] = &["127.0.0.0/8"];

/// Waits until the receiver has so many requests, and the worker has been at another destination after it.
async fn got(world: &World, receiver: &Receiver, many: usize, number: u64) {
    while receiver.all().len() < many {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Twice: the first look may have begun before.
    for number in [number, number + 1] {
        let id = world.conversions(number..number + 1, &[postback(2)]).await[0];
        world.until_state(id, DeliveryState::Delivered).await;
    }
    assert_eq!(receiver.all().len(), many);
}

async fn world(receiver: &Receiver, other: &Receiver) -> World {
    let world = World::new(receiver.address).await;
    world.save_postback(1, format!("http://{}/?e={{external_click_id}}", receiver.address), None).await;
    world.save_postback(2, format!("http://{}/", other.address), None).await;
    world
}

#[tokio::test]
async fn a_destination_gets_no_more_requests_than_its_limit_and_others_none_the_less() {
    let (receiver, other) = (
        Receiver::start(|_, _| "ok".into_response()).await,
        Receiver::start(|_, _| "ok".into_response()).await,
    );
    let mut world = world(&receiver, &other).await;
    let mut row = world.store.catalog.postback(PostbackId(1)).await.unwrap().unwrap();
    // Two at once, then one every half second.
    row.pace = Pace::per_minute(120);
    world.store.catalog.put_postback(row).await.unwrap();
    let ids = world.conversions(1..9, &[postback(1)]).await;
    world.work(LOOPBACK).await;
    got(&world, &receiver, 2, 1_000).await;
    for id in &ids[2..] {
        assert_eq!(world.delivery(*id).await.progress.attempts, 0);
    }
    for sent in 3..=6 {
        world.clock.advance(Duration::from_millis(500));
        got(&world, &receiver, sent, 1_000 + 10 * sent as u64).await;
    }
    // What was not sent meanwhile is not made up for: two at once again.
    world.clock.advance(Duration::from_secs(3600));
    for id in &ids {
        world.until_state(*id, DeliveryState::Delivered).await;
    }
    let mut order: Vec<_> = receiver.all().iter().map(|one| one.uri.clone()).collect();
    // Of two at once either may arrive first.
    order[..2].sort();
    order[6..].sort();
    assert_eq!(order, (1..9).map(|n| format!("/?e={n}")).collect::<Vec<_>>());
    world.close().await;
}

#[tokio::test]
async fn the_configured_limit_holds_for_whom_has_none_and_a_pixels_own_comes_first() {
    let (receiver, other) =
        (Receiver::start(|_, _| confirmed()).await, Receiver::start(|_, _| "ok".into_response()).await);
    let mut world = world(&receiver, &other).await;
    // The other one must be able to go on.
    let mut row = world.store.catalog.postback(PostbackId(2)).await.unwrap().unwrap();
    row.pace = Pace::per_minute(Pace::MOST);
    world.store.catalog.put_postback(row).await.unwrap();
    world.pace = Pace::per_minute(1);
    let ids = world.conversions(1..5, &[PIXEL]).await;
    world.work(LOOPBACK).await;
    got(&world, &receiver, 1, 1_000).await;
    world.clock.advance(Duration::from_secs(60));
    got(&world, &receiver, 2, 2_000).await;
    let pixel = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
    let updated_at = world.clock.now().newer_than(pixel.updated_at);
    let quick = Pixel { pace: Pace::per_minute(6_000), updated_at, ..pixel };
    world.store.catalog.put_pixel(quick).await.unwrap();
    world.clock.advance(Duration::from_millis(10));
    for id in &ids {
        world.until_state(*id, DeliveryState::Delivered).await;
    }
    world.close().await;
}

#[tokio::test]
async fn a_receivers_own_wish_comes_on_top_of_the_limit() {
    let answer = |before: usize, _: &_| match before {
        0 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "600")]).into_response(),
        _ => "ok".into_response(),
    };
    let (receiver, other) =
        (Receiver::start(answer).await, Receiver::start(|_, _| "ok".into_response()).await);
    let mut world = world(&receiver, &other).await;
    let mut row = world.store.catalog.postback(PostbackId(1)).await.unwrap().unwrap();
    row.pace = Pace::per_minute(60);
    world.store.catalog.put_postback(row).await.unwrap();
    world.conversions(1..9, &[postback(1)]).await;
    world.work(LOOPBACK).await;
    got(&world, &receiver, 1, 1_000).await;
    world.clock.advance(Duration::from_secs(599));
    got(&world, &receiver, 1, 2_000).await;
    world.clock.advance(Duration::from_secs(1));
    // Ten minutes of silence are no credit.
    got(&world, &receiver, 2, 3_000).await;
    world.clock.advance(Duration::from_secs(1));
    got(&world, &receiver, 3, 4_000).await;
    world.close().await;
}
