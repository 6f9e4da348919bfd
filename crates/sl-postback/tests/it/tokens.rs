//! Tokens are told to their platform and to nobody else; events go one by one; test events by hand.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use axum::{http::StatusCode, response::IntoResponse};
use serde_json::{Value, json};
use sl_core::{
    catalog::{EventMap, Pixel, PlatformKind},
    click::Click,
    conversion::{Conversion, ConversionKind},
    delivery::{DeliveryState, Destination},
    ids::PixelId,
    platforms::TestRefused,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::world::{PIXEL, Received, Receiver, TOKEN, World, postback};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

async fn pixel_of(world: &World, platform: PlatformKind) -> Pixel {
    let pixel = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
    let pixel = Pixel { platform, events: EventMap::usual(platform), ..pixel };
    world.store.catalog.put_pixel(pixel.clone()).await.unwrap();
    pixel
}

fn known(click: &mut Click, _: &mut Conversion) {
    click.request.ip = "203.0.113.7".parse().ok();
    click.params.utm_source = Some("creatortraffic".to_owned());
    click.params.ecid = Some("ct_1".to_owned());
}

/// Everything they are sent comes back in their words, token and address included.
fn echo(_: usize, one: &Received) -> axum::response::Response {
    let headers: Vec<String> =
        one.headers.values().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
    let said = format!("{} {} {}", one.uri, headers.join(" "), String::from_utf8_lossy(&one.body));
    let error = json!({ "code": 100, "message": said, "error_msgs": [said] });
    let body = json!({ "error": error, "code": 40_002, "message": said, "status": "INVALID", "reason": said, "errors": error });
    (StatusCode::BAD_REQUEST, body.to_string()).into_response()
}

#[tokio::test]
async fn mistake_11_no_token_and_no_address_reaches_a_log_line_an_error_or_the_disk() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::info!("the log is written");
    let refusing = Receiver::start(echo).await;
    // Nobody listens there any more.
    let dead = {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        gone.local_addr().unwrap()
    };
    for platform in PlatformKind::ALL {
        for address in [refusing.address, dead] {
            let mut world = World::new(address).await;
            world.creatortraffic = format!("http://{address}/in");
            pixel_of(&world, platform).await;
            let id = world.told(1..2, &[PIXEL], ConversionKind::NewSubscriber, known).await[0];
            world.work(&[]).await;
            let delivery = world.until(id, |delivery| delivery.progress.attempts == 1).await;
            let words = format!("{delivery:?}{:?}", world.store.deliveries.attempts(id).await.unwrap());
            assert!(!words.contains(TOKEN), "{platform:?}: {words}");
            let rests = world.store.outbox.body(id).await.unwrap().unwrap();
            let rests = format!("{rests:?}{}", String::from_utf8_lossy(&rests.body));
            assert!(!rests.contains(TOKEN), "{platform:?}: {rests}");
            world.close().await;
        }
    }
    assert!(refusing.all().iter().all(|one| {
        let said = format!("{} {:?} {}", one.uri, one.headers, String::from_utf8_lossy(&one.body));
        said.contains(TOKEN)
    }));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the log is written"));
    for secret in [TOKEN, "access_token=", "203.0.113.7"] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

#[tokio::test]
async fn mistake_12_one_bad_event_does_not_take_others_with_it() {
    let answer = |_: usize, one: &Received| {
        let body: Value = serde_json::from_slice(&one.body).unwrap();
        let bad = body["data"][0]["properties"]["value"] == 10.05;
        let code = if bad { 40_002 } else { 0 };
        (StatusCode::OK, json!({ "code": code, "message": "m" }).to_string()).into_response()
    };
    let tiktok = Receiver::start(answer).await;
    let mut world = World::new(tiktok.address).await;
    pixel_of(&world, PlatformKind::Tiktok).await;
    let ids = world.told(1..21, &[PIXEL], ConversionKind::NewTransaction, known).await;
    world.work(&[]).await;
    for (number, id) in (1..).zip(&ids) {
        let state = if number == 5 { DeliveryState::Parked } else { DeliveryState::Delivered };
        world.until_state(*id, state).await;
    }
    let got = tiktok.all();
    assert_eq!(got.len(), 20);
    for one in got {
        let body: Value = serde_json::from_slice(&one.body).unwrap();
        assert_eq!(body["data"].as_array().unwrap().len(), 1, "one event for each request");
    }
    world.close().await;
}

#[tokio::test]
async fn a_test_event_is_worth_a_dollar_and_goes_through_the_platforms_own_channel() {
    let yes = |_: usize, _: &Received| {
        (StatusCode::OK, json!({ "events_received": 1, "code": 0, "status": "VALID" }).to_string())
            .into_response()
    };
    let receiver = Receiver::start(yes).await;
    let world = World::new(receiver.address).await;
    for platform in [PlatformKind::Meta, PlatformKind::Tiktok, PlatformKind::Snapchat] {
        let pixel = pixel_of(&world, platform).await;
        let tester = world.tester(&[]);
        for (event, value) in [
            ("event_new_subscriber_free", json!(0)),
            ("event_new_subscriber_paid", json!(1)),
            ("event_first_transaction", json!(1)),
            ("event_fan_sent_1_message", Value::Null),
        ] {
            tester.test(&pixel, event, Some("TEST1")).await.unwrap();
            let one = receiver.all().pop().unwrap();
            let body: Value = serde_json::from_slice(&one.body).unwrap();
            let sent = &body["data"][0];
            let money = sent.get("properties").or(sent.get("custom_data")).cloned().unwrap_or_default();
            assert_eq!(money["value"], value, "{platform:?} {event}");
            match platform {
                PlatformKind::Snapchat => assert!(one.uri.contains("/events/validate?"), "{}", one.uri),
                _ => assert_eq!(body["test_event_code"], "TEST1", "{platform:?}"),
            }
        }
        assert!(tester.test(&pixel, "event_new_subscriber", None).await.is_err(), "free or paid");
    }
    let creatortraffic = pixel_of(&world, PlatformKind::Creatortraffic).await;
    let why = world.tester(&[]).test(&creatortraffic, "event_new_subscriber_free", None).await.unwrap_err();
    assert_eq!(why, TestRefused::Event("creatortraffic can't be tested".to_owned()));
    world.close().await;
}

#[tokio::test]
async fn a_refused_test_event_is_told_in_the_platforms_words_without_the_token() {
    let receiver = Receiver::start(echo).await;
    let world = World::new(receiver.address).await;
    // In an address it is spelled otherwise.
    world.save_pixel("t0ken+with/marks=", sl_store::suite::sample::HOUR).await;
    for platform in [PlatformKind::Meta, PlatformKind::Tiktok, PlatformKind::Snapchat] {
        let pixel = pixel_of(&world, platform).await;
        let why = world.tester(&[]).test(&pixel, "event_click", Some("TEST1")).await.unwrap_err().to_string();
        assert!(why.contains("message") || why.contains("reason"), "{why}");
        assert!(!why.contains("t0ken"), "{platform:?}: {why}");
    }
    world.close().await;
}

#[tokio::test]
async fn a_test_event_that_is_refused_for_its_token_says_that_it_is_the_token() {
    let error =
        json!({ "error": { "code": 190, "error_subcode": 463, "message": "Error validating access token" } });
    let receiver =
        Receiver::start(move |_, _| (StatusCode::UNAUTHORIZED, error.to_string()).into_response()).await;
    let world = World::new(receiver.address).await;
    world.save_pixel("t0ken", sl_store::suite::sample::HOUR).await;
    let pixel = pixel_of(&world, PlatformKind::Meta).await;
    let why = world.tester(&[]).test(&pixel, "event_click", Some("TEST1")).await.unwrap_err();
    assert!(matches!(&why, TestRefused::Token(words) if words.contains("190")), "{why:?}");
    let unsealed = Pixel { sealed_token: vec![1; 40], ..pixel };
    let why = world.tester(&[]).test(&unsealed, "event_click", Some("TEST1")).await.unwrap_err();
    assert!(matches!(why, TestRefused::Token(_)), "{why:?}");
    world.close().await;
}

#[tokio::test]
async fn what_is_odd_about_an_event_stays_with_its_delivery() {
    let receiver = Receiver::start(|_, _| crate::world::confirmed()).await;
    let mut world = World::new(receiver.address).await;
    world.save_postback(1, format!("http://{}/?c={{external_click_id}}", receiver.address), None).await;
    let odd = |click: &mut Click, _: &mut Conversion| {
        click.params.ecid = Some("{{ad.id}}".to_owned());
        click.request.ip = None;
        click.params.fbclid = Some("IwZXh0bgNhZW0BMABhZGlkAasR3n".to_owned());
    };
    let to: [Destination; 2] = [PIXEL, postback(1)];
    let ids = world.told(1..2, &to, ConversionKind::NewTransaction, odd).await;
    world.work(&["127.0.0.0/8"]).await;
    let pixel = world.until_state(ids[0], DeliveryState::Delivered).await.progress;
    let words = |warnings: &[String]| -> Vec<String> {
        warnings.iter().map(|warning| warning.split(':').next().unwrap().to_owned()).collect()
    };
    let told = words(&pixel.warnings);
    assert!(
        told.contains(&"unreplaced_macro".to_owned()) && told.contains(&"missing_ip_user_agent".to_owned()),
        "{told:?}"
    );
    assert!(
        pixel.match_quality.is_some_and(|tenths| (20..50).contains(&tenths)),
        "{:?}",
        pixel.match_quality
    );
    let postback = world.until_state(ids[1], DeliveryState::Delivered).await.progress;
    assert_eq!(words(&postback.warnings), ["unreplaced_macro"]);
    assert_eq!(postback.match_quality, None);
    world.close().await;
}
