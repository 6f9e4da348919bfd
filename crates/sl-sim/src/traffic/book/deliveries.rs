//! Deliveries that are due, by what each destination asked for.

use serde::Serialize;

use super::figures::{Events, Figures};

/// The conversion types of contract B.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversionKind {
    /// `new_subscriber`.
    NewSubscriber,
    /// `new_transaction`.
    NewTransaction,
    /// `message_received`.
    MessageReceived,
    /// `fan_sent_1_message`.
    FanSent1Message,
    /// `fan_sent_3_messages`.
    FanSent3Messages,
}

/// Somebody who is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A pixel on these Smart Links (ids), with the events its map names.
    Pixel {
        /// Smart Links it is attached to.
        links: Vec<String>,
        /// `event_click` has a name.
        click: bool,
        /// `event_new_subscriber` has one.
        new_subscriber: bool,
        /// `event_first_transaction` has one.
        first_transaction: bool,
        /// `event_new_transaction` has one.
        new_transaction: bool,
        /// `event_message_received_from_fan` has one.
        message_received: bool,
        /// `event_fan_sent_1_message` has one.
        fan_sent_1_message: bool,
        /// `event_fan_sent_3_messages` has one.
        fan_sent_3_messages: bool,
    },
    /// A pixel of CreatorTraffic on these Smart Links (ids): new subscribers of its own clicks.
    CreatorTraffic {
        /// Smart Links it is attached to.
        links: Vec<String>,
    },
    /// A postback URL of the team; `None`: of every Smart Link.
    Postback {
        /// Smart Links (ids) it covers.
        links: Option<Vec<String>>,
        /// Conversion types it is told of.
        kinds: Vec<ConversionKind>,
    },
}

/// Deliveries that are due, each event and destination once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Deliveries {
    /// Deliveries to pixels.
    pub pixel: u64,
    /// Deliveries to postback URLs.
    pub postback: u64,
}

// === impl Figures ===

impl Figures {
    /// What the destinations should receive.
    #[must_use]
    pub fn deliveries(&self, destinations: &[Destination]) -> Deliveries {
        let mut due = Deliveries::default();
        for destination in destinations {
            for (id, link) in &self.links {
                match destination {
                    Destination::Pixel { links, .. } | Destination::CreatorTraffic { links }
                        if links.contains(id) =>
                    {
                        due.pixel += destination.wants(&link.events);
                    }
                    Destination::Postback { links, .. }
                        if links.as_ref().is_none_or(|links| links.contains(id)) =>
                    {
                        due.postback += destination.wants(&link.events);
                    }
                    _ => {}
                }
            }
        }
        due
    }
}

impl Destination {
    /// A pixel with the default map of Meta, TikTok or Snapchat (contract G.2): all but messages, and the third message
    /// where `third_message`.
    #[must_use]
    pub fn usual_pixel(links: Vec<String>, third_message: bool) -> Self {
        Self::Pixel {
            links,
            click: true,
            new_subscriber: true,
            first_transaction: true,
            new_transaction: true,
            message_received: false,
            fan_sent_1_message: false,
            fan_sent_3_messages: third_message,
        }
    }

    fn wants(&self, events: &Events) -> u64 {
        let sum =
            |wanted: &[(bool, u64)]| wanted.iter().filter(|(yes, _)| *yes).map(|(_, count)| count).sum();
        match self {
            Self::Pixel {
                click,
                new_subscriber,
                first_transaction,
                new_transaction,
                message_received,
                fan_sent_1_message,
                fan_sent_3_messages,
                ..
            } => sum(&[
                (*click, events.click),
                (*new_subscriber, events.pixel.new_subscriber),
                (*first_transaction, events.pixel.first_transaction),
                (*new_transaction, events.pixel.new_transaction),
                (*message_received, events.pixel.message_received),
                (*fan_sent_1_message, events.pixel.fan_sent_1_message),
                (*fan_sent_3_messages, events.pixel.fan_sent_3_messages),
            ]),
            Self::CreatorTraffic { .. } => events.pixel.by_creatortraffic,
            Self::Postback { kinds, .. } => {
                let has = |kind: ConversionKind| kinds.contains(&kind);
                sum(&[
                    (has(ConversionKind::NewSubscriber), events.new_subscriber),
                    (has(ConversionKind::NewTransaction), events.new_transaction),
                    (has(ConversionKind::MessageReceived), events.message_received),
                    (has(ConversionKind::FanSent1Message), events.fan_sent_1_message),
                    (has(ConversionKind::FanSent3Messages), events.fan_sent_3_messages),
                ])
            }
        }
    }
}
