//! What a history is made of: said once, read by the state machine as records and by the model as it is.

use serde_json::json;
use sl_core::{
    catalog::{
        AnswerTexts, EventMap, ExternalIdSource, Pixel, PlatformKind, Postback, PostbackMethod,
        PostbackScope, SmartLink, ValueBasis,
    },
    click::{Click, Repeat},
    conversion::{ConversionKind, Transaction},
    delivery::EventName,
    event::{Event, EventBody, JournalId, Recorded, SubscriberSeen, WebhookReceived},
    ids::{AccountId, FanId, LinkKind, PixelId, PostbackId, SmartLinkId, TeamId},
    money::Cents,
    time::Timestamp,
};

pub(crate) const A: SmartLinkId = SmartLinkId(ulid::Ulid(0xA));
pub(crate) const B: SmartLinkId = SmartLinkId(ulid::Ulid(0xB));
pub(crate) const C: SmartLinkId = SmartLinkId(ulid::Ulid(0xC));
pub(crate) const D: SmartLinkId = SmartLinkId(ulid::Ulid(0xD));
/// Two creators with two links each.
pub(crate) const ACCOUNTS: [(&str, [SmartLinkId; 2]); 2] = [("acct_1", [A, B]), ("acct_2", [C, D])];

/// One record of the stream.
#[derive(Debug, Clone)]
pub(crate) struct Happening {
    pub(crate) account: &'static str,
    /// When it was appended.
    pub(crate) at: Timestamp,
    pub(crate) what: What,
}

/// What it says.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Click(std::sync::Arc<Click>),
    Repeat(Repeat),
    Seen(SubscriberSeen),
    /// From the reconciliation when there is no key.
    Money(Option<String>, Transaction),
    Message {
        key: String,
        id: String,
        fan: FanId,
        at: Timestamp,
    },
    Announced {
        key: String,
        fan: FanId,
        at: Timestamp,
        price: Cents,
        renewed: bool,
    },
    /// A webhook that can't be used.
    Broken(String),
    Tick,
}

impl Happening {
    pub(crate) fn record(&self, sequence: u64) -> Recorded {
        let webhook = |event: &str, key: &str, payload: serde_json::Value| {
            let body = json!({"event": event, "account_id": self.account, "payload": payload});
            EventBody::Webhook(WebhookReceived {
                event: event.to_owned(),
                key: key.to_owned(),
                received_at: self.at,
                body: body.to_string().into_bytes(),
                retry_of: None,
            })
        };
        let body = match &self.what {
            What::Click(click) => EventBody::Click(click.clone()),
            What::Repeat(repeat) => EventBody::Repeat(repeat.clone()),
            What::Seen(seen) => EventBody::SubscriberSeen(seen.clone()),
            What::Money(None, money) => EventBody::TransactionSeen(money.clone()),
            What::Money(Some(key), money) => webhook(
                "transactions.new",
                key,
                json!({"id": money.id.as_str(), "type": money.kind, "amount": money.gross.to_json(),
                    "net_amount": money.net.to_json(), "status": money.status, "created_at": money.at.iso(),
                    "fan": {"id": money.fan.as_str()}}),
            ),
            What::Message { key, id, fan, at } => webhook(
                "messages.received",
                key,
                json!({"id": id, "createdAt": at.iso(), "fromUser": {"id": fan.as_str()}}),
            ),
            What::Announced { key, fan, at, price, renewed } => webhook(
                if *renewed { "subscriptions.renewed" } else { "subscriptions.new" },
                key,
                json!({"createdAt": at.iso(), "user": {"id": fan.as_str()},
                    "replacePairs": {"{PRICE}": format!("{price}")}}),
            ),
            What::Broken(key) => webhook("transactions.new", key, json!({})),
            What::Tick => EventBody::Tick,
        };
        let event = Event { team: TeamId(1), account: AccountId::from(self.account), at: self.at, body };
        Recorded { journal: JournalId(1), sequence, event }
    }
}

/// Pixels: 1 Meta (all but every message) and 2 CreatorTraffic at A, 3 TikTok (money and messages) at B, 1 at C.
pub(crate) fn catalog() -> (Vec<SmartLink>, Vec<Pixel>, Vec<Postback>) {
    let links = [("acct_1", A, &[1, 2][..]), ("acct_1", B, &[3]), ("acct_2", C, &[1]), ("acct_2", D, &[])];
    let links = links.map(|(account, id, pixels)| SmartLink {
        id,
        team: TeamId(1),
        account: AccountId::from(account),
        name: "x".into(),
        kind: LinkKind::TrackingLink,
        trial_days: None,
        window: None,
        user_list_id: (id == A).then(|| "55".into()),
        paused: false,
        deleted_at: None,
        overflow: None,
        pixels: pixels.iter().map(|id| PixelId(*id)).collect(),
        tags: Vec::new(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    });
    let pixels = [(1, PlatformKind::Meta), (2, PlatformKind::Creatortraffic), (3, PlatformKind::Tiktok)];
    let pixels = pixels.map(|(id, platform)| Pixel {
        id: PixelId(id),
        team: TeamId(1),
        platform,
        pixel_id: "1".into(),
        sealed_token: Vec::new(),
        label: None,
        event_source_url: None,
        events: events(id),
        value_basis: ValueBasis::Gross,
        limited_data_use: false,
        api_version: None,
        external_id_source: ExternalIdSource::Ecid,
        in_order: false,
        pace: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        is_deleted: false,
    });
    use ConversionKind as K;
    let postbacks = [
        (1, PostbackScope::Global, vec![K::NewSubscriber, K::NewTransaction]),
        (
            2,
            PostbackScope::Links(vec![B, C]),
            vec![K::NewTransaction, K::MessageReceived, K::FanSent3Messages],
        ),
    ];
    let postbacks = postbacks.map(|(id, scope, conversion_types)| Postback {
        id: PostbackId(id),
        team: TeamId(1),
        url: "https://x.example/".into(),
        method: PostbackMethod::Get,
        body: None,
        headers: Vec::new(),
        scope,
        conversion_types,
        answers: AnswerTexts::default(),
        in_order: false,
        pace: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    });
    (links.into(), pixels.into(), postbacks.into())
}

fn events(pixel: u64) -> EventMap {
    let on = |on: bool| on.then(|| EventName("X".into()));
    EventMap {
        event_click: on(pixel == 1),
        event_new_subscriber: on(pixel == 1),
        event_first_transaction: on(pixel != 2),
        event_new_transaction: on(pixel != 2),
        event_message_received_from_fan: on(pixel == 3),
        event_fan_sent_1_message: on(pixel == 1),
        event_fan_sent_3_messages: on(pixel == 1),
    }
}
