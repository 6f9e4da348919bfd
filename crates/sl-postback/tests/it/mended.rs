//! Destinations whose target or token was wrong and is mended: what waited for that goes where it should, once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse};
use sl_core::{
    catalog::{Pixel, ValueBasis},
    delivery::{Delivery, DeliveryState, Destination, Progress, RenderedRequest},
    ids::{DeliveryId, PixelId, PostbackId},
    retry,
    seal::{PIXEL_TOKEN, SealKeys, Secret},
    time::Clock,
};
use sl_store::suite::sample::{HOUR, after};

use crate::{
    faults::Faults,
    unrecorded::counted,
    world::{PIXEL, Received, Receiver, World, confirmed, postback, refused},
};

const LOOPBACK: &[&str] = &["127.0.0.0/8"];

/// Changes the pixel a second later: nothing that waits is due by that.
async fn mend(world: &World, change: impl FnOnce(&mut Pixel)) {
    world.clock.advance(Duration::from_secs(1));
    let mut pixel = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
    change(&mut pixel);
    pixel.updated_at = world.clock.now();
    world.store.catalog.put_pixel(pixel).await.unwrap();
}

fn token(world: &World, token: &str) -> Vec<u8> {
    world.keys.seal(PIXEL_TOKEN, &Secret::new(token), [4; 24])
}

async fn all_are(world: &World, ids: &[DeliveryId], state: DeliveryState) {
    for id in ids {
        world.until_state(*id, state).await;
    }
}

#[tokio::test]
async fn what_was_refused_for_a_wrong_target_goes_to_the_right_one_once_that_is_entered() {
    let meta = Receiver::start(
        |_, one: &Received| {
            if one.uri.contains("/456/") { confirmed() } else { refused(100, 33) }
        },
    )
    .await;
    let mut world = World::new(meta.address).await;
    let mut ids = world.conversions(1..40, &[PIXEL]).await;
    world.work(LOOPBACK).await;
    for id in &ids {
        let delivery = world.until_state(*id, DeliveryState::Parked).await;
        assert_eq!(delivery.progress.reason.as_deref(), Some("config"));
    }
    let before = meta.all();
    mend(&world, |pixel| pixel.pixel_id = "456".to_owned()).await;
    ids.extend(world.conversions(40..60, &[PIXEL]).await);
    for id in &ids {
        world.until_state(*id, DeliveryState::Delivered).await;
    }
    let after: Vec<_> = meta.all().split_off(before.len());
    assert!(after.iter().all(|one| one.uri.contains("/456/")), "nobody asks the wrong one again");
    // Only the address is another.
    let wrong = before[0].events().remove(0);
    let again = after.iter().flat_map(Received::events);
    assert!(again.into_iter().any(|event| event.get() == wrong.get()), "{}", wrong.get());
    world.close().await;
}

#[tokio::test]
async fn what_was_written_for_a_mended_target_stays_the_same_whatever_comes_of_it() {
    let down = Arc::new(AtomicBool::new(true));
    let answers = Arc::clone(&down);
    let meta = Receiver::start(move |_, one: &Received| match one.uri.contains("/456/") {
        false => refused(100, 33),
        true if answers.load(Ordering::SeqCst) => StatusCode::BAD_GATEWAY.into_response(),
        true => confirmed(),
    })
    .await;
    let mut world = World::new(meta.address).await;
    let id = world.conversions(1..2, &[PIXEL]).await[0];
    world.work(LOOPBACK).await;
    world.until_state(id, DeliveryState::Parked).await;
    mend(&world, |pixel| pixel.pixel_id = "456".to_owned()).await;
    let told =
        |delivery: &Delivery| delivery.progress.last.as_ref().is_some_and(|last| last.status == Some(502));
    let failed = world.until(id, told).await.progress;
    assert_eq!(failed.attempts, 1);
    let (latest, shown) = world.store.deliveries.latest(PIXEL).await.unwrap().unwrap();
    assert!(
        latest.job.id == id && shown.url.contains("/456/"),
        "what is shown is what was sent: {}",
        shown.url
    );
    // Something else of the pixel is changed before it is sent again.
    mend(&world, |pixel| pixel.value_basis = ValueBasis::Net).await;
    down.store(false, Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(60));
    world.until_state(id, DeliveryState::Delivered).await;
    let sent: Vec<_> = meta.all().into_iter().filter(|one| one.uri.contains("/456/")).collect();
    assert_eq!(sent.len(), 2);
    assert_eq!((&sent[0].uri, &sent[0].body), (&sent[1].uri, &sent[1].body));
    world.close().await;
}

/// The pixel's id is mended first, and only then its token: what was refused for the id must not go to the old one.
#[tokio::test]
async fn a_target_that_is_mended_before_the_token_is_not_forgotten_over_it() {
    let meta = Receiver::start(|_, one: &Received| {
        match (one.uri.contains("/456/"), String::from_utf8_lossy(&one.body).contains("GOOD")) {
            (false, _) => refused(100, 33),
            (true, false) => refused(190, 463),
            (true, true) => confirmed(),
        }
    })
    .await;
    let mut world = World::new(meta.address).await;
    let ids = world.conversions(1..20, &[PIXEL]).await;
    world.work(LOOPBACK).await;
    let all_are = async |reason: &str| {
        for id in &ids {
            let is = |delivery: &Delivery| delivery.progress.reason.as_deref() == Some(reason);
            world.until(*id, is).await;
        }
    };
    all_are("config").await;
    mend(&world, |pixel| pixel.pixel_id = "456".to_owned()).await;
    all_are("auth").await;
    let sealed_token = token(&world, "GOOD");
    mend(&world, |pixel| pixel.sealed_token = sealed_token).await;
    let before = meta.all().len();
    for id in &ids {
        world.until_state(*id, DeliveryState::Delivered).await;
    }
    assert!(
        meta.all()[before..].iter().all(|one| one.uri.contains("/456/")),
        "nobody asks the wrong one again"
    );
    world.close().await;
}

/// It may have arrived at the first target before that refused it: it is not told to another with other bytes.
#[tokio::test]
async fn what_may_have_arrived_at_a_wrong_target_is_told_to_another_only_when_somebody_asks() {
    let meta = Receiver::start(
        |_, one: &Received| {
            if one.uri.contains("/456/") { confirmed() } else { refused(100, 33) }
        },
    )
    .await;
    let mut world = World::new(meta.address).await;
    let id = world.conversions(1..2, &[PIXEL]).await[0];
    let fresh = world.delivery(id).await.progress;
    let doubtful = Progress { ambiguous_since: Some(world.clock.now()), ..fresh.clone() };
    assert!(world.store.outbox.advance(id, &fresh, None, doubtful).await.unwrap());
    world.work(LOOPBACK).await;
    world.until_state(id, DeliveryState::Parked).await;
    mend(&world, |pixel| pixel.pixel_id = "456".to_owned()).await;
    let is_doubtful = |delivery: &Delivery| delivery.progress.reason.as_deref() == Some("ambiguous");
    let held = world.until(id, is_doubtful).await.progress;
    assert!(world.store.outbox.advance(id, &held, None, held.asked_for(world.clock.now())).await.unwrap());
    world.until_state(id, DeliveryState::Delivered).await;
    assert_eq!(meta.all().iter().filter(|one| one.uri.contains("/456/")).count(), 1);
    world.close().await;
}

/// Its receiver was down before the target proved wrong: what is written already goes to the new one, though nobody was told by its own
/// answer.
#[tokio::test]
async fn what_was_written_and_held_over_others_refusals_goes_to_the_right_target_too() {
    let says = Arc::new(AtomicU16::new(502));
    let status = Arc::clone(&says);
    let tracker = Receiver::start(move |_, one: &Received| match one.uri.starts_with("/right") {
        true => "ok".into_response(),
        false => StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap().into_response(),
    })
    .await;
    let mut world = World::new(tracker.address).await;
    world.save_postback(1, format!("http://{}/wrong?e={{event_id}}", tracker.address), None).await;
    let ids = world.conversions(1..16, &[postback(1)]).await;
    world.work(LOOPBACK).await;
    for id in &ids {
        world.until(*id, |delivery| delivery.progress.attempts == 1).await;
    }
    says.store(404, Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(600));
    all_are(&world, &ids, DeliveryState::Parked).await;
    let before = tracker.all().len();
    assert!(before < 2 * ids.len(), "some were held over what others were told");
    world.clock.advance(Duration::from_secs(10));
    let mut row = world.store.catalog.postback(PostbackId(1)).await.unwrap().unwrap();
    (row.url, row.updated_at) =
        (format!("http://{}/right?e={{event_id}}", tracker.address), world.clock.now());
    world.store.catalog.put_postback(row).await.unwrap();
    all_are(&world, &ids, DeliveryState::Delivered).await;
    assert!(tracker.all()[before..].iter().all(|one| one.uri.starts_with("/right")));
    world.close().await;
}

#[tokio::test]
async fn id_and_token_that_are_mended_at_once_are_both_used() {
    let meta = Receiver::start(|_, one: &Received| {
        match (one.uri.contains("/456/"), String::from_utf8_lossy(&one.body).contains("GOOD")) {
            (_, false) => refused(190, 463),
            (false, true) => refused(100, 33),
            (true, true) => confirmed(),
        }
    })
    .await;
    let mut world = World::new(meta.address).await;
    let mut ids = world.conversions(1..20, &[PIXEL]).await;
    world.work(LOOPBACK).await;
    all_are(&world, &ids, DeliveryState::Parked).await;
    let sealed_token = token(&world, "GOOD");
    mend(&world, |pixel| (pixel.pixel_id, pixel.sealed_token) = ("456".to_owned(), sealed_token)).await;
    ids.extend(world.conversions(20..40, &[PIXEL]).await);
    all_are(&world, &ids, DeliveryState::Delivered).await;
    world.close().await;
}

#[tokio::test]
async fn a_target_that_is_changed_while_its_receiver_is_down_is_not_blamed_for_the_old_one() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let meta = Receiver::start(move |_, one: &Received| match one.uri.contains("/456/") {
        true => confirmed(),
        false if is_down.load(Ordering::SeqCst) => StatusCode::BAD_GATEWAY.into_response(),
        false => refused(100, 33),
    })
    .await;
    let mut world = World::new(meta.address).await;
    let mut ids = world.conversions(1..16, &[PIXEL]).await;
    world.work(LOOPBACK).await;
    for id in &ids {
        world.until(*id, |delivery| delivery.progress.attempts == 1).await;
    }
    down.store(false, Ordering::SeqCst);
    mend(&world, |pixel| pixel.pixel_id = "456".to_owned()).await;
    world.clock.advance(Duration::from_secs(600));
    ids.extend(world.conversions(20..40, &[PIXEL]).await);
    all_are(&world, &ids, DeliveryState::Delivered).await;
    world.close().await;
}

/// Enters another address, a second later.
async fn correct(world: &World, url: String) {
    world.clock.advance(Duration::from_secs(1));
    let mut row = world.store.catalog.postback(PostbackId(1)).await.unwrap().unwrap();
    (row.url, row.updated_at) = (url, world.clock.now());
    world.store.catalog.put_postback(row).await.unwrap();
}

/// Where nobody listens, for as long as it is kept.
fn nowhere() -> (tokio::net::TcpSocket, String) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/?e={{event_id}}", socket.local_addr().unwrap());
    (socket, url)
}

#[tokio::test]
async fn what_never_reached_a_mistyped_host_goes_to_the_corrected_one() {
    let tracker = Receiver::start(|_, _| "ok".into_response()).await;
    let (_nobody, mistyped) = nowhere();
    let mut world = World::new(tracker.address).await;
    world.save_postback(1, mistyped, None).await;
    let id = world.conversions(1..2, &[postback(1)]).await[0];
    world.work(LOOPBACK).await;
    let failed = world.until(id, |delivery| delivery.progress.attempts == 1).await.progress;
    assert_eq!((failed.state, failed.last.unwrap().status), (DeliveryState::Waiting, None));
    correct(&world, format!("http://{}/right?e={{event_id}}", tracker.address)).await;
    world.clock.set(failed.next_attempt_at.unwrap());
    world.until_state(id, DeliveryState::Delivered).await;
    let attempts = world.store.deliveries.attempts(id).await.unwrap();
    let statuses: Vec<_> = attempts.iter().map(|one| one.status).collect();
    assert_eq!((statuses, tracker.all().len()), (vec![None, Some(200)], 1), "nobody asks the old one again");
    world.close().await;
}

#[tokio::test]
async fn what_a_receiver_refused_is_written_anew_when_its_postback_was_corrected() {
    let tracker = Receiver::start(|_, one: &Received| match one.uri.starts_with("/right") {
        true => "ok".into_response(),
        false => StatusCode::BAD_REQUEST.into_response(),
    })
    .await;
    let mut world = World::new(tracker.address).await;
    world.save_postback(1, format!("http://{}/wrong?e={{event_id}}", tracker.address), None).await;
    let id = world.conversions(1..2, &[postback(1)]).await[0];
    world.work(LOOPBACK).await;
    let refused = world.until_state(id, DeliveryState::Parked).await.progress;
    assert_eq!(refused.reason.as_deref(), Some("payload"));
    correct(&world, format!("http://{}/right?e={{event_id}}", tracker.address)).await;
    let again = refused.asked_for(world.clock.now());
    assert!(world.store.outbox.advance(id, &refused, None, again).await.unwrap());
    world.until_state(id, DeliveryState::Delivered).await;
    assert_eq!(tracker.all().len(), 2);
    world.close().await;
}

/// More than let a destination rest: all of them find nobody before the first is sent where it should.
#[tokio::test]
async fn a_corrected_host_does_not_rest_for_what_never_reached_the_mistyped_one() {
    let tracker = Receiver::start(|_, _| "ok".into_response()).await;
    let (_nobody, mistyped) = nowhere();
    let mut world = World::new(tracker.address).await;
    world.save_postback(1, format!("http://{}/right?e={{event_id}}", tracker.address), None).await;
    let ids = world.conversions(1..26, &[postback(1)]).await;
    for id in &ids {
        let old = RenderedRequest {
            method: "GET".to_owned(),
            url: mistyped.clone(),
            written_for: HOUR.minus(Duration::from_secs(1)),
            ..RenderedRequest::default()
        };
        world.store.outbox.store_body(*id, old).await.unwrap();
    }
    world.work(LOOPBACK).await;
    all_are(&world, &ids, DeliveryState::Delivered).await;
    assert_eq!(tracker.all().len(), ids.len());
    for id in &ids {
        let attempts = world.store.deliveries.attempts(*id).await.unwrap();
        assert_eq!(attempts.iter().map(|one| one.status).collect::<Vec<_>>(), [None, Some(200)]);
    }
    world.close().await;
}

#[tokio::test]
async fn what_waited_for_a_wrong_address_of_the_platform_goes_to_the_right_one_after_a_start() {
    let wrong = Receiver::start(|_, _| refused(100, 33)).await;
    let right = Receiver::start(|_, _| confirmed()).await;
    let mut world = World::new(wrong.address).await;
    let mut ids = world.conversions(1..20, &[PIXEL]).await;
    world.work(LOOPBACK).await;
    all_are(&world, &ids, DeliveryState::Parked).await;
    let before = wrong.all().len();
    world.rest().await;
    world.meta = right.address;
    world.work(LOOPBACK).await;
    ids.extend(world.conversions(20..30, &[PIXEL]).await);
    all_are(&world, &ids, DeliveryState::Delivered).await;
    assert_eq!((wrong.all().len(), right.all().len()), (before, ids.len()));
    world.close().await;
}

/// The right one was entered while it waited: what the wrong one says then is not held against it.
#[tokio::test]
async fn what_was_written_for_a_wrong_address_of_the_platform_is_written_anew_once_that_refuses_it() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let wrong = Receiver::start(move |_, _| match is_down.load(Ordering::SeqCst) {
        true => StatusCode::BAD_GATEWAY.into_response(),
        false => refused(100, 33),
    })
    .await;
    let right = Receiver::start(|_, _| confirmed()).await;
    let mut world = World::new(wrong.address).await;
    let id = world.conversions(1..2, &[PIXEL]).await[0];
    world.work(LOOPBACK).await;
    let failed = world.until(id, |delivery| delivery.progress.attempts == 1).await.progress;
    world.rest().await;
    world.meta = right.address;
    down.store(false, Ordering::SeqCst);
    world.clock.set(failed.next_attempt_at.unwrap());
    world.work(LOOPBACK).await;
    world.until_state(id, DeliveryState::Delivered).await;
    assert_eq!((wrong.all().len(), right.all().len()), (2, 1), "somebody may have had it: the same first");
    world.close().await;
}

#[tokio::test]
async fn what_waited_for_the_keys_of_the_installation_goes_on_after_a_start_with_them() {
    let meta = Receiver::start(|_, _| confirmed()).await;
    let mut world = World::new(meta.address).await;
    let keys = std::mem::replace(&mut world.keys, SealKeys::new([8; 32]));
    let id = world.conversions(1..2, &[PIXEL]).await[0];
    world.work(LOOPBACK).await;
    let held = world.until_state(id, DeliveryState::Parked).await.progress;
    assert_eq!(held.reason.as_deref(), Some("token_missing"));
    world.rest().await;
    world.keys = keys;
    world.work(LOOPBACK).await;
    world.until_state(id, DeliveryState::Delivered).await;
    world.close().await;
}

#[tokio::test]
async fn what_is_parked_is_read_once_at_a_start_however_many_destinations_there_are() {
    let tracker = Receiver::start(|_, _| "ok".into_response()).await;
    let mut world = World::new(tracker.address).await;
    let faults = Faults::within(&mut world);
    let all: Vec<Destination> = (1..=30).map(postback).collect();
    for number in 1..=30 {
        world.save_postback(number, format!("http://{}/", tracker.address), None).await;
    }
    let ids = world.conversions(1..11, &all).await;
    let (last, refused) = ids.split_last().unwrap();
    for (ids, reason, held_for) in [
        (refused, retry::reason::PAYLOAD, None),
        (&[*last], retry::reason::CONFIG, Some(HOUR.minus(Duration::from_secs(1)))),
    ] {
        for id in ids {
            let from = world.delivery(*id).await.progress;
            let to = retry::ended(from.clone(), DeliveryState::Parked, Some(reason));
            let to = Progress { held_for, updated_at: after(31), ..to };
            assert!(world.store.outbox.advance(*id, &from, None, to).await.unwrap());
        }
    }
    world.work(LOOPBACK).await;
    world.until_state(*last, DeliveryState::Delivered).await;
    // The worker's own question, the first look's, the second one's.
    counted(&faults.asked_who_rests, 3).await;
    // Two hundred, the other hundred, no more.
    assert_eq!(faults.listed.load(Ordering::SeqCst), 3);
    world.close().await;
}
