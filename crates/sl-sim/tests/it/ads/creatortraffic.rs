//! CreatorTraffic: one conversion per click.

use super::*;

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
