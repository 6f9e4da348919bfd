//! Rows to write: plain, distinct by number, and all of one small world.

use std::time::Duration;

use sl_core::{
    catalog::{
        Account, ApiKey, EventMap, ExternalIdSource, Pixel, PlatformKind, SmartLink, Usable, ValueBasis,
    },
    click::{
        AdCookies, Class, Click, ClickRow, Device, Params, Place, RequestFacts, Rung, VisitorId, VisitorKeys,
    },
    conversion::{Conversion, ConversionKind, FanProfile, Purchase, TransactionFacts},
    delivery::{DeliveryKind, Destination, Job},
    event::Position,
    ids::{
        AccountId, ApiKeyId, ClickId, ConversionId, DeadLetterId, DeliveryId, FanId, LinkKind, PixelId,
        PoolLinkId, SmartLinkId, TeamId,
    },
    money::Cents,
    pool::{Given, StockKey},
    step::{DeadLetter, FanUnderLink, Step},
    time::Timestamp,
};

use crate::pool::{NewPoolLink, PoolLinkRef, PoolRules};

/// The team of most rows.
pub const TEAM: TeamId = TeamId(1);
/// A team that must see nothing of them.
pub const STRANGER: TeamId = TeamId(2);
/// A round hour: 2026-03-04T20:00:00Z.
pub const HOUR: Timestamp = Timestamp(1_772_654_400_000);
/// Six and twenty-four hours.
pub const RULES: PoolRules =
    PoolRules { window: Duration::from_secs(6 * 3600), quarantine: Duration::from_secs(24 * 3600) };

/// [`HOUR`] and so many seconds.
#[must_use]
pub fn after(seconds: u64) -> Timestamp {
    HOUR.plus(Duration::from_secs(seconds))
}

/// 16 bytes that sort by time, then by number.
#[must_use]
pub fn ulid(at: Timestamp, number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&at.0.to_be_bytes()[2..]);
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The account of most rows.
#[must_use]
pub fn account() -> AccountId {
    AccountId::from("acct_sample")
}

/// A Smart Link.
#[must_use]
pub fn link_id(number: u64) -> SmartLinkId {
    SmartLinkId::from_bytes(ulid(HOUR, number))
}

/// A position.
#[must_use]
pub fn position(offset: u64) -> Position {
    Position { epoch: 0, offset }
}

/// An empty step that ends at `offset`.
#[must_use]
pub fn step(offset: u64) -> Step {
    Step { position: position(offset), ..Step::default() }
}

/// Number `number` of a person's clicks, on a link.
#[must_use]
pub fn click(number: u64, link: SmartLinkId, at: Timestamp) -> ClickRow {
    let click = Click {
        id: ClickId::from_bytes(ulid(at, number)),
        team: TEAM,
        account: account(),
        link,
        at,
        window: RULES.window,
        class: Class::Person,
        rung: Rung::Fresh,
        pool_link: Some(pool_id(number)),
        sent_to: None,
        visitor: VisitorKeys {
            came_with: None,
            given: Some(VisitorId(number.into())),
            daily: VisitorId(u128::from(number) << 64),
            lasting: None,
        },
        request: RequestFacts {
            target: format!("/go/{link}?ecid={number}&utm_source=ig"),
            ip: Some("203.0.113.7".parse().unwrap()),
            user_agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) Instagram 371.0".to_owned(),
            referrer: Some("l.instagram.com".to_owned()),
            accept_language: Some("en-US,en;q=0.9".to_owned()),
        },
        device: Device {
            kind: "Mobile".to_owned(),
            browser: "Instagram".to_owned(),
            family: "Safari".to_owned(),
            platform: "iOS".to_owned(),
        },
        place: Place { country: Some("US".to_owned()), ..Place::default() },
        params: Params {
            ecid: Some(number.to_string()),
            utm_source: Some("ig".to_owned()),
            ..Params::default()
        },
        cookies: AdCookies::default(),
    };
    ClickRow { click: click.into(), gross_clicks: 1, is_duplicate: false }
}

/// A conversion of a fan, with money when it is a transaction.
#[must_use]
pub fn conversion(
    number: u64,
    link: SmartLinkId,
    click: Option<ClickId>,
    kind: ConversionKind,
    at: Timestamp,
) -> Conversion {
    let is_money = kind == ConversionKind::NewTransaction;
    let cents = if is_money { 1_000 + i64::try_from(number).unwrap() } else { 0 };
    Conversion {
        id: ConversionId::from_bytes(ulid(at, number)),
        team: TEAM,
        account: account(),
        link,
        click,
        fan: fan(number % 7),
        kind,
        at,
        gross: Cents(cents),
        net: Cents(cents).net_of_platform_fee(),
        purchase: Purchase::None,
        transaction: is_money.then(|| TransactionFacts {
            id: format!("tx{number}").into(),
            kind: "tip".to_owned(),
            description: "Tip from a fan".to_owned(),
            status: "done".to_owned(),
            turns: Vec::new(),
        }),
    }
}

/// A fan.
#[must_use]
pub fn fan(number: u64) -> FanId {
    FanId::from(format!("{}", 7_000 + number))
}

/// A fan listed under a link.
#[must_use]
pub fn fan_under(link: SmartLinkId, number: u64, gross: i64) -> FanUnderLink {
    FanUnderLink {
        team: TEAM,
        account: account(),
        link,
        fan: fan(number),
        profile: FanProfile { username: Some(format!("fan{number}")), ..FanProfile::default() },
        click: None,
        converted_at: HOUR,
        is_subscriber: true,
        gross: Cents(gross),
        net: Cents(gross).net_of_platform_fee(),
        tips_net: Cents::ZERO,
        messages: 0,
    }
}

/// A delivery to a pixel.
#[must_use]
pub fn job(number: u64, destination: Destination, created_at: Timestamp) -> Job {
    Job {
        id: DeliveryId::from_bytes(ulid(created_at, number)),
        team: TEAM,
        account: account(),
        link: link_id(1),
        destination,
        kind: DeliveryKind::NewTransaction,
        event_id: format!("event{number}"),
        conversion: Some(ConversionId::from_bytes(ulid(created_at, number))),
        click: Some(ClickId::from_bytes(ulid(HOUR, number % 3))),
        fan: Some(fan(number)),
        occurred_at: created_at,
        created_at,
        skip: None,
    }
}

/// A webhook that could not be used.
#[must_use]
pub fn dead_letter(number: u64, received_at: Timestamp) -> DeadLetter {
    DeadLetter {
        id: DeadLetterId::from_bytes(ulid(received_at, number)),
        team: TEAM,
        account: Some(account()),
        event: "transactions.new".to_owned(),
        received_at,
        reason: "payload.amount: missing".to_owned(),
        key: format!("key{number}"),
        body: b"{}".to_vec(),
    }
}

/// The tracking stock.
#[must_use]
pub fn stock() -> StockKey {
    StockKey { account: account(), kind: LinkKind::TrackingLink, trial_days: None }
}

/// The trial stock.
#[must_use]
pub fn trial_stock() -> StockKey {
    StockKey { account: account(), kind: LinkKind::FreeTrial, trial_days: Some(7) }
}

/// A tracking link's number.
#[must_use]
pub fn pool_id(number: u64) -> PoolLinkId {
    PoolLinkId { kind: LinkKind::TrackingLink, number }
}

/// A link of the sample account.
#[must_use]
pub fn pool_ref(id: PoolLinkId) -> PoolLinkRef {
    PoolLinkRef { account: account(), id }
}

/// Links `from..to` of a stock.
#[must_use]
pub fn new_links(stock: &StockKey, numbers: std::ops::Range<u64>) -> Vec<NewPoolLink> {
    numbers
        .map(|number| NewPoolLink {
            team: TEAM,
            stock: stock.clone(),
            id: PoolLinkId { kind: stock.kind, number },
            url: format!("https://creator.example/c{number}"),
            created_at: HOUR,
        })
        .collect()
}

/// A visitor takes a link.
#[must_use]
pub fn given(click: u64, at: Timestamp) -> Given {
    Given { click: ClickId::from_bytes(ulid(at, click)), at, last_hit_at: at, window: RULES.window }
}

/// A creator account.
#[must_use]
pub fn account_row(name: &str, team: TeamId) -> Account {
    Account {
        id: AccountId::from(name),
        team,
        display_name: name.to_owned(),
        onlyfans_id: Some(1),
        username: Some(name.to_owned()),
        email: None,
        name: None,
        avatar: None,
        is_authenticated: true,
        authentication_progress: "done".to_owned(),
        can_create_trial: None,
        usable: Usable { yes: true, as_of: HOUR },
        updated_at: HOUR,
    }
}

/// A Smart Link of the sample account.
#[must_use]
pub fn smart_link(number: u64, team: TeamId) -> SmartLink {
    SmartLink {
        id: link_id(number),
        team,
        account: account(),
        name: format!("link {number}"),
        kind: LinkKind::TrackingLink,
        trial_days: None,
        window: None,
        user_list_id: None,
        paused: false,
        deleted_at: None,
        overflow: None,
        pixels: Vec::new(),
        tags: Vec::new(),
        created_at: after(number),
        updated_at: after(number),
    }
}

/// An API key whose hash is its number repeated.
#[must_use]
pub fn api_key(number: u8, team: TeamId) -> ApiKey {
    ApiKey {
        id: ApiKeyId(number.into()),
        team,
        name: format!("key {number}"),
        hash: [number; 32],
        permissions: vec!["smart-links.view".to_owned()],
        created_at: HOUR,
        last_used_at: None,
        revoked_at: None,
    }
}

/// A Meta pixel.
#[must_use]
pub fn pixel(number: u64, team: TeamId) -> Pixel {
    Pixel {
        id: PixelId(number),
        team,
        platform: PlatformKind::Meta,
        pixel_id: format!("{number}"),
        sealed_token: vec![1, 2, 3],
        label: None,
        event_source_url: None,
        events: EventMap::default(),
        value_basis: ValueBasis::Gross,
        limited_data_use: false,
        api_version: None,
        external_id_source: ExternalIdSource::Ecid,
        in_order: false,
        pace: None,
        created_at: HOUR,
        updated_at: HOUR,
        is_deleted: false,
    }
}

/// Sets the progress of a delivery, whatever it was; `false` when somebody else changed it at the same moment.
///
/// # Errors
/// The store's.
pub async fn record(
    store: &crate::Store,
    id: sl_core::ids::DeliveryId,
    attempt: Option<sl_core::delivery::Attempt>,
    progress: sl_core::delivery::Progress,
) -> crate::Result<bool> {
    let before = store.deliveries.delivery(TEAM, id).await?.ok_or(crate::StoreError::NotFound)?.progress;
    store.outbox.advance(id, &before, attempt, progress).await
}
