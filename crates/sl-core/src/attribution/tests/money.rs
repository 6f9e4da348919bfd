//! Money: credit, waits, statuses, first purchases, differences (decisions 19, 28, 31, 40, 54).

use std::time::Duration;

use super::samples::{A, B, at, reconciled, seen};
use super::world::World;
use crate::{
    attribution::{Memory, key::Key, record::Record},
    conversion::{Conversion, Purchase, Transaction, is_reversal},
    event::EventBody,
    ids::FanId,
    money::Cents,
    step::StateBytes,
    time::Timestamp,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Fan `f` has come by a click on A and subscribed; an hour later is a time for money.
fn subscribed() -> (World, Timestamp) {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    (world, at("03-04T13:00:00Z"))
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
fn a_known_transaction_changes_its_status_and_reversals_subtract_on_their_own_day() {
    let (mut world, made) = subscribed();
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
    let row = world.shown.conversions.values().find(|row| row.transaction.is_some()).unwrap();
    let turns = ["03-06T13:00:00Z", "03-07T13:00:00Z", "03-08T13:00:00Z"].map(at);
    assert_eq!(row.transaction.as_ref().unwrap().turns, turns, "the row says when its money went and came");
    assert_eq!(world.shown.totals[&A].conversions, 2, "no second conversion is written");
    assert_eq!(world.shown.totals[&A].revenue, Some(Cents::ZERO));
    let net: i64 = world.shown.rollups.values().map(|rollup| rollup.net.0).sum();
    assert_eq!(net, 0);
}

#[test]
fn of_a_transaction_that_flickers_the_newest_turns_are_kept_and_the_sums_are_right() {
    let (mut world, made) = subscribed();
    for turn in 0..101_i64 {
        let status = if turn % 2 == 0 { "done" } else { "undo" };
        world.status("t", "f", "tip", 500, status, made, made.plus(HOUR * u32::try_from(turn).unwrap()));
    }
    let row = world.shown.conversions.values().find(|row| row.transaction.is_some()).unwrap();
    let turns = &row.transaction.as_ref().unwrap().turns;
    assert_eq!((turns.len(), turns.last()), (64, Some(&made.plus(HOUR * 100))));
    assert_eq!(row.moves().map(|(_, sign)| sign).sum::<i64>(), 1);
    assert_eq!(world.gross(A), 500);
}

#[test]
fn a_reversal_before_its_transaction_waits_for_it_a_day() {
    for (hours, want) in [(23, 0), (25, 500)] {
        let (mut world, made) = subscribed();
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
fn a_webhook_and_the_reconciliation_are_one_transaction_and_the_webhooks_type_wins() {
    let (mut world, made) = subscribed();
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
fn a_page_of_transactions_that_was_asked_for_before_the_last_webhook_came_gives_no_money_back() {
    let (mut world, made) = subscribed();
    world.status("t", "f", "tip", 500, "done", made, made);
    world.status("t", "f", "tip", 500, "undo", made, at("03-04T13:00:02Z"));
    let page = || EventBody::TransactionSeen(reconciled("t", "f", "tip", 500, made));
    world.event(at("03-04T13:00:01Z"), page());
    assert_eq!((world.gross(A), row(&world, "t").transaction.as_ref().unwrap().status.as_str()), (0, "undo"));
    // One that was asked for later is news.
    world.event(at("03-04T13:00:03Z"), page());
    assert_eq!(world.gross(A), 500);
    // A webhook that came while the clock was days ahead does not silence the reconciliation until then.
    world.status("t", "f", "tip", 500, "undo", made, at("03-09T13:00:00Z"));
    world.event(at("03-04T14:00:00Z"), page());
    assert_eq!(world.gross(A), 500);
}

#[test]
fn the_announcement_of_a_transaction_that_the_reconciliation_knew_first_does_not_undo_its_reversal() {
    let (mut world, made) = subscribed();
    world.event(made, EventBody::TransactionSeen(reconciled("t", "f", "tip", 500, made)));
    world.status("t", "f", "tip", 500, "chargeback", made, at("03-04T13:00:01Z"));
    world.status("t", "f", "tip", 500, "loading", made, at("03-04T13:00:02Z"));
    assert_eq!(
        (world.gross(A), row(&world, "t").transaction.as_ref().unwrap().status.as_str()),
        (0, "chargeback")
    );
    // What comes after it is news.
    world.status("t", "f", "tip", 500, "done", made, at("03-04T13:00:03Z"));
    assert_eq!(world.gross(A), 500);
}

#[test]
fn an_announcement_gives_no_money_back_that_the_reconciliation_saw_taken_back() {
    let (mut world, made) = subscribed();
    let page = |id: &str, status: &str| {
        let seen = reconciled(id, "f", "tip", 500, made);
        EventBody::TransactionSeen(Transaction { status: status.into(), ..seen })
    };
    world.event(made, page("told", "done"));
    world.event(at("03-04T13:00:01Z"), page("told", "undo"));
    world.event(at("03-04T13:00:01Z"), page("new", "undo"));
    // Both webhooks were kept at the platform for long, and sent again by hand.
    for id in ["told", "new"] {
        world.status(id, "f", "tip", 500, "loading", made, at("03-06T13:00:00Z"));
        world.status(id, "f", "tip", 500, "done", made, at("03-06T13:00:01Z"));
        assert_eq!(row(&world, id).transaction.as_ref().unwrap().status, "undo");
    }
    assert_eq!(world.gross(A), 0);
    world.event(at("03-06T14:00:00Z"), page("told", "done"));
    assert_eq!(world.gross(A), 500, "the reconciliation says when it is given back");
}

/// The same, before the fan is known: the money waits for the subscriber to be found.
#[test]
fn money_that_waits_for_its_fan_is_not_given_back_by_a_second_announcement_either() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    let made = at("03-04T13:00:00Z");
    let page = |status: &str| {
        let seen = reconciled("t", "f", "tip", 500, made);
        EventBody::TransactionSeen(Transaction { status: status.into(), ..seen })
    };
    world.event(at("03-04T13:10:00Z"), page("undo"));
    world.status("t", "f", "tip", 500, "loading", made, at("03-04T13:20:00Z"));
    world.status("t", "f", "tip", 500, "done", made, at("03-04T13:20:01Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    assert_eq!((row(&world, "t").transaction.as_ref().unwrap().status.as_str(), world.gross(A)), ("undo", 0));
    world.event(at("03-04T14:00:00Z"), page("done"));
    assert_eq!(world.gross(A), 500, "once: what waited was not held a second time");
}

#[test]
fn what_the_reconciliation_alone_saw_taken_back_and_given_again_counts() {
    let (mut world, made) = subscribed();
    for (read_at, status) in [("03-04T13:10:00Z", "undo"), ("03-04T14:10:00Z", "done")] {
        let seen = reconciled("t", "f", "tip", 500, made);
        let seen = Transaction { status: status.into(), ..seen };
        world.event(at(read_at), EventBody::TransactionSeen(seen));
    }
    assert_eq!(
        (row(&world, "t").transaction.as_ref().unwrap().status.as_str(), world.gross(A)),
        ("done", 500)
    );
}

fn row<'a>(world: &'a World, id: &str) -> &'a Conversion {
    let mut rows = world.shown.conversions.values();
    rows.find(|row| row.transaction.as_ref().is_some_and(|facts| facts.id.as_str() == id)).unwrap()
}

#[test]
fn undo_chargeback_refund_and_reversal_words_take_money_back_in_any_case() {
    for status in
        ["undo", "UNDO", "chargeback", "Chargeback_lost", "refund", "refunded", "reversed", "REVERSAL"]
    {
        assert!(is_reversal(status), "{status}");
    }
    for status in ["loading", "done", "pending_return", "", "returned", "paid"] {
        assert!(!is_reversal(status), "{status}");
    }
}

#[test]
fn the_first_purchase_is_the_first_credited_and_is_never_revised() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    world.status("later", "f", "tip", 100, "done", at("03-04T14:00:00Z"), at("03-04T14:00:00Z"));
    world.status("earlier", "f", "tip", 100, "done", at("03-04T13:00:00Z"), at("03-04T14:01:00Z"));
    world.status("later", "f", "tip", 100, "undo", at("03-04T14:00:00Z"), at("03-04T14:02:00Z"));
    world.pay("last", "f", "tip", 100, at("03-04T15:00:00Z"));
    let purchases = ["later", "earlier", "last"].map(|id| row(&world, id).purchase);
    assert_eq!(purchases, [Purchase::First, Purchase::Repeat, Purchase::Repeat]);
}

#[test]
fn a_reversal_alone_credits_nothing_and_its_transaction_makes_one_row_with_the_reversed_status() {
    let (mut world, made) = subscribed();
    world.status("t", "f", "tip", 500, "undo", made, made);
    world.status("t", "f", "tip", 500, "chargeback", made, at("03-04T13:01:00Z"));
    assert_eq!(world.shown.totals[&A].conversions, 1, "only the subscriber so far");
    world.status("t", "f", "tip", 500, "done", made, at("03-04T13:02:00Z"));
    assert_eq!(row(&world, "t").transaction.as_ref().unwrap().status, "chargeback");
    assert_eq!((row(&world, "t").gross, world.gross(A)), (Cents(500), 0));
    assert_eq!(world.shown.totals[&A].conversions, 2);
    assert_eq!(world.shown.totals[&A].spenders, 0);
}

#[test]
fn another_amount_under_a_known_id_is_counted_once_and_changes_no_money() {
    for reconciliation in [false, true] {
        let (mut world, made) = subscribed();
        world.status("t", "f", "tip", 500, "loading", made, made);
        for cents in [700, 900] {
            if reconciliation {
                world.event(made, EventBody::TransactionSeen(reconciled("t", "f", "tip", cents, made)));
            } else {
                let later = made.plus(HOUR * u32::try_from(cents / 100).unwrap());
                world.status("t", "f", "tip", cents, "done", made, later);
            }
        }
        assert_eq!((row(&world, "t").gross, world.gross(A)), (Cents(500), 500));
        assert_eq!(row(&world, "t").transaction.as_ref().unwrap().status, "done", "the status is taken over");
        assert_eq!(world.counts.differences, 1, "once per transaction");
    }
}

#[test]
fn a_transaction_stays_with_the_fan_it_first_named() {
    let mut world = World::new();
    world.click(A, 1, 10, at("03-04T12:00:00Z"));
    world.seen(10, "f", at("03-04T12:01:00Z"), 0);
    world.click(B, 2, 11, at("03-04T12:00:00Z"));
    world.seen(11, "g", at("03-04T12:01:00Z"), 0);
    let made = at("03-04T13:00:00Z");
    world.status("t", "f", "tip", 500, "done", made, made);
    world.status("t", "g", "tip", 500, "undo", made, at("03-04T14:00:00Z"));
    assert_eq!((world.gross(A), world.gross(B)), (0, 0));
    assert_eq!(row(&world, "t").fan, FanId::from("f"));
    let listed = |fan: &str, link| world.shown.fans[&(link, FanId::from(fan))].gross;
    assert_eq!((listed("f", A), listed("g", B)), (Cents::ZERO, Cents::ZERO));
    assert_eq!(world.counts.differences, 1);
}

#[test]
fn memory_of_a_version_that_did_not_know_when_money_went_is_read() {
    let key = Key::Transaction("acct".into(), "t".into());
    let mut bytes = Vec::new();
    Record::Transaction(Box::default()).encode(&mut bytes);
    bytes.pop();
    assert_eq!(Record::decode(&key, &StateBytes(bytes)), Ok(Record::Transaction(Box::default())));
}

#[test]
fn money_that_a_version_without_turns_took_back_is_given_again() {
    let (mut world, made) = subscribed();
    world.status("t", "f", "tip", 500, "done", made, made);
    world.status("t", "f", "tip", 500, "undo", made, made.plus(HOUR));
    // As that version left it.
    let key = Key::Transaction("acct_7f3a".into(), "t".into());
    let Ok(Record::Transaction(mut record)) = Record::decode(&key, &world.shown.state[&key.to_state_key()])
    else {
        panic!("it is a transaction's");
    };
    record.turns.clear();
    let mut bytes = Vec::new();
    Record::Transaction(record).encode(&mut bytes);
    world.shown.state.insert(key.to_state_key(), StateBytes(bytes));
    world.memory = Memory::new(1000);
    for (hour, status, stands) in [(2, "done", 1), (3, "undo", 0), (4, "done", 1)] {
        world.status("t", "f", "tip", 500, status, made, made.plus(HOUR * hour));
        let row = world.shown.conversions.values().find(|row| row.transaction.is_some()).unwrap();
        assert_eq!(row.moves().map(|(_, sign)| sign).sum::<i64>(), stands, "{status}");
        assert_eq!(world.gross(A), 500 * stands);
    }
}
