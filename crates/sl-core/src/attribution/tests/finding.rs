//! Which click a subscription belongs to, and when it was made (contract B.4, decisions 22, 25, 26, 46, 51, 55).

use std::time::Duration;

use serde_json::json;

use super::samples::{A, B, at, seen};
use super::world::World;
use crate::{
    event::{EventBody, SubscriberSeen},
    ids::FanId,
    money::Cents,
};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn the_window_is_six_hours_in_whole_seconds() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00.900Z"));
    world.click(A, 2, 11, at("03-04T12:00:00.900Z"));
    world.seen(10, "in", at("03-04T18:00:00Z"), 0);
    world.seen(11, "out", at("03-04T18:00:01Z"), 0);
    assert_eq!(world.subscribers(A), 1);
    assert!(world.shown.fans.contains_key(&(A, FanId::from("in"))));
}

#[test]
fn a_subscription_in_the_second_of_the_click_is_inside() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00.900Z"));
    world.seen(10, "f", at("03-04T12:00:00Z"), 0);
    assert_eq!(world.subscribers(A), 1);
}

#[test]
fn the_most_recent_click_of_the_cookie_wins_over_the_holder_of_the_pool_link() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    let later = world.click(B, 1, 11, at("03-04T13:00:00Z"));
    world.click(A, 1, 12, at("03-04T15:00:00Z"));
    world.seen(10, "f", at("03-04T14:00:00Z"), 0);
    assert_eq!((world.subscribers(A), world.subscribers(B)), (0, 1));
    let row = world.shown.conversions.values().next().unwrap();
    assert_eq!(row.click, Some(later.id));
}

#[test]
fn a_later_click_before_the_match_moves_the_fan_as_if_the_match_had_been_instant() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.click(B, 1, 11, at("03-04T13:00:00Z"));
    world.pay("t1", "f", "tip", 100, at("03-04T12:45:00Z"));
    world.pay("t2", "f", "tip", 1000, at("03-04T13:30:00Z"));
    world.seen(10, "f", at("03-04T12:30:00Z"), 0);
    assert_eq!((world.subscribers(A), world.gross(A), world.gross(B)), (1, 100, 1000));
}

#[test]
fn a_subscriber_waits_forty_eight_hours_for_its_click() {
    for (hours, want) in [(47, 1), (49, 0)] {
        let mut world = World::new();
        world.seen(10, "f", at("03-04T12:10:00Z"), 0);
        assert_eq!(world.subscribers(A), 0);
        world.tick(at("03-04T12:10:00Z").plus(HOUR * hours));
        world.click(A, 1, 10, at("03-04T12:00:00Z"));
        assert_eq!(world.subscribers(A), want, "after {hours} hours");
    }
}

#[test]
fn a_subscription_up_to_fifteen_minutes_before_the_click_counts_as_made_at_the_click() {
    for (subscribed, want) in [("03-04T11:45:00Z", 1), ("03-04T11:44:59Z", 0)] {
        let mut world = World::new();
        let click = world.click(A, 1, 10, at("03-04T12:00:00Z"));
        world.seen(10, "f", at(subscribed), 0);
        assert_eq!(world.subscribers(A), want, "{subscribed}");
        if want == 1 {
            assert_eq!(world.shown.conversions.values().next().unwrap().at, click.at);
        }
    }
}

#[test]
fn a_recycled_link_credits_the_visitor_who_held_it_then() {
    let mut world = World::new();
    let first = world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.tick(at("03-06T11:00:00Z"));
    let second = world.click(B, 2, 10, at("03-06T12:00:00Z"));
    world.seen(10, "new", at("03-06T12:30:00Z"), 0);
    world.seen(10, "old", at("03-04T12:30:00Z"), 0);
    let by_fan = |fan: &str| {
        world.shown.conversions.values().find(|row| row.fan == FanId::from(fan)).and_then(|row| row.click)
    };
    assert_eq!(by_fan("new"), Some(second.id));
    assert_eq!(by_fan("old"), Some(first.id));
}

#[test]
fn an_undated_subscriber_takes_the_time_of_the_webhook_before_or_after_it() {
    for webhook_first in [true, false] {
        let mut world = World::new();
        world.click(A, 1, 10, at("03-04T12:00:00Z"));
        let look = seen(10, "f", at("03-04T12:12:00Z"));
        if webhook_first {
            world.announce("f", "$9.99", at("03-04T12:10:00Z"), at("03-04T12:11:00Z"));
            assert_eq!(world.shown.unmatched.len(), 1);
        }
        world.event(at("03-04T12:12:00Z"), EventBody::SubscriberSeen(look));
        if !webhook_first {
            assert_eq!((world.subscribers(A), world.due.len()), (0, 1));
            world.announce("f", "$9.99", at("03-04T12:10:00Z"), at("03-04T12:13:00Z"));
        }
        let row = world.shown.conversions.values().next().unwrap();
        assert_eq!((row.at, row.gross, row.net), (at("03-04T12:10:00Z"), Cents(999), Cents(799)));
        assert!(world.due.is_empty());
        if webhook_first {
            assert!(world.shown.unmatched.is_empty(), "the list has named its link");
        }
    }
}

#[test]
fn who_comes_back_is_not_dated_by_the_announcement_of_another_subscription() {
    for event in ["subscriptions.new", "subscriptions.renewed"] {
        let mut world = World::new();
        world.click(A, 1, 10, at("03-04T12:00:00Z"));
        world.announce("f", "$9.99", at("03-04T12:10:00Z"), at("03-04T12:11:00Z"));
        world.event(at("03-04T12:12:00Z"), EventBody::SubscriberSeen(seen(10, "f", at("03-04T12:12:00Z"))));
        world.click(B, 2, 20, at("03-04T15:20:00Z"));
        world.event(at("03-04T15:32:00Z"), EventBody::SubscriberSeen(seen(20, "f", at("03-04T15:32:00Z"))));
        assert_eq!((world.subscribers(B), world.due.len()), (0, 1), "it waits for its own");
        let payload = json!({"id": "1", "createdAt": "2026-03-04T15:30:00Z", "replacePairs": {"{PRICE}": "$9.99"},
            "user_id": "120034567", "user": {"id": "f"}});
        world.webhook(at("03-04T15:33:00Z"), "evt_again", event, payload);
        let times: Vec<_> = world.shown.conversions.values().map(|row| (row.link, row.at)).collect();
        assert_eq!(times, [(A, at("03-04T12:10:00Z")), (B, at("03-04T15:30:00Z"))], "{event}");
    }
}

#[test]
fn who_subscribed_before_a_recycled_link_had_its_next_holder_is_not_the_next_holders() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.announce("f", "$9.99", at("03-06T11:00:00Z"), at("03-06T11:00:10Z"));
    world.click(B, 2, 10, at("03-06T12:00:00Z"));
    let mut look = seen(10, "f", at("03-06T12:05:00Z"));
    look.absent_at = Some(at("03-06T02:00:00Z"));
    world.event(at("03-06T12:05:00Z"), EventBody::SubscriberSeen(look));
    world.tick(at("03-06T12:20:00Z"));
    assert_eq!((world.subscribers(A), world.subscribers(B)), (0, 0));
}

#[test]
fn an_undated_subscriber_without_a_webhook_is_dated_by_the_last_look_after_ten_minutes() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.click(A, 2, 11, at("03-04T12:10:00Z"));
    for (pool, fan) in [(10, "f"), (11, "g")] {
        let mut look = seen(pool, fan, at("03-04T12:12:00Z"));
        look.absent_at = Some(at("03-04T12:05:00Z"));
        world.event(at("03-04T12:12:00Z"), EventBody::SubscriberSeen(look));
    }
    assert_eq!(world.due.len(), 1, "one account has something due");
    world.tick(at("03-04T12:21:59Z"));
    assert_eq!(world.subscribers(A), 0);
    world.tick(at("03-04T12:22:00Z"));
    let of = |fan: &str| world.shown.conversions.values().find(|row| row.fan == FanId::from(fan)).unwrap().at;
    assert_eq!(of("f"), at("03-04T12:05:01Z"));
    assert_eq!(of("g"), at("03-04T12:10:00Z"), "never before the click");
    assert!(world.due.is_empty());
}

#[test]
fn a_date_more_than_five_minutes_ahead_is_taken_as_now_and_counted() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    let ahead = |minutes: u64| SubscriberSeen {
        subscribed_at: Some(at("03-04T12:00:30Z").plus(Duration::from_secs(60 * minutes))),
        ..seen(10, if minutes > 5 { "far" } else { "near" }, at("03-04T12:00:30Z"))
    };
    world.event(at("03-04T12:00:30Z"), EventBody::SubscriberSeen(ahead(5)));
    world.event(at("03-04T12:00:30Z"), EventBody::SubscriberSeen(ahead(6)));
    let of = |fan: &str| world.shown.conversions.values().find(|row| row.fan == FanId::from(fan)).unwrap().at;
    assert_eq!((of("near"), of("far")), (at("03-04T12:05:30Z"), at("03-04T12:00:30Z")));
    assert_eq!(world.counts.future_dates, 1);
}

#[test]
fn a_subscriber_seen_twice_counts_once() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 1000);
    world.seen(10, "f", at("03-04T12:01:00Z"), 1000);
    world.event(at("03-04T12:30:00Z"), EventBody::SubscriberSeen(seen(10, "f", at("03-04T12:30:00Z"))));
    world.tick(at("03-04T13:30:00Z"));
    assert_eq!(world.log().len(), 1);
}

#[test]
fn overflow_subscribers_belong_to_the_link_without_a_click() {
    let mut world = World::new();
    let look = SubscriberSeen {
        overflow_of: Some(A),
        subscribed_at: Some(at("03-04T12:00:00Z")),
        ..seen(99, "f", at("03-04T12:05:00Z"))
    };
    world.pay("t", "f", "tip", 300, at("03-04T12:02:00Z"));
    world.event(at("03-04T12:05:00Z"), EventBody::SubscriberSeen(look.clone()));
    world.event(at("03-04T12:06:00Z"), EventBody::SubscriberSeen(look));
    assert_eq!((world.subscribers(A), world.gross(A)), (1, 300));
    assert!(world.shown.conversions.values().all(|row| row.click.is_none()));
    assert_eq!(world.shown.totals[&A].conversions, 2);
}

/// The first look after a night in which nobody could look: when the shared link was last seen without the fan is not known.
#[test]
fn an_overflow_subscriber_is_dated_by_its_announcement_however_long_nobody_looked() {
    let mut world = World::new();
    world.announce("f", "$9.99", at("03-04T18:30:00Z"), at("03-04T18:30:02Z"));
    world.pay("t", "f", "tip", 300, at("03-04T23:00:00Z"));
    let look = SubscriberSeen { overflow_of: Some(A), ..seen(99, "f", at("03-05T09:00:00Z")) };
    world.event(at("03-05T09:00:00Z"), EventBody::SubscriberSeen(look));
    assert_eq!((world.subscribers(A), world.gross(A)), (1, 300), "what was paid that night, too");
    let row = world.shown.conversions.values().next().unwrap();
    assert_eq!((row.at, row.gross), (at("03-04T18:30:00Z"), Cents(999)));
}

#[test]
fn what_a_fan_pays_before_a_click_whose_clock_was_ahead_belongs_to_it() {
    let mut world = World::new();
    let click = world.click(A, 1, 10, at("03-04T12:10:00Z"));
    world.pay("t0", "f", "tip", 50, at("03-04T11:59:59Z"));
    world.pay("t1", "f", "new_subscription", 1000, at("03-04T12:01:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    world.pay("t2", "f", "tip", 300, at("03-04T12:02:00Z"));
    world.pay("t3", "f", "tip", 20, at("03-04T12:20:00Z"));
    assert_eq!((world.subscribers(A), world.gross(A)), (1, 1320));
    assert!(world.shown.conversions.values().all(|row| row.click == Some(click.id)));
}
