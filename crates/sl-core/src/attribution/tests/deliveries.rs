//! Jobs: one per event and destination, chosen in the step (contract C.3, G.2, decisions 28, 34).

use super::super::Destinations;
use super::samples::{A, B, at, pixel, postback, seen, smart_link};
use super::world::World;
use crate::{
    catalog::{EventMap, Pixel, PlatformKind, PostbackScope},
    click::{Class, Rung},
    conversion::ConversionKind::{MessageReceived, NewSubscriber, NewTransaction},
    delivery::{DeliveryKind, DeliveryState, Destination, EventName, Progress},
    event::{EventBody, SubscriberSeen},
    ids::{PixelId, PostbackId},
    money::Cents,
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

/// Crawlers and link previews are one class; a prefetch has no row at all.
#[test]
fn bots_previews_and_repeats_send_no_click_event() {
    let mut world = world();
    let mut bot = world.new_click(A, 1, 10, at("03-04T12:00:00Z"));
    (bot.class, bot.rung, bot.pool_link) = (Class::Bot, Rung::Overflow, None);
    world.event(bot.at, EventBody::click(bot));
    assert!(
        world.shown.jobs.is_empty() && world.shown.clicks.len() == 1,
        "it has a row, and nobody hears of it"
    );
    let person = world.click(A, 2, 11, at("03-04T12:01:00Z"));
    world.repeat(&person, at("03-04T12:02:00Z"));
    assert_eq!(jobs(&world, Destination::Pixel(PixelId(1))), [DeliveryKind::Click]);
    assert_eq!(world.shown.jobs.len(), 1);
}

#[test]
fn every_new_subscriber_is_put_on_the_list_of_its_link() {
    let mut world = world();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 1000);
    world.pay("t1", "f", "tip", 100, at("03-04T13:00:00Z"));
    let adds: Vec<_> =
        world.shown.list_adds.iter().map(|add| (add.list.as_str(), add.fan.as_str(), add.link)).collect();
    assert_eq!(adds, [("55", "f", Some(A))]);
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

/// What a pixel with this map hears of a fan who subscribes, buys three times, renews and writes three times.
fn heard(platform: PlatformKind, events: &EventMap) -> Vec<(DeliveryKind, String)> {
    let mut world = World::new();
    let pixel = Pixel { events: events.clone(), ..pixel(1, platform) };
    world.destinations = Destinations::new(&[smart_link(A, &[1])], &[pixel], &[]);
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    world.pay("s", "f", "new_subscription", 1000, at("03-04T12:01:00Z"));
    world.pay("r0", "f", "recurring_subscription", 1000, at("03-04T12:30:00Z"));
    for (nth, kind) in ["tip", "message", "post"].into_iter().enumerate() {
        world.pay(&format!("t{nth}"), "f", kind, 100, at(&format!("03-04T13:0{nth}:00Z")));
    }
    world.pay("r1", "f", "recurring_subscription", 1000, at("03-04T14:00:00Z"));
    for nth in 0..3 {
        world.message(nth, "f", at(&format!("03-04T15:0{nth}:00Z")));
    }
    let kinds = jobs(&world, Destination::Pixel(PixelId(1)));
    kinds.into_iter().map(|kind| (kind, events.name(kind).unwrap_or("none").to_owned())).collect()
}

#[test]
fn the_default_events_of_every_platform_are_those_of_contract_g2() {
    use DeliveryKind as K;
    let usual = |click, subscriber, purchase| {
        [
            (K::Click, click),
            (K::NewSubscriber, subscriber),
            (K::FirstTransaction, purchase),
            (K::NewTransaction, purchase),
            (K::NewTransaction, purchase),
            (K::NewTransaction, purchase),
        ]
    };
    let third = |name| [(K::FanSent3Messages, name)];
    for (platform, want) in [
        (PlatformKind::Meta, [&usual("ViewContent", "Subscribe", "Purchase")[..], &third("Lead")].concat()),
        (PlatformKind::Tiktok, usual("ViewContent", "Subscribe", "CompletePayment").to_vec()),
        (
            PlatformKind::Snapchat,
            [&usual("VIEW_CONTENT", "SIGN_UP", "PURCHASE")[..], &third("LEVEL_COMPLETE")].concat(),
        ),
        (PlatformKind::Creatortraffic, vec![(K::NewSubscriber, "new_subscriber")]),
    ] {
        let heard = heard(platform, &EventMap::usual(platform));
        let heard: Vec<_> = heard.iter().map(|(kind, name)| (*kind, name.as_str())).collect();
        assert_eq!(heard, want, "{platform:?}");
    }
}

#[test]
fn every_event_can_have_a_name_of_its_own_or_be_off() {
    let own = |name: &str| Some(EventName(name.to_owned()));
    for platform in [PlatformKind::Meta, PlatformKind::Tiktok, PlatformKind::Snapchat] {
        let all = EventMap {
            event_click: own("click"),
            event_new_subscriber: own("sub"),
            event_first_transaction: own("first"),
            event_new_transaction: own("repeat"),
            event_message_received_from_fan: own("message"),
            event_fan_sent_1_message: own("one"),
            event_fan_sent_3_messages: own("three"),
        };
        let names = |events: &EventMap| -> Vec<String> {
            heard(platform, events).into_iter().map(|(_, name)| name).collect()
        };
        let mut heard = names(&all);
        heard.sort_unstable();
        let want = [
            "click", "first", "message", "message", "message", "one", "repeat", "repeat", "repeat", "sub",
            "three",
        ];
        assert_eq!(heard, want, "{platform:?}");
        assert!(names(&EventMap::default()).is_empty(), "{platform:?}: all off");
        let without = EventMap { event_first_transaction: None, ..all };
        assert!(!names(&without).contains(&"first".to_owned()), "{platform:?}");
    }
}

/// The reversal matrix (schemas/ad-platforms/README.md): no platform takes money back, and no second event is made.
#[test]
fn a_reversal_is_told_to_no_platform_and_no_postback() {
    for status in ["undo", "chargeback", "refunded", "reversed", "pending_return"] {
        let mut world = World::new();
        let kinds = PlatformKind::ALL;
        let pixels: Vec<_> = (1..).zip(kinds).map(|(id, platform)| pixel(id, platform)).collect();
        let postbacks = [postback(1, PostbackScope::Global, &[NewSubscriber, NewTransaction])];
        world.destinations = Destinations::new(&[smart_link(A, &[1, 2, 3, 4])], &pixels, &postbacks);
        world.click(A, 1, 10, at("03-04T12:00:00Z"));
        world.seen(10, "f", at("03-04T12:01:00Z"), 0);
        for id in ["t1", "t2"] {
            world.pay(id, "f", "tip", 100, at("03-04T13:00:00Z"));
        }
        let before = world.shown.jobs.clone();
        for id in ["t1", "t2"] {
            world.status(id, "f", "tip", 100, status, at("03-04T13:00:00Z"), at("03-04T14:00:00Z"));
        }
        assert_eq!(world.shown.jobs, before, "{status}");
        // What is sent later, or again, still says what was bought.
        assert!(world.shown.conversions.values().all(|row| row.gross.0 >= 0), "{status}");
    }
}

/// The first column of the reversal matrix: taken back before it was credited, it is told as it was made, once.
#[test]
fn a_purchase_that_was_taken_back_before_it_was_told_is_told_as_it_was_made() {
    let told = |statuses: [&str; 2]| {
        let mut world = World::new();
        let pixels: Vec<_> = (1..).zip(PlatformKind::ALL).map(|(id, platform)| pixel(id, platform)).collect();
        let postbacks = [postback(1, PostbackScope::Global, &[NewTransaction])];
        world.destinations = Destinations::new(&[smart_link(A, &[1, 2, 3, 4])], &pixels, &postbacks);
        world.click(A, 1, 10, at("03-04T12:00:00Z"));
        world.seen(10, "f", at("03-04T12:01:00Z"), 0);
        for (status, arrives) in statuses.into_iter().zip(["03-04T13:00:00Z", "03-04T14:00:00Z"]) {
            world.status("t1", "f", "tip", 100, status, at("03-04T13:00:00Z"), at(arrives));
        }
        let rows = world.shown.conversions.values().filter(|row| row.kind == NewTransaction);
        let rows: Vec<_> = rows.map(|row| (row.gross, row.transaction.clone().unwrap().status)).collect();
        let jobs: Vec<_> =
            world.shown.jobs.values().map(|job| (job.destination, job.kind, job.event_id.clone())).collect();
        (rows, jobs)
    };
    // The reversal waits for its transaction (decisions 40).
    let (rows, jobs) = told(["undo", "done"]);
    assert_eq!(rows, [(Cents(100), "undo".to_owned())]);
    assert_eq!((rows, jobs), told(["done", "undo"]), "as if it had been taken back afterwards");
}
