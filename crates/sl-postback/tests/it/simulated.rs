//! What is written here is taken by the simulated platforms, to the letter, and what they say is understood.

use std::sync::Arc;

use serde_json::json;
use sl_core::platforms::{AdPlatform, Answer, Meta, Snapchat, TikTok};
use sl_core::{
    catalog::{EventMap, Pixel, PlatformKind},
    click::Click,
    conversion::{Conversion, ConversionKind},
    delivery::{DeliveryState, RenderedRequest},
    ids::PixelId,
    retry::{Outcome, reason},
    seal::Secret,
    time::{Clock, ManualClock},
};
use sl_sim::ads::{AdsConfig, AdsSim, ReceiverState};

use crate::{
    goldens,
    world::{PIXEL, WEEK, World, a_pixel},
};

async fn simulator(clock: &Arc<ManualClock>) -> AdsSim {
    let clock: Arc<dyn Clock> = clock.clone();
    AdsSim::bind(AdsConfig::new(clock)).await.unwrap()
}

fn platforms(base: &str) -> [Box<dyn AdPlatform>; 3] {
    [
        Box::new(Meta::new(base, "v26.0")),
        Box::new(TikTok::new(base, WEEK)),
        Box::new(Snapchat::new(base, WEEK)),
    ]
}

fn state(ads: &AdsSim, platform: &dyn AdPlatform) -> ReceiverState {
    ads.state().receivers.get(platform.kind().as_str()).cloned().unwrap_or_default()
}

async fn send(http: &reqwest::Client, request: RenderedRequest) -> Answer {
    let mut call = http.post(&request.url).body(request.body);
    for (name, value) in request.headers {
        call = call.header(name, value);
    }
    let response = call.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.bytes().await.unwrap().to_vec(), whole: true }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn every_golden_event_is_taken_by_its_simulated_platform_to_the_letter() {
    let clock = Arc::new(ManualClock::at(sl_store::suite::sample::HOUR));
    let (ads, http) = (simulator(&clock).await, client());
    for platform in platforms(&ads.url()) {
        let (mut told, mut tests) = (0, 0);
        for (name, golden) in goldens::files(platform.kind().as_str()) {
            let Ok(request) = goldens::build(&*platform, &golden["input"]) else { continue };
            clock.set(goldens::time(&golden["input"]["event"]["occurred_at"]));
            let answer = send(&http, platform.authorise(request, &Secret::new("TOKEN"))).await;
            let verdict = platform.verdict(&a_pixel(), &answer, 1);
            let words = String::from_utf8_lossy(&answer.body).into_owned();
            assert_eq!(verdict.outcome, Outcome::Delivered, "{name}: {words}");
            let config = &golden["input"]["config"];
            tests += u64::from(config["test_event_code"].is_string() || config["test_mode"] == true);
            told += 1;
        }
        let state = state(&ads, &*platform);
        assert!(told >= 3);
        assert!(state.refused.is_empty() && state.read_over.is_empty(), "{state:?}");
        assert_eq!((state.requests, state.tests), (told, tests), "{:?}", platform.kind());
    }
    ads.shutdown().await;
}

#[tokio::test]
async fn what_a_simulated_platform_says_when_it_fails_is_understood() {
    let clock = Arc::new(ManualClock::at(sl_store::suite::sample::HOUR));
    let (ads, http) = (simulator(&clock).await, client());
    for platform in platforms(&ads.url()) {
        let name = platform.kind().as_str();
        let golden = goldens::files(name)
            .into_iter()
            .find(|(_, golden)| golden["expected"].get("skip").is_none())
            .map(|(_, golden)| golden)
            .unwrap();
        for (status, want) in [
            (400, Outcome::Payload),
            (401, Outcome::Auth),
            (403, Outcome::Auth),
            (429, Outcome::Slow(None)),
            (500, Outcome::Retry),
            (502, Outcome::Retry),
            (503, Outcome::Retry),
        ] {
            let fail = json!({ "status": status, "count": 1, "only": name });
            http.post(format!("{}/_sim/fail", ads.url())).body(fail.to_string()).send().await.unwrap();
            let request = goldens::build(&*platform, &golden["input"]).unwrap();
            let answer = send(&http, platform.authorise(request, &Secret::new("TOKEN"))).await;
            let words = String::from_utf8_lossy(&answer.body).into_owned();
            assert_eq!(platform.verdict(&a_pixel(), &answer, 1).outcome, want, "{name} {status}: {words}");
        }
    }
    ads.shutdown().await;
}

/// The reasons for which a simulated platform refuses reach the delivery in its own words.
#[tokio::test]
async fn a_refusal_is_parked_with_the_platforms_words() {
    for (platform, word) in [
        (PlatformKind::Meta, "error_subcode"),
        (PlatformKind::Tiktok, "code 400"),
        (PlatformKind::Snapchat, "event_time is out of range"),
    ] {
        let nowhere = ([127, 0, 0, 1], 9).into();
        let mut world = World::new(nowhere).await;
        // The platform's clock is months behind: everything lies in the future.
        let behind = Arc::new(ManualClock::at(world.clock.now().minus(90 * WEEK / 7)));
        let ads = simulator(&behind).await;
        world.meta = ads.addr();
        let pixel = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
        let events = EventMap::usual(platform);
        world.store.catalog.put_pixel(Pixel { platform, events, ..pixel }).await.unwrap();
        let known = |click: &mut Click, _: &mut Conversion| click.request.ip = "203.0.113.7".parse().ok();
        let id = world.told(1..2, &[PIXEL], ConversionKind::NewSubscriber, known).await[0];
        world.work(&[]).await;
        let progress = world.until_state(id, DeliveryState::Parked).await.progress;
        assert_eq!(progress.reason.as_deref(), Some(reason::PAYLOAD), "{platform:?}: {progress:?}");
        let words = progress.last.unwrap().message.unwrap();
        assert!(words.contains(word), "{platform:?}: {words}");
        world.close().await;
        ads.shutdown().await;
    }
}

#[test]
fn no_garbage_is_taken_for_a_delivery() {
    let garbage = [
        "",
        " ",
        "null",
        "true",
        "0",
        "1",
        "[]",
        "{}",
        "\"VALID\"",
        "\"code\":0",
        "{\"code\":null}",
        "{\"code\":\"0\"}",
        "{\"code\":0.5}",
        "{\"code\":-1}",
        "{\"code\":1e99}",
        "{\"code\":[0]}",
        "{\"status\":\"valid\"}",
        "{\"status\":true}",
        "{\"status\":[\"VALID\"]}",
        "{\"events_received\":\"1\"}",
        "{\"events_received\":-1}",
        "{\"events_received\":0}",
        "{\"events_received\":[1]}",
        "{\"error\":null}",
        "{\"error\":{}}",
        "{\"error\":{\"code\":\"190\"}}",
        "<html>code: 0 VALID events_received 1</html>",
        "\u{0}\u{1}",
        "OK",
    ];
    for platform in platforms("https://a.example") {
        for text in garbage {
            for status in
                [100, 200, 201, 204, 301, 400, 401, 403, 404, 409, 418, 422, 429, 500, 503, 599, 999]
            {
                let answer = crate::world::answer(status, text);
                let what = format!("{:?} {status} {text:?}", platform.kind());
                assert_ne!(platform.verdict(&a_pixel(), &answer, 1).outcome, Outcome::Delivered, "{what}");
            }
        }
    }
}
