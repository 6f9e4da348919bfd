//! Snapchat: its status decides (ad-platforms 4).

use super::*;

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
async fn snapchat_knows_an_event_by_its_id_for_two_days_and_an_order_for_a_month() {
    let stage = Stage::new().await;
    let day = Duration::from_secs(86_400);
    let call = |id: &str, order: &str, days: u32| {
        let call = changed(snapchat_call(), "/data/0/event_id", json!(id));
        let call = changed(call, "/data/0/custom_data/order_id", json!(order));
        changed(call, "/data/0/event_time", json!(NOW.plus(days * day).seconds()))
    };
    let distinct = || stage.ads.state().receivers["snapchat"].distinct;
    stage.snapchat("events", &call("01K1", "tx-1", 0)).await;
    stage.snapchat("events", &call("01K1", "tx-2", 0)).await;
    assert_eq!(distinct(), 1, "the same id, whatever the order");
    stage.clock.advance(3 * day);
    stage.snapchat("events", &call("01K2", "tx-1", 3)).await;
    assert_eq!(distinct(), 1, "the same order, whatever the id");
    stage.snapchat("events", &call("01K1", "tx-3", 3)).await;
    assert_eq!(distinct(), 2, "the id is forgotten by now");
    stage.clock.advance(28 * day);
    stage.snapchat("events", &call("01K4", "tx-1", 31)).await;
    assert_eq!(distinct(), 3, "and the order after a month");
}

#[tokio::test]
async fn snapchat_takes_the_good_events_beside_a_bad_one() {
    let stage = Stage::new().await;
    let one = |id: &str, order: &str| {
        let call = changed(snapchat_call(), "/data/0/event_id", json!(id));
        changed(call, "/data/0/custom_data/order_id", json!(order))["data"][0].clone()
    };
    let bad = changed(snapchat_call(), "/data/0/action_source", json!("web"))["data"][0].clone();
    let (status, body) =
        stage.snapchat("events", &json!({"data": [one("01K2", "tx-2"), bad, one("01K3", "tx-3")]})).await;
    assert_eq!((status, &body["status"], &body["event"]), (StatusCode::OK, &json!("INVALID"), &json!(2)));
    let state = stage.ads.state().receivers["snapchat"].clone();
    assert_eq!((state.accepted, state.distinct, state.refused.values().sum::<u64>()), (2, 2, 1));
    assert_eq!(stage.ads.events("snapchat", "01K1")[0].taken, 0);
    assert_eq!(stage.ads.events("snapchat", "01K3")[0].taken, 1);
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
