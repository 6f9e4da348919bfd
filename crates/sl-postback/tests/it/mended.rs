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
    delivery::{Delivery, DeliveryState, Progress},
    ids::{DeliveryId, PixelId, PostbackId},
    seal::{PIXEL_TOKEN, Secret},
    time::Clock,
};

use crate::world::{PIXEL, Received, Receiver, World, confirmed, postback, refused};

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
    let (latest, shown) = world.store.outbox.latest(PIXEL).await.unwrap().unwrap();
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
