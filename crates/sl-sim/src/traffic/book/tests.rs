//! The book's arithmetic on stories small enough to check by hand.

use std::time::Duration;

use sl_core::{ids::SmartLinkId, time::Timestamp};

use super::{Book, ConversionKind, Destination, Hit, Message, Payment, Subscriber, Target};

const NOVA: &str = "acct_nova";
/// 2026-03-04T20:00:00Z.
const START: i64 = 1_772_654_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(START + second)
}

/// Two links of `nova` and one of `luna`, windows of 100 s, visitors remembered for 1000 s.
struct Story(Book);

impl Story {
    fn new() -> Self {
        let target = |number: u8, account: &str, username: &str| Target {
            id: SmartLinkId::from_bytes([number; 16]),
            account: account.to_owned(),
            username: username.to_owned(),
            window: Duration::from_secs(100),
        };
        let targets = [target(1, NOVA, "nova"), target(2, NOVA, "nova"), target(3, "acct_luna", "luna")];
        Self(Book::new(&targets, Duration::from_secs(1000)))
    }

    fn hit(&self, device: u64, target: usize, ecid: Option<&str>, second: i64, path: &str) {
        self.0.hit(Hit {
            device,
            by_cookie: device < 100,
            target,
            ecid: ecid.map(str::to_owned),
            by_creatortraffic: ecid.is_some_and(|ecid| ecid.starts_with("ct_")),
            at: at(second),
            location: format!("https://onlyfans.com/{path}"),
        });
    }

    fn subscribe(&self, fan: u64, second: i64, path: &str) {
        let location = format!("https://onlyfans.com/{path}");
        self.0.subscribed(Subscriber { fan, account: NOVA.to_owned(), location, at: at(second) });
    }

    fn pay(&self, fan: u64, second: i64, kind: &str, cents: i64) {
        self.0.paid(Payment {
            fan,
            account: NOVA.to_owned(),
            transaction: format!("tx-{fan}-{second}"),
            kind: kind.to_owned(),
            gross_cents: cents,
            at: at(second),
            is_back: false,
        });
    }

    fn write(&self, fan: u64, second: i64) {
        self.0.wrote(Message { fan, account: NOVA.to_owned(), at: at(second) });
    }

    /// Revenue of the three links.
    fn revenue(&self) -> Vec<i64> {
        self.0.figures().links.values().map(|link| link.revenue_cents).collect()
    }

    fn subscribers(&self) -> Vec<u64> {
        self.0.figures().links.values().map(|link| link.subscribers).collect()
    }
}

#[test]
fn the_same_device_link_and_ecid_is_a_repeat_and_a_macro_is_no_ecid() {
    let story = Story::new();
    story.hit(1, 0, None, 0, "nova/c1");
    story.hit(1, 0, Some("{{ad.id}}"), 5, "nova/c1");
    story.hit(1, 0, Some("ad-1"), 10, "nova/c2");
    story.hit(1, 1, None, 15, "nova/c3");
    story.hit(2, 0, None, 20, "nova/c4");
    // After the visitor window it is a new click.
    story.hit(1, 0, None, 1000, "nova/c5");
    story.0.bot(0, Some("https://onlyfans.com/nova/c9".to_owned()));
    story.0.head(0, Some("https://onlyfans.com/nova/c9".to_owned()));
    story.0.prefetch(1);
    let figures = story.0.figures();
    let clicks = figures.clicks;
    assert_eq!((clicks.person, clicks.repeat, clicks.bot, clicks.speculative), (5, 1, 1, 2));
    assert_eq!((figures.rungs.fresh, figures.events.click), (5, 5));
    assert!(figures.broken.is_empty(), "{:?}", figures.broken);
}

#[test]
fn a_subscriber_inside_the_window_is_credited_and_one_after_it_is_not() {
    let story = Story::new();
    story.hit(1, 0, None, 0, "nova/c1");
    story.hit(2, 0, None, 0, "nova/c2");
    story.subscribe(11, 100, "nova/c1");
    story.subscribe(12, 101, "nova/c2");
    story.pay(11, 100, "new_subscription", 1000);
    story.pay(12, 101, "new_subscription", 1000);
    assert_eq!(story.subscribers(), [1, 0, 0]);
    assert_eq!(story.revenue(), [1000, 0, 0]);
    let figures = story.0.figures();
    assert_eq!((figures.subscribers.simulated, figures.subscribers.expected), (2, 1));
    assert_eq!((figures.revenue_cents.simulated, figures.revenue_cents.expected), (2000, 1000));
    assert_eq!(figures.close_calls, 2, "both lay within a second of deciding otherwise");
}

#[test]
fn the_most_recent_click_of_the_device_wins_whichever_link_was_subscribed_through() {
    let story = Story::new();
    story.hit(1, 0, None, 0, "nova/c1");
    story.hit(1, 1, None, 20, "nova/c2");
    story.subscribe(11, 40, "nova/c1");
    assert_eq!(story.subscribers(), [0, 1, 0]);
    // Another creator's link does not matter; a repeat of the first does.
    let story = Story::new();
    story.hit(1, 0, None, 0, "nova/c1");
    story.hit(1, 1, None, 20, "nova/c2");
    story.hit(1, 2, None, 25, "luna/c1");
    story.hit(1, 0, None, 30, "nova/c1");
    story.subscribe(11, 40, "nova/c2");
    assert_eq!(story.subscribers(), [1, 0, 0]);
}

#[test]
fn a_browser_without_cookies_is_known_on_its_own_link_only() {
    let story = Story::new();
    story.hit(101, 0, None, 0, "nova/c1");
    story.hit(101, 1, None, 20, "nova/c2");
    story.subscribe(11, 40, "nova/c1");
    story.hit(101, 1, None, 60, "nova/c2");
    story.pay(11, 80, "tip", 500);
    assert_eq!(story.subscribers(), [1, 0, 0]);
    assert_eq!(story.revenue(), [500, 0, 0]);
}

#[test]
fn a_fan_moves_with_later_clicks_and_back_with_a_repeat() {
    let story = Story::new();
    story.hit(1, 0, None, 0, "nova/c1");
    story.subscribe(11, 10, "nova/c1");
    story.pay(11, 10, "new_subscription", 1000);
    story.pay(11, 20, "tip", 100);
    story.hit(1, 1, None, 30, "nova/c2");
    story.pay(11, 40, "tip", 20);
    // A second device is nobody's.
    story.hit(2, 1, Some("x"), 45, "nova/c3");
    story.hit(1, 0, None, 50, "nova/c1");
    story.pay(11, 60, "tip", 3);
    assert_eq!(story.revenue(), [1103, 20, 0]);
    let events = story.0.figures().events;
    assert_eq!((events.new_subscriber, events.new_transaction), (1, 4));
    assert_eq!((events.pixel.first_transaction, events.pixel.new_transaction), (1, 2));
}

#[test]
fn what_is_taken_back_is_subtracted_and_stays_a_conversion() {
    let story = Story::new();
    story.hit(1, 0, None, 0, "nova/c1");
    story.subscribe(11, 10, "nova/c1");
    story.pay(11, 20, "tip", 100);
    story.pay(11, 30, "post", 250);
    story.pay(11, 40, "message", 400);
    story.0.changed("tx-11-20", "undo");
    story.0.changed("tx-11-40", "pending_return");
    let figures = story.0.figures();
    assert_eq!((figures.revenue_cents.simulated, figures.revenue_cents.expected), (650, 650));
    assert_eq!(figures.events.new_transaction, 3);
    story.0.changed("tx-11-40", "chargeback");
    assert_eq!(story.revenue(), [250, 0, 0]);
}

#[test]
fn a_renewal_is_a_purchase_only_after_a_purchase() {
    let story = Story::new();
    story.hit(1, 0, None, 0, "nova/c1");
    story.subscribe(11, 10, "nova/c1");
    story.pay(11, 20, "recurring_subscription", 1000);
    assert_eq!(story.0.figures().events.pixel.first_transaction, 0);
    assert_eq!(story.0.figures().events.pixel.new_transaction, 0);
    story.pay(11, 30, "stream", 1000);
    story.pay(11, 40, "recurring_subscription", 1000);
    let pixel = story.0.figures().events.pixel;
    assert_eq!((pixel.first_transaction, pixel.new_transaction), (1, 1));
}

#[test]
fn messages_are_counted_from_the_current_binding() {
    let story = Story::new();
    story.hit(1, 0, None, 0, "nova/c1");
    story.subscribe(11, 10, "nova/c1");
    for second in [11, 12, 13, 14] {
        story.write(11, second);
    }
    story.hit(1, 1, None, 30, "nova/c2");
    story.write(11, 40);
    let events = story.0.figures().events;
    assert_eq!((events.message_received, events.fan_sent_1_message, events.fan_sent_3_messages), (5, 2, 1));
    let links = story.0.figures().links;
    let second = links.values().nth(1).unwrap().events;
    assert_eq!((second.message_received, second.fan_sent_1_message), (1, 1));
}

#[test]
fn an_overflow_subscriber_belongs_to_the_link_without_a_click_and_one_of_the_profile_to_nobody() {
    let story = Story::new();
    story.0.head(1, Some("https://onlyfans.com/nova/c9".to_owned()));
    story.0.head(0, Some("https://onlyfans.com/nova".to_owned()));
    story.hit(1, 1, None, 0, "nova/c9");
    story.hit(2, 0, None, 0, "nova");
    // Long after any window: overflow has none.
    story.subscribe(11, 500, "nova/c9");
    story.pay(11, 500, "new_subscription", 1000);
    story.subscribe(12, 10, "nova");
    story.pay(12, 10, "new_subscription", 1000);
    // Nobody knows this device as the fan's.
    story.hit(1, 0, None, 600, "nova");
    story.pay(11, 700, "tip", 50);
    let figures = story.0.figures();
    assert_eq!((figures.rungs.overflow, figures.rungs.profile, figures.rungs.fresh), (1, 2, 0));
    assert_eq!(story.subscribers(), [0, 1, 0]);
    assert_eq!(story.revenue(), [0, 1050, 0]);
    assert_eq!((figures.events.pixel.new_subscriber, figures.events.new_subscriber), (0, 1));
    assert_eq!(figures.events.without_click, 3);
}

#[test]
fn broken_promises_are_noticed() {
    let story = Story::new();
    story.hit(1, 0, None, 0, "nova/c1");
    story.hit(1, 0, None, 5, "nova/c2");
    assert_eq!(story.0.figures().broken.len(), 1, "a repeat got another link");
    let story = Story::new();
    story.hit(1, 0, None, 0, "nova/c1");
    story.hit(2, 0, None, 50, "nova/c1");
    assert_eq!(story.0.figures().broken.len(), 1, "two visitors, one link");
    let story = Story::new();
    story.hit(1, 0, None, 0, "nova/c1");
    story.hit(2, 0, None, 200, "nova/c1");
    let figures = story.0.figures();
    assert_eq!((figures.broken.len(), figures.rungs.fresh, figures.rungs.recycled), (0, 1, 1));
}

#[test]
fn a_program_that_gets_a_link_of_its_own_is_noticed() {
    let story = Story::new();
    let visit = |target, path: &str| story.0.bot(target, Some(format!("https://onlyfans.com/{path}")));
    visit(0, "nova");
    visit(0, "nova/c9");
    visit(1, "nova/c8");
    story.0.head(0, Some("https://onlyfans.com/nova/c9".to_owned()));
    assert_eq!(story.0.figures().strays, 0, "the profile, then the overflow link");
    visit(0, "nova/c1");
    assert_eq!(story.0.figures().strays, 1);
}

#[test]
fn a_late_subscriber_on_a_recycled_link_counts_for_whoever_holds_it_now() {
    let story = Story::new();
    story.hit(1, 0, None, 0, "nova/c1");
    story.hit(2, 1, None, 200, "nova/c1");
    story.subscribe(11, 210, "nova/c1");
    assert_eq!(story.subscribers(), [0, 1, 0]);
}

#[test]
fn creatortraffic_is_told_of_subscribers_of_its_own_clicks_only() {
    let story = Story::new();
    story.hit(1, 0, Some("ct_1"), 0, "nova/c1");
    story.hit(2, 0, Some("ad-1"), 0, "nova/c2");
    story.subscribe(11, 10, "nova/c1");
    story.subscribe(12, 10, "nova/c2");
    story.pay(11, 20, "tip", 100);
    let figures = story.0.figures();
    let own = Destination::CreatorTraffic { links: figures.links.keys().cloned().collect() };
    assert_eq!(figures.deliveries(&[own]).pixel, 1);
}

#[test]
fn deliveries_are_those_that_the_destinations_asked_for() {
    let story = Story::new();
    story.hit(1, 0, None, 0, "nova/c1");
    story.hit(2, 1, None, 0, "nova/c2");
    story.subscribe(11, 10, "nova/c1");
    story.pay(11, 10, "new_subscription", 1000);
    story.pay(11, 20, "tip", 100);
    story.pay(11, 30, "tip", 100);
    for second in [40, 50, 60] {
        story.write(11, second);
    }
    let figures = story.0.figures();
    let first = figures.links.keys().next().unwrap().clone();
    let pixel = Destination::usual_pixel(vec![first.clone()], true);
    // Click, subscriber, first and repeat purchase, third message.
    assert_eq!(figures.deliveries(std::slice::from_ref(&pixel)).pixel, 5);
    let all = Destination::Postback {
        links: None,
        kinds: vec![ConversionKind::NewTransaction, ConversionKind::FanSent1Message],
    };
    let other = Destination::Postback {
        links: Some(vec!["other".to_owned()]),
        kinds: vec![ConversionKind::NewSubscriber],
    };
    let own = Destination::CreatorTraffic { links: vec![first] };
    assert_eq!(figures.deliveries(&[own]).pixel, 0, "the click was none of its own");
    let due = figures.deliveries(&[pixel, all, other]);
    assert_eq!((due.pixel, due.postback), (5, 4));
}
