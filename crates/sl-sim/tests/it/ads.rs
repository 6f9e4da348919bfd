//! Ad platforms: what they take, what they refuse and with which code (ad-platforms 2).

use std::{sync::Arc, time::Duration};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sl_core::time::ManualClock;
use sl_sim::ads::{AdsConfig, AdsFaults, AdsSim, MetaRules};

use crate::people::{NOW, http};

struct Stage {
    ads: AdsSim,
    clock: Arc<ManualClock>,
    http: Client,
}

impl Stage {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let rules = MetaRules { tokens: vec!["EAAG".to_owned()], pixels: vec!["123".to_owned()] };
        let config = AdsConfig { meta: rules, ..AdsConfig::new(clock.clone()) };
        Self { ads: AdsSim::bind(config).await.unwrap(), clock, http: http() }
    }

    async fn send(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}{path}", self.ads.url())).json(body);
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// One event to the pixel that exists.
    async fn event(&self, event: &Value) -> (StatusCode, Value) {
        self.send("/v26.0/123/events", &json!({"access_token": "EAAG", "data": [event]})).await
    }

    async fn sim(&self, what: &str, body: Value) {
        let (status, answer) = self.send(&format!("/_sim/{what}"), &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}

const HASH: &str = "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn subscribe() -> Value {
    json!({
        "event_name": "Subscribe", "event_time": NOW.seconds() - 60, "event_id": "01K1", "action_source": "website",
        "event_source_url": "https://go.example.net/go/01KZ4M8Q2T7V9W3X5Y6B1C0DEF",
        "user_data": {
            "client_ip_address": "203.0.113.7", "client_user_agent": "Mozilla/5.0", "country": [HASH],
            "fbc": "fb.1.1772655000000.IwAR2", "fbp": "fb.1.1772655000000.1098115397", "external_id": [HASH],
        },
        "custom_data": {"value": 10.0, "currency": "USD"},
    })
}

/// The good event with one member changed (`null`: removed).
fn with(pointer: &str, value: Value) -> Value {
    let mut event = subscribe();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => parent.remove(name),
        value => parent.insert(name.to_owned(), value),
    };
    event
}

#[tokio::test]
async fn a_good_event_is_taken_and_counted_once_however_often_it_comes() {
    let stage = Stage::new().await;
    for _ in 0..3 {
        let (status, body) = stage.event(&subscribe()).await;
        assert_eq!((status, &body["events_received"]), (StatusCode::OK, &json!(1)), "{body}");
        assert!(body["fbtrace_id"].is_string() && body["messages"] == json!([]));
    }
    // Another name with the same id is another event.
    stage.event(&with("/event_name", json!("ViewContent"))).await;
    let state = stage.ads.state().receivers["meta"].clone();
    assert_eq!((state.accepted, state.distinct, state.distinct_by_name["Subscribe"]), (4, 2, 1));
    // After 48 hours the id is forgotten.
    stage.clock.advance(Duration::from_secs(48 * 3600));
    stage.event(&subscribe()).await;
    assert_eq!(stage.ads.state().receivers["meta"].distinct, 3);
}

#[tokio::test]
async fn every_bad_event_is_refused_with_the_documented_code() {
    let stage = Stage::new().await;
    let week = 7 * 86_400;
    let purchase = json!("Purchase");
    let mut bare = with("/event_name", purchase.clone());
    bare["custom_data"] = json!({});
    let cases = [
        ("no name", with("/event_name", json!(null)), 2_804_019),
        ("empty name", with("/event_name", json!("")), 2_804_019),
        ("no time", with("/event_time", json!(null)), 2_804_019),
        ("time as text", with("/event_time", json!("1772655069")), 2_804_019),
        ("milliseconds", with("/event_time", json!(NOW.0)), 2_804_019),
        ("future", with("/event_time", json!(NOW.seconds() + 61)), 2_804_019),
        ("too old", with("/event_time", json!(NOW.seconds() - week - 1)), 2_804_003),
        ("no source", with("/action_source", json!(null)), 2_804_019),
        ("unknown source", with("/action_source", json!("web")), 2_804_019),
        ("no url", with("/event_source_url", json!(null)), 2_804_019),
        ("no address", with("/event_source_url", json!("go")), 2_804_019),
        ("no agent", with("/user_data/client_user_agent", json!(null)), 2_804_019),
        ("id as number", with("/event_id", json!(7)), 2_804_019),
        ("no user data", with("/user_data", json!(null)), 2_804_019),
        ("plain country", with("/user_data/country", json!(["gb"])), 2_804_019),
        ("upper-case hash", with("/user_data/country", json!([HASH.to_uppercase()])), 2_804_019),
        ("hash of nothing", with("/user_data/zp", json!([EMPTY])), 2_804_019),
        ("bad fbc", with("/user_data/fbc", json!("IwAR2")), 2_804_019),
        ("bad ip", with("/user_data/client_ip_address", json!("somewhere")), 2_804_019),
        ("nobody", with("/user_data", json!({"client_user_agent": "Mozilla/5.0", "ct": [HASH]})), 2_804_050),
        ("purchase without value", bare, 2_804_009),
        ("value as text", with("/custom_data/value", json!("10.00")), 2_804_019),
        ("negative", with("/custom_data/value", json!(-1)), 2_804_019),
        ("currency alone", with("/custom_data/value", json!(null)), 2_804_019),
        ("odd currency", with("/custom_data/currency", json!("usd")), 2_804_019),
    ];
    for (what, event, subcode) in &cases {
        let (status, body) = stage.event(event).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{what}: {body}");
        assert_eq!(body["error"]["code"], 100, "{what}: {body}");
        assert_eq!(body["error"]["error_subcode"], *subcode, "{what}: {body}");
        assert_eq!(body["error"]["is_transient"], false, "{what}");
    }
    let state = stage.ads.state().receivers["meta"].clone();
    assert_eq!((state.accepted, state.refused.values().sum::<u64>()), (0, cases.len() as u64));
    assert_eq!(state.refused["event_time too old"], 1);
}

#[tokio::test]
async fn what_the_rules_leave_open_is_taken() {
    let stage = Stage::new().await;
    let week = 7 * 86_400;
    let store = with("/action_source", json!("physical_store"));
    let mut old = store.clone();
    old["event_time"] = json!(NOW.seconds() - 2 * week);
    let mut renewal = with("/action_source", json!("system_generated"));
    renewal.as_object_mut().unwrap().remove("event_source_url");
    for event in [
        with("/event_time", json!(NOW.seconds() - week)),
        with("/event_time", json!(NOW.seconds() + 60)),
        with("/user_data/fbc", json!("fb.1.1772655000000.IwAR2.Aw")),
        with("/custom_data", json!(null)),
        with("/event_name", json!("My own event")),
        with("/custom_data/value", json!(0)),
        old,
        renewal,
    ] {
        let (status, body) = stage.event(&event).await;
        assert_eq!(status, StatusCode::OK, "{event}: {body}");
    }
}

#[tokio::test]
async fn one_bad_event_refuses_the_whole_call() {
    let stage = Stage::new().await;
    let both = json!({"access_token": "EAAG", "data": [subscribe(), with("/event_time", json!(1))]});
    let (status, _) = stage.send("/v26.0/123/events", &both).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(stage.ads.state().receivers["meta"].distinct, 0);
    let none = json!({"access_token": "EAAG", "data": []});
    assert_eq!(stage.send("/v26.0/123/events", &none).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn token_and_pixel_have_codes_of_their_own_and_old_versions_are_served() {
    let stage = Stage::new().await;
    let call = |token: &str| json!({"access_token": token, "data": [subscribe()]});
    let (status, body) = stage.send("/v26.0/123/events", &call("other")).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::UNAUTHORIZED, &json!(190)));
    let (_, body) = stage.send("/v26.0/123/events", &json!({"data": [subscribe()]})).await;
    assert_eq!(body["error"]["code"], 190);
    let (_, body) = stage.send("/v26.0/124/events", &call("EAAG")).await;
    assert_eq!((&body["error"]["code"], &body["error"]["error_subcode"]), (&json!(100), &json!(33)));
    let url = format!("{}/v19.0/123/events?access_token=EAAG", stage.ads.url());
    let old = stage.http.post(url).json(&json!({"data": [subscribe()]})).send().await.unwrap();
    assert_eq!(
        (old.status(), &old.headers()["facebook-api-version"]),
        (StatusCode::OK, &"v21.0".parse().unwrap())
    );
}

#[tokio::test]
async fn test_events_are_told_apart_and_kept() {
    let stage = Stage::new().await;
    let call = json!({"access_token": "EAAG", "data": [subscribe()], "test_event_code": "TEST1"});
    assert_eq!(stage.send("/v26.0/123/events", &call).await.0, StatusCode::OK);
    let state = stage.ads.state().receivers["meta"].clone();
    assert_eq!((state.tests, state.accepted), (1, 1));
    let call = json!({"access_token": "EAAG", "data": [subscribe()], "test_event_code": 7});
    assert_eq!(stage.send("/v26.0/123/events", &call).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn meta_takes_members_that_it_does_not_know_and_the_simulator_says_which() {
    let stage = Stage::new().await;
    for (pointer, member) in [
        ("/event_tim", "event_tim"),
        ("/user_data/clickid", "user_data.clickid"),
        ("/test_event_code", "test_event_code"),
    ] {
        assert_eq!(stage.event(&with(pointer, json!("x"))).await.0, StatusCode::OK);
        assert_eq!(stage.ads.state().receivers["meta"].read_over.get(member), Some(&1), "{member}");
    }
    stage.event(&subscribe()).await;
    assert_eq!(stage.ads.state().receivers["meta"].read_over.len(), 3);
}

#[tokio::test]
async fn bytes_are_compared_over_every_attempt_failed_ones_included() {
    let stage = Stage::new().await;
    stage.sim("fail", json!({"status": 503, "count": 1, "only": "meta"})).await;
    let (status, body) = stage.event(&subscribe()).await;
    assert_eq!((status, &body["error"]["is_transient"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(true)));
    stage.event(&subscribe()).await;
    let seen = stage.ads.events("meta", "01K1").remove(0);
    assert_eq!((seen.attempts, seen.taken, seen.different), (2, 1, 1));
    assert_eq!(stage.ads.state().receivers["meta"].changed, 0);
    stage.event(&with("/event_time", json!(NOW.seconds() - 61))).await;
    let seen = stage.ads.events("meta", "01K1").remove(0);
    assert_eq!((seen.attempts, seen.different, seen.versions.len()), (3, 2, 2));
    assert_eq!(stage.ads.state().receivers["meta"].changed, 1);
}

#[tokio::test]
async fn attempts_fail_by_the_seed_and_an_unanswered_one_was_taken() {
    let config = AdsConfig {
        faults: AdsFaults { failing: 0.4, unanswered: 0.4 },
        ..AdsConfig::new(Arc::new(ManualClock::at(NOW)))
    };
    let ads = AdsSim::bind(config).await.unwrap();
    let http = http();
    for number in 0..20 {
        let url = format!("{}/in?event_id={number}", ads.url());
        // Somebody who tries until it is taken.
        while !http.get(&url).send().await.unwrap().status().is_success() {}
    }
    let state = ads.state().receivers["postback"].clone();
    assert_eq!((state.distinct, state.changed), (20, 0));
    assert!(state.turned_away > 0 && state.accepted > 20, "{state:?}");
    assert_eq!(state.answers.values().sum::<u64>(), state.accepted + state.turned_away);
}

#[tokio::test]
async fn a_limited_call_says_so_in_metas_own_way() {
    let stage = Stage::new().await;
    stage.sim("rate", json!({"per_minute": 1})).await;
    assert_eq!(stage.event(&subscribe()).await.0, StatusCode::OK);
    let (status, body) = stage.event(&subscribe()).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(80_004)));
}

#[tokio::test]
async fn a_stalled_call_was_taken_all_the_same() {
    let stage = Stage::new().await;
    stage.sim("stall", json!({"ms": 60_000, "count": 1, "only": "meta"})).await;
    let call = json!({"access_token": "EAAG", "data": [subscribe()]});
    let request = stage.http.post(format!("{}/v26.0/123/events", stage.ads.url())).json(&call);
    let error = request.timeout(Duration::from_millis(300)).send().await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(stage.ads.state().receivers["meta"].distinct, 1);
}

/// A good call to TikTok.
fn tiktok_call() -> Value {
    json!({"event_source": "web", "event_source_id": "C4", "data": [{
        "event": "CompletePayment", "event_time": NOW.seconds(), "event_id": "01K1",
        "user": {"ttclid": "E.C.P.abc", "external_id": HASH, "ip": "203.0.113.7", "user_agent": "Mozilla/5.0", "country": "gb"},
        "page": {"url": "https://go.example.net/go/01KZ4M8Q2T7V9W3X5Y6B1C0DEF?ttclid=E.C.P.abc"},
        "properties": {"value": 10, "currency": "USD"},
    }]})
}

/// The good call with one member changed (`null`: removed), put there if it is not there.
fn changed(mut call: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = call.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => parent.remove(name),
        value => parent.insert(name.to_owned(), value),
    };
    call
}

impl Stage {
    async fn tiktok(&self, token: &str, call: &Value) -> (u16, Value) {
        let url = format!("{}/open_api/v1.3/event/track/", self.ads.url());
        let response = self.http.post(url).header("access-token", token).json(call).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

#[tokio::test]
async fn tiktok_decides_by_the_code_of_its_body() {
    let stage = Stage::new().await;
    for _ in 0..2 {
        let body = stage.tiktok("t", &tiktok_call()).await;
        assert_eq!((body.0, &body.1["code"]), (200, &json!(0)));
    }
    for (pointer, value, code) in [
        ("/event_source", json!("app"), 40_002),
        ("/event_source_id", json!(null), 40_002),
        ("/data", json!([]), 40_002),
        ("/test_event_code", json!(7), 40_002),
        ("/data/0/event", json!(""), 40_002),
        ("/data/0/event_id", json!(7), 40_002),
        ("/data/0/event_time", json!(NOW.0), 40_002),
        ("/data/0/event_time", json!("1772655069"), 40_002),
        ("/data/0/event_time", json!(null), 40_002),
        ("/data/0/user", json!(null), 40_002),
        ("/data/0/user/external_id", json!("plain"), 40_062),
        ("/data/0/user/zip_code", json!("94107"), 40_062),
        ("/data/0/user/email", json!("a@b.example"), 40_062),
        ("/data/0/user/ttclid", json!("x".repeat(1001)), 40_002),
        ("/data/0/user/ttclid", json!(""), 40_002),
        ("/data/0/user/ip", json!(HASH), 40_002),
        ("/data/0/page", json!({}), 40_002),
        ("/data/0/properties", json!({"value": 10}), 40_002),
        ("/data/0/properties/value", json!("10.00"), 40_002),
        ("/data/0/properties/value", json!(-1), 40_002),
        ("/data/0/properties/value", json!(null), 40_002),
        ("/data/0/properties/currency", json!("usd"), 40_002),
        ("/data/0/properties/contents", json!([{"content_id": "1"}]), 40_002),
        ("/data/0/limited_data_use", json!("yes"), 40_002),
    ] {
        let body = stage.tiktok("t", &changed(tiktok_call(), pointer, value.clone())).await;
        assert_eq!((body.0, &body.1["code"]), (200, &json!(code)), "{pointer} {value}");
    }
    let body = stage.tiktok("", &tiktok_call()).await;
    assert_eq!((body.0, &body.1["code"]), (401, &json!(40_104)));
    let state = stage.ads.state().receivers["tiktok"].clone();
    assert_eq!((state.accepted, state.distinct, state.changed), (2, 1, 1));
    assert!(state.read_over.is_empty(), "{:?}", state.read_over);
    stage.sim("fail", json!({"status": 429, "count": 1, "only": "tiktok"})).await;
    let body = stage.tiktok("t", &tiktok_call()).await;
    assert_eq!((body.0, &body.1["code"]), (401, &json!(40_100)), "throttling comes with 401");
    let url = format!("{}/open_api/v1.3/event/track", stage.ads.url());
    let bare = stage.http.post(url).header("access-token", "t").json(&tiktok_call()).send().await.unwrap();
    assert_eq!(bare.json::<Value>().await.unwrap()["code"], 40_400, "without the last slash");
    let two =
        json!([tiktok_call()["data"][0], changed(tiktok_call(), "/data/0/event", json!(null))["data"][0]]);
    let body = stage.tiktok("t", &changed(tiktok_call(), "/data", two)).await;
    assert_eq!(body.1["code"], 40_002, "one bad event refuses the call");
}

#[tokio::test]
async fn tiktok_says_nothing_about_members_that_it_reads_over_but_the_simulator_does() {
    let stage = Stage::new().await;
    for (pointer, value, member) in [
        ("/data/0/user/tt_clid", json!("E.C.P.abc"), "user.tt_clid"),
        ("/data/0/user/city", json!(HASH), "user.city is hashed"),
        ("/data/0/user/zip_code", json!(EMPTY), "user.zip_code is the hash of nothing"),
        ("/data/0/test_event_code", json!("TEST1"), "test_event_code"),
        ("/data/0/timestamp", json!("2026-03-04"), "timestamp"),
        ("/data/0/properties/revenue", json!(1), "properties.revenue"),
        ("/pixel_code", json!("C4"), "pixel_code"),
    ] {
        let (_, body) = stage.tiktok("t", &changed(tiktok_call(), pointer, value)).await;
        assert_eq!(body["code"], 0, "{pointer}");
        assert_eq!(stage.ads.state().receivers["tiktok"].read_over.get(member), Some(&1), "{member}");
    }
    let (_, body) = stage.tiktok("t", &changed(tiktok_call(), "/test_event_code", json!("TEST1"))).await;
    assert_eq!((&body["code"], stage.ads.state().receivers["tiktok"].tests), (&json!(0), 1));
}

/// A good call to Snapchat.
fn snapchat_call() -> Value {
    json!({"data": [{
        "event_name": "PURCHASE", "event_time": NOW.seconds(), "event_id": "01K1", "action_source": "WEB",
        "event_source_url": "https://go.example.net/go/01KZ4M8Q2T7V9W3X5Y6B1C0DEF",
        "user_data": {"client_ip_address": "203.0.113.7", "client_user_agent": "Mozilla/5.0", "country": [HASH]},
        "custom_data": {"value": 10, "currency": "USD", "order_id": "tx-1"},
    }]})
}

impl Stage {
    async fn snapchat(&self, path: &str, call: &Value) -> (StatusCode, Value) {
        self.send(&format!("/v3/4c1f-uuid/{path}?access_token=t"), call).await
    }
}

#[tokio::test]
async fn snapchat_decides_by_its_status_and_validates_apart() {
    let stage = Stage::new().await;
    let (status, body) = stage.snapchat("events", &snapchat_call()).await;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("VALID")));
    // Milliseconds are taken; the order is known for a month, whatever the event's id.
    let (status, _) =
        stage.snapchat("events", &changed(snapchat_call(), "/data/0/event_time", json!(NOW.0))).await;
    assert_eq!(status, StatusCode::OK);
    stage.clock.advance(Duration::from_secs(20 * 86_400));
    stage.snapchat("events", &changed(snapchat_call(), "/data/0/event_id", json!("01K2"))).await;
    let (status, body) = stage.snapchat("events/validate", &snapchat_call()).await;
    assert_eq!((status, &body["test_event"]), (StatusCode::OK, &json!(true)));
    let state = stage.ads.state().receivers["snapchat"].clone();
    assert_eq!((state.accepted, state.distinct, state.tests), (3, 1, 1));
    assert!(state.read_over.is_empty(), "{:?}", state.read_over);
    let bare = stage.send("/v3/4c1f-uuid/events", &snapchat_call()).await;
    assert_eq!(bare.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn snapchat_refuses_every_bad_event_with_its_number_codes_and_words() {
    let stage = Stage::new().await;
    for (pointer, value) in [
        ("/data/0/event_name", json!(null)),
        ("/data/0/event_name", json!("LEAD")),
        ("/data/0/event_name", json!("purchase")),
        ("/data/0/event_id", json!(7)),
        ("/data/0/event_time", json!(null)),
        ("/data/0/event_time", json!("1772655069")),
        ("/data/0/event_time", json!(NOW.seconds() - 38 * 86_400)),
        ("/data/0/event_time", json!(NOW.seconds() + 61)),
        ("/data/0/action_source", json!("website")),
        ("/data/0/action_source", json!("web")),
        ("/data/0/event_source_url", json!(null)),
        ("/data/0/user_data", json!(null)),
        ("/data/0/user_data", json!({"sc_click_id": "abc"})),
        ("/data/0/user_data/client_user_agent", json!(null)),
        ("/data/0/user_data/client_ip_address", json!(HASH)),
        ("/data/0/user_data/country", json!(["gb"])),
        ("/data/0/user_data/sc_click_id", json!("")),
        ("/data/0/custom_data", json!(null)),
        ("/data/0/custom_data", json!({"value": 10})),
        ("/data/0/custom_data/value", json!("10.00")),
        ("/data/0/custom_data/value", json!(-1)),
        ("/data/0/custom_data/currency", json!("usd")),
        ("/data/0/data_processing_options", json!(["LDU"])),
    ] {
        let call = changed(snapchat_call(), pointer, value.clone());
        let (status, body) = stage.snapchat("events", &call).await;
        assert_eq!(
            (status, &body["status"]),
            (StatusCode::BAD_REQUEST, &json!("INVALID")),
            "{pointer} {value}"
        );
        assert_eq!(body["event"], 1, "{body}");
        assert!(
            body["errors"]["codes"][0].is_string() && body["errors"]["error_msgs"][0].is_string(),
            "{body}"
        );
        let (_, body) = stage.snapchat("events/validate", &call).await;
        assert_eq!(body["event_logs"][0]["status"], "INVALID", "{body}");
    }
    let (_, body) = stage.snapchat("events", &json!({"data": []})).await;
    assert!(body["reason"].is_string(), "{body}");
    let odd = changed(snapchat_call(), "/data/0/user_data/zp", json!([EMPTY]));
    let odd = changed(odd, "/data/0/user_data/hashed_email", json!("x"));
    let odd = changed(odd, "/data/0/custom_data/price", json!(1));
    assert_eq!(stage.snapchat("events", &odd).await.0, StatusCode::OK);
    let read_over = stage.ads.state().receivers["snapchat"].read_over.clone();
    let members: Vec<&str> = read_over.keys().map(String::as_str).collect();
    assert_eq!(
        members,
        ["custom_data.price", "user_data.hashed_email", "user_data.zp is the hash of nothing"]
    );
}

#[tokio::test]
async fn creatortraffic_takes_each_click_once_and_looks_closely() {
    let stage = Stage::new().await;
    let get = async |query: &str, token: &str| {
        let url = format!("{}/creatortraffic/conversion?{query}", stage.ads.url());
        stage.http.get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    let at = "2026-01-01T00%3A00%3A00%2B00%3A00";
    let good = format!("click_id=ct_9&event=subscribe&event_id=01K1&ts={at}");
    assert_eq!((get(&good, "t").await, get(&good, "t").await), (200, 200));
    for (query, token, status) in [
        (good.as_str(), "", 401),
        (&format!("event=subscribe&event_id=01K1&ts={at}"), "t", 422),
        (&format!("click_id=%7Bclickid%7D&event=subscribe&event_id=01K1&ts={at}"), "t", 422),
        (&format!("click_id=ct_9&event=purchase&event_id=01K1&ts={at}"), "t", 422),
        (&format!("click_id=ct_9&event=subscribe&ts={at}"), "t", 422),
        ("click_id=ct_9&event=subscribe&event_id=01K1&ts=1772655069", "t", 422),
        ("click_id=ct_9&event=subscribe&event_id=01K1&ts=2126-01-01T00%3A00%3A00%2B00%3A00", "t", 422),
    ] {
        assert_eq!(get(query, token).await, status, "{query}");
    }
    let state = stage.ads.state().receivers["creatortraffic"].clone();
    assert_eq!((state.accepted, state.distinct, state.changed), (2, 1, 1));
    assert!(state.read_over.is_empty());
    get(&format!("{good}&payout=1"), "t").await;
    assert_eq!(stage.ads.state().receivers["creatortraffic"].read_over["payout"], 1);
}

#[tokio::test]
async fn a_postback_url_takes_anything_and_counts_a_conversion_once() {
    let stage = Stage::new().await;
    let get = |path: &str| stage.http.get(format!("{}{path}", stage.ads.url()));
    let tip = "/in?event_id=01k1&event=new_transaction&payout=16.00";
    assert_eq!(get(tip).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(get(tip).send().await.unwrap().status(), StatusCode::OK);
    // Another receiver of the same conversion, and one that sends no id.
    get("/other?event_id=01k1&event=new_transaction").send().await.unwrap();
    for _ in 0..2 {
        get("/in?cid=01kz&payout=16.00").send().await.unwrap();
    }
    stage.send("/hooks", &json!({"conversion_id": 77, "conversion_type": "new_subscriber"})).await;
    let state = stage.ads.state().receivers["postback"].clone();
    assert_eq!((state.requests, state.accepted, state.distinct), (6, 6, 4));
    assert_eq!(state.distinct_by_name["new_transaction"], 2);
    assert_eq!(stage.ads.events("postback", "77")[0].name, "new_subscriber");
    assert_eq!(
        (state.changed, stage.ads.events("postback", "01k1").len()),
        (0, 2),
        "one event per destination"
    );
    stage.sim("fail", json!({"status": 500, "count": 1})).await;
    assert_eq!(get(tip).send().await.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
    let state: Value = get("/_sim/state").send().await.unwrap().json().await.unwrap();
    assert_eq!(state["receivers"]["postback"]["turned_away"], 1);
}
