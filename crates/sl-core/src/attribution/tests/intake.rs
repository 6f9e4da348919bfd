//! Messages, webhooks, the clock, sums by dimension (decisions 29, 51, 52, 60).

use serde_json::json;

use super::samples::{A, B, SIX_HOURS, at, seen, transaction, webhook};
use super::world::World;
use crate::{conversion::ConversionKind, event::EventBody, ids::FanId};

#[test]
fn the_first_and_third_message_fire_once_per_binding() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.message(1, "f", at("03-04T12:30:00Z"));
    world.seen(10, "f", at("03-04T12:31:00Z"), 0);
    for id in 2..=5 {
        world.message(id, "f", at("03-04T13:00:00Z"));
    }
    let count = |world: &World, kind, link| {
        world.shown.conversions.values().filter(|row| row.kind == kind && row.link == link).count()
    };
    use ConversionKind::{FanSent1Message, FanSent3Messages, MessageReceived};
    let counts = [MessageReceived, FanSent1Message, FanSent3Messages].map(|kind| count(&world, kind, A));
    assert_eq!(counts, [5, 1, 1], "the message before the match has waited");
    world.click(B, 1, 11, at("03-05T12:00:00Z"));
    world.message(6, "f", at("03-05T13:00:00Z"));
    let counts = [MessageReceived, FanSent1Message, FanSent3Messages].map(|kind| count(&world, kind, B));
    assert_eq!(counts, [1, 1, 0]);
    assert_eq!(world.shown.fans[&(A, FanId::from("f"))].messages, 5);
    let amounts: i64 = world.shown.conversions.values().map(|row| row.gross.0).sum();
    assert_eq!(amounts, 0);
}

#[test]
fn a_webhook_counts_once_per_idempotency_key_for_eight_days() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    let message = json!({"id": 1, "createdAt": "2026-03-04T13:00:00Z", "fromUser": {"id": "f"}});
    world.webhook(at("03-04T13:00:00Z"), "evt_1", "messages.received", message.clone());
    let after_one = world.shown.conversions.len();
    world.webhook(at("03-04T13:01:00Z"), "evt_1", "messages.received", message.clone());
    world.webhook(at("03-04T13:02:00Z"), "evt_other", "messages.received", message);
    assert_eq!(world.shown.conversions.len(), after_one);
    assert_eq!(world.counts.webhooks[&("messages.received".to_owned(), "duplicate")], 1);
    let size = world.shown.state.len();
    for day in 5..=30 {
        world.tick(at(&format!("03-{day:02}T13:05:00Z")));
    }
    assert!(world.shown.state.len() <= size - 3, "keys are forgotten after eight days");
}

#[test]
fn an_unusable_webhook_is_a_dead_letter_until_its_retry_works() {
    let mut world = World::new();
    let body = br#"{"event":"transactions.new","account_id":"acct_7f3a","payload":{"id":"t"}}"#.to_vec();
    let when = at("03-04T12:00:00Z");
    world.event(when, EventBody::Webhook(webhook(when, "evt_1", "transactions.new", body.clone())));
    let letter = world.shown.dead_letters[0].clone();
    assert!(letter.reason.starts_with("payload.status: is missing"), "{}", letter.reason);
    assert_eq!((letter.body.clone(), letter.key.as_str()), (body, "evt_1"));
    let good = json!({"event": "transactions.new", "account_id": "acct_7f3a",
        "payload": transaction("t", "f", "tip", 5, "done", when)});
    let mut retry = webhook(when, "evt_1", "transactions.new", good.to_string().into_bytes());
    retry.retry_of = Some(letter.id);
    world.event(when, EventBody::Webhook(retry));
    assert!(world.shown.dead_letters.is_empty());
}

#[test]
fn a_hold_that_begins_after_a_quiet_time_lasts_its_full_time() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.pay("t", "f", "tip", 500, at("03-08T12:00:05Z"));
    world.tick(at("03-08T12:00:06Z"));
    world.click(A, 2, 11, at("03-08T12:00:00Z"));
    world.seen(11, "f", at("03-08T12:00:02Z"), 0);
    assert_eq!((world.gross(A), world.counts.jumps), (500, 1));
}

#[test]
fn a_clock_far_ahead_ends_no_hold() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.pay("t", "f", "tip", 500, at("03-04T12:05:00Z"));
    world.event(at("06-01T00:00:00Z"), EventBody::SubscriberSeen(seen(77, "x", at("03-04T12:06:00Z"))));
    world.seen(10, "f", at("03-04T12:10:00Z"), 0);
    assert_eq!((world.gross(A), world.counts.jumps), (500, 1));
}

#[test]
fn dimension_values_beyond_a_thousand_a_day_count_as_other() {
    let mut world = World::new();
    world.slice = 100;
    for index in 0..1010_u64 {
        world.ecid_click(A, u128::from(index) + 1, index, &format!("ad-{index}"), at("03-04T12:00:00Z"));
    }
    world.settle();
    let ecids: Vec<_> = world
        .shown
        .dimensions
        .iter()
        .filter(|(key, _)| key.dimension == crate::step::Dimension::Ecid)
        .map(|(key, rollup)| (key.value.to_string(), rollup.clicks))
        .collect();
    assert_eq!(ecids.len(), 1001);
    assert_eq!(ecids.iter().find(|(value, _)| value == "(other)").unwrap().1, 10);
    let germany = world.shown.dimensions.iter().find(|(key, _)| &*key.value == "DE").unwrap();
    assert_eq!(germany.1.clicks, 1010);
    assert_eq!(SIX_HOURS, world.rules.visitor_window);
}
