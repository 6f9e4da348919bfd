//! Postbacks: the five calls and every rule of their bodies.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sl_core::{
    delivery::{Attempt, DeliveryKind, DeliveryState, Destination, Progress, RenderedRequest},
    ids::PostbackId,
};
use sl_store::suite::sample::{self, HOUR, TEAM, after};

use crate::world::World;

const PATH: &str = "/api/smart-link-postbacks";

fn global() -> Value {
    json!({ "url": "https://t.example.org/pb?cid={external_click_id}&e={conversion_type}",
            "smart_link_scope": "global", "conversion_types": ["new_subscriber", "fan_sent_1_message"] })
}

#[tokio::test]
async fn a_postback_goes_through_create_show_list_update_delete() {
    let world = World::start().await;
    world.store.catalog.put_link(sample::smart_link(1, TEAM)).await.unwrap();
    let link = sample::link_id(1).to_string();
    let created = world.send("POST", PATH, global()).await;
    assert_eq!(
        created["data"],
        json!({
            "id": 1, "url": "https://t.example.org/pb?cid={external_click_id}&e={conversion_type}",
            "http_method": "GET", "body": null, "headers": [], "smart_link_scope": "global",
            "conversion_types": ["new_subscriber", "fan_sent_1_message"],
            "smart_link_ids": [], "smart_links": [], "traffic_source_ids": [], "traffic_sources": [],
            "success_texts": [], "failure_texts": [], "in_order": false, "max_per_minute": null, "warnings": [], "latest_response": null,
            "created_at": "2026-03-04T20:00:00+00:00", "updated_at": "2026-03-04T20:00:00+00:00",
        })
    );
    let mut change = global();
    change["smart_link_scope"] = json!("campaign_specific");
    change["smart_link_ids"] = json!([link]);
    change["http_method"] = json!("POST");
    change["body"] = json!(" {\"c\":\"{click_id}\"}");
    let empty = [json!({ "name": null, "value": null }), json!({ "name": "", "value": "" })];
    change["headers"] = json!([{ "name": "X-Key", "value": "{click_id}" }, empty[0], empty[1]]);
    change["in_order"] = json!(true);
    let updated = world.send("PATCH", &format!("{PATH}/1"), change).await["data"].take();
    assert_eq!(updated["in_order"], true);
    let settings = "/api/x/postbacks/1";
    let set = world.send("PATCH", settings, json!({ "max_per_minute": 90 })).await["data"].take();
    assert_eq!(
        (&set["max_per_minute"], &set["in_order"], &set["url"]),
        (&json!(90), &json!(true), &updated["url"])
    );
    for wrong in [json!(0), json!(600_001), json!("many"), json!(1.5)] {
        let refused = world.refused("PATCH", settings, json!({ "max_per_minute": wrong })).await;
        assert_eq!(refused, ["max_per_minute"]);
    }
    let cleared = world.send("PATCH", settings, json!({ "max_per_minute": null })).await;
    assert_eq!(cleared["data"]["max_per_minute"], Value::Null);
    assert_eq!(updated["headers"], json!([{ "name": "X-Key", "value": "{click_id}" }]));
    assert_eq!(updated["body"], " {\"c\":\"{click_id}\"}");
    assert_eq!(
        updated["smart_links"],
        json!([{ "link_ulid": link, "name": "link 1",
        "account_display_name": "acct_sample", "account_prefixed_id": "acct_sample" }])
    );
    // What is not sent, or sent as null, stays; an empty list of headers clears, and so does an empty text.
    let mut again = global();
    again["headers"] = json!([]);
    again["body"] = Value::Null;
    let again = world.send("PATCH", &format!("{PATH}/1"), again).await["data"].take();
    assert_eq!(
        (&again["http_method"], &again["headers"], &again["smart_link_ids"], &again["body"]),
        (&json!("POST"), &json!([]), &json!([]), &updated["body"])
    );
    let mut cleared = global();
    cleared["body"] = json!("");
    assert_eq!(world.send("PATCH", &format!("{PATH}/1"), cleared).await["data"]["body"], Value::Null);
    assert_eq!(world.get(PATH).await["data"][0], world.get(&format!("{PATH}/1")).await["data"]);
    assert_eq!(world.call("DELETE", &format!("{PATH}/1"), None).await, (StatusCode::OK, json!({})));
    assert_eq!(world.call("GET", &format!("{PATH}/1"), None).await.0, StatusCode::NOT_FOUND);
    for nobody in ["x", "%FF", "2%FF"] {
        let (status, answer) = world.call("GET", &format!("{PATH}/{nobody}"), None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{nobody}");
        assert!(answer["message"].is_string(), "{nobody}: {answer}");
    }
}

#[tokio::test]
async fn what_an_answer_says_of_a_deleted_link_can_be_sent_back() {
    let world = World::start().await;
    world.store.catalog.put_link(sample::smart_link(1, TEAM)).await.unwrap();
    let link = sample::link_id(1).to_string();
    let of_link = |url: &str| {
        json!({ "url": url, "smart_link_scope": "campaign_specific", "smart_link_ids": [link],
            "conversion_types": ["new_subscriber"] })
    };
    world.send("POST", PATH, of_link("https://t.example/old")).await;
    world.send("DELETE", &format!("/api/smart-links/{link}"), json!({})).await;
    let changed = world.send("PATCH", &format!("{PATH}/1"), of_link("https://t.example/new")).await;
    assert_eq!(changed["data"]["url"], "https://t.example/new");
    assert_eq!(
        world.refused("POST", PATH, of_link("https://t.example/")).await,
        ["smart_link_ids.0"],
        "a new one"
    );
}

#[tokio::test]
async fn every_rule_of_the_body_names_its_field() {
    let world = World::start().await;
    assert_eq!(world.refused("POST", PATH, json!({})).await, ["conversion_types", "smart_link_scope", "url"]);
    let wrong = json!({ "url": "https://t.example/", "smart_link_scope": "campaign_specific", "conversion_types": [],
        "smart_link_ids": [], "http_method": "PUT", "body": 5,
        "headers": [{ "name": "bad name", "value": "x" }, { "value": "x" }, { "name": "ok", "value": "v".repeat(2001) },
            { "name": "two", "value": "a\r\nb: c" }] });
    assert_eq!(
        world.refused("POST", PATH, wrong).await,
        [
            "body",
            "conversion_types",
            "headers.0.name",
            "headers.1.name",
            "headers.2.value",
            "headers.3.value",
            "http_method",
            "smart_link_ids"
        ]
    );
    let ours = json!({ "url": "https://t.example/", "smart_link_scope": "global", "conversion_types": ["new_subscriber"],
        "headers": [{ "name": "content-length", "value": "5" }, 1, { "name": "HOST", "value": "other.example" }] });
    assert_eq!(world.refused("POST", PATH, ours).await, ["headers.0.name", "headers.1", "headers.2.name"]);
    let stranger = json!({ "url": "https://t.example/", "smart_link_scope": "campaign_specific",
        "conversion_types": ["sale"], "smart_link_ids": [sample::link_id(99).to_string()] });
    assert_eq!(world.refused("POST", PATH, stranger).await, ["conversion_types.0", "smart_link_ids.0"]);
    let mistyped = json!({ "url": "https://t.example/", "smart_link_scope": "campaign_specific",
        "conversion_types": ["new_subscriber"], "smart_link_ids": "A" });
    let (_, answer) = world.call("POST", PATH, Some(&mistyped)).await;
    let said = answer["errors"]["smart_link_ids"].as_array().unwrap();
    assert_eq!(said.len(), 1, "said once, and not that it is missing: {said:?}");
}

#[tokio::test]
async fn a_destination_that_may_never_be_reached_is_refused_when_it_is_entered() {
    let world = World::start().await;
    for url in [
        "ftp://t.example/x",
        "/relative",
        "https://user:pw@t.example/",
        "http://127.0.0.1/x",
        "http://2130706433/x",
        "http://{external_click_id}/x",
        "http://t.example:{click_id}/x",
        "https://{external_click_id}",
        "{external_click_id}://t.example/x",
        "https:///{external_click_id}/x",
        "https:/{external_click_id}/x",
        "x".repeat(4001).as_str(),
    ] {
        let mut body = global();
        body["url"] = json!(url);
        assert_eq!(world.refused("POST", PATH, body).await, ["url"], "{url}");
    }
}

#[tokio::test]
async fn a_destination_is_refused_for_what_is_wrong_with_it() {
    let world = World::start().await;
    for (url, why) in [
        ("javascript:1", "must begin with https:// or http://, not \"javascript\"."),
        ("mailto:a@t.example", "must begin with https:// or http://, not \"mailto\"."),
        ("https://{external_click_id}/x", "must not hold a variable in its scheme, host or port."),
        ("https:/{external_click_id}/x", "must not hold a variable in its scheme, host or port."),
        ("{external_click_id}://t.example/x", "must not hold a variable in its scheme, host or port."),
    ] {
        let mut body = global();
        body["url"] = json!(url);
        let (status, answer) = world.call("POST", PATH, Some(&body)).await;
        let said = answer["errors"]["url"][0].as_str().unwrap();
        assert!(status == 422 && said.ends_with(why), "{url}: {said}");
    }
}

#[tokio::test]
async fn the_latest_response_is_that_of_the_last_attempt() {
    let world = World::start().await;
    world.send("POST", PATH, global()).await;
    let mut job = sample::job(5, Destination::Postback(PostbackId(1)), HOUR);
    job.kind = DeliveryKind::NewSubscriber;
    let id = job.id;
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(sl_core::step::Step { jobs: vec![job], ..sample::step(1) }).await.unwrap();
    let request = RenderedRequest {
        method: "GET".into(),
        url: "https://t.example.org/pb?cid=ad".into(),
        headers: vec![],
        body: vec![],
        ..RenderedRequest::default()
    };
    world.store.outbox.store_body(id, request).await.unwrap();
    let attempt = Attempt {
        at: after(3),
        millis: 10_000,
        status: None,
        error_type: Some("timeout".into()),
        message: Some("no answer in time".into()),
    };
    let progress = Progress {
        state: DeliveryState::Waiting,
        attempts: 1,
        last: Some(attempt.clone()),
        ..Progress::fresh(HOUR)
    };
    sl_store::suite::sample::record(&world.store, id, Some(attempt.clone()), progress.clone()).await.unwrap();
    let mut latest = world.get(&format!("{PATH}/1")).await["data"]["latest_response"].take();
    assert!(latest["id"].take().as_u64().unwrap() < 1 << 53);
    assert_eq!(
        latest,
        json!({ "id": null, "conversion_type": "new_subscriber", "postback_url": "https://t.example.org/pb?cid=ad",
        "succeeded": false, "status_code": null, "error_type": "timeout", "error_message": "no answer in time",
        "created_at": "2026-03-04T20:00:03+00:00" })
    );
    // A word of ours is said as one of the contract's; what was taken stays taken when it is to go out once more.
    for (last, want) in [
        (Attempt { error_type: Some("egress".into()), ..attempt.clone() }, (false, json!("connection"))),
        (Attempt { status: Some(200), error_type: None, ..attempt.clone() }, (true, Value::Null)),
    ] {
        let progress = Progress { last: Some(last.clone()), ..progress.clone() };
        sl_store::suite::sample::record(&world.store, id, Some(last), progress).await.unwrap();
        let latest = world.get(&format!("{PATH}/1")).await["data"]["latest_response"].take();
        assert_eq!((latest["succeeded"].as_bool().unwrap(), latest["error_type"].clone()), want);
    }
}

#[tokio::test]
async fn what_is_odd_about_a_template_is_said_when_it_is_saved() {
    let world = World::start().await;
    let mut body = global();
    body["url"] = json!("https://t.example/pb?cid={clickid}&sum={amount_net}&currency=EUR");
    let saved = world.send("POST", PATH, body).await["data"].take();
    let warnings: Vec<&str> =
        saved["warnings"].as_array().unwrap().iter().map(|warning| warning.as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("unknown_variable: {clickid}"), "{warnings:?}");
    assert!(warnings[1].starts_with("wrong_currency: the template says EUR"), "{warnings:?}");
    assert_eq!(
        saved["url"], "https://t.example/pb?cid={clickid}&sum={amount_net}&currency=EUR",
        "and it is saved"
    );
}

#[tokio::test]
async fn a_variable_that_is_not_closed_is_refused_and_in_a_body_warned_of() {
    let world = World::start().await;
    world.send("POST", PATH, global()).await;
    let url = |url: &str| {
        let mut body = global();
        body["url"] = json!(url);
        body
    };
    let open = url("https://t.example/pb?cid={click_id&e={conversion_type}");
    for (method, path) in [("POST", PATH.to_owned()), ("PATCH", format!("{PATH}/1"))] {
        let (status, answer) = world.call(method, &path, Some(&open)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        let words = answer["errors"]["url"][0].as_str().unwrap();
        assert!(words.contains("{click_id. Write {click_id}"), "{words}");
    }
    assert_eq!(world.get(PATH).await["data"][0]["url"], global()["url"]);
    let mut header = global();
    header["headers"] =
        json!([{ "name": "A", "value": "{event_id}" }, { "name": "B", "value": "x {event_id" }]);
    assert_eq!(world.refused("POST", PATH, header).await, ["headers.1.value"]);
    // What is not certainly meant as a variable is saved, and said.
    let mut odd = url("https://t.example/pb?a={clickid&b={click_id }&c={click_id}");
    odd["body"] = json!("{\"c\":\"{event_id\",\"d\":{\"e\":\"{event_id}\"}}");
    let saved = world.send("POST", PATH, odd).await["data"].take();
    let warnings: Vec<&str> =
        saved["warnings"].as_array().unwrap().iter().map(|warning| warning.as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (warning, name) in warnings.iter().zip(["click_id", "event_id"]) {
        assert!(warning.starts_with(&format!("unclosed_variable: behind {{{name} there")), "{warnings:?}");
    }
}

#[tokio::test]
async fn every_preset_can_be_saved_as_it_is() {
    let world = World::start().await;
    let presets = world.get("/api/x/postback-presets").await["data"].take();
    let presets = presets.as_array().unwrap();
    assert!(presets.len() >= 9);
    for preset in presets {
        let body = json!({
            "url": preset["url"], "http_method": preset["http_method"], "headers": preset["headers"],
            "success_texts": preset["success_texts"], "failure_texts": preset["failure_texts"],
            "conversion_types": preset["conversion_types"], "smart_link_scope": "global",
        });
        let saved = world.send("POST", PATH, body).await["data"].take();
        assert_eq!(saved["warnings"], json!([]), "{}", preset["id"]);
        for key in ["url", "success_texts", "failure_texts", "headers"] {
            assert_eq!(saved[key], preset[key], "{}", preset["id"]);
        }
    }
    let mut wrong = global();
    wrong["success_texts"] = json!(["ok", 5]);
    wrong["failure_texts"] = json!(vec!["x"; 11]);
    assert_eq!(world.refused("POST", PATH, wrong).await, ["failure_texts", "success_texts.1"]);
    // What is not sent stays.
    let kept = world.send("PATCH", &format!("{PATH}/1"), global()).await["data"].take();
    assert_eq!(kept["success_texts"], presets[0]["success_texts"]);
}
