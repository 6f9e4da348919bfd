//! Calls that fail, stall or come again: what was taken, and with which bytes.

use super::*;

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

#[tokio::test]
async fn an_event_is_the_same_whatever_it_comes_together_with() {
    let stage = Stage::new().await;
    let other = with("/event_id", json!("01K2"));
    let send = async |events: Value, more: Value| {
        let mut call = json!({"access_token": "EAAG", "data": events});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        stage.send("/v26.0/123/events", &call).await
    };
    let (status, body) = send(json!([subscribe(), other]), json!({})).await;
    assert_eq!((status, &body["events_received"]), (StatusCode::OK, &json!(2)));
    stage.event(&subscribe()).await;
    // Twice in one request, and counted once.
    send(json!([other, subscribe(), other]), json!({})).await;
    let state = stage.ads.state().receivers["meta"].clone();
    assert_eq!((state.requests, state.accepted, state.distinct), (3, 6, 2));
    assert_eq!((state.changed, state.together), (0, 3));
    assert_eq!(stage.ads.events("meta", "01K1")[0].attempts, 3);
    // Something else around it is another message.
    send(json!([other]), json!({"test_event_code": "TEST1"})).await;
    assert_eq!(stage.ads.state().receivers["meta"].changed, 1);
}

#[tokio::test]
async fn a_call_holds_as_many_events_as_the_platform_says_and_no_more() {
    let stage = Stage::new().await;
    let many = |event: &Value, count: usize| Value::Array(vec![event.clone(); count]);
    let meta = |count| json!({"access_token": "EAAG", "data": many(&subscribe(), count)});
    assert_eq!(stage.send("/v26.0/123/events", &meta(1_000)).await.0, StatusCode::OK);
    assert_eq!(stage.send("/v26.0/123/events", &meta(1_001)).await.0, StatusCode::BAD_REQUEST);
    let event = json!({
        "event_name": "SIGN_UP", "event_time": NOW.seconds(), "event_id": "01K1", "action_source": "WEB",
        "event_source_url": "https://go.example.net/go/01KZ4M8Q2T7V9W3X5Y6B1C0DEF",
        "user_data": {"client_ip_address": "203.0.113.7", "client_user_agent": "Mozilla/5.0"},
    });
    let snapchat = |count| json!({"data": many(&event, count)});
    let path = "/v3/4c1f-uuid/events?access_token=t";
    assert_eq!(stage.send(path, &snapchat(2_000)).await.0, StatusCode::OK);
    assert_eq!(stage.send(path, &snapchat(2_001)).await.0, StatusCode::BAD_REQUEST);
    let event = json!({
        "event": "Subscribe", "event_time": NOW.seconds(), "event_id": "01K1", "user": {"ip": "203.0.113.7"},
        "page": {"url": "https://go.example.net/go/01KZ4M8Q2T7V9W3X5Y6B1C0DEF"},
    });
    for (count, code) in [(1_000, 0), (1_001, 40_002)] {
        let call = json!({"event_source": "web", "event_source_id": "C1", "data": many(&event, count)});
        let url = format!("{}/open_api/v1.3/event/track/", stage.ads.url());
        let answer = stage.http.post(url).header("Access-Token", "t").json(&call).send().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], code, "{count}");
    }
}
