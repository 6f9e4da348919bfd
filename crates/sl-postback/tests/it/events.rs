//! Amounts of events, for every platform: what a conversion becomes on its way (contract G.2, G.3, ad-platforms 1.5).

use axum::{http::StatusCode, response::IntoResponse};
use serde_json::{Value, json};
use sl_core::platforms::{AdPlatform, Channel, CreatorTraffic, Event, Meta, Skip, Snapchat, TikTok};
use sl_core::{
    catalog::{EventMap, Pixel, PlatformKind, ValueBasis},
    click::Click,
    conversion::{Conversion, ConversionKind},
    delivery::{DeliveryKind, DeliveryState},
    ids::PixelId,
    money::Cents,
};
use sl_store::suite::sample::{self, HOUR, TEAM};

use crate::world::{PIXEL, Received, Receiver, WEEK, World};

const MAPPED: [PlatformKind; 3] = [PlatformKind::Meta, PlatformKind::Tiktok, PlatformKind::Snapchat];

/// As each of them confirms.
fn yes(_: usize, _: &Received) -> axum::response::Response {
    let all = json!({ "events_received": 1, "code": 0, "status": "VALID" });
    (StatusCode::OK, all.to_string()).into_response()
}

/// What the platform gets of a conversion.
async fn told(platform: PlatformKind, kind: ConversionKind, gross: i64, basis: ValueBasis) -> Value {
    let receiver = Receiver::start(yes).await;
    let mut world = World::new(receiver.address).await;
    let pixel = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
    let pixel = Pixel { platform, events: EventMap::usual(platform), value_basis: basis, ..pixel };
    world.store.catalog.put_pixel(pixel).await.unwrap();
    let amount = |click: &mut Click, row: &mut Conversion| {
        click.request.ip = "203.0.113.7".parse().ok();
        row.gross = Cents(gross);
        row.net = Cents(gross).net_of_platform_fee();
    };
    let id = world.told(1..2, &[PIXEL], kind, amount).await[0];
    world.work(&[]).await;
    world.until_state(id, DeliveryState::Delivered).await;
    let body: Value = serde_json::from_slice(&receiver.all()[0].body).unwrap();
    world.close().await;
    let event = body["data"][0].clone();
    if platform == PlatformKind::Tiktok { event["properties"].clone() } else { event["custom_data"].clone() }
}

#[tokio::test]
async fn a_free_subscription_has_the_value_zero_and_a_paid_one_its_price() {
    for platform in MAPPED {
        let free = told(platform, ConversionKind::NewSubscriber, 0, ValueBasis::Gross).await;
        assert_eq!(free, json!({ "value": 0, "currency": "USD" }), "{platform:?}");
        let paid = told(platform, ConversionKind::NewSubscriber, 999, ValueBasis::Gross).await;
        assert_eq!(paid, json!({ "value": 9.99, "currency": "USD" }), "{platform:?}");
    }
}

#[tokio::test]
async fn a_purchase_has_amount_currency_and_an_order_of_its_own_gross_or_net() {
    for platform in MAPPED {
        for (basis, value) in [(ValueBasis::Gross, 20), (ValueBasis::Net, 16)] {
            let sent = told(platform, ConversionKind::NewTransaction, 2000, basis).await;
            let want = json!({ "value": value, "currency": "USD", "order_id": "tx1" });
            assert_eq!(sent, want, "{platform:?} {basis:?}");
        }
    }
}

#[test]
fn no_platform_is_ever_told_a_negative_value() {
    let platforms: [&dyn AdPlatform; 4] = [
        &Meta::new("https://a.example", "v26.0"),
        &TikTok::new("https://a.example", WEEK),
        &Snapchat::new("https://a.example", WEEK),
        &CreatorTraffic::new("https://a.example/in"),
    ];
    let mut click = Click::clone(&sample::click(1, sample::link_id(1), HOUR).click);
    click.request.ip = "203.0.113.7".parse().ok();
    click.params.utm_source = Some("creatortraffic".to_owned());
    for platform in platforms {
        let usual = EventMap::usual(platform.kind());
        for kind in
            [DeliveryKind::NewSubscriber, DeliveryKind::FirstTransaction, DeliveryKind::NewTransaction]
        {
            let event = |value: Option<i64>| Event {
                kind,
                name: usual.name(kind).unwrap_or("X"),
                event_id: "1",
                occurred_at: HOUR,
                value: value.map(Cents),
                order_id: None,
                renewal: false,
                channel: Channel::Live,
            };
            let build = |value| {
                platform.build(&sample::pixel(1, TEAM), &event(value), &click, "https://go.example/go/A")
            };
            if platform.kind() == PlatformKind::Creatortraffic {
                let words = build(Some(-1)).map_or(String::new(), |request| request.url);
                assert!(!words.contains("-1") && !words.contains("amount"), "{words}");
                continue;
            }
            assert_eq!(build(Some(-1)), Err(Skip::NEGATIVE_VALUE), "{kind:?}");
            let body = build(Some(0)).unwrap().body;
            let body: Value = serde_json::from_slice(&body).unwrap();
            let event = &body["data"][0];
            let money = event.get("properties").or(event.get("custom_data")).unwrap();
            assert_eq!(money["value"], 0, "zero is an amount");
        }
    }
}

#[test]
fn a_request_is_addressed_as_it_was_written_and_not_once_its_platform_has_another_address() {
    let at = |base: &str| -> [Box<dyn AdPlatform>; 4] {
        [
            Box::new(Meta::new(base, "v26.0")),
            Box::new(TikTok::new(base, WEEK)),
            Box::new(Snapchat::new(base, WEEK)),
            Box::new(CreatorTraffic::new(&format!("{base}/in"))),
        ]
    };
    let mut click = Click::clone(&sample::click(1, sample::link_id(1), HOUR).click);
    click.request.ip = "203.0.113.7".parse().ok();
    click.params.utm_source = Some("CreatorTraffic".to_owned());
    click.params.ecid = Some("row-9".to_owned());
    let event = Event {
        kind: DeliveryKind::NewSubscriber,
        name: "Subscribe",
        event_id: "01K1",
        occurred_at: HOUR,
        value: Some(Cents(100)),
        order_id: None,
        renewal: false,
        channel: Channel::Live,
    };
    let pixel = sample::pixel(1, TEAM);
    for (own, other) in at("https://ads.example/").iter().zip(at("https://ads.example/typo")) {
        let url = own.build(&pixel, &event, &click, "https://go.example/go/1").unwrap().url;
        assert!(own.is_addressed(&pixel, &url), "{url}");
        assert!(!other.is_addressed(&pixel, &url), "{url}");
        let old = other.build(&pixel, &event, &click, "https://go.example/go/1").unwrap().url;
        assert!(!own.is_addressed(&pixel, &old), "{old}");
    }
}
