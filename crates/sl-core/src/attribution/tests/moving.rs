//! What moves a fan and what does not: repeats, duplicates, bots, fingerprints (decisions 3, 25, 27, 30, 46, 49).

use std::time::Duration;

use super::samples::{A, B, PRINT, at, keys, pool_link};
use super::world::World;
use crate::{
    click::{Class, Rung},
    event::EventBody,
    ids::{AccountId, FanId},
};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_repeat_is_counted_slides_the_window_and_moves_the_fan_back() {
    let mut world = World::new();
    let first = world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.repeat(&first, at("03-04T17:00:00Z"));
    world.seen(10, "f", at("03-04T20:00:00Z"), 0);
    assert_eq!(world.subscribers(A), 1, "the window runs from the latest hit");
    assert_eq!(world.shown.clicks[&first.id].gross_clicks, 2);
    assert_eq!(
        world.shown.given[&(AccountId::from("acct_7f3a"), pool_link(10))].last_hit_at,
        at("03-04T17:00:00Z")
    );
    world.click(B, 1, 11, at("03-04T21:00:00Z"));
    world.repeat(&first, at("03-04T21:30:00Z"));
    world.pay("t", "f", "tip", 100, at("03-04T22:00:00Z"));
    assert_eq!((world.gross(A), world.gross(B)), (100, 0));
}

#[test]
fn the_same_link_and_ecid_does_not_move_a_fan_but_another_ecid_does() {
    let mut world = World::new();
    let first = world.ecid_click(A, 1, 10, "one", at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    world.ecid_click(A, 1, 11, "one", at("03-08T12:00:00Z"));
    world.pay("t1", "f", "tip", 100, at("03-08T13:00:00Z"));
    assert_eq!(world.credited("t1"), Some((A, Some(first.id))));
    let other = world.ecid_click(A, 1, 12, "two", at("03-09T12:00:00Z"));
    world.pay("t2", "f", "tip", 100, at("03-09T13:00:00Z"));
    assert_eq!(world.credited("t2"), Some((A, Some(other.id))));
}

#[test]
fn bots_move_nobody_hold_nothing_and_are_counted_apart() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    let mut bot = world.new_click(B, 1, 11, at("03-04T13:00:00Z"));
    (bot.class, bot.rung) = (Class::Bot, Rung::Overflow);
    world.event(bot.at, EventBody::click(bot.clone()));
    world.pay("t", "f", "tip", 100, at("03-04T14:00:00Z"));
    assert_eq!(world.gross(A), 100);
    assert_eq!(world.shown.totals.get(&B), None);
    let bots: u64 = world.shown.rollups.values().map(|rollup| rollup.bots).sum();
    assert_eq!(bots, 1);
    assert!(world.shown.clicks.contains_key(&bot.id));
}

#[test]
fn the_later_of_two_rows_that_should_be_one_is_the_duplicate_and_moves_nobody() {
    let mut world = World::new();
    let first = world.click(A, 1, 10, at("03-04T12:00:00Z"));
    let apart = world.click(A, 1, 11, at("03-04T12:00:02Z"));
    let next_day = world.click(A, 1, 12, at("03-05T12:00:00Z"));
    assert!(!world.shown.clicks[&first.id].is_duplicate);
    assert!(world.shown.clicks[&apart.id].is_duplicate);
    assert!(!world.shown.clicks[&next_day.id].is_duplicate, "the visitor window is over");
    assert_eq!(world.shown.totals[&A].clicks, 2);
    world.seen(11, "f", at("03-04T12:30:00Z"), 0);
    assert_eq!(world.shown.conversions.values().next().unwrap().click, Some(first.id));
}

#[test]
fn two_cookieless_taps_on_two_edges_are_one_visitor_by_fingerprint() {
    let mut world = World::new();
    let mut one = world.new_click(A, 1, 10, at("03-04T12:00:00Z"));
    one.visitor = keys(None, 1, 7);
    let mut two = world.new_click(A, 2, 11, at("03-04T12:00:01Z"));
    two.visitor = keys(None, 2, 7);
    let mut third = world.new_click(A, 3, 12, at("03-04T12:00:01Z"));
    third.visitor = keys(None, 3, 8);
    for click in [&one, &two, &third] {
        world.event(click.at, EventBody::click(click.clone()));
    }
    let duplicate = |id| world.shown.clicks[&id].is_duplicate;
    assert!(!duplicate(one.id) && duplicate(two.id) && !duplicate(third.id));
}

/// A returning visitor behind the same address, with the same phone as one who has just come without a cookie.
#[test]
fn who_comes_with_another_cookie_than_the_one_given_there_is_nobodys_duplicate() {
    let mut world = World::new();
    let hits = [
        (1, keys(None, 1, 7), "12:00:00"),
        (2, keys(Some(55), 55, 7), "12:00:01"),
        // The first one on another edge, which gave a cookie of its own; and back with that.
        (3, keys(None, 3, 7), "12:00:02"),
        (4, keys(Some(3), 3, 7), "12:00:03"),
    ];
    let clicks = hits.map(|(visitor, keys, time)| {
        let mut click = world.new_click(A, visitor, 10 + visitor as u64, at(&format!("03-04T{time}Z")));
        click.visitor = keys;
        world.event(click.at, EventBody::click(click.clone()));
        click
    });
    let duplicates = clicks.each_ref().map(|click| world.shown.clicks[&click.id].is_duplicate);
    assert_eq!(duplicates, [false, false, true, true]);
    world.seen(12, "f", at("03-04T12:30:00Z"), 0);
    assert_eq!(world.shown.conversions.values().next().unwrap().click, Some(clicks[1].id), "its own click");
}

#[test]
fn a_fingerprint_moves_a_fan_only_while_it_belongs_to_no_second_visitor_or_fan() {
    for (second_visitor, second_fan, want) in [(false, false, 100), (true, false, 0), (false, true, 0)] {
        let mut world = World::new();
        let mut first = world.new_click(A, 1, 10, at("03-04T12:00:00Z"));
        first.visitor = keys(None, 1, 7);
        world.event(first.at, EventBody::click(first.clone()));
        world.seen(10, "f", at("03-04T12:01:00Z"), 0);
        if second_visitor {
            let mut other = world.new_click(A, 9, 19, at("03-04T12:30:00Z"));
            other.visitor = keys(Some(9), 9, 7);
            world.event(other.at, EventBody::click(other));
        }
        if second_fan {
            world.seen(10, "g", at("03-04T12:31:00Z"), 0);
        }
        let mut back = world.new_click(B, 2, 11, at("03-05T12:00:00Z"));
        back.visitor = keys(None, 2, 7);
        world.event(back.at, EventBody::click(back));
        world.pay("t", "f", "tip", 100, at("03-05T13:00:00Z"));
        assert_eq!(world.gross(B), want, "visitor {second_visitor}, fan {second_fan}");
    }
}

#[test]
fn of_two_fans_of_one_cookie_the_one_bound_last_moves() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "first", at("03-04T12:01:00Z"), 0);
    world.seen(10, "last", at("03-04T12:02:00Z"), 0);
    world.click(B, 1, 11, at("03-05T12:00:00Z"));
    world.pay("t1", "first", "tip", 1, at("03-05T13:00:00Z"));
    world.pay("t2", "last", "tip", 10, at("03-05T13:00:00Z"));
    assert_eq!((world.gross(A), world.gross(B)), (1, 10));
}

#[test]
fn an_earlier_device_of_a_fan_can_move_it_too() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    world.click(B, 2, 11, at("03-10T12:00:00Z"));
    world.seen(11, "f", at("03-10T12:01:00Z"), 0);
    let back = world.ecid_click(A, 1, 12, "x", at("03-11T12:00:00Z"));
    world.pay("t", "f", "tip", 10, at("03-11T13:00:00Z"));
    assert_eq!(world.credited("t"), Some((A, Some(back.id))));
    assert_eq!((world.subscribers(A), world.subscribers(B)), (1, 1));
}

#[test]
fn a_hit_out_of_order_takes_its_place_and_revises_nothing_credited() {
    let mut world = World::new();
    let first = world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    world.repeat(&first, at("03-04T15:00:00Z"));
    world.pay("early", "f", "tip", 1, at("03-04T14:00:00Z"));
    let late = world.new_click(B, 1, 11, at("03-04T13:00:00Z"));
    world.event(at("03-04T15:01:00Z"), EventBody::click(late));
    world.status("between", "f", "tip", 10, "done", at("03-04T14:00:00Z"), at("03-04T15:02:00Z"));
    world.pay("after", "f", "tip", 100, at("03-04T16:00:00Z"));
    assert_eq!((world.gross(A), world.gross(B)), (101, 10));
}

#[test]
fn a_repeat_before_its_click_waits_for_it() {
    let mut world = World::new();
    for (pool, rung) in [(10, Rung::Fresh), (11, Rung::Profile)] {
        let mut click = world.new_click(A, u128::from(pool), pool, at("03-04T12:00:00Z"));
        click.rung = rung;
        click.pool_link = click.pool_link.filter(|_| rung == Rung::Fresh);
        world.repeat(&click, at("03-04T12:05:00Z"));
        world.event(click.at, EventBody::click(click.clone()));
        world.repeat(&click, at("03-04T12:06:00Z"));
        assert_eq!(world.shown.clicks[&click.id].gross_clicks, 3, "{rung:?}");
    }
}

#[test]
fn a_fan_stays_listed_with_its_past_and_a_mere_move_does_not_show() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    world.pay("t1", "f", "tip", 1000, at("03-04T13:00:00Z"));
    world.click(B, 1, 11, at("03-05T12:00:00Z"));
    let listed = |world: &World, link| world.shown.fans.get(&(link, FanId::from("f"))).map(|row| row.net.0);
    assert_eq!((listed(&world, A), listed(&world, B)), (Some(800), None));
    world.pay("t2", "f", "tip", 500, at("03-05T13:00:00Z"));
    assert_eq!((listed(&world, A), listed(&world, B)), (Some(800), Some(400)));
    assert!(!world.shown.fans[&(B, FanId::from("f"))].is_subscriber);
}

#[test]
fn lasting_fingerprints_are_erased_thirty_days_after_their_last_hit() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    let print = PRINT + 1;
    let holds = |world: &World| {
        // In values and in names alike: it has no more than 80 bits.
        let needle = &print.to_be_bytes()[6..];
        let has = |bytes: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
        world.shown.state.iter().filter(|(key, value)| has(&key.0) || has(&value.0)).count()
    };
    // Its own record, the holder of the pool link, the page that will erase both.
    assert_eq!(holds(&world), 3);
    for hour in 0..3 {
        world.tick(at("04-03T12:00:01Z").plus(HOUR * hour));
    }
    assert_eq!(holds(&world), 0);
}

/// It would wait for its own time, and everything behind it with it.
#[test]
fn a_click_by_a_clock_far_ahead_keeps_no_other_from_being_forgotten_and_is_forgotten_itself() {
    let mut world = World::new();
    world.click(A, 9, 9, at("03-04T11:00:00Z"));
    world.click(A, 1, 10, at("03-04T11:00:00Z").plus(HOUR * 24 * 300));
    world.click(A, 2, 11, at("03-04T12:00:00Z"));
    let holds = |world: &World, print: u128| {
        let needle = &print.to_be_bytes()[6..];
        let has = |bytes: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
        world.shown.state.iter().filter(|(key, value)| has(&key.0) || has(&value.0)).count()
    };
    assert_eq!([1, 2, 9].map(|print| holds(&world, PRINT + print) > 0), [true; 3]);
    for hour in 0..6 {
        world.tick(at("04-03T12:30:00Z").plus(HOUR * hour));
    }
    assert_eq!([2, 9].map(|print| holds(&world, PRINT + print)), [0; 2]);
    for hour in 0..3 {
        world.tick(at("05-03T20:00:00Z").plus(HOUR * hour));
    }
    assert_eq!(holds(&world, PRINT + 1), 0);
}
