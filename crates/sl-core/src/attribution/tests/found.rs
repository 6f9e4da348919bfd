//! What random histories found: each rule that was broken, in its shortest form.

use std::time::Duration;

use super::samples::{A, B, at, keys, seen};
use super::world::World;
use crate::{
    click::{Click, Repeat, Rung, VisitorId},
    event::{EventBody, SubscriberSeen},
    money::Cents,
    time::Timestamp,
};

const HOUR: Duration = Duration::from_secs(3600);

/// A repeat of `click` by a browser that came with `cookie`.
fn repeat_with(click: &Click, cookie: u128, when: Timestamp) -> EventBody {
    let mut visitor = click.visitor;
    visitor.came_with = Some(VisitorId(cookie));
    let pool_link = click.pool_link.filter(|_| click.rung == Rung::Fresh);
    EventBody::Repeat(Repeat { click: click.id, link: click.link, at: when, pool_link, visitor })
}

fn tell(world: &mut World, click: &Click, when: Timestamp) {
    world.event(when, EventBody::click(click.clone()));
}

#[test]
fn a_subscription_webhook_outlives_the_expired_hold_of_its_fans_money() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.pay("t", "f", "tip", 100, at("03-04T11:00:00Z"));
    world.announce("f", "$9.99", at("03-05T10:00:00Z"), at("03-05T10:00:00Z"));
    world.tick(at("03-05T12:30:00Z"));
    world.click(A, 2, 11, at("03-05T09:00:00Z"));
    world.event(at("03-05T13:00:00Z"), EventBody::SubscriberSeen(seen(11, "f", at("03-05T10:05:00Z"))));
    let row = world.shown.conversions.values().next().unwrap();
    assert_eq!((row.at, row.gross), (at("03-05T10:00:00Z"), Cents(999)));
}

#[test]
fn a_second_look_does_not_replace_the_one_that_waits_for_its_click() {
    let mut world = World::new();
    world.seen(10, "f", at("03-04T12:10:00Z"), 500);
    world.seen(10, "f", at("03-04T12:10:00Z"), 500);
    world.seen(10, "f", at("03-04T12:20:00Z"), 900);
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    let rows: Vec<_> = world.shown.conversions.values().map(|row| (row.at, row.gross)).collect();
    assert_eq!(rows, [(at("03-04T12:10:00Z"), Cents(500))]);
}

#[test]
fn a_repeat_before_its_click_shows_its_cookie_to_the_fingerprint() {
    let mut world = World::new();
    let mut first = world.new_click(A, 1, 10, at("03-04T12:00:00Z"));
    first.visitor = keys(None, 1, 7);
    tell(&mut world, &first, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    let mut other = world.new_click(B, 2, 11, at("03-04T13:00:00Z"));
    other.visitor = keys(None, 2, 7);
    world.event(at("03-04T13:05:00Z"), repeat_with(&other, 2, at("03-04T13:05:00Z")));
    tell(&mut world, &other, at("03-04T13:06:00Z"));
    world.pay("t", "f", "tip", 100, at("03-04T14:00:00Z"));
    assert_eq!((world.gross(A), world.gross(B)), (100, 0), "two visitors have the fingerprint");
}

#[test]
fn the_visitor_window_counts_from_the_click_also_for_who_only_repeated_it() {
    for (hit, want) in [("03-04T17:59:00Z", true), ("03-04T18:01:00Z", false)] {
        let mut world = World::new();
        let first = world.click(A, 1, 10, at("03-04T12:00:00Z"));
        world.event(at("03-04T13:00:00Z"), repeat_with(&first, 2, at("03-04T13:00:00Z")));
        let second = world.click(A, 2, 11, at(hit));
        assert_eq!(world.shown.clicks[&second.id].is_duplicate, want, "{hit}");
    }
}

#[test]
fn a_repeat_with_an_older_cookie_finds_its_click_also_when_that_comes_later() {
    let mut world = World::new();
    let mut click = world.new_click(A, 1, 10, at("03-04T12:00:00Z"));
    (click.rung, click.pool_link) = (Rung::Profile, None);
    click.visitor = keys(None, 1, 7);
    world.event(at("03-04T12:05:00Z"), repeat_with(&click, 9, at("03-04T12:05:00Z")));
    tell(&mut world, &click, at("03-04T12:06:00Z"));
    assert_eq!(world.shown.clicks[&click.id].gross_clicks, 2);
    world.event(at("03-04T12:10:00Z"), repeat_with(&click, 9, at("03-04T12:10:00Z")));
    assert_eq!(world.shown.clicks[&click.id].gross_clicks, 3);
}

#[test]
fn a_repeat_before_its_click_belongs_to_the_visitor_who_made_it() {
    let mut world = World::new();
    let click = world.new_click(A, 1, 10, at("03-04T12:00:00Z"));
    world.event(at("03-04T12:05:00Z"), repeat_with(&click, 2, at("03-04T12:05:00Z")));
    tell(&mut world, &click, at("03-04T12:06:00Z"));
    let again = world.click(A, 2, 11, at("03-04T13:00:00Z"));
    assert!(world.shown.clicks[&again.id].is_duplicate);
}

#[test]
fn a_reversal_counts_on_the_day_it_came_also_when_its_money_was_credited_later() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T22:00:00Z"));
    let made = at("03-04T22:30:00Z");
    world.status("held", "f", "tip", 500, "done", made, made);
    world.status("held", "f", "tip", 500, "undo", made, at("03-04T23:00:00Z"));
    world.status("first", "f", "tip", 70, "undo", made, at("03-04T23:00:00Z"));
    world.tick(at("03-05T01:00:00Z"));
    world.event(
        at("03-05T01:00:00Z"),
        EventBody::SubscriberSeen(SubscriberSeen {
            subscribed_at: Some(at("03-04T22:10:00Z")),
            ..seen(10, "f", at("03-05T01:00:00Z"))
        }),
    );
    world.status("first", "f", "tip", 70, "done", made, at("03-05T02:00:00Z"));
    let days: Vec<_> = world.shown.fan_days.values().map(|day| (day.day, day.gross)).collect();
    assert_eq!(days, [(at("03-04T00:00:00Z"), Cents::ZERO)], "came and went on the same day");
    assert_eq!(world.shown.totals[&A].conversions, 3);
}

#[test]
fn money_that_was_given_up_is_credited_when_it_is_told_again() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    let made = at("03-04T12:30:00Z");
    world.status("t", "f", "tip", 500, "loading", made, made);
    world.tick(made.plus(HOUR * 25));
    let late = SubscriberSeen { subscribed_at: Some(at("03-04T12:20:00Z")), ..seen(10, "f", made) };
    world.event(made.plus(HOUR * 25), EventBody::SubscriberSeen(late));
    assert_eq!(world.gross(A), 0, "it waited 24 hours");
    world.status("t", "f", "tip", 500, "done", made, made.plus(HOUR * 26));
    assert_eq!(world.gross(A), 500);
}

#[test]
fn every_word_of_a_reversal_waits_a_day_for_its_transaction() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    let made = at("03-04T13:00:00Z");
    for hours in [0, 20, 40] {
        world.tick(made.plus(HOUR * hours));
        world.status("t", "f", "tip", 500, "undo", made, made.plus(HOUR * hours));
    }
    world.tick(made.plus(HOUR * 60));
    world.status("t", "f", "tip", 500, "done", made, made.plus(HOUR * 60));
    assert_eq!((world.credited("t").is_some(), world.gross(A)), (true, 0));
}
