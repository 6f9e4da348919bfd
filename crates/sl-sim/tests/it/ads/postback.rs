//! A buyer's own postback address.

use super::*;

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
