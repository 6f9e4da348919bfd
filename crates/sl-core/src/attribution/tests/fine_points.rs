//! Decisions 3, 17 to 60: each fine point under its own name.

use std::time::Duration;

use serde_json::json;

use super::world::{
    A, B, PRINT, SIX_HOURS, World, at, keys, pool_link, reconciled, seen, transaction, webhook,
};
use crate::{
    click::{Class, Rung},
    conversion::{ConversionKind, Purchase},
    event::{EventBody, SubscriberSeen},
    ids::{AccountId, FanId},
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
fn money_between_click_and_subscription_is_credited_and_money_before_the_click_is_not() {
    let mut world = World::new();
    world.pay("before", "f", "tip", 100, at("03-04T11:59:59Z"));
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.pay("between", "f", "tip", 1000, at("03-04T12:05:00Z"));
    world.seen(10, "f", at("03-04T12:10:00Z"), 0);
    world.pay("after", "f", "tip", 10_000, at("03-04T12:20:00Z"));
    assert_eq!(world.gross(A), 11_000);
    assert_eq!(world.credited("before"), None);
}

#[test]
fn a_transaction_is_credited_to_the_binding_of_its_own_time_whenever_it_arrives() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    world.click(B, 1, 11, at("03-06T12:00:00Z"));
    world.status("late", "f", "tip", 700, "done", at("03-05T12:00:00Z"), at("03-07T12:00:00Z"));
    assert_eq!((world.gross(A), world.gross(B)), (700, 0));
}

#[test]
fn a_transaction_waits_twenty_four_hours_for_its_subscriber() {
    for (minutes, want) in [(23 * 60, 500), (25 * 60, 0)] {
        let mut world = World::new();
        world.click(A, 1, 10, at("03-04T12:00:00Z"));
        world.pay("t", "f", "tip", 500, at("03-04T12:30:00Z"));
        let later = at("03-04T12:30:00Z").plus(Duration::from_secs(60 * minutes));
        world.tick(later);
        let mut late = seen(10, "f", later);
        late.subscribed_at = Some(at("03-04T12:20:00Z"));
        world.event(later, EventBody::SubscriberSeen(late));
        assert_eq!(world.gross(A), want, "after {minutes} minutes");
        assert_eq!(world.subscribers(A), 1);
    }
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
    world.event(bot.at, EventBody::Click(Box::new(bot.clone())));
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
        world.event(click.at, EventBody::Click(Box::new(click.clone())));
    }
    let duplicate = |id| world.shown.clicks[&id].is_duplicate;
    assert!(!duplicate(one.id) && duplicate(two.id) && !duplicate(third.id));
}

#[test]
fn a_fingerprint_moves_a_fan_only_while_it_belongs_to_no_second_visitor_or_fan() {
    for (second_visitor, second_fan, want) in [(false, false, 100), (true, false, 0), (false, true, 0)] {
        let mut world = World::new();
        let mut first = world.new_click(A, 1, 10, at("03-04T12:00:00Z"));
        first.visitor = keys(None, 1, 7);
        world.event(first.at, EventBody::Click(Box::new(first.clone())));
        world.seen(10, "f", at("03-04T12:01:00Z"), 0);
        if second_visitor {
            let mut other = world.new_click(A, 9, 19, at("03-04T12:30:00Z"));
            other.visitor = keys(Some(9), 9, 7);
            world.event(other.at, EventBody::Click(Box::new(other)));
        }
        if second_fan {
            world.seen(10, "g", at("03-04T12:31:00Z"), 0);
        }
        let mut back = world.new_click(B, 2, 11, at("03-05T12:00:00Z"));
        back.visitor = keys(None, 2, 7);
        world.event(back.at, EventBody::Click(Box::new(back)));
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
    world.event(at("03-04T15:01:00Z"), EventBody::Click(Box::new(late)));
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
        world.event(click.at, EventBody::Click(Box::new(click.clone())));
        world.repeat(&click, at("03-04T12:06:00Z"));
        assert_eq!(world.shown.clicks[&click.id].gross_clicks, 3, "{rung:?}");
    }
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

#[test]
fn a_known_transaction_changes_its_status_and_reversals_subtract_on_their_own_day() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    let made = at("03-04T13:00:00Z");
    for (status, arrives, gross) in [
        ("loading", made, 1999),
        ("pending_return", at("03-05T13:00:00Z"), 1999),
        ("UNDO", at("03-06T13:00:00Z"), 0),
        ("chargeback", at("03-06T14:00:00Z"), 0),
        ("done", at("03-07T13:00:00Z"), 1999),
        ("refunded", at("03-08T13:00:00Z"), 0),
        ("reversed", at("03-08T14:00:00Z"), 0),
    ] {
        world.tick(arrives);
        world.status("t", "f", "tip", 1999, status, made, arrives);
        assert_eq!(world.gross(A), gross, "{status}");
        let row = world.shown.conversions.values().find(|row| row.transaction.is_some()).unwrap();
        assert_eq!(row.transaction.as_ref().unwrap().status, status);
        assert_eq!(row.gross, Cents(1999), "the row keeps its amounts");
        assert_eq!(world.shown.totals[&A].spenders, u64::from(gross > 0));
    }
    let days: Vec<i64> = world.shown.fan_days.values().map(|day| day.gross.0).collect();
    assert_eq!(days, [1999, -1999, 1999, -1999]);
    assert_eq!(world.shown.totals[&A].conversions, 2, "no second conversion is written");
    assert_eq!(world.shown.totals[&A].revenue, Some(Cents::ZERO));
    let net: i64 = world.shown.rollups.values().map(|rollup| rollup.net.0).sum();
    assert_eq!(net, 0);
}

#[test]
fn a_reversal_before_its_transaction_waits_for_it_a_day() {
    for (hours, want) in [(23, 0), (25, 500)] {
        let mut world = World::new();
        world.click(A, 1, 10, at("03-04T12:00:00Z"));
        world.seen(10, "f", at("03-04T12:01:00Z"), 0);
        let made = at("03-04T13:00:00Z");
        world.status("t", "f", "tip", 500, "undo", made, made);
        assert_eq!(world.credited("t"), None);
        world.tick(made.plus(HOUR * hours));
        world.status("t", "f", "tip", 500, "done", made, made.plus(HOUR * hours));
        assert_eq!(world.gross(A), want, "after {hours} hours");
        let row = world.shown.conversions.values().find(|row| row.transaction.is_some()).unwrap();
        let status = &row.transaction.as_ref().unwrap().status;
        assert_eq!(status, if want == 0 { "undo" } else { "done" });
    }
}

#[test]
fn a_transaction_taken_back_while_it_waits_is_credited_and_subtracted() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.status("t", "f", "tip", 500, "done", at("03-04T12:30:00Z"), at("03-04T12:30:00Z"));
    world.status("t", "f", "tip", 500, "undo", at("03-04T12:30:00Z"), at("03-04T12:40:00Z"));
    world.seen(10, "f", at("03-04T12:45:00Z"), 0);
    assert_eq!(world.gross(A), 0);
    assert_eq!(world.shown.totals[&A].revenue, Some(Cents::ZERO));
}

#[test]
fn first_and_repeat_purchases_are_told_apart_for_life() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    let mut purchases = Vec::new();
    for (index, kind) in [
        "new_subscription",
        "recurring_subscription",
        "tip",
        "recurring_subscription",
        "post",
        "new_subscription",
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("t{index}");
        world.pay(&id, "f", kind, 100, at("03-04T13:00:00Z").plus(HOUR * u32::try_from(index).unwrap()));
        let rows = world.shown.conversions.values();
        let mut of = rows.filter(|row| row.transaction.as_ref().is_some_and(|facts| facts.id.as_str() == id));
        purchases.push(of.next().unwrap().purchase);
    }
    use Purchase::{First, None, Repeat};
    assert_eq!(purchases, [None, None, First, Repeat, Repeat, None]);
}

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
fn a_webhook_and_the_reconciliation_are_one_transaction_and_the_webhooks_type_wins() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    let made = at("03-04T13:00:00Z");
    world.event(made, EventBody::TransactionSeen(reconciled("t", "f", "other", 500, made)));
    world.pay("t", "f", "tip", 500, made);
    world.event(made, EventBody::TransactionSeen(reconciled("t", "f", "other", 500, made)));
    assert_eq!(world.gross(A), 500);
    let row = world.shown.conversions.values().find(|row| row.transaction.is_some()).unwrap();
    assert_eq!(row.transaction.as_ref().unwrap().kind, "tip");
    assert_eq!(world.counts.differences, 1);
    assert_eq!(world.shown.fans[&(A, FanId::from("f"))].tips_net, Cents(400));
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
        let needle = postcard::to_allocvec(&print).unwrap();
        let has = |bytes: &[u8]| bytes.windows(needle.len()).any(|part| part == needle.as_slice());
        world.shown.state.iter().filter(|(key, value)| has(&key.0) || has(&value.0)).count()
    };
    assert!(holds(&world) > 0);
    for hour in 0..3 {
        world.tick(at("04-03T12:00:01Z").plus(HOUR * hour));
    }
    assert_eq!(holds(&world), 0);
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
