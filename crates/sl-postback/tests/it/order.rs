//! A fan's events in the order in which they happened, where the destination asks for it.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse};
use sl_core::{
    catalog::Pixel,
    conversion::ConversionKind,
    delivery::DeliveryState,
    ids::{PixelId, PostbackId},
};

use crate::world::{PIXEL, Received, Receiver, World, confirmed, postback};

const FANS: u64 = 7;

/// Of a request `/?n=12`, as the conversions of the sample are numbered.
fn number(uri: &str) -> u64 {
    uri.rsplit('=').next().unwrap().parse().unwrap()
}

async fn world(receiver: &Receiver, in_order: bool) -> World {
    let world = World::new(receiver.address).await;
    world.save_postback(1, format!("http://{}/?n={{external_click_id}}", receiver.address), None).await;
    let mut row = world.store.catalog.postback(PostbackId(1)).await.unwrap().unwrap();
    row.in_order = in_order;
    world.store.catalog.put_postback(row).await.unwrap();
    world
}

#[tokio::test]
async fn a_fans_later_events_wait_for_the_earlier_ones_and_other_fans_do_not() {
    // The first of fan 3 fails until so many came.
    let receiver = Receiver::start(|before, one| {
        let fails = number(&one.uri) == 3 && before < 200;
        if fails { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { "ok".into_response() }
    })
    .await;
    let mut world = world(&receiver, true).await;
    let ids = world.conversions(1..71, &[postback(1)]).await;
    world.work(&["127.0.0.0/8"]).await;
    let is_of_3 = |id: usize| (id as u64 + 1) % FANS == 3;
    for (at, id) in ids.iter().enumerate().filter(|(at, _)| !is_of_3(*at)) {
        let told = world.until_state(*id, DeliveryState::Delivered).await;
        assert_eq!(told.progress.attempts, 1, "{at}");
    }
    let held = world.until(ids[2], |delivery| delivery.progress.attempts == 1).await.progress;
    // Those behind it are put off with it, without an attempt.
    for (_, id) in ids.iter().enumerate().filter(|(at, _)| *at > 2 && is_of_3(*at)) {
        let next = held.next_attempt_at;
        let behind = world.until(*id, |delivery| delivery.progress.next_attempt_at > next).await.progress;
        assert_eq!((behind.state, behind.attempts), (DeliveryState::Waiting, 0));
    }
    world.clock.set(held.next_attempt_at.unwrap());
    let again = world.until(ids[2], |delivery| delivery.progress.attempts == 2).await.progress;
    assert_eq!(receiver.all().iter().filter(|one| number(&one.uri) % FANS == 3).count(), 2);
    let padding = vec![receiver.all()[0].clone(); 200];
    receiver.got.lock().unwrap().extend(padding);
    world.clock.set(again.next_attempt_at.unwrap());
    let sent_before = receiver.all().len();
    world.until_state(ids[2], DeliveryState::Delivered).await;
    for id in ids.iter().enumerate().filter(|(at, _)| is_of_3(*at)).map(|(_, id)| *id) {
        world.clock.advance(Duration::from_millis(10));
        world.until_state(id, DeliveryState::Delivered).await;
    }
    let told = receiver.all().split_off(sent_before);
    let numbers: Vec<u64> = told.iter().map(|one| number(&one.uri)).collect();
    assert_eq!(numbers, [3, 10, 17, 24, 31, 38, 45, 52, 59, 66]);
    world.close().await;
}

#[tokio::test]
async fn a_pixel_that_asks_for_it_is_told_a_fans_events_in_order_too() {
    // The first event of fan 3 fails the first time.
    let receiver = Receiver::start(|_, one| {
        let again = String::from_utf8_lossy(&one.body).contains("\"order_id\":\"tx3\"");
        static FAILED: AtomicBool = AtomicBool::new(false);
        if again && !FAILED.swap(true, SeqCst) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        confirmed()
    })
    .await;
    let mut world = World::new(receiver.address).await;
    let pixel = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
    world.store.catalog.put_pixel(Pixel { in_order: true, ..pixel }).await.unwrap();
    let ids = world.conversions(1..29, &[PIXEL]).await;
    world.work(&[]).await;
    let held = world.until(ids[2], |delivery| delivery.progress.attempts == 1).await.progress;
    for (at, id) in ids.iter().enumerate() {
        if (at as u64 + 1) % FANS != 3 {
            world.until_state(*id, DeliveryState::Delivered).await;
        } else if at > 2 {
            let next = held.next_attempt_at;
            world.until(*id, |behind| behind.progress.next_attempt_at > next).await;
        }
    }
    world.clock.set(held.next_attempt_at.unwrap());
    for at in [2, 9, 16, 23] {
        world.until_state(ids[at], DeliveryState::Delivered).await;
        world.clock.advance(Duration::from_millis(10));
    }
    let told: Vec<u64> = receiver.all().iter().map(transaction).filter(|n| n % FANS == 3).collect();
    assert_eq!(told, [3, 3, 10, 17, 24]);
    world.close().await;
}

/// Of a purchase's `order_id`, as the transactions of the sample are numbered.
fn transaction(one: &Received) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(&one.body).unwrap();
    let id = body["data"][0]["custom_data"]["order_id"].as_str().unwrap();
    id.strip_prefix("tx").unwrap().parse().unwrap()
}

#[tokio::test]
async fn many_fans_are_told_in_order_each_and_one_that_is_refused_holds_nobody_up() {
    let refuse = |_: usize, one: &crate::world::Received| match number(&one.uri) {
        5 => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
        _ => "ok".into_response(),
    };
    let receiver = Receiver::start(refuse).await;
    let mut world = world(&receiver, true).await;
    let many = world.told(1..201, &[postback(1)], ConversionKind::NewSubscriber, |_, _| {}).await;
    world.work(&["127.0.0.0/8"]).await;
    for id in &many {
        world.until(*id, |delivery| delivery.progress.state != DeliveryState::Waiting).await;
    }
    let mut of_fan: HashMap<u64, Vec<u64>> = HashMap::new();
    for one in receiver.all() {
        let number = number(&one.uri);
        of_fan.entry(number % FANS).or_default().push(number);
    }
    assert_eq!(of_fan.values().map(Vec::len).sum::<usize>(), 200);
    for (fan, numbers) in of_fan {
        assert!(numbers.is_sorted(), "{fan}: {numbers:?}");
    }
    world.close().await;
}
