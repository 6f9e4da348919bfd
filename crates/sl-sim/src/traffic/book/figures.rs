//! The result of the book-keeping.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Troubles;

/// Everything that can be compared with what the service says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Visits that were answered, by class.
    pub clicks: Clicks,
    /// People's clicks (repeats are none), by where they were sent.
    pub rungs: Rungs,
    /// Subscriptions made, and those that belong to a Smart Link.
    pub subscribers: Pair,
    /// Gross payments that were not taken back, cents: all of them, and those that belong to a Smart Link.
    pub revenue_cents: Pair,
    /// Conversions that are due.
    pub events: Events,
    /// The figures of each Smart Link, by its id.
    pub links: BTreeMap<String, LinkFigures>,
    /// Promise 3 was broken: two visitors held one link at once, or a repeat got another link than its click. At most 20
    /// cases.
    pub broken: Vec<String>,
    /// Links that programs were sent to beside one of each Smart Link: that is its overflow link, which it keeps as long as there is
    /// one pool keeper.
    pub strays: u64,
    /// Moments that lay within a second of deciding otherwise: should be 0.
    pub close_calls: u64,
    /// What went wrong for visitors.
    pub troubles: Troubles,
}

/// Visits by class (decisions 9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Clicks {
    /// Visits of people.
    pub person: u64,
    /// Further visits of the same people inside the visitor window.
    pub repeat: u64,
    /// Programs.
    pub bot: u64,
    /// Prefetches and HEAD requests.
    pub speculative: u64,
}

/// People's clicks by where they were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Rungs {
    /// Clicks that were sent to a link that nobody was sent to before.
    pub fresh: u64,
    /// Clicks that were sent to a link that another visitor held before.
    pub recycled: u64,
    /// Clicks that were sent to the Smart Link's shared link.
    pub overflow: u64,
    /// Clicks that were sent to the creator's page.
    pub profile: u64,
}

/// What was simulated, and what of it should be attributed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// All that was simulated.
    pub simulated: i64,
    /// The part that belongs to a Smart Link.
    pub expected: i64,
}

/// Conversions that should exist, and clicks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Events {
    /// People's clicks, repeats not counted.
    pub click: u64,
    /// `new_subscriber`.
    pub new_subscriber: u64,
    /// `new_transaction`, reversed ones included: their conversion was written.
    pub new_transaction: u64,
    /// `message_received`.
    pub message_received: u64,
    /// `fan_sent_1_message`.
    pub fan_sent_1_message: u64,
    /// `fan_sent_3_messages`.
    pub fan_sent_3_messages: u64,
    /// What pixels are told; what has no click is left out (decisions 55).
    pub pixel: PixelEvents,
    /// Conversions without a click: pixels skip them, postback URLs get them.
    pub without_click: u64,
}

/// What pixels are told (contract G.2, decisions 28), if their map has a name for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PixelEvents {
    /// `event_new_subscriber`.
    pub new_subscriber: u64,
    /// The part of `new_subscriber` that CreatorTraffic is told: those of its own clicks.
    pub by_creatortraffic: u64,
    /// `event_first_transaction`.
    pub first_transaction: u64,
    /// `event_new_transaction`.
    pub new_transaction: u64,
    /// `event_message_received_from_fan`.
    pub message_received: u64,
    /// `event_fan_sent_1_message`.
    pub fan_sent_1_message: u64,
    /// `event_fan_sent_3_messages`.
    pub fan_sent_3_messages: u64,
}

/// Figures of one Smart Link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LinkFigures {
    /// Visits that were answered.
    pub clicks: Clicks,
    /// Distinct fans that subscribed.
    pub subscribers: u64,
    /// Gross after reversals, cents.
    pub revenue_cents: i64,
    /// Conversions that are due.
    pub events: Events,
}

// === impl Events ===

impl Events {
    /// Adds another link's.
    pub(super) fn add(&mut self, other: &Self) {
        self.click += other.click;
        self.new_subscriber += other.new_subscriber;
        self.new_transaction += other.new_transaction;
        self.message_received += other.message_received;
        self.fan_sent_1_message += other.fan_sent_1_message;
        self.fan_sent_3_messages += other.fan_sent_3_messages;
        self.without_click += other.without_click;
        let (pixel, others) = (&mut self.pixel, &other.pixel);
        pixel.new_subscriber += others.new_subscriber;
        pixel.by_creatortraffic += others.by_creatortraffic;
        pixel.first_transaction += others.first_transaction;
        pixel.new_transaction += others.new_transaction;
        pixel.message_received += others.message_received;
        pixel.fan_sent_1_message += others.fan_sent_1_message;
        pixel.fan_sent_3_messages += others.fan_sent_3_messages;
    }
}
