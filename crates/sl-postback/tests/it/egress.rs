//! Promise 9: outbound requests reach no private network, follow nothing, read no more than they must, tell no secret.

use axum::{http::StatusCode, response::IntoResponse};
use sl_core::delivery::DeliveryState;

use crate::world::{Receiver, World, confirmed, postback};

#[tokio::test]
async fn a_postback_to_a_private_address_is_never_connected_to() {
    let inside = Receiver::start(|_, _| "secret".into_response()).await;
    let mut world = World::new(inside.address).await;
    let port = inside.address.port();
    let hosts = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"];
    for (number, host) in (1..).zip(hosts) {
        world.save_postback(number, format!("http://{host}:{port}/"), None).await;
    }
    let to: Vec<_> = (1..=4).map(postback).collect();
    let ids = world.conversions(1..2, &to).await;
    world.work(&[]).await;
    for (id, host) in ids.iter().zip(hosts) {
        let delivery = world.until_state(*id, DeliveryState::Parked).await;
        assert_eq!(delivery.progress.last.unwrap().error_type.as_deref(), Some("egress"), "{host}");
    }
    assert!(inside.all().is_empty());
    world.close().await;
}

#[tokio::test]
async fn an_exception_by_name_and_port_opens_that_port_only() {
    let (open, shut) = (Receiver::start(|_, _| confirmed()).await, Receiver::start(|_, _| confirmed()).await);
    let mut world = World::new(open.address).await;
    world.save_postback(1, format!("http://localhost:{}/", open.address.port()), None).await;
    world.save_postback(2, format!("http://localhost:{}/", shut.address.port()), None).await;
    let ids = world.conversions(1..2, &[postback(1), postback(2)]).await;
    world.work(&[&format!("localhost:{}", open.address.port())]).await;
    world.until_state(ids[0], DeliveryState::Delivered).await;
    world.until_state(ids[1], DeliveryState::Parked).await;
    assert!(shut.all().is_empty());
    world.close().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let inside = Receiver::start(|_, _| "inside".into_response()).await;
    let to = format!("http://{}/", inside.address);
    let outside =
        Receiver::start(move |_, _| (StatusCode::FOUND, [("location", to.clone())]).into_response()).await;
    let mut world = World::new(outside.address).await;
    world.save_postback(1, format!("http://{}/", outside.address), None).await;
    let ids = world.conversions(1..2, &[postback(1)]).await;
    world.work(&["127.0.0.0/8"]).await;
    let delivery = world.until_state(ids[0], DeliveryState::Parked).await;
    assert_eq!(delivery.progress.last.unwrap().status, Some(302));
    assert!(inside.all().is_empty());
    world.close().await;
}

#[tokio::test]
async fn an_endless_answer_and_an_echoed_secret_are_cut() {
    let answer = |_: usize, one: &crate::world::Received| {
        let secret = one.headers["x-api-key"].to_str().unwrap().to_owned();
        let words = format!("no such key {secret}, nor token s3cr3t-in-query {}", "x".repeat(1 << 20));
        (StatusCode::BAD_REQUEST, words).into_response()
    };
    let tracker = Receiver::start(answer).await;
    let mut world = World::new(tracker.address).await;
    let url = format!("http://{}/?token=s3cr3t-in-query&cid={{click_id}}", tracker.address);
    world.save_postback(1, url, Some("hunter2hunter2")).await;
    let ids = world.conversions(1..2, &[postback(1)]).await;
    world.work(&["127.0.0.1"]).await;
    let delivery = world.until_state(ids[0], DeliveryState::Parked).await;
    let words = delivery.progress.last.unwrap().message.unwrap();
    assert!(words.len() <= 2048 && words.starts_with("no such key ***, nor token *** "), "{}", words.len());
    world.close().await;
}
