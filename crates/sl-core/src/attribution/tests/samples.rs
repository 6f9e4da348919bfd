//! Short words for what tests are made of.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    catalog::{
        AnswerTexts, EventMap, ExternalIdSource, Pixel, PlatformKind, Postback, PostbackMethod,
        PostbackScope, SmartLink, ValueBasis,
    },
    click::{VisitorId, VisitorKeys},
    conversion::{ConversionKind, FanProfile, Transaction},
    delivery::EventName,
    event::{SubscriberSeen, WebhookReceived},
    ids::{AccountId, FanId, LinkKind, PixelId, PoolLinkId, PostbackId, SmartLinkId, TeamId, TransactionId},
    money::Cents,
    time::{DayEdge, Timestamp},
};

pub(super) const A: SmartLinkId = SmartLinkId(ulid::Ulid(0xA));
pub(super) const B: SmartLinkId = SmartLinkId(ulid::Ulid(0xB));
/// Fingerprints start here: a value no other bytes look like.
pub(super) const PRINT: u128 = 0xF17E_5EED_0000_0000_0000;
pub(super) const SIX_HOURS: Duration = Duration::from_secs(6 * 3600);

pub(super) fn at(text: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-{text}"), DayEdge::Start).unwrap()
}

pub(super) fn keys(came_with: Option<u128>, given: u128, print: u128) -> VisitorKeys {
    VisitorKeys {
        came_with: came_with.map(VisitorId),
        given: Some(VisitorId(given)),
        daily: VisitorId(print),
        lasting: Some(VisitorId(print)),
    }
}

pub(super) fn pool_link(number: u64) -> PoolLinkId {
    PoolLinkId { kind: LinkKind::TrackingLink, number }
}

pub(super) fn seen(pool: u64, fan: &str, when: Timestamp) -> SubscriberSeen {
    SubscriberSeen {
        pool_link: pool_link(pool),
        overflow_of: None,
        fan: FanId::from(fan),
        profile: FanProfile { name: Some("Sam".into()), ..FanProfile::default() },
        subscribed_at: None,
        price: None,
        seen_at: when,
        absent_at: None,
    }
}

pub(super) fn webhook(when: Timestamp, key: &str, event: &str, body: Vec<u8>) -> WebhookReceived {
    WebhookReceived { event: event.to_owned(), key: key.to_owned(), received_at: when, body, retry_of: None }
}

pub(super) fn transaction(
    id: &str,
    fan: &str,
    kind: &str,
    cents: i64,
    status: &str,
    made: Timestamp,
) -> Value {
    let net = Cents(cents).net_of_platform_fee();
    json!({"id": id, "type": kind, "amount": Cents(cents).to_json(), "net_amount": net.to_json(), "status": status,
        "description": "d", "created_at": made.iso(), "fan": {"id": fan, "name": "Sam"}})
}

pub(super) fn reconciled(id: &str, fan: &str, kind: &str, cents: i64, made: Timestamp) -> Transaction {
    Transaction {
        id: TransactionId::from(id),
        kind: kind.to_owned(),
        fan: FanId::from(fan),
        profile: FanProfile::default(),
        gross: Cents(cents),
        net: Cents(cents).net_of_platform_fee(),
        status: "done".to_owned(),
        description: String::new(),
        at: made,
        reconciled: true,
    }
}

pub(super) fn smart_link(id: SmartLinkId, pixels: &[u64]) -> SmartLink {
    SmartLink {
        id,
        team: TeamId(1),
        account: AccountId::from("acct_7f3a"),
        name: "x".into(),
        kind: LinkKind::TrackingLink,
        trial_days: None,
        window: None,
        user_list_id: Some("55".into()),
        paused: false,
        deleted_at: None,
        overflow: None,
        pixels: pixels.iter().map(|id| PixelId(*id)).collect(),
        tags: Vec::new(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

pub(super) fn pixel(id: u64, platform: PlatformKind) -> Pixel {
    let on = || Some(EventName("X".into()));
    Pixel {
        id: PixelId(id),
        team: TeamId(1),
        platform,
        pixel_id: "1".into(),
        sealed_token: Vec::new(),
        label: None,
        event_source_url: None,
        events: EventMap {
            event_click: on(),
            event_new_subscriber: on(),
            event_first_transaction: on(),
            event_new_transaction: on(),
            event_message_received_from_fan: None,
            event_fan_sent_1_message: on(),
            event_fan_sent_3_messages: on(),
        },
        value_basis: ValueBasis::Gross,
        limited_data_use: false,
        api_version: None,
        external_id_source: ExternalIdSource::Ecid,
        in_order: false,
        pace: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        is_deleted: false,
    }
}

pub(super) fn postback(id: u64, scope: PostbackScope, conversion_types: &[ConversionKind]) -> Postback {
    Postback {
        id: PostbackId(id),
        team: TeamId(1),
        url: "https://x.example/".into(),
        method: PostbackMethod::Get,
        body: None,
        headers: Vec::new(),
        scope,
        conversion_types: conversion_types.to_vec(),
        answers: AnswerTexts::default(),
        in_order: false,
        pace: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}
