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
