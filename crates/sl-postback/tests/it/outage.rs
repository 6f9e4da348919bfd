//! What a receiver may do without anything being lost, told twice in two ways, or believed that is not so.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sl_core::{delivery::DeliveryState, retry::reason, time::Clock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{PIXEL, Received, Receiver, World, all_confirmed, confirmed, event_id};

/// Events of an hour, unless `SMARTLINKS_TEST_OUTAGE_EVENTS` asks for more: 360,000 are 100 a second.
const EVENTS: u64 = 400;
const HOUR: Duration = Duration::from_secs(3600);

/// Waits until nothing is due at the hour that it is.
async fn settle(world: &World) {
    while world.store.deliveries.counts(world.clock.now()).await.unwrap().due_now > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_down_for_a_day_gets_everything_afterwards_each_event_with_one_body() {
    let events = std::env::var("SMARTLINKS_TEST_OUTAGE_EVENTS").map_or(EVENTS, |text| text.parse().unwrap());
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let meta = Receiver::start(move |_, one| {
        if is_down.load(SeqCst) {
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        } else {
            all_confirmed(one)
        }
    })
    .await;
    let mut world = World::new(meta.address).await;
    world.work(&[]).await;
    for hour in 0..24 {
        // Attribution takes many steps for many.
        for first in (0..events).step_by(500) {
            let numbers = hour * events + 1 + first..hour * events + 1 + (first + 500).min(events);
            world.conversions(numbers, &[PIXEL]).await;
        }
        settle(&world).await;
        world.clock.advance(HOUR);
    }
    let asked = meta.all().len();
    // What failed together in the first hour waits for its second attempt, so it is left alone in the second.
    assert!(asked >= 20 + 22, "asked until it is left alone, then once an hour at least: {asked}");
    assert_eq!(world.store.deliveries.counts(world.clock.now()).await.unwrap().delivered, 0);
    down.store(false, SeqCst);
    // The longest wait of the schedule is 14 h and a fifth of it.
    for _ in 0..17 {
        settle(&world).await;
        world.clock.advance(HOUR);
    }
    settle(&world).await;
    let counts = world.store.deliveries.counts(world.clock.now()).await.unwrap();
    assert_eq!((counts.delivered, counts.waiting, counts.parked, counts.expired), (24 * events, 0, 0, 0));
    let mut bodies: HashMap<String, HashSet<String>> = HashMap::new();
    for event in meta.all().iter().flat_map(Received::events) {
        bodies.entry(event_id(&event)).or_default().insert(event.get().to_owned());
    }
    assert_eq!(bodies.len() as u64, 24 * events, "every event came");
    let twice = bodies.iter().filter(|(_, bodies)| bodies.len() > 1).count();
    assert_eq!(twice, 0, "no event has two bodies");
    let afterwards = meta.all().split_off(asked);
    let taken = afterwards.iter().map(|one| one.events().len() as u64).sum::<u64>();
    assert_eq!(taken, 24 * events, "what was taken is not sent again");
    assert!(afterwards.len() as u64 <= 24 * events / 20, "a queue goes together: {}", afterwards.len());
    world.close().await;
}

/// Misbehaves the first time, confirms afterwards.
fn once(first: impl Fn() -> Response + Send + Sync + 'static) -> impl Fn(usize, &Received) -> Response {
    move |before, _| if before == 0 { first() } else { confirmed() }
}

#[tokio::test]
async fn a_page_for_people_is_no_confirmation_and_the_same_bytes_go_again() {
    for (status, page) in [
        (StatusCode::OK, "<!doctype html><title>Sign in</title><p>events_received: 1"),
        (StatusCode::BAD_GATEWAY, "<html><h1>502 Bad Gateway</h1></html>"),
    ] {
        let meta = Receiver::start(once(move || (status, page).into_response())).await;
        let mut world = World::new(meta.address).await;
        let id = world.conversions(1..2, &[PIXEL]).await[0];
        world.work(&[]).await;
        let first = world.until(id, |delivery| delivery.progress.attempts == 1).await.progress;
        assert_eq!(first.state, DeliveryState::Waiting, "{status}");
        world.clock.set(first.next_attempt_at.unwrap());
        world.until_state(id, DeliveryState::Delivered).await;
        let bodies: HashSet<_> = meta.all().into_iter().map(|one| one.body).collect();
        assert_eq!((meta.all().len(), bodies.len()), (2, 1), "{status}");
        world.close().await;
    }
}

#[tokio::test]
async fn an_error_in_a_successful_answer_is_a_refusal_with_the_platforms_words() {
    let error = r#"{"error":{"message":"Invalid parameter","code":100,"error_subcode":2804019}}"#;
    let meta = Receiver::start(move |_, _| (StatusCode::OK, error).into_response()).await;
    let mut world = World::new(meta.address).await;
    let id = world.conversions(1..2, &[PIXEL]).await[0];
    world.work(&[]).await;
    let refused = world.until(id, |delivery| delivery.progress.attempts == 1).await.progress;
    assert_ne!(refused.state, DeliveryState::Delivered);
    assert!(refused.last.unwrap().message.unwrap().contains("Invalid parameter"));
    world.close().await;
}

#[tokio::test]
async fn a_platform_that_redirects_inside_is_not_followed_and_everything_waits_for_the_operator() {
    let inside = Receiver::start(|_, _| confirmed()).await;
    let to = format!("http://{}/latest/meta-data", inside.address);
    let meta = Receiver::start(move |_, _| {
        (StatusCode::TEMPORARY_REDIRECT, [("location", to.clone())]).into_response()
    })
    .await;
    let mut world = World::new(meta.address).await;
    let id = world.conversions(1..2, &[PIXEL]).await[0];
    world.work(&[]).await;
    let progress = world.until(id, |delivery| delivery.progress.attempts == 1).await.progress;
    assert_ne!(progress.state, DeliveryState::Delivered);
    assert_eq!(progress.last.unwrap().status, Some(307));
    assert_ne!(progress.reason.as_deref(), Some(reason::PAYLOAD), "the event is not to blame");
    assert!(inside.all().is_empty());
    world.close().await;
}

/// Half of an answer that confirms, at the first request; all of it afterwards.
async fn breaking(half: &'static str) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut answer = half;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            // The body is JSON, and its last brace closes it.
            while !request.ends_with(b"}") {
                let mut more = [0; 4096];
                let read = stream.read(&mut more).await.unwrap();
                if read == 0 {
                    break;
                }
                request.extend_from_slice(&more[..read]);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            answer =
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 21\r\n\r\n{\"events_received\":1}";
        }
    });
    address
}

#[tokio::test]
async fn an_answer_that_breaks_off_before_it_confirms_is_no_confirmation() {
    for half in [
        "HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n{\"events_rece",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{\"events_rece",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "",
    ] {
        let mut world = World::new(breaking(half).await).await;
        let id = world.conversions(1..2, &[PIXEL]).await[0];
        world.work(&[]).await;
        let first = world.until(id, |delivery| delivery.progress.attempts == 1).await.progress;
        assert_eq!(first.state, DeliveryState::Waiting, "{half:?}");
        assert!(first.ambiguous_since.is_some(), "it may have arrived: {half:?}");
        world.clock.set(first.next_attempt_at.unwrap());
        let told = world.until_state(id, DeliveryState::Delivered).await;
        assert_eq!(told.progress.attempts, 2, "{half:?}");
        world.close().await;
    }
}
