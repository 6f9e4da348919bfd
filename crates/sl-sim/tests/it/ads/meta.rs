//! Meta: codes, subcodes, test events (ad-platforms 2).

use super::*;

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
