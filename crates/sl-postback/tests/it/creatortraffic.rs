//! CreatorTraffic (ad-platforms 5): its gates, its answers, and a pixel that waits for the address.

use axum::response::IntoResponse;
use sl_core::platforms::{AdPlatform, Channel, CreatorTraffic, Event, Skip};
use sl_core::{
    catalog::{Pixel, PlatformKind},
    click::{Click, Params},
    conversion::{Conversion, ConversionKind},
    delivery::{DeliveryKind, DeliveryState},
    ids::{DeliveryId, PixelId},
    retry::Outcome,
};
use sl_store::suite::sample::{self, HOUR, TEAM};

use crate::world::{PIXEL, Receiver, World, a_pixel, answer};

fn build(kind: DeliveryKind, source: Option<&str>, ecid: Option<&str>) -> Result<String, Skip> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let click = Click {
        params: Params { ecid: owned(ecid), utm_source: owned(source), ..Params::default() },
        ..Click::clone(&sample::click(1, sample::link_id(1), HOUR).click)
    };
    let event = Event {
        kind,
        name: "new_subscriber",
        event_id: "01K1",
        occurred_at: HOUR,
        value: None,
        order_id: None,
        renewal: false,
        channel: Channel::Live,
    };
    let platform = CreatorTraffic::new("https://ct.example/in?adv=7");
    platform.build(&sample::pixel(1, TEAM), &event, &click, "").map(|request| request.url)
}

#[test]
fn only_new_subscribers_of_its_own_clicks_are_told() {
    use DeliveryKind::{Click, FirstTransaction, NewSubscriber};
    let source = Some("CreatorTraffic");
    let url = build(NewSubscriber, source, Some("a b")).unwrap();
    assert!(
        url.starts_with("https://ct.example/in?adv=7&click_id=a%20b&event=subscribe&event_id=01K1&ts="),
        "{url}"
    );
    for (kind, source, ecid, want) in [
        (NewSubscriber, None, Some("1"), Skip::UTM_SOURCE_MISMATCH),
        (NewSubscriber, Some("meta"), None, Skip::UTM_SOURCE_MISMATCH),
        (NewSubscriber, source, None, Skip::MISSING_CLICK_ID),
        (NewSubscriber, source, Some(""), Skip::MISSING_CLICK_ID),
        (NewSubscriber, source, Some("{clickid}"), Skip::MISSING_CLICK_ID),
        (Click, source, Some("1"), Skip::EVENT_DISABLED),
        (FirstTransaction, source, Some("1"), Skip::EVENT_DISABLED),
    ] {
        assert_eq!(build(kind, source, ecid), Err(want), "{kind:?} {source:?} {ecid:?}");
    }
}

#[test]
fn every_status_has_its_class() {
    let platform = CreatorTraffic::new("https://ct.example/in");
    for (status, want) in [
        (200, Outcome::Delivered),
        (204, Outcome::Delivered),
        (401, Outcome::Auth),
        (403, Outcome::Auth),
        (404, Outcome::Config),
        (400, Outcome::Payload),
        (422, Outcome::Payload),
        (408, Outcome::Retry),
        (429, Outcome::Slow(None)),
        (500, Outcome::Retry),
        (503, Outcome::Retry),
    ] {
        assert_eq!(platform.verdict(&a_pixel(), &answer(status, ""), 1).outcome, want, "{status}");
    }
    let mut limited = answer(429, "");
    limited.headers.insert("retry-after", "9".parse().unwrap());
    let nine = std::time::Duration::from_secs(9);
    assert_eq!(platform.verdict(&a_pixel(), &limited, 1).outcome, Outcome::Slow(Some(nine)));
}

/// The pixel is CreatorTraffic's, and somebody subscribed who came by it.
async fn subscriber(world: &World, ecid: &str) -> DeliveryId {
    let pixel = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
    let pixel = Pixel { platform: PlatformKind::Creatortraffic, pixel_id: String::new(), ..pixel };
    world.store.catalog.put_pixel(pixel).await.unwrap();
    let of_them = |click: &mut Click, _: &mut Conversion| {
        click.params.utm_source = Some("creatortraffic".to_owned());
        click.params.ecid = Some(ecid.to_owned());
    };
    world.told(1..2, &[PIXEL], ConversionKind::NewSubscriber, of_them).await[0]
}

#[tokio::test]
async fn a_pixel_without_an_address_waits_and_says_so_and_goes_on_once_there_is_one() {
    let receiver = Receiver::start(|_, _| "ok".into_response()).await;
    let mut world = World::new(receiver.address).await;
    let id = subscriber(&world, "ct_1").await;
    world.work(&[]).await;
    let held = world.until_state(id, DeliveryState::Parked).await.progress;
    assert_eq!(held.reason.as_deref(), Some("address_missing"));
    assert!(held.warnings[0].contains("ask CreatorTraffic"), "{:?}", held.warnings);
    world.creatortraffic = format!("http://{}/in", receiver.address);
    world.work(&[]).await;
    let told = world.until_state(id, DeliveryState::Delivered).await.progress;
    assert!(told.warnings.is_empty(), "{:?}", told.warnings);
    let request = &receiver.all()[0];
    assert!(request.uri.starts_with("/in?click_id=ct_1&event=subscribe"), "{}", request.uri);
    assert_eq!(request.headers["authorization"], "Bearer META-TOKEN-A");
    world.close().await;
}

/// Decisions 36: absent for the gate, with a warning.
#[tokio::test]
async fn a_macro_that_nobody_replaced_is_no_click_id_and_the_delivery_says_so() {
    let receiver = Receiver::start(|_, _| "ok".into_response()).await;
    let mut world = World::new(receiver.address).await;
    world.creatortraffic = format!("http://{}/in", receiver.address);
    let id = subscriber(&world, "{clickid}").await;
    world.work(&[]).await;
    let skipped = world.until_state(id, DeliveryState::Skipped).await.progress;
    assert_eq!(skipped.reason.as_deref(), Some("missing_click_id"));
    assert!(skipped.warnings[0].starts_with("unreplaced_macro: "), "{:?}", skipped.warnings);
    assert!(receiver.all().is_empty());
    world.close().await;
}
