//! TikTok: its body decides (ad-platforms 3).

use super::*;

/// A good call to TikTok.
fn tiktok_call() -> Value {
    json!({"event_source": "web", "event_source_id": "C4", "data": [{
        "event": "CompletePayment", "event_time": NOW.seconds(), "event_id": "01K1",
        "user": {"ttclid": "E.C.P.abc", "external_id": HASH, "ip": "203.0.113.7", "user_agent": "Mozilla/5.0", "country": "gb"},
        "page": {"url": "https://go.example.net/go/01KZ4M8Q2T7V9W3X5Y6B1C0DEF?ttclid=E.C.P.abc"},
        "properties": {"value": 10, "currency": "USD"},
    }]})
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
