//! Jobs: one per event and destination, chosen in the step (contract C.3, G.2, decisions 28, 34).

use super::super::Destinations;
use super::samples::{A, B, at, pixel, postback, seen, smart_link};
use super::world::World;
use crate::{
    catalog::{PlatformKind, PostbackScope},
    conversion::ConversionKind::{MessageReceived, NewSubscriber, NewTransaction},
    delivery::{DeliveryKind, DeliveryState, Destination, Progress},
    event::{EventBody, SubscriberSeen},
    ids::{PixelId, PostbackId},
};

fn world() -> World {
    let mut world = World::new();
    let links = [smart_link(A, &[1, 2]), smart_link(B, &[])];
    let pixels = [pixel(1, PlatformKind::Meta), pixel(2, PlatformKind::Creatortraffic)];
    let postbacks = [
        postback(1, PostbackScope::Global, &[NewSubscriber, NewTransaction]),
        postback(2, PostbackScope::Links(vec![B]), &[NewTransaction, MessageReceived]),
    ];
    world.destinations = Destinations::new(&links, &pixels, &postbacks);
    world
}

fn jobs(world: &World, destination: Destination) -> Vec<DeliveryKind> {
    let mut jobs: Vec<_> = world.shown.jobs.values().filter(|job| job.destination == destination).collect();
    jobs.sort_by_key(|job| (job.occurred_at, job.id));
    jobs.into_iter().map(|job| job.kind).collect()
}

#[test]
fn pixels_hear_what_their_map_says_and_postbacks_what_scope_and_type_say() {
    let mut world = world();
    let click = world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 1000);
    world.pay("s", "f", "new_subscription", 1000, at("03-04T12:01:00Z"));
    world.pay("t1", "f", "tip", 100, at("03-04T13:00:00Z"));
    world.pay("t2", "f", "tip", 100, at("03-04T14:00:00Z"));
    world.message(1, "f", at("03-04T15:00:00Z"));
    use DeliveryKind as K;
    assert_eq!(
        jobs(&world, Destination::Pixel(PixelId(1))),
        [K::Click, K::NewSubscriber, K::FirstTransaction, K::NewTransaction, K::FanSent1Message],
        "subscription payments are no purchase, and every message is off"
    );
    assert_eq!(jobs(&world, Destination::Pixel(PixelId(2))), [K::NewSubscriber], "CreatorTraffic");
    assert_eq!(jobs(&world, Destination::Postback(PostbackId(1))).len(), 4);
    assert!(jobs(&world, Destination::Postback(PostbackId(2))).is_empty(), "another link");
    let of_click = world.shown.jobs.values().find(|job| job.kind == K::Click).unwrap();
    assert_eq!(of_click.event_id, format!("clk_{}", click.id));
    assert_eq!((of_click.conversion, of_click.fan.clone()), (None, None));
}

#[test]
fn a_status_change_makes_no_second_delivery() {
    let mut world = world();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 1000);
    world.status("t", "f", "tip", 100, "loading", at("03-04T13:00:00Z"), at("03-04T13:00:00Z"));
    let before = world.shown.jobs.len();
    world.status("t", "f", "tip", 100, "done", at("03-04T13:00:00Z"), at("03-04T13:01:00Z"));
    world.status("t", "f", "tip", 100, "undo", at("03-04T13:00:00Z"), at("03-04T13:02:00Z"));
    assert_eq!(world.shown.jobs.len(), before);
}

#[test]
fn duplicates_send_no_click_event() {
    let mut world = world();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.click(A, 1, 11, at("03-04T12:00:01Z"));
    assert_eq!(jobs(&world, Destination::Pixel(PixelId(1))), [DeliveryKind::Click]);
}

#[test]
fn every_new_subscriber_is_put_on_the_list_of_its_link() {
    let mut world = world();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 1000);
    world.pay("t1", "f", "tip", 100, at("03-04T13:00:00Z"));
    let adds: Vec<_> =
        world.shown.list_adds.iter().map(|add| (add.list.as_str(), add.fan.as_str())).collect();
    assert_eq!(adds, [("55", "f")]);
}

#[test]
fn a_subscriber_of_the_overflow_link_is_skipped_by_pixels_with_the_reason_and_told_to_postbacks() {
    let mut world = world();
    let look = SubscriberSeen {
        overflow_of: Some(A),
        subscribed_at: Some(at("03-04T12:00:00Z")),
        ..seen(99, "f", at("03-04T12:05:00Z"))
    };
    world.event(at("03-04T12:05:00Z"), EventBody::SubscriberSeen(look));
    world.pay("t", "f", "tip", 300, at("03-04T13:00:00Z"));
    let skip = |destination, kind| {
        let found = world.shown.jobs.values().find(|job| (job.destination, job.kind) == (destination, kind));
        found.map(|job| job.skip.as_deref())
    };
    let (meta, creatortraffic) = (Destination::Pixel(PixelId(1)), Destination::Pixel(PixelId(2)));
    use DeliveryKind as K;
    assert_eq!(skip(meta, K::NewSubscriber), Some(Some("insufficient_user_data")));
    assert_eq!(skip(meta, K::FirstTransaction), Some(Some("insufficient_user_data")));
    assert_eq!(skip(creatortraffic, K::NewSubscriber), Some(Some("missing_click_id")));
    assert_eq!(skip(Destination::Postback(PostbackId(1)), K::NewSubscriber), Some(None));
    for job in world.shown.jobs.values() {
        let progress = Progress::of(job);
        let state = if job.skip.is_some() { DeliveryState::Skipped } else { DeliveryState::Waiting };
        assert_eq!((progress.state, progress.reason), (state, job.skip.clone()));
        assert_eq!(progress.next_attempt_at.is_some(), job.skip.is_none(), "nothing skipped is due");
    }
}
