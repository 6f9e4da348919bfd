//! Quirks of contract E.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use sl_sim::platform::Faults;

use crate::people::{ACCOUNT, NOW, Stage};

#[tokio::test]
async fn whoami_and_accounts_have_no_envelope() {
    let stage = Stage::new(Faults::none()).await;
    let (_, whoami) = stage.call(Method::GET, "/api/whoami", None).await;
    assert!(whoami["team"]["slug"].is_string() && whoami.get("data").is_none());
    let (_, accounts) = stage.call(Method::GET, "/api/accounts", None).await;
    assert_eq!(accounts[0]["id"], ACCOUNT);
    assert_eq!(accounts[0]["onlyfans_id"], 120_034_567);
    let (_, none) = stage.call(Method::GET, "/api/accounts?onlyfans_username=luna", None).await;
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn a_created_tracking_link_comes_in_an_array_and_without_its_address() {
    let stage = Stage::new(Faults::none()).await;
    let (_, body) = stage.post("tracking-links", json!({"name": "pool 1"})).await;
    let link = &body["data"][0];
    assert!(link["id"].is_u64() && link.get("campaignUrl").is_none());
    let (_, list) = stage.get("tracking-links").await;
    let item = &list["data"]["list"][0];
    let code = link["campaignCode"].as_u64().unwrap();
    assert_eq!(item["campaignUrl"], format!("https://onlyfans.com/nova/c{code}"));
    assert_eq!(item["subscribersCount"], 0);
    // Alone, the same link has its counts as texts.
    let (_, one) = stage.get(&format!("tracking-links/{}", link["id"])).await;
    assert_eq!(one["data"]["subscribersCount"], "0");
}

#[tokio::test]
async fn a_created_trial_link_is_an_object_with_its_address_and_takes_eight_durations() {
    let stage = Stage::new(Faults::none()).await;
    let wish = json!({"duration": 7, "offerExpiration": 0, "offerLimit": 1, "name": "pool 2"});
    let (_, body) = stage.post("trial-links", wish).await;
    assert!(body["data"]["url"].as_str().unwrap().starts_with("https://onlyfans.com/action/trial/"));
    assert_eq!(body["_pagination"]["next_page"], json!(null));
    let wrong = json!({"duration": 8, "offerExpiration": 0, "offerLimit": 1});
    let (status, body) = stage.post("trial-links", wrong).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(body["errors"]["duration"][0].as_str().unwrap().contains("180"), "{body}");
    let (status, body) = stage.post("trial-links", json!({"duration": 7, "offerExpiration": 0})).await;
    assert_eq!((status, body["errors"]["offerLimit"].is_array()), (StatusCode::UNPROCESSABLE_ENTITY, true));
}

#[tokio::test]
async fn link_lists_page_by_offset_in_either_order() {
    let stage = Stage::new(Faults::none()).await;
    for number in 0..5 {
        stage.tracking_link(&format!("link {number}")).await;
    }
    let (_, page) = stage.get("tracking-links?limit=2&offset=1&sort=asc&with_deleted=1").await;
    let names: Vec<_> =
        page["data"]["list"].as_array().unwrap().iter().map(|link| link["campaignName"].clone()).collect();
    assert_eq!(names, ["link 1", "link 2"]);
    assert_eq!(page["data"]["hasMore"], true);
    let next = page["_pagination"]["next_page"].as_str().unwrap();
    assert!(next.contains("offset=3") && next.contains("sort=asc"), "{next}");
    let (status, _) = stage.get("tracking-links?limit=101").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (_, stored) = stage.get("stored/tracking-links?limit=1000&filter[search]=LINK 3").await;
    assert_eq!(stored["data"]["list"][0]["campaignName"], "link 3");
    assert_eq!(stored["data"]["list"][0]["cost"]["clickSourceCount"], 0);
}

#[tokio::test]
async fn a_deleted_link_leaves_the_list_only_when_asked_and_takes_nobody_any_more() {
    let stage = Stage::new(Faults::none()).await;
    let (id, code) = stage.tracking_link("old").await;
    let (_, gone) = stage.call(Method::DELETE, &format!("/api/{ACCOUNT}/tracking-links/{id}"), None).await;
    assert_eq!(gone["data"]["success"], true);
    let (_, with) = stage.get("tracking-links").await;
    let (_, without) = stage.get("tracking-links?with_deleted=0").await;
    assert_eq!(
        (with["data"]["list"].as_array().unwrap().len(), without["data"]["list"].as_array().unwrap().len()),
        (1, 0)
    );
    let subscribe = json!({"link": format!("/nova/c{code}"), "fan": {"id": 1}});
    let (status, _) = stage.call(Method::POST, "/_sim/subscribe", Some(subscribe)).await;
    assert_eq!(status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_link_that_the_creator_ends_stays_in_its_list_with_its_end_and_takes_nobody_after_it() {
    let stage = Stage::new(Faults::none()).await;
    let (_, code) = stage.tracking_link("short").await;
    let wish = json!({"duration": 7, "offerExpiration": 0, "offerLimit": 1});
    let trial = stage.post("trial-links", wish).await.1["data"]["url"].clone();
    let end = NOW.plus(Duration::from_secs(60));
    for link in [json!(format!("/nova/c{code}")), trial.clone()] {
        stage.sim("end-link", json!({"link": link, "at": end})).await;
    }
    let shown = async |list: &str| stage.get(list).await.1["data"]["list"][0].clone();
    assert_eq!(shown("tracking-links?with_deleted=0").await["endDate"], end.iso());
    let listed = shown("trial-links").await;
    assert_eq!((&listed["expiredAt"], &listed["isFinished"]), (&json!(end.iso()), &json!(false)));
    let subscribe = async |link: serde_json::Value, fan: u64| {
        let body = json!({"link": link, "fan": {"id": fan}});
        stage.call(Method::POST, "/_sim/subscribe", Some(body)).await.0
    };
    assert_eq!(subscribe(json!(format!("/nova/c{code}")), 1).await, StatusCode::OK);
    stage.clock.set(end);
    assert_eq!(subscribe(json!(format!("/nova/c{code}")), 2).await, StatusCode::CONFLICT);
    assert_eq!(subscribe(trial, 3).await, StatusCode::CONFLICT);
    assert_eq!(shown("trial-links").await["isFinished"], true);
    let nowhere = stage.call(Method::POST, "/_sim/end-link", Some(json!({"link": "/nova"}))).await;
    assert_eq!(nowhere.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_deleted_trial_link_leaves_the_list_and_later_ones_move_up() {
    let stage = Stage::new(Faults::none()).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let wish = json!({"duration": 7, "offerExpiration": 0, "offerLimit": 1});
        ids.push(stage.post("trial-links", wish).await.1["data"]["id"].clone());
    }
    stage.call(Method::DELETE, &format!("/api/{ACCOUNT}/trial-links/{}", ids[0]), None).await;
    let (_, page) = stage.get("trial-links?sort=asc&with_deleted=1").await;
    let shown: Vec<_> = page["data"]["list"].as_array().unwrap().iter().map(|link| &link["id"]).collect();
    assert_eq!(shown, [&ids[1], &ids[2]]);
}

#[tokio::test]
async fn a_fan_who_visits_and_subscribes_is_on_the_list_of_that_link() {
    let stage = Stage::new(Faults::none()).await;
    let (id, code) = stage.tracking_link("one").await;
    let (other, _) = stage.tracking_link("two").await;
    let page = format!("{}/nova/c{code}", stage.platform.url());
    assert_eq!(stage.http.get(page).send().await.unwrap().status(), StatusCode::OK);
    let link = format!("https://onlyfans.com/nova/c{code}");
    let said = stage.sim("subscribe", json!({"link": link, "fan": {"id": 440_012_345}})).await;
    assert_eq!((&said["new"], &said["price_cents"]), (&json!(true), &json!(1000)));
    let (_, list) = stage.get(&format!("tracking-links/{id}/subscribers?limit=10&offset=0")).await;
    let fan = &list["data"]["list"][0];
    assert_eq!(fan["id"], 440_012_345);
    assert!(fan.get("subscribedOnData").is_none(), "tracking links do not say when");
    let (_, none) = stage.get(&format!("tracking-links/{other}/subscribers?limit=10&offset=0")).await;
    assert_eq!(none["data"]["list"], json!([]));
    let (_, links) = stage.get("tracking-links?sort=asc").await;
    assert_eq!(links["data"]["list"][0]["subscribersCount"], 1);
    assert_eq!(links["data"]["list"][0]["clicksCount"], 1);
    // Whoever is subscribed can't subscribe again.
    let again = stage.sim("subscribe", json!({"link": "/nova", "fan": {"id": 440_012_345}})).await;
    assert_eq!(again["new"], false);
}

#[tokio::test]
async fn subscribers_want_limit_and_offset() {
    let stage = Stage::new(Faults::none()).await;
    let (id, _) = stage.tracking_link("one").await;
    for query in ["", "?limit=10", "?offset=0"] {
        let (status, body) = stage.get(&format!("tracking-links/{id}/subscribers{query}")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}: {body}");
    }
}

#[tokio::test]
async fn a_trial_for_one_takes_one_and_says_when() {
    let stage = Stage::new(Faults::none()).await;
    let wish = json!({"duration": 7, "offerExpiration": 0, "offerLimit": 1, "name": "pool"});
    let (_, body) = stage.post("trial-links", wish).await;
    let (id, url) = (body["data"]["id"].clone(), body["data"]["url"].clone());
    stage.sim("subscribe", json!({"link": url, "fan": {"id": 1}})).await;
    let second = json!({"link": url, "fan": {"id": 2}});
    let (status, _) = stage.call(Method::POST, "/_sim/subscribe", Some(second)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (_, list) = stage.get(&format!("trial-links/{id}/subscribers?limit=10&offset=0")).await;
    let on = &list["data"]["list"][0]["subscribedOnData"];
    assert_eq!(on["subscribeAt"], "2026-03-04T20:11:09+00:00");
    assert_eq!(on["expiredAt"], "2026-03-11T20:11:09+00:00");
    assert_eq!((&on["price"], &on["regularPrice"]), (&json!(0), &json!(10)));
    let (_, links) = stage.get("trial-links").await;
    assert_eq!(links["data"]["list"][0]["isFinished"], true);
}

#[tokio::test]
async fn transactions_page_by_marker_and_speak_another_dialect() {
    let stage = Stage::new(Faults::none()).await;
    stage.sim("subscribe", json!({"link": "/nova", "fan": {"id": 7}})).await;
    for cents in [2000, 1550] {
        stage.clock.advance(Duration::from_secs(60));
        let spend = json!({"account": ACCOUNT, "fan": 7, "type": "tip", "amount_cents": cents});
        stage.sim("spend", spend).await;
    }
    let (_, page) = stage.get("transactions?limit=2&startDate=2026-03-04").await;
    let rows = page["data"]["list"].as_array().unwrap();
    assert_eq!(
        (&rows[0]["type"], &rows[0]["amount"], &rows[0]["net"]),
        (&json!("tips"), &json!(15.5), &json!(12.4))
    );
    assert_eq!(rows[0]["user"]["id"], 7);
    let marker = page["data"]["nextMarker"].as_str().unwrap();
    let (_, rest) = stage.get(&format!("transactions?limit=2&startDate=2026-03-04&marker={marker}")).await;
    assert_eq!(rest["data"]["list"][0]["type"], "subscribes");
    assert_eq!((&rest["data"]["hasMore"], &rest["data"]["nextMarker"]), (&json!(false), &json!(null)));
    let (status, _) = stage.get("transactions?type=tip").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn user_lists_have_texts_for_ids_where_read_and_numbers_where_made() {
    let stage = Stage::new(Faults::none()).await;
    let (_, made) = stage.post("user-lists", json!({"name": "New"})).await;
    let id = made["data"]["id"].as_u64().unwrap();
    let (_, lists) = stage.get("user-lists").await;
    assert_eq!(lists["data"][0]["id"], id.to_string());
    stage.sim("subscribe", json!({"link": "/nova", "fan": {"id": 7}})).await;
    let path = format!("user-lists/{id}/users");
    let (_, added) = stage.post(&path, json!({"ids": ["7"]})).await;
    assert_eq!(added["data"][id.to_string()], json!([7]));
    let (status, _) = stage.post(&path, json!({"ids": ["7", "8"]})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (_, mixed) = stage.post(&path, json!({"ids": ["7", "8"], "skip_invalid": true})).await;
    assert_eq!(mixed["data"], json!({"added": [7], "failed": {"8": "User not found"}}));
    let (status, _) = stage.post("user-lists/1/users", json!({"ids": ["7"]})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_wrong_key_an_unknown_account_and_a_wrong_method_are_told_apart() {
    let stage = Stage::new(Faults::none()).await;
    let url = format!("{}/api/{ACCOUNT}/me", stage.platform.url());
    let refused = stage.http.get(&url).bearer_auth("other").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let body: serde_json::Value = refused.json().await.unwrap();
    assert!(body["error"].is_string());
    let (status, body) = stage.call(Method::GET, "/api/acct_none/me", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body["error"].as_str().unwrap().contains("account_not_found"));
    let (status, _) = stage.post("me", json!({})).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let (status, _) = stage.get("nothing").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_rate_limit_answers_429_with_the_seconds_to_wait_and_stored_lists_are_free() {
    let stage = Stage::new(Faults::none()).await;
    stage.sim("rate", json!({"per_minute": 2})).await;
    assert_eq!(stage.get("me").await.0, StatusCode::OK);
    assert_eq!(stage.get("me").await.0, StatusCode::OK);
    let url = format!("{}/api/{ACCOUNT}/me", stage.platform.url());
    let refused = stage.http.get(&url).bearer_auth("key").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    // The clock stands at second 9 of its minute.
    assert_eq!(refused.headers()["retry-after"], "51");
    assert_eq!(stage.get("stored/tracking-links").await.0, StatusCode::OK);
    stage.clock.advance(Duration::from_secs(51));
    assert_eq!(stage.get("me").await.0, StatusCode::OK);
}

#[tokio::test]
async fn failures_come_on_demand_and_a_reconnecting_account_answers_503() {
    let stage = Stage::new(Faults::none()).await;
    stage.sim("fail", json!({"status": 500, "count": 1, "only": "create"})).await;
    assert_eq!(stage.get("me").await.0, StatusCode::OK);
    let (status, body) = stage.post("tracking-links", json!({"name": "a"})).await;
    assert_eq!((status, body["message"].is_string()), (StatusCode::INTERNAL_SERVER_ERROR, true));
    assert_eq!(stage.post("tracking-links", json!({"name": "a"})).await.0, StatusCode::OK);
    stage.sim("login", json!({"account": ACCOUNT, "login": "reconnecting"})).await;
    assert_eq!(stage.get("me").await.0, StatusCode::SERVICE_UNAVAILABLE);
    stage.sim("login", json!({"account": ACCOUNT, "login": "logged_out"})).await;
    assert_eq!(stage.get("me").await.0, StatusCode::FORBIDDEN);
    let (_, accounts) = stage.call(Method::GET, "/api/accounts", None).await;
    assert_eq!(accounts[0]["is_authenticated"], false);
}

#[tokio::test]
async fn calls_fail_by_the_seed_and_an_unanswered_creation_is_there() {
    let stage = Stage::new(Faults { failing: 0.3, unanswered: 0.3, ..Faults::none() }).await;
    let mut answers = std::collections::BTreeMap::new();
    for number in 0..40 {
        let (status, _) = stage.post("tracking-links", json!({"name": format!("link {number}")})).await;
        *answers.entry(status.as_u16()).or_insert(0) += 1;
    }
    let made = stage.platform.state().accounts[ACCOUNT].tracking_links;
    assert_eq!(made, answers[&200] + answers[&504], "{answers:?}");
    assert_eq!(answers.values().sum::<usize>(), 40);
    assert!(answers[&500] > 0);
}

#[tokio::test]
async fn a_create_that_times_out_has_succeeded_all_the_same() {
    let stage = Stage::new(Faults::none()).await;
    stage.sim("stall", json!({"ms": 60_000, "count": 1, "only": "create"})).await;
    let url = format!("{}/api/{ACCOUNT}/tracking-links", stage.platform.url());
    let request = stage.http.post(url).bearer_auth("key").json(&json!({"name": "unsure"}));
    let error = request.timeout(Duration::from_millis(300)).send().await.unwrap_err();
    assert!(error.is_timeout());
    let (_, list) = stage.get("tracking-links?sort=desc").await;
    assert_eq!(list["data"]["list"][0]["campaignName"], "unsure");
}

#[tokio::test]
async fn a_deleted_link_is_not_found_on_its_own_and_takes_nobody_any_more() {
    let stage = Stage::new(Faults::none()).await;
    let (tracking, code) = stage.tracking_link("old").await;
    let (kept, _) = stage.tracking_link("kept").await;
    let wish = json!({"duration": 7, "offerExpiration": 0, "offerLimit": 1});
    let trial = stage.post("trial-links", wish).await.1["data"].clone();
    let paths = [format!("tracking-links/{tracking}"), format!("trial-links/{}", trial["id"])];
    for path in &paths {
        assert_eq!(stage.get(path).await.0, StatusCode::OK);
        let (_, deleted) = stage.call(Method::DELETE, &format!("/api/{ACCOUNT}/{path}"), None).await;
        assert_eq!(deleted["data"]["success"], true);
        assert_eq!(stage.get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    for unknown in [format!("trial-links/{tracking}"), "tracking-links/7".to_owned()] {
        assert_eq!(stage.get(&unknown).await.0, StatusCode::NOT_FOUND);
    }
    for link in [json!(format!("/nova/c{code}")), trial["url"].clone()] {
        let body = json!({"link": link, "fan": {"id": 1}});
        assert_eq!(stage.call(Method::POST, "/_sim/subscribe", Some(body)).await.0, StatusCode::CONFLICT);
    }
    assert_eq!(stage.get(&format!("tracking-links/{kept}")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_list_can_lack_a_deleted_tracking_link_and_one_that_is_there() {
    let stage = Stage::new(Faults::none()).await;
    let (gone, first) = stage.tracking_link("gone").await;
    let (hidden, second) = stage.tracking_link("hidden").await;
    let shown = async || {
        let (_, page) = stage.get("tracking-links?with_deleted=1").await;
        page["data"]["list"].as_array().unwrap().len()
    };
    stage.sim("delete-link", json!({"link": format!("/nova/c{first}")})).await;
    assert_eq!(shown().await, 2);
    stage.sim("delete-link", json!({"link": format!("/nova/c{first}"), "gone": true})).await;
    stage.sim("hide-link", json!({"link": format!("/nova/c{second}"), "hidden": true})).await;
    assert_eq!(shown().await, 0);
    assert_eq!(stage.get(&format!("tracking-links/{gone}")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(stage.get(&format!("tracking-links/{hidden}")).await.0, StatusCode::OK);
    stage.sim("hide-link", json!({"link": format!("/nova/c{second}"), "hidden": false})).await;
    assert_eq!(shown().await, 1);
}
