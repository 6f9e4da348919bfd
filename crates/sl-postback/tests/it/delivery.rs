//! Promise 7: a delivery is one logical message.

use std::{
    collections::HashSet,
    sync::{Mutex, mpsc},
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse};
use serde_json::Value;
use sl_core::{
    catalog::{EventMap, Pixel, PlatformKind, PostbackMethod},
    click::Click,
    conversion::{Conversion, ConversionKind},
    delivery::DeliveryState,
    ids::{PixelId, PostbackId},
    time::{Clock, Timestamp},
};

use sl_store::suite::sample::HOUR;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{PIXEL, Receiver, World, confirmed, postback};

const LOOPBACK: &[&str] = &["127.0.0.0/8"];

#[tokio::test]
async fn a_conversion_is_told_to_the_pixel_and_to_the_postback() {
    let (meta, tracker) =
        (Receiver::start(|_, _| confirmed()).await, Receiver::start(|_, _| "ok".into_response()).await);
    let mut world = World::new(meta.address).await;
    let url = format!(
        "http://{}/pb?cid={{external_click_id}}&sum={{amount_net}}&t={{conversion_type}}",
        tracker.address
    );
    world.save_postback(1, url, None).await;
    let ids = world.conversions(1..2, &[PIXEL, postback(1)]).await;
    world.work(LOOPBACK).await;
    for id in &ids {
        world.until_state(*id, DeliveryState::Delivered).await;
    }
    let event = &meta.all()[0];
    assert_eq!(event.uri, "/v26.0/123/events");
    let body: Value = serde_json::from_slice(&event.body).unwrap();
    assert_eq!(body["access_token"], "META-TOKEN-A");
    assert_eq!(body["data"][0]["event_name"], "Purchase");
    assert_eq!(body["data"][0]["custom_data"]["value"], 10.01);
    assert_eq!(tracker.all()[0].uri, "/pb?cid=1&sum=8.01&t=new_transaction");
    world.close().await;
}

#[tokio::test]
async fn every_attempt_has_the_same_body_even_after_a_restart_and_a_changed_template() {
    let answer = |before: usize, _: &_| match before {
        0..3 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => StatusCode::OK.into_response(),
    };
    let tracker = Receiver::start(answer).await;
    let mut world = World::new(tracker.address).await;
    world.save_postback(1, format!("http://{}/a?e={{event_id}}", tracker.address), None).await;
    let id = world.conversions(1..2, &[postback(1)]).await[0];
    for attempts in 1..=4 {
        world.work(LOOPBACK).await;
        let delivery = world.until(id, |delivery| delivery.progress.attempts == attempts).await;
        world.rest().await;
        world.save_postback(1, format!("http://{}/b?e={{event_id}}", tracker.address), None).await;
        world.clock.set(delivery.progress.next_attempt_at.unwrap_or(delivery.progress.updated_at));
    }
    assert_eq!(world.delivery(id).await.progress.state, DeliveryState::Delivered);
    let uris: HashSet<String> = tracker.all().into_iter().map(|one| one.uri).collect();
    assert_eq!(tracker.all().len(), 4);
    assert_eq!(uris.len(), 1, "{uris:?}");
    let statuses: Vec<_> =
        world.store.deliveries.attempts(id).await.unwrap().iter().map(|one| one.status).collect();
    assert_eq!(statuses, [Some(500), Some(500), Some(500), Some(200)]);
    world.close().await;
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let answer = |_: usize, _: &_| {
        (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "90")], "slow down").into_response()
    };
    let tracker = Receiver::start(answer).await;
    let mut world = World::new(tracker.address).await;
    world.save_postback(1, format!("http://{}/", tracker.address), None).await;
    let id = world.conversions(1..2, &[postback(1)]).await[0];
    world.work(LOOPBACK).await;
    let progress = world.until(id, |delivery| delivery.progress.attempts == 1).await.progress;
    let last = progress.last.unwrap();
    assert_eq!(last.message.as_deref(), Some("slow down"));
    let waits = progress.next_attempt_at.unwrap().since(last.at);
    assert!((90..95).contains(&waits.as_secs()), "{waits:?}");
    world.close().await;
}

/// Refuses every token but the new one, and says which it was.
async fn takes_the_new_token() -> Receiver {
    Receiver::start(|_, one: &crate::world::Received| {
        if String::from_utf8_lossy(&one.body).contains("NEW-TOKEN") {
            return confirmed();
        }
        let words = r#"{"error":{"code":190,"message":"bad token META-TOKEN-A"}}"#;
        (StatusCode::BAD_REQUEST, words).into_response()
    })
    .await
}

#[tokio::test]
async fn a_refused_token_parks_everything_and_a_new_one_delivers_it() {
    let meta = takes_the_new_token().await;
    let mut world = World::new(meta.address).await;
    let ids = world.conversions(1..40, &[PIXEL]).await;
    world.work(LOOPBACK).await;
    for id in &ids {
        let delivery = world.until_state(*id, DeliveryState::Parked).await;
        assert_eq!(delivery.progress.reason.as_deref(), Some("auth"));
        let words = delivery.progress.last.and_then(|last| last.message).unwrap_or_default();
        assert!(!words.contains("META-TOKEN-A"), "{words}");
    }
    assert!(meta.all().len() <= 5 + 8, "the breaker holds the rest back: {}", meta.all().len());
    world.clock.advance(Duration::from_secs(10));
    world.save_pixel("NEW-TOKEN", world.clock.now()).await;
    for id in &ids {
        world.until_state(*id, DeliveryState::Delivered).await;
    }
    world.close().await;
}

/// A word of the answer that is also one of ours is not kept; what it means is not changed by that.
#[tokio::test]
async fn an_answer_is_judged_as_it_was_said_and_kept_without_our_secrets() {
    let tracker = Receiver::start(|_, _| "Invalid Token".into_response()).await;
    let mut world = World::new(tracker.address).await;
    world.save_postback(1, format!("http://{}/", tracker.address), Some("Token abcdef")).await;
    let mut row = world.store.catalog.postback(PostbackId(1)).await.unwrap().unwrap();
    row.answers.failure = vec!["invalid token".to_owned()];
    world.store.catalog.put_postback(row).await.unwrap();
    let id = world.conversions(1..2, &[postback(1)]).await[0];
    world.work(LOOPBACK).await;
    let parked = world.until_state(id, DeliveryState::Parked).await.progress;
    assert_eq!(parked.reason.as_deref(), Some("payload"));
    assert_eq!(parked.last.unwrap().message.as_deref(), Some("Invalid ***"));
    world.close().await;
}

/// Dates of the creator platform may lie some minutes ahead of our clock (decisions 22); a platform takes one minute at most.
#[tokio::test]
async fn what_lies_a_little_ahead_is_told_to_a_platform_once_it_has_happened_and_to_a_postback_at_once() {
    let meta = Receiver::start(|_, _| confirmed()).await;
    let mut world = World::new(meta.address).await;
    world.save_postback(1, format!("http://{}/", meta.address), None).await;
    let soon = world.clock.now().plus(Duration::from_secs(120));
    let ids =
        world.told(1..2, &[PIXEL, postback(1)], ConversionKind::NewSubscriber, |_, row| row.at = soon).await;
    world.work(LOOPBACK).await;
    world.until_state(ids[1], DeliveryState::Delivered).await;
    let waits =
        world.until(ids[0], |delivery| delivery.progress.next_attempt_at == Some(soon)).await.progress;
    assert_eq!((waits.state, waits.attempts), (DeliveryState::Waiting, 0));
    world.clock.set(soon);
    world.until_state(ids[0], DeliveryState::Delivered).await;
    let event: serde_json::Value = serde_json::from_str(meta.all()[1].events()[0].get()).unwrap();
    assert_eq!(event["event_time"], soon.seconds(), "when it happened");
    world.close().await;
}

#[tokio::test]
async fn what_may_have_arrived_is_not_sent_once_the_platform_may_have_forgotten_it() {
    let stalled = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = stalled.local_addr().unwrap();
    let mut world = World::new(address).await;
    let id = world.conversions(1..2, &[PIXEL]).await[0];
    world.work(LOOPBACK).await;
    world.until(id, |delivery| delivery.progress.attempts == 1).await;
    // The service is down for two days, the platform is not.
    world.rest().await;
    world.clock.advance(Duration::from_secs(48 * 3600));
    drop(stalled);
    let meta = Receiver::start_at(address.ip(), address.port(), |_, _| confirmed()).await.unwrap();
    world.work(LOOPBACK).await;
    let ended = world.until_state(id, DeliveryState::Parked).await.progress;
    assert_eq!((ended.reason.as_deref(), meta.all().len()), (Some("ambiguous"), 0));
    // Somebody who asks for it knows.
    let again = ended.asked_for(world.clock.now());
    assert!(world.store.outbox.advance(id, &ended, None, again).await.unwrap());
    world.until_state(id, DeliveryState::Delivered).await;
    assert_eq!(meta.all().len(), 1);
    world.close().await;
}

#[tokio::test]
async fn nothing_stays_parked_that_was_under_way_while_the_token_was_mended() {
    let meta = takes_the_new_token().await;
    let mut world = World::new(meta.address).await;
    let mut ids = world.conversions(1..40, &[PIXEL]).await;
    world.work(LOOPBACK).await;
    world.until_state(ids[0], DeliveryState::Parked).await;
    // More come in, before and after the change, faster than anybody looks for changes.
    ids.extend(world.conversions(40..60, &[PIXEL]).await);
    world.clock.advance(Duration::from_secs(1));
    world.save_pixel("NEW-TOKEN", world.clock.now()).await;
    ids.extend(world.conversions(60..80, &[PIXEL]).await);
    for id in &ids {
        world.until_state(*id, DeliveryState::Delivered).await;
    }
    world.close().await;
}

#[tokio::test]
async fn a_token_that_is_mended_after_the_clock_was_set_back_delivers_everything() {
    let meta = takes_the_new_token().await;
    let mut world = World::new(meta.address).await;
    let right = world.clock.now();
    world.clock.advance(Duration::from_secs(3 * 3600));
    let ids = world.conversions(1..40, &[PIXEL]).await;
    world.work(LOOPBACK).await;
    for id in &ids {
        world.until_state(*id, DeliveryState::Parked).await;
    }
    world.clock.set(right);
    // As the API dates it: later than before, whatever the clock says.
    world.save_pixel("NEW-TOKEN", Timestamp(0).newer_than(HOUR)).await;
    for id in &ids {
        world.until_state(*id, DeliveryState::Delivered).await;
    }
    world.close().await;
}

#[tokio::test]
async fn what_waits_when_the_clock_is_set_back_waits_as_long_as_was_left_also_over_a_restart() {
    let answer = |before: usize, _: &_| match before {
        0..2 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => StatusCode::OK.into_response(),
    };
    let tracker = Receiver::start(answer).await;
    let mut world = World::new(tracker.address).await;
    world.save_postback(1, format!("http://{}/", tracker.address), None).await;
    let right = world.clock.now();
    world.clock.advance(Duration::from_secs(7200));
    let id = world.conversions(1..2, &[postback(1)]).await[0];
    world.work(LOOPBACK).await;
    world.until(id, |delivery| delivery.progress.attempts == 1).await;
    // While it runs: five seconds were left.
    world.clock.set(right);
    let next = |delivery: &sl_core::delivery::Delivery| delivery.progress.next_attempt_at.unwrap();
    let soon = right.plus(Duration::from_secs(6));
    let dated = world.until(id, |delivery| next(delivery) <= soon).await;
    assert!(next(&dated) > right.plus(Duration::from_secs(3)), "{dated:?}");
    world.clock.set(next(&dated));
    let failed = world.until(id, |delivery| delivery.progress.attempts == 2).await;
    // While it does not: a minute was left.
    world.rest().await;
    let earlier = failed.progress.updated_at.minus(Duration::from_secs(7200));
    world.clock.set(earlier);
    world.work(LOOPBACK).await;
    let dated = world.until(id, |delivery| next(delivery) <= earlier.plus(Duration::from_secs(61))).await;
    world.clock.set(next(&dated));
    world.until_state(id, DeliveryState::Delivered).await;
    assert_eq!(tracker.all().len(), 3);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_replay_of_what_is_under_way_is_that_attempt() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let tracker = Receiver::start(move |before, _| {
        if before == 0 {
            // The runtime's other tasks go on elsewhere meanwhile.
            tokio::task::block_in_place(|| held.lock().unwrap().recv().unwrap());
        }
        "ok".into_response()
    })
    .await;
    let mut world = World::new(tracker.address).await;
    world.save_postback(1, format!("http://{}/?e={{event_id}}", tracker.address), None).await;
    let id = world.conversions(1..2, &[postback(1)]).await[0];
    world.work(LOOPBACK).await;
    while tracker.all().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for seconds in 1..3 {
        // As the API does it.
        let before = world.delivery(id).await.progress;
        let again = before.replayed(world.clock.now().plus(Duration::from_secs(seconds)));
        assert!(world.store.outbox.advance(id, &before, None, again).await.unwrap());
    }
    world.clock.advance(Duration::from_secs(10));
    release.send(()).unwrap();
    let told = world.until_state(id, DeliveryState::Delivered).await;
    assert_eq!(told.progress.attempts, 1);
    // Were it due once more, it would go before this one.
    let next = world.conversions(2..3, &[postback(1)]).await[0];
    world.until_state(next, DeliveryState::Delivered).await;
    assert_eq!(tracker.all().len(), 2);
    world.close().await;
}

#[tokio::test]
async fn a_destination_that_never_answers_does_not_slow_another() {
    let stalled = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let meta = Receiver::start(|_, _| confirmed()).await;
    let mut world = World::new(meta.address).await;
    world.save_postback(1, format!("http://{}/", stalled.local_addr().unwrap()), None).await;
    let ids = world.conversions(1..30, &[PIXEL, postback(1)]).await;
    world.work(LOOPBACK).await;
    for id in ids.iter().step_by(2) {
        world.until_state(*id, DeliveryState::Delivered).await;
    }
    let stuck = world.until(ids[1], |delivery| delivery.progress.attempts == 1).await.progress;
    assert_eq!(stuck.last.unwrap().error_type.as_deref(), Some("timeout"));
    assert!(stuck.ambiguous_since.is_some(), "it was sent: it may have arrived");
    world.close().await;
}

#[tokio::test]
async fn a_deleted_destination_parks_what_was_meant_for_it() {
    let meta = Receiver::start(|_, _| confirmed()).await;
    let mut world = World::new(meta.address).await;
    world.store.catalog.delete_pixel(PixelId(1)).await.unwrap();
    let ids = world.conversions(1..2, &[postback(9), PIXEL]).await;
    world.work(LOOPBACK).await;
    for id in ids {
        let delivery = world.until_state(id, DeliveryState::Parked).await;
        assert_eq!(delivery.progress.reason.as_deref(), Some("destination_deleted"));
    }
    assert!(meta.all().is_empty());
    world.close().await;
}

/// The clock stands still: nobody waits for the next attempt.
#[tokio::test]
async fn what_waits_for_a_later_attempt_is_parked_once_its_destination_is_deleted() {
    let failing = Receiver::start(|_, _| StatusCode::BAD_GATEWAY.into_response()).await;
    let mut world = World::new(failing.address).await;
    for number in [1, 2] {
        world.save_postback(number, format!("http://{}/", failing.address), None).await;
    }
    let ids = world.conversions(1..2, &[PIXEL, postback(1), postback(2)]).await;
    world.work(LOOPBACK).await;
    for id in &ids {
        let waits = world.until(*id, |delivery| delivery.progress.attempts == 1).await.progress;
        assert!(waits.state == DeliveryState::Waiting && waits.next_attempt_at > Some(world.clock.now()));
    }
    let is_parked = async |id| {
        let parked = world.until_state(id, DeliveryState::Parked).await.progress;
        assert_eq!((parked.reason.as_deref(), parked.attempts), (Some("destination_deleted"), 1));
    };
    world.store.catalog.delete_pixel(PixelId(1)).await.unwrap();
    is_parked(ids[0]).await;
    world.store.catalog.delete_postback(PostbackId(1)).await.unwrap();
    is_parked(ids[1]).await;
    assert_eq!(world.delivery(ids[2]).await.progress.state, DeliveryState::Waiting, "that one is there");
    // Deleted while no worker was there to see it.
    world.rest().await;
    world.store.catalog.delete_postback(PostbackId(2)).await.unwrap();
    world.work(LOOPBACK).await;
    let parked = world.until_state(ids[2], DeliveryState::Parked).await.progress;
    assert_eq!(parked.reason.as_deref(), Some("destination_deleted"));
    assert_eq!(failing.all().len(), 3);
    world.close().await;
}

#[tokio::test]
async fn an_event_that_is_too_old_is_not_sent_at_all() {
    let meta = Receiver::start(|_, _| confirmed()).await;
    let mut world = World::new(meta.address).await;
    world.clock.advance(Duration::from_secs(7 * 86_400));
    let id = world.conversions(1..2, &[PIXEL]).await[0];
    world.work(LOOPBACK).await;
    let delivery = world.until_state(id, DeliveryState::Skipped).await;
    assert_eq!(delivery.progress.reason.as_deref(), Some("too_old"));
    assert!(meta.all().is_empty());
    world.close().await;
}

#[tokio::test]
async fn what_was_parked_for_want_of_the_platform_goes_out_once_there_is_one() {
    let yes = |_: usize, _: &_| (StatusCode::OK, r#"{"code":0}"#).into_response();
    let tiktok = Receiver::start(yes).await;
    let mut world = World::new(tiktok.address).await;
    let pixel = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
    let events = EventMap::usual(PlatformKind::Tiktok);
    world.store.catalog.put_pixel(Pixel { platform: PlatformKind::Tiktok, events, ..pixel }).await.unwrap();
    let known = |click: &mut Click, _: &mut Conversion| click.params.ttclid = Some("E.C.P.a".to_owned());
    let ids = world.told(1..4, &[PIXEL], ConversionKind::NewTransaction, known).await;
    world.meta_only = true;
    world.work(&[]).await;
    for id in &ids {
        let held = world.until_state(*id, DeliveryState::Parked).await.progress;
        assert_eq!(held.reason.as_deref(), Some("platform_not_supported_yet"));
    }
    assert!(tiktok.all().is_empty());
    world.meta_only = false;
    world.work(&[]).await;
    for id in &ids {
        world.until_state(*id, DeliveryState::Delivered).await;
    }
    assert_eq!(tiktok.all().len(), 3, "each once");
    world.close().await;
}

/// The rows of ad-platforms 14 that no answer belongs to: nothing arrived, so nothing is ambiguous.
#[tokio::test]
async fn what_never_reached_the_receiver_is_tried_again_and_is_not_ambiguous() {
    let plain = Receiver::start(|_, _| confirmed()).await;
    let dead = {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        gone.local_addr().unwrap()
    };
    let mut world = World::new(plain.address).await;
    world.save_postback(1, format!("http://{dead}/"), None).await;
    // It speaks no TLS.
    world.save_postback(2, format!("https://{}/", plain.address), None).await;
    let ids = world.conversions(1..2, &[postback(1), postback(2)]).await;
    world.work(LOOPBACK).await;
    for (id, kind) in ids.iter().zip(["connection", "tls"]) {
        let progress = world.until(*id, |delivery| delivery.progress.attempts == 1).await.progress;
        assert_eq!(progress.last.unwrap().error_type.as_deref(), Some(kind));
        assert_eq!((progress.state, progress.ambiguous_since), (DeliveryState::Waiting, None), "{kind}");
    }
    world.close().await;
}

#[tokio::test]
async fn a_post_without_a_body_says_that_it_has_none() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut world = World::new(address).await;
    world.save_postback(1, format!("http://{address}/pb"), None).await;
    let mut row = world.store.catalog.postback(PostbackId(1)).await.unwrap().unwrap();
    row.method = PostbackMethod::Post;
    world.store.catalog.put_postback(row).await.unwrap();
    let id = world.conversions(1..2, &[postback(1)]).await[0];
    world.work(LOOPBACK).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert_eq!(head.matches("content-length: 0\r\n").count(), 1, "{head}");
    assert!(head.starts_with("post /pb ") && !head.contains("transfer-encoding"), "{head}");
    stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
    world.until_state(id, DeliveryState::Delivered).await;
    world.close().await;
}

#[tokio::test]
async fn what_was_sent_before_a_replay_and_is_too_old_now_was_not_skipped() {
    let tracker = Receiver::start(|_, _| StatusCode::BAD_GATEWAY.into_response()).await;
    let mut world = World::new(tracker.address).await;
    world.save_postback(1, format!("http://{}/", tracker.address), None).await;
    let id = world.conversions(1..2, &[postback(1)]).await[0];
    world.work(LOOPBACK).await;
    let failed = world.until(id, |delivery| delivery.progress.attempts == 1).await.progress;
    world.rest().await;
    let again = failed.asked_for(world.clock.now());
    assert!(world.store.outbox.advance(id, &failed, None, again).await.unwrap());
    world.clock.advance(Duration::from_secs(100 * 3600));
    world.work(LOOPBACK).await;
    let ended = world.until(id, |delivery| delivery.progress.state != DeliveryState::Waiting).await.progress;
    assert_eq!((ended.state, ended.reason.as_deref()), (DeliveryState::Expired, Some("too_old")));
    world.close().await;
}
