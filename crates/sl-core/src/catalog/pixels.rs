//! Pixels: whose, which events under which names, and what names the person.

use serde::{Deserialize, Serialize};

use crate::{
    delivery::{DeliveryKind, EventName},
    ids::{PixelId, TeamId},
    pace::Pace,
    pack,
    platforms::PlatformKind,
    seal::{PIXEL_TOKEN, SealKeys},
    time::Timestamp,
};

/// A connected pixel (contract A.8): a team object attached to one or more links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pixel {
    /// Our number.
    pub id: PixelId,
    /// Owner.
    pub team: TeamId,
    /// The ad platform it belongs to.
    pub platform: PlatformKind,
    /// The platform's id; empty for CreatorTraffic.
    pub pixel_id: String,
    /// The token, sealed ([`crate::seal`]).
    pub sealed_token: Vec<u8>,
    /// Name that people gave it.
    pub label: Option<String>,
    /// Overrides the click URL.
    pub event_source_url: Option<String>,
    /// What is sent under which name.
    pub events: EventMap,
    /// Gross or net amounts (decisions 39).
    pub value_basis: ValueBasis,
    /// Platform's limited-use switch (decisions 39).
    pub limited_data_use: bool,
    /// Overrides the configured API version (decisions 39).
    pub api_version: Option<String>,
    /// What names the person to the platform.
    pub external_id_source: ExternalIdSource,
    /// A fan's events come one after the other, as they happened: a later one waits until the earlier one has come to
    /// its end.
    pub in_order: bool,
    /// Our own limit of requests; the configured one when absent.
    pub pace: Option<Pace>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// It is gone for good, and this is what remains of it. Rows of before say `false`.
    #[serde(default, deserialize_with = "pack::at_the_end")]
    pub is_deleted: bool,
}

impl Pixel {
    /// What is kept of a deleted one, so that what it was told still says where it went: its names, and no token.
    #[must_use]
    pub fn remains(self) -> Self {
        Self {
            sealed_token: Vec::new(),
            event_source_url: None,
            events: EventMap::default(),
            is_deleted: true,
            ..self
        }
    }

    /// Whether it has a token that none of these keys opens: nothing can be told to it until they come back, or it is given again.
    #[must_use]
    pub fn is_closed_to(&self, keys: &SealKeys) -> bool {
        !self.sealed_token.is_empty() && keys.open(PIXEL_TOKEN, &self.sealed_token).is_err()
    }
}

/// Which amount a platform is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueBasis {
    /// What the fan paid.
    #[default]
    Gross,
    /// After the platform's fee.
    Net,
}

/// Where a pixel's `external_id` comes from (ad-platforms 13.1). It must name a person: an id that visitors share makes one
/// person of them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExternalIdSource {
    /// The `ecid` that the buyer put on the address (contract G.3).
    #[default]
    Ecid,
    /// The visitor's first-party cookie.
    Visitor,
    /// The click.
    ClickId,
    /// No id is sent.
    None,
}

impl ExternalIdSource {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ecid, Self::Visitor, Self::ClickId, Self::None];

    /// The wire word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ecid => "ecid",
            Self::Visitor => "visitor",
            Self::ClickId => "click_id",
            Self::None => "none",
        }
    }
}

/// The seven event fields of a pixel (contract A.8.1): a platform event name, or `None` for off.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the field names are the wire names of contract A.8.1")]
pub struct EventMap {
    pub event_click: Option<EventName>,
    pub event_new_subscriber: Option<EventName>,
    pub event_first_transaction: Option<EventName>,
    pub event_new_transaction: Option<EventName>,
    pub event_message_received_from_fan: Option<EventName>,
    pub event_fan_sent_1_message: Option<EventName>,
    pub event_fan_sent_3_messages: Option<EventName>,
}

// === impl EventMap ===

impl EventMap {
    /// What a new pixel sends unless told otherwise (contract G.2).
    #[must_use]
    pub fn usual(platform: PlatformKind) -> Self {
        let name = |name: Option<&str>| name.map(|name| EventName(name.to_owned()));
        let usual = &platform.facts().usual;
        Self {
            event_click: name(usual.click),
            event_new_subscriber: name(usual.subscriber),
            event_first_transaction: name(usual.purchase),
            event_new_transaction: name(usual.purchase),
            event_fan_sent_3_messages: name(usual.third_message),
            ..Self::default()
        }
    }

    /// Every name that is in use.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        DeliveryKind::ALL.into_iter().filter_map(|kind| self.name(kind))
    }

    /// The name for what happened; `None` when it is switched off.
    #[must_use]
    pub fn name(&self, kind: DeliveryKind) -> Option<&str> {
        match kind {
            DeliveryKind::Click => &self.event_click,
            DeliveryKind::NewSubscriber => &self.event_new_subscriber,
            DeliveryKind::FirstTransaction => &self.event_first_transaction,
            DeliveryKind::NewTransaction => &self.event_new_transaction,
            DeliveryKind::MessageReceived => &self.event_message_received_from_fan,
            DeliveryKind::FanSent1Message => &self.event_fan_sent_1_message,
            DeliveryKind::FanSent3Messages => &self.event_fan_sent_3_messages,
        }
        .as_ref()
        .map(|EventName(name)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel() -> Pixel {
        Pixel {
            id: PixelId(1),
            team: TeamId(1),
            platform: PlatformKind::Meta,
            pixel_id: "12".to_owned(),
            sealed_token: vec![1, 2, 3],
            label: Some("House".to_owned()),
            event_source_url: None,
            events: EventMap::usual(PlatformKind::Meta),
            value_basis: ValueBasis::Gross,
            limited_data_use: false,
            api_version: None,
            external_id_source: ExternalIdSource::Ecid,
            in_order: false,
            pace: None,
            created_at: Timestamp(1),
            updated_at: Timestamp(2),
            is_deleted: false,
        }
    }

    #[test]
    fn a_pixel_of_a_version_that_kept_no_deleted_ones_is_there() {
        let mut bytes = Vec::new();
        pack::append(&pixel(), &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0));
        assert_eq!(postcard::from_bytes(&bytes), Ok(pixel()));
    }

    #[test]
    fn what_remains_of_a_pixel_is_its_names() {
        let remains = pixel().remains();
        assert!(
            remains.is_deleted && remains.sealed_token.is_empty() && remains.events.names().next().is_none()
        );
        assert_eq!((remains.platform, remains.label), (PlatformKind::Meta, Some("House".to_owned())));
    }
}
