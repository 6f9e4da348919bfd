//! The mistakes that implementers usually make (ad-platforms 16), one test for each, by its number (13 is in `tester`'s
//! amounts, too).

use std::{collections::BTreeSet, time::Duration};

use axum::response::IntoResponse;
use serde_json::{Value, json};
use sl_core::platforms::{AdPlatform, Answer, Channel, CreatorTraffic, Event, Meta, Skip, Snapchat, TikTok};
use sl_core::{
    catalog::{AnswerTexts, EventMap, ExternalIdSource, HeaderTemplate, Pixel, PlatformKind, PostbackMethod},
    click::{AdCookies, Click, Params, Place, RequestFacts},
    conversion::{Conversion, ConversionKind},
    delivery::{DeliveryKind, DeliveryState},
    identity::Identity,
    ids::PostbackId,
    lint,
    money::Cents,
    retry::Outcome,
    time::Timestamp,
};
use sl_postback::generic;
use sl_store::suite::sample::{self, HOUR, TEAM};

use crate::world::{Receiver, WEEK, World, a_pixel, answer, postback};

const AGENT: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X)";
const CLICKED: Timestamp = Timestamp(1_795_196_412_345);
const URL: &str = "https://go.example/go/A?fbclid=IwAbC-1&ttclid=E.C.P.AbC&ScCid=Sc-AbC&gclid=G-1&ecid=row-9&utm_source=x#top";

fn platforms() -> [Box<dyn AdPlatform>; 3] {
    [
        Box::new(Meta::new("https://graph.example", "v26.0")),
        Box::new(TikTok::new("https://tiktok.example", WEEK)),
        Box::new(Snapchat::new("https://snap.example", WEEK)),
    ]
}

/// A click that everything is known of.
fn click() -> Click {
    let text = |text: &str| Some(text.to_owned());
    Click {
        at: CLICKED,
        request: RequestFacts {
            ip: "203.0.113.45".parse().ok(),
            user_agent: AGENT.to_owned(),
            ..RequestFacts::default()
        },
        place: Place {
            country: text("US"),
            region: text("CA"),
            city: text("Fresno"),
            postal_code: text("93650"),
        },
        params: Params {
            ecid: text("row-9"),
            fbclid: text("IwAbC-1"),
            ttclid: text("E.C.P.AbC"),
            sccid: text("Sc-AbC"),
            gclid: text("G-1"),
            ..Params::default()
        },
        cookies: AdCookies {
            fbp: text("fb.1.1795196412345.1098115397"),
            ttp: text("2F7h37YkS1j57AYSKTI7IHhJPYH"),
            scid: text("7c0d3b52-9b1a-4c55-8a77-2f0e5d1c9a10"),
            ..AdCookies::default()
        },
        ..Click::clone(&sample::click(1, sample::link_id(1), HOUR).click)
    }
}

fn event(name: &str, value: Option<i64>) -> Event<'_> {
    Event {
        kind: DeliveryKind::NewTransaction,
        name,
        event_id: "01k9a1q7m3x4",
        occurred_at: CLICKED.plus(Duration::from_millis(60_999)),
        value: value.map(Cents),
        order_id: Some("tx-1"),
        renewal: false,
        channel: Channel::Live,
    }
}

fn purchase(platform: &dyn AdPlatform) -> &'static str {
    if platform.kind() == PlatformKind::Snapchat { "PURCHASE" } else { "Purchase" }
}

fn body(platform: &dyn AdPlatform, event: &Event<'_>, click: &Click) -> Value {
    let request = platform.build(&sample::pixel(1, TEAM), event, click, URL).unwrap();
    serde_json::from_slice(&request.body).unwrap()
}

/// A purchase of 10 dollars, on every platform: the whole body.
fn bodies(click: &Click) -> Vec<(PlatformKind, Value)> {
    let one = |platform: &dyn AdPlatform| {
        (platform.kind(), body(platform, &event(purchase(platform), Some(1000)), click))
    };
    platforms().iter().map(|platform| one(&**platform)).collect()
}

/// The object about the person.
fn person(body: &Value) -> &Value {
    let event = &body["data"][0];
    event.get("user").or(event.get("user_data")).unwrap()
}

/// Every text and `null` in it, in order.
fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members.values().flat_map(leaves).collect(),
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

#[test]
fn mistake_01_times_are_whole_seconds_never_rounded_up() {
    for (platform, body) in bodies(&click()) {
        assert_eq!(body["data"][0]["event_time"], 1_795_196_473, "{platform:?}");
    }
}

#[test]
fn mistake_02_fbc_is_of_the_click_and_the_same_on_every_event() {
    let meta = &platforms()[0];
    let later = Event { occurred_at: CLICKED.plus(WEEK), ..event("Lead", None) };
    for event in [event("Subscribe", None), later] {
        assert_eq!(person(&body(&**meta, &event, &click()))["fbc"], "fb.1.1795196412345.IwAbC-1");
    }
}

#[test]
fn mistake_03_click_ids_are_neither_lower_cased_nor_cut() {
    let long = "aB-_9".repeat(409) + "xyz";
    assert_eq!(long.len(), 2048);
    let mut click = click();
    click.params.fbclid = Some(long.clone());
    click.params.sccid = Some(long.clone());
    click.params.ttclid = Some(long[..1000].to_owned());
    let all = bodies(&click);
    assert_eq!(person(&all[0].1)["fbc"], format!("fb.1.1795196412345.{long}"));
    assert_eq!(person(&all[1].1)["ttclid"], long[..1000]);
    assert_eq!(person(&all[2].1)["sc_click_id"], long);
}

#[test]
fn mistake_04_only_what_must_be_is_hashed() {
    let plain = [
        &["fbc", "fbp", "client_ip_address", "client_user_agent"][..],
        &["ttclid", "ttp", "ip", "user_agent", "city", "state", "country"],
        &["sc_click_id", "sc_cookie1", "client_ip_address", "client_user_agent"],
    ];
    let hashed = [
        &["external_id", "ct", "st", "zp", "country"][..],
        &["external_id", "zip_code"],
        &["external_id", "ct", "st", "zp", "country"],
    ];
    let is_hash = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    for (nth, (platform, body)) in bodies(&click()).into_iter().enumerate() {
        let person = person(&body);
        for name in plain[nth] {
            let texts = leaves(&person[name]);
            assert!(!texts.is_empty() && !texts.iter().any(is_hash), "{platform:?} {name}");
        }
        for name in hashed[nth] {
            let texts = leaves(&person[name]);
            assert!(!texts.is_empty() && texts.iter().all(is_hash), "{platform:?} {name}");
        }
        assert_eq!(person.as_object().unwrap().len(), plain[nth].len() + hashed[nth].len(), "{platform:?}");
    }
}

#[test]
fn mistake_05_what_is_empty_is_absent() {
    let empty = || Some(" ".to_owned());
    let mut click = click();
    click.place = Place { country: empty(), region: empty(), city: empty(), postal_code: empty() };
    click.params = Params {
        ecid: empty(),
        fbclid: Some(String::new()),
        ttclid: empty(),
        sccid: empty(),
        ..Params::default()
    };
    click.cookies = AdCookies { fbp: empty(), ttp: empty(), scid: empty(), ..AdCookies::default() };
    for (platform, body) in bodies(&click) {
        for text in leaves(&body) {
            assert!(!text.trim().is_empty() && text != "null", "{platform:?}: {body}");
            assert!(!text.starts_with("e3b0c44298fc1c14"), "{platform:?}: the hash of nothing");
        }
        assert_eq!(person(&body).as_object().unwrap().len(), 2, "{platform:?}: address and agent");
    }
}

#[test]
fn mistake_06_unreplaced_macros_are_no_ids() {
    for unreplaced in ["__CLICKID__", "{{ad.id}}", "{clickid}", "${CID}", "[cid]", "%cid%", " {clickid} "] {
        let it = || Some(unreplaced.to_owned());
        let mut click = click();
        click.params = Params { ecid: it(), fbclid: it(), ttclid: it(), sccid: it(), ..Params::default() };
        click.cookies =
            AdCookies { ttclid: it(), ttp: it(), scclid: it(), scid: it(), ..AdCookies::default() };
        for (platform, body) in bodies(&click) {
            assert_eq!(person(&body)["external_id"], Value::Null, "{platform:?}");
            let inner = unreplaced.trim();
            assert!(!leaves(person(&body)).iter().any(|text| text.contains(inner)), "{platform:?}: {body}");
        }
    }
}

#[test]
fn mistake_07_address_and_agent_are_the_clicks() {
    for (platform, body) in bodies(&click()) {
        let person = person(&body);
        let either = |a: &str, b: &str| person.get(a).or(person.get(b)).cloned();
        assert_eq!(either("ip", "client_ip_address"), Some(json!("203.0.113.45")), "{platform:?}");
        assert_eq!(either("user_agent", "client_user_agent"), Some(json!(AGENT)), "{platform:?}");
    }
}

#[test]
fn mistake_08_tiktok_is_judged_by_its_code_and_its_names_are_checked() {
    let tiktok = TikTok::new("https://tiktok.example", WEEK);
    let coded = |status, code: u32| {
        tiktok.verdict(&a_pixel(), &answer(status, &json!({ "code": code }).to_string()), 1).outcome
    };
    assert_eq!(coded(200, 40_002), Outcome::Payload);
    assert_eq!(coded(401, 40_100), Outcome::Slow(None));
    assert_eq!(coded(400, 0), Outcome::Delivered);
    let names: BTreeSet<String> =
        person(&bodies(&click())[1].1).as_object().unwrap().keys().cloned().collect();
    let known = ["city", "country", "external_id", "ip", "state", "ttclid", "ttp", "user_agent", "zip_code"];
    assert_eq!(names, known.map(str::to_owned).into(), "a success never proves that a name was understood");
}

#[test]
fn mistake_09_tiktoks_id_is_a_text_its_test_code_at_the_root_its_city_plain() {
    let tiktok = &platforms()[1];
    let event =
        Event { event_id: "12345", channel: Channel::Test(Some("TEST1")), ..event("Purchase", Some(1)) };
    let body = body(&**tiktok, &event, &click());
    assert_eq!(body["data"][0]["event_id"], json!("12345"));
    assert_eq!(
        (&body["test_event_code"], &body["data"][0]["test_event_code"]),
        (&json!("TEST1"), &Value::Null)
    );
    assert_eq!(
        (&person(&body)["city"], person(&body)["zip_code"].as_str().unwrap().len()),
        (&json!("fresno"), 64)
    );
}

#[test]
fn mistake_10_snapchats_words_are_upper_case_and_a_purchase_is_whole() {
    let snapchat = &platforms()[2];
    let whole = body(&**snapchat, &event("PURCHASE", Some(1000)), &click());
    let sent = &whole["data"][0];
    assert_eq!(sent["action_source"], "WEB");
    assert_eq!(sent["custom_data"], json!({ "value": 10, "currency": "USD", "order_id": "tx-1" }));
    let bare = event("PURCHASE", None);
    let refused = snapchat.build(&sample::pixel(1, TEAM), &bare, &click(), URL);
    assert_eq!(refused, Err(Skip::MISSING_VALUE));
    let usual = EventMap::usual(PlatformKind::Snapchat);
    assert_ne!(usual.name(DeliveryKind::FanSent3Messages), Some("LEAD"));
    assert_eq!(
        snapchat.verdict(&a_pixel(), &answer(200, r#"{"status":"INVALID"}"#), 1).outcome,
        Outcome::Payload
    );
}

// 11: `tokens::mistake_11_…`, 12: `tokens::mistake_12_…` and `batches`, with a worker.

#[test]
fn mistake_13_a_test_event_of_meta_is_marked_and_counts_for_next_to_nothing() {
    let meta = &platforms()[0];
    let event = Event { channel: Channel::Test(Some("TEST1")), ..event("Purchase", Some(100)) };
    assert_eq!(body(&**meta, &event, &click())["test_event_code"], "TEST1");
    // Its amount is `tester::AMOUNT`, one dollar:
    // `tokens::a_test_event_is_worth_a_dollar_and_goes_through_the_platforms_own_channel`.
}

#[test]
fn mistake_14_the_version_that_answered_is_looked_at() {
    let meta = &platforms()[0];
    let mut old = answer(200, r#"{"events_received":1,"fbtrace_id":"T"}"#);
    old.headers.insert("facebook-api-version", "v21.0".parse().unwrap());
    let words = meta.verdict(&a_pixel(), &old, 1).words.unwrap();
    assert_eq!(words, "fbtrace_id T; answered by v21.0, configured is v26.0");
    old.headers.insert("facebook-api-version", "v26.0".parse().unwrap());
    assert_eq!(meta.verdict(&a_pixel(), &old, 1).words.unwrap(), "fbtrace_id T");
    let own = Pixel { api_version: Some("v25.0".to_owned()), ..a_pixel() };
    let words = meta.verdict(&own, &old, 1).words.unwrap();
    assert_eq!(words, "fbtrace_id T; answered by v26.0, configured is v25.0", "a pixel may have its own");
}

#[test]
fn mistake_15_one_conversion_has_one_id_for_every_pixel_and_attempt() {
    // Over attempts: `every_attempt_has_the_same_body_even_after_a_restart_and_a_changed_template`.
    let ids: BTreeSet<String> = bodies(&click())
        .iter()
        .map(|(_, body)| body["data"][0]["event_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 1);
}

#[test]
fn mistake_16_what_may_have_arrived_is_not_repeated_past_the_platforms_memory() {
    for platform in platforms() {
        let limit = platform.limits().ambiguous.unwrap();
        assert!(limit < Duration::from_secs(48 * 3600), "{:?}", platform.kind());
    }
}

#[test]
fn mistake_17_money_is_decimal() {
    for (given, want) in [("1.005", 1.01), ("4.675", 4.68), ("0.375", 0.38), ("12.345", 12.35), ("0", 0.0)] {
        let cents = Cents::parse(given).unwrap().0;
        for platform in platforms() {
            let body = body(&*platform, &event(purchase(&*platform), Some(cents)), &click());
            let sent = &body["data"][0];
            let value = &sent.get("properties").or(sent.get("custom_data")).unwrap()["value"];
            assert_eq!(value.as_f64(), Some(want), "{given} {:?}", platform.kind());
        }
    }
}

#[test]
fn mistake_18_an_external_id_that_is_an_ads_is_warned_of_and_can_be_the_visitors() {
    let mut shared = click();
    shared.params.ecid = Some("120210012345678901".to_owned());
    let source = ExternalIdSource::Ecid;
    let person = Identity::of(&shared, source);
    let subject = lint::Subject {
        platform: PlatformKind::Meta,
        click: &shared,
        person: &person,
        source,
        name: "Purchase",
        occurred_at: CLICKED,
    };
    let warnings = lint::event(&subject, CLICKED).warnings;
    assert!(warnings.iter().any(|warning| warning.word == lint::word::SHARED_EXTERNAL_ID), "{warnings:?}");
    let [mut one, mut other] = [shared.clone(), shared];
    (one.visitor.given, other.visitor.given) =
        (Some(sl_core::click::VisitorId(1)), Some(sl_core::click::VisitorId(2)));
    for platform in platforms() {
        let of = |click: &Click, external_id_source| {
            let pixel = Pixel { external_id_source, ..sample::pixel(1, TEAM) };
            let event = event("SIGN_UP", None);
            let request = platform.build(&pixel, &event, click, URL).unwrap();
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let event = &body["data"][0];
            event.get("user").or(event.get("user_data")).unwrap()["external_id"].clone()
        };
        assert_eq!(
            of(&one, ExternalIdSource::Ecid),
            of(&other, ExternalIdSource::Ecid),
            "two people become one"
        );
        assert_ne!(of(&one, ExternalIdSource::Visitor), of(&other, ExternalIdSource::Visitor));
        assert_eq!(of(&one, ExternalIdSource::None), Value::Null);
    }
}

#[test]
fn mistake_19_the_source_url_tells_no_competitors_ids() {
    let own = ["fbclid=IwAbC-1", "ttclid=E.C.P.AbC", "ScCid=Sc-AbC"];
    for (nth, (platform, body)) in bodies(&click()).into_iter().enumerate() {
        let want = format!("https://go.example/go/A?{}&utm_source=x", own[nth]);
        let event = &body["data"][0];
        let url = event.get("event_source_url").unwrap_or(&event["page"]["url"]);
        assert_eq!(url, &json!(want), "{platform:?}");
        for other in
            ["IwAbC-1", "E.C.P.AbC", "Sc-AbC", "G-1", "row-9"].into_iter().filter(|id| !own[nth].contains(id))
        {
            assert!(!body.to_string().contains(other), "{platform:?} hears of {other}");
        }
    }
}

#[test]
fn mistake_20_an_error_with_status_200_is_no_delivery() {
    let exoclick = AnswerTexts {
        success: vec!["OK".to_owned(), "already".to_owned()],
        failure: vec!["ERROR".to_owned()],
    };
    let age = Duration::from_secs(60);
    for (status, text, want) in [
        (200, "OK", Outcome::Delivered),
        (200, "ok\n", Outcome::Delivered),
        (200, "ERROR: invalid tag", Outcome::Payload),
        (200, "ERROR: token BROKEN", Outcome::Payload),
        (200, "ERROR: already notified in the last 24 hours", Outcome::Delivered),
        (200, "", Outcome::Unclear),
        (200, "<html>", Outcome::Unclear),
        (500, "OK", Outcome::Retry),
        (400, "OK", Outcome::Payload),
    ] {
        assert_eq!(generic::outcome(&exoclick, &answer(status, text), age), want, "{status} {text}");
    }
    // What it would have said is not there: it may have been a success.
    let failure_only = AnswerTexts { success: Vec::new(), failure: vec!["ERROR".to_owned()] };
    let broken = |text: &str| Answer { whole: false, ..answer(200, text) };
    assert_eq!(generic::outcome(&failure_only, &broken("ERR"), age), Outcome::Retry);
    assert_eq!(generic::outcome(&failure_only, &broken("ERROR: x"), age), Outcome::Payload);
    assert_eq!(generic::outcome(&exoclick, &broken("OK"), age), Outcome::Delivered);
    let endless = answer(200, &"x".repeat(64 * 1024));
    assert_eq!(generic::outcome(&failure_only, &endless, age), Outcome::Unclear);
    let none = AnswerTexts::default();
    assert_eq!(generic::outcome(&none, &broken("ERR"), age), Outcome::Delivered, "nobody asks what it says");
    assert_eq!(
        generic::outcome(&none, &answer(200, "ERROR"), age),
        Outcome::Delivered,
        "nobody said otherwise"
    );
    let day = Duration::from_secs(25 * 3600);
    assert_eq!(generic::outcome(&none, &answer(401, ""), age), Outcome::Auth);
    assert_eq!(generic::outcome(&none, &answer(403, ""), day), Outcome::Payload, "after a day it is final");
}

/// The only ways to tell Google are a platform of ours and a preset: neither may be the closed upload, whose 200 is not final
/// either, so one that is built needs an answer that is asked for later.
#[test]
fn mistake_21_nothing_that_is_offered_uploads_to_google_the_closed_way() {
    let presets = include_str!("../../../../schemas/postback-presets.json");
    let presets: Vec<Value> = serde_json::from_str(presets).unwrap();
    let of_presets = presets.iter().map(|preset| preset["url"].as_str().unwrap().to_owned());
    let ours = platforms().into_iter().map(|platform| {
        let event = event(purchase(&*platform), Some(1000));
        platform.build(&sample::pixel(1, TEAM), &event, &click(), URL).unwrap().url
    });
    let urls: Vec<String> = of_presets.chain(ours).collect();
    assert!(urls.len() > 10);
    for url in urls {
        // A preset's host may not hold a variable, so it says where it goes.
        let host = url.split('/').nth(2).unwrap();
        assert!(!host.ends_with("googleapis.com") && !url.contains("uploadClickConversions"), "{url}");
    }
}

/// Pinterest and X want amounts as texts with two decimals. Who tells them through a template of their own gets what the
/// template says, quotes included, and never the number that the cents would be.
#[tokio::test]
async fn mistake_23_an_amount_in_a_json_template_is_a_text_with_two_decimals() {
    let receiver = Receiver::start(|_, _| "ok".into_response()).await;
    let mut world = World::new(receiver.address).await;
    world.save_postback(1, format!("http://{}/v5/ad_accounts/1/events", receiver.address), None).await;
    let mut row = world.store.catalog.postback(PostbackId(1)).await.unwrap().unwrap();
    let event =
        r#"{"event_id":"{event_id}","value":"{amount_gross}","net":"{amount_net}","currency":"{currency}"}"#;
    (row.method, row.body) = (PostbackMethod::Post, Some(format!("{{\"data\":[{event}]}}")));
    row.headers =
        vec![HeaderTemplate { name: "Content-Type".to_owned(), value: "application/json".to_owned() }];
    world.store.catalog.put_postback(row).await.unwrap();
    let cents = [7_240, 999, 100, 5, 0, 123_456_700];
    let amount = |_: &mut Click, row: &mut Conversion| {
        row.gross = Cents(cents[(row.gross.0 - 1_001) as usize]);
        row.net = row.gross;
    };
    let numbers = 1..1 + cents.len() as u64;
    let ids = world.told(numbers, &[postback(1)], ConversionKind::NewTransaction, amount).await;
    world.work(&["127.0.0.0/8"]).await;
    for id in &ids {
        world.until_state(*id, DeliveryState::Delivered).await;
    }
    let mut told: Vec<(String, String)> = Vec::new();
    for one in receiver.all() {
        let body: Value = serde_json::from_slice(&one.body).unwrap();
        let text = |name: &str| body["data"][0][name].as_str().unwrap().to_owned();
        assert_eq!((text("value"), text("currency").as_str()), (text("net"), "USD"));
        told.push((text("event_id"), text("value")));
    }
    told.sort();
    let values: Vec<_> = told.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["72.40", "9.99", "1.00", "0.05", "0.00", "1234567.00"]);
    world.close().await;
}

#[test]
fn mistake_22_no_member_of_a_superseded_interface_is_sent() {
    const OLD: [&str; 13] = [
        "pixel_code",
        "context",
        "timestamp",
        "phone_number",
        "event_type",
        "hashed_email",
        "uuid_c1",
        "client_dedup_id",
        "event_conversion_type",
        "event_tag",
        "price",
        "transaction_id",
        "hashed_ip_address",
    ];
    for platform in platforms() {
        let request =
            platform.build(&sample::pixel(1, TEAM), &event("Lead", Some(1)), &click(), URL).unwrap();
        let body = String::from_utf8(request.body).unwrap();
        for member in OLD {
            assert!(!body.contains(&format!("\"{member}\"")), "{:?} {member}", platform.kind());
        }
        for path in ["/pixel/track", "/pixel/batch", "/v2/conversion"] {
            assert!(!request.url.contains(path), "{}", request.url);
        }
    }
}

#[test]
fn mistake_24_a_refused_token_is_no_reason_to_try_again() {
    // With a worker: `a_refused_token_parks_everything_and_a_new_one_delivers_it`.
    let refusals =
        [(400, r#"{"error":{"code":190}}"#), (401, r#"{"code":40105}"#), (401, r#"{"status":"INVALID"}"#)];
    for (platform, (status, body)) in platforms().iter().zip(refusals) {
        assert_eq!(
            platform.verdict(&a_pixel(), &answer(status, body), 1).outcome,
            Outcome::Auth,
            "{:?}",
            platform.kind()
        );
    }
    let creatortraffic = CreatorTraffic::new("https://ct.example/in");
    assert_eq!(creatortraffic.verdict(&a_pixel(), &answer(401, ""), 1).outcome, Outcome::Auth);
}

#[test]
fn mistake_25_nothing_is_told_with_a_negative_value() {
    // And nothing is told at all of a reversal: `a_reversal_is_told_to_no_platform_and_no_postback`.
    for platform in platforms() {
        let refund = event(purchase(&*platform), Some(-1000));
        let built = platform.build(&sample::pixel(1, TEAM), &refund, &click(), URL);
        assert_eq!(built, Err(Skip::NEGATIVE_VALUE), "{:?}", platform.kind());
    }
}
