//! Smart Links: create, list, get, delete, tags, settings.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sl_core::{
    apikey::Role,
    catalog::Team,
    ids::{SmartLinkId, TeamId},
    step::AccountSignal,
};
use sl_store::suite::sample::{self, TEAM};

use crate::{
    watched::Watched,
    world::{World, answer},
};

fn tracking(name: &str) -> Value {
    json!({ "account_id": "acct_sample", "name": name, "link_type": "tracking_link" })
}

async fn create(world: &World, name: &str) -> String {
    let body = world.send("POST", "/api/smart-links", tracking(name)).await;
    body["data"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_new_link_has_the_shape_of_the_contract() {
    let world = World::start().await;
    let mut body = world.send("POST", "/api/smart-links", tracking("TT / Nova / hook-3")).await;
    let id = body["data"]["id"].take();
    let id = id.as_str().unwrap();
    assert_eq!(id.len(), 26);
    assert_eq!(
        body["data"],
        json!({
            "id": null,
            "name": "TT / Nova / hook-3",
            "link_type": "tracking_link",
            "traffic_redirect_url": format!("https://go.example.net/go/{id}"),
            "free_trial_days": null,
            "clicks_count": 0, "conversions_count": 0, "subscribers_count": 0,
            "revenue": null,
            "cost": { "inputMode": null, "inputValue": null, "perClick": null, "perPromo": null, "perSub": null,
                      "clickSourceCount": 0, "subscriberSourceCount": 0 },
            "account": { "id": "acct_sample", "display_name": "acct_sample", "username": "acct_sample" },
            "created_at": "2026-03-04T20:00:00+00:00",
            "updated_at": "2026-03-04T20:00:00+00:00",
        })
    );
    assert_eq!(body["_meta"]["_credits"]["used"], 0);
    assert_eq!(body["_meta"]["_cache"]["is_cached"], false);
    assert!(body["_meta"]["_rate_limits"]["limit_minute"].is_u64());
    let listed = world.get("/api/smart-links").await;
    assert_eq!(listed["data"][0]["spenders_count"], 0);
    assert!(listed.get("_pagination").is_none());
    let shown = world.get(&format!("/api/smart-links/{}", id.to_lowercase())).await;
    assert_eq!(shown["data"]["name"], "TT / Nova / hook-3");
    assert!(shown["data"].get("spenders_count").is_none());
}

/// A client that hears of a failure creates another one, so what was written is never answered with one (contract A.13).
#[tokio::test]
async fn a_link_that_was_created_is_answered_although_nothing_can_be_read() {
    let world = World::with(|parts| {
        let inner = std::sync::Arc::clone(&parts.store.reports);
        parts.store.reports =
            std::sync::Arc::new(Watched { inner, conversions: Default::default(), broken: true, left: None });
    })
    .await;
    let id = create(&world, "one").await;
    let (status, _) = world.call("GET", &format!("/api/smart-links/{id}"), None).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "or nothing is shown");
    assert_eq!(world.store.catalog.links(TEAM).await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let world = World::start().await;
    let path = "/api/smart-links";
    assert_eq!(world.refused("POST", path, json!({})).await, ["account_id", "link_type", "name"]);
    let wrong = json!({ "account_id": "acct_other", "name": "x".repeat(256), "link_type": "free_trial", "free_trial_days": 5 });
    assert_eq!(world.refused("POST", path, wrong).await, ["account_id", "free_trial_days", "name"]);
    let (_, body) = world
        .call("POST", path, Some(&json!({ "account_id": "acct_sample", "name": "n", "link_type": "free_trial", "free_trial_days": 400 })))
        .await;
    assert!(body["message"].as_str().unwrap().contains("from 1 to 360"), "{body}");
    let trial =
        json!({ "account_id": "acct_sample", "name": "n", "link_type": "free_trial", "free_trial_days": 7 });
    assert_eq!(world.send("POST", path, trial).await["data"]["free_trial_days"], 7);
}

#[tokio::test]
async fn an_account_gets_links_only_while_it_is_connected() {
    let world = World::start().await;
    for (seconds, usable) in [(1, false), (2, true)] {
        let signal = AccountSignal { account: "acct_sample".into(), usable, as_of: sample::after(seconds) };
        assert!(world.store.catalog.signal(signal).await.unwrap());
        assert_eq!(world.get("/api/accounts").await[0]["is_authenticated"], usable);
        let (status, body) = world.call("POST", "/api/smart-links", Some(&tracking("n"))).await;
        if usable {
            assert_eq!(status, StatusCode::OK, "{body}");
        } else {
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
            assert!(
                body["errors"]["account_id"][0].as_str().unwrap().contains("not connected now"),
                "{body}"
            );
        }
    }
    assert_eq!(world.get("/api/smart-links").await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_unknown_account_is_refused_with_what_helps() {
    let world = World::start().await;
    let said = async |key: &str| {
        let wish = json!({ "account_id": "acct_nobody", "name": "n", "link_type": "tracking_link" });
        let asked = world.request(Method::POST, "/api/smart-links", key).json(&wish);
        let (status, body) = answer(asked).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        body["errors"]["account_id"][0].as_str().unwrap().to_owned()
    };
    assert!(said(&world.key).await.contains("GET /api/accounts lists them"));
    let team = Team { id: TeamId(9), name: "New".into(), slug: "new".into(), created_at: sample::after(0) };
    world.store.catalog.put_team(team).await.unwrap();
    let key = sl_api::create_key(
        &world.store,
        TeamId(9),
        "new",
        Role::Owner.permissions(),
        sample::after(0),
        &|bytes: &mut [u8]| bytes.fill(9),
    );
    let key = key.await.unwrap().secret.expose().to_owned();
    let said = said(&key).await;
    assert!(
        said.contains("acct_nobody") && said.contains("has been read from the creator platform yet"),
        "{said}"
    );
}

#[tokio::test]
async fn a_broken_body_is_400_and_a_huge_one_413() {
    let world = World::start().await;
    for (body, want) in [("{", 400), ("[]", 400), ("\"x\"", 400)] {
        let request = world.request(Method::POST, "/api/smart-links", &world.key).body(body);
        assert_eq!(answer(request).await.0.as_u16(), want, "{body}");
    }
    let huge = world.request(Method::POST, "/api/smart-links", &world.key).body("x".repeat((1 << 20) + 1));
    let (status, body) = answer(huge).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{body}");
}

#[tokio::test]
async fn the_list_filters_and_pages_newest_first() {
    let world = World::start().await;
    for name in ["Alpha", "Beta", "alphabet"] {
        let id = create(&world, name).await;
        if name == "Beta" {
            world.send("POST", &format!("/api/smart-links/{id}/tags"), json!({ "tags": ["IG", "TT"] })).await;
        }
        world.clock.advance(std::time::Duration::from_secs(1));
    }
    let names = async |query: &str| -> Vec<String> {
        let body = world.get(&format!("/api/smart-links?{query}")).await;
        body["data"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("").await, ["alphabet", "Beta", "Alpha"]);
    assert_eq!(names("limit=1&offset=1").await, ["Beta"]);
    assert_eq!(names("name=ALPHA").await, ["alphabet", "Alpha"]);
    assert_eq!(names("filter%5Btags%5D=XX%2CTT").await, ["Beta"]);
    assert_eq!(names("account_ids=acct_sample&name=&pixel_ids=").await.len(), 3);
    assert_eq!(names("account_ids=acct_other").await, Vec::<String>::new());
    assert_eq!(names("pixel_ids=9").await, Vec::<String>::new());
    for bad in ["limit=0", "limit=1001", "limit=x", "offset=-1"] {
        let (status, _) = world.call("GET", &format!("/api/smart-links?{bad}"), None).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
}

#[tokio::test]
async fn a_deleted_link_is_gone_from_everywhere() {
    let world = World::start().await;
    let id = create(&world, "short").await;
    // Generated clients send a content type with an empty body.
    let request = world.request(Method::DELETE, &format!("/api/smart-links/{id}"), &world.key);
    let (status, body) = answer(request.header("content-type", "application/json")).await;
    assert_eq!((status, &body["data"]), (StatusCode::OK, &json!({ "success": true })));
    assert_eq!(world.get("/api/smart-links").await["data"], json!([]));
    for path in
        ["", "/stats", "/clicks", "/conversions", "/fans", "/spenders", "/tags", "/pixels", "/cohort-arps"]
    {
        let (status, _) = world.call("GET", &format!("/api/smart-links/{id}{path}"), None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    let row = world.store.catalog.link(id.parse().unwrap()).await.unwrap().unwrap();
    assert!(row.deleted_at.is_some(), "the edge must answer 410");
}

#[tokio::test]
async fn tags_are_at_the_root_and_in_data() {
    let world = World::start().await;
    let path = format!("/api/smart-links/{}/tags", create(&world, "t").await);
    let both = |body: &Value| {
        assert_eq!(body["tags"], body["data"]["tags"]);
        body["tags"].clone()
    };
    assert_eq!(
        both(&world.send("POST", &path, json!({ "tags": ["IG", "SFS", "IG"] })).await),
        json!(["IG", "SFS"])
    );
    assert_eq!(
        both(&world.send("POST", &path, json!({ "tags": "[\"TT\"]" })).await),
        json!(["IG", "SFS", "TT"])
    );
    assert_eq!(
        both(&world.send("DELETE", &path, json!({ "tags": ["SFS", "no"] })).await),
        json!(["IG", "TT"])
    );
    let (status, body) = world.call("DELETE", &format!("{path}?tags=TT"), None).await;
    assert_eq!((status, both(&body)), (StatusCode::OK, json!(["IG"])));
    world.send("POST", &path, json!({ "tags": ["SFS", "NY, LA"] })).await;
    let listed = async |query: &str| {
        world.get(&format!("/api/smart-links?{query}")).await["data"].as_array().unwrap().len()
    };
    assert_eq!(listed("filter%5Btags%5D%5B%5D=NY,%20LA").await, 1, "a comma in a tag");
    assert_eq!(listed("filter%5Btags%5D=NY,%20LA").await, 0, "two tags");
    let (status, body) =
        world.call("DELETE", &format!("{path}?tags=%5B%22SFS%22,%22NY,%20LA%22%5D"), None).await;
    assert_eq!((status, both(&body)), (StatusCode::OK, json!(["IG"])));
    assert_eq!(world.get("/api/link-tags?type=smart_links").await["data"]["tags"], json!(["IG"]));
    assert_eq!(world.get("/api/link-tags?type=trial_links").await["data"]["tags"], json!([]));
    assert_eq!(world.refused("POST", &path, json!({ "tags": ["x".repeat(51)] })).await, ["tags.0"]);
    assert_eq!(world.refused("POST", &path, json!({})).await, ["tags"]);
    let (_, answer) = world.call("POST", &path, Some(&json!({ "tags": "IG,SFS" }))).await;
    assert_eq!(answer["errors"]["tags"].as_array().unwrap().len(), 1, "not that it is missing, too");
}

#[tokio::test]
async fn changes_made_at_the_same_moment_all_stay() {
    let world = World::start().await;
    let path = format!("/api/smart-links/{}/tags", create(&world, "t").await);
    let add = async |n: usize| world.send("POST", &path, json!({ "tags": [format!("tag{n}")] })).await;
    tokio::join!(add(0), add(1), add(2), add(3), add(4), add(5));
    assert_eq!(world.get(&path).await["tags"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn our_own_settings_of_a_link_can_be_changed() {
    let world = World::start().await;
    let id = create(&world, "t").await;
    let path = format!("/api/x/smart-links/{id}");
    let id: SmartLinkId = id.parse().unwrap();
    assert_eq!(world.get(&path).await["data"]["speculative"], id.to_bytes()[15], "as the edge says");
    let body = world
        .send("PATCH", &path, json!({ "name": "new", "window": "2h", "paused": true, "user_list_id": "12" }))
        .await;
    assert_eq!(body["data"]["name"], "new");
    assert_eq!(body["data"]["window"], "7200s");
    assert_eq!(body["data"]["paused"], true);
    assert_eq!(world.get(&path).await["data"], body["data"]);
    let body = world.send("PATCH", &path, json!({ "window": null, "user_list_id": null })).await;
    assert_eq!(body["data"]["window"], "21600s");
    assert_eq!((&body["data"]["name"], &body["data"]["paused"]), (&json!("new"), &json!(true)));
    assert_eq!(world.get(&path).await["data"], body["data"], "and can be read");
    let wrong = json!({ "name": "", "window": "31d", "paused": "yes" });
    assert_eq!(world.refused("PATCH", &path, wrong).await, ["name", "paused", "window"]);
    assert_eq!(world.refused("PATCH", &path, json!({ "pause": true })).await, ["pause"], "not paused");
    assert_eq!(world.refused("PATCH", &path, json!({ "name": "a\u{0}b" })).await, ["name"]);
}

#[tokio::test]
async fn another_team_sees_and_changes_nothing() {
    let world = World::start().await;
    let id = create(&world, "mine").await;
    let pixel = json!({ "platform": "snapchat", "pixel_id": "p", "pixel_access_token": "t" });
    let pixel =
        world.send("POST", &format!("/api/smart-links/{id}/pixels"), pixel).await["data"]["id"].clone();
    let postback = json!({ "url": "https://t.example/x", "smart_link_scope": "global", "conversion_types": ["new_subscriber"] });
    let postback = world.send("POST", "/api/smart-link-postbacks", postback).await["data"]["id"].clone();
    for (method, path) in [
        ("GET", format!("/api/smart-links/{id}")),
        ("DELETE", format!("/api/smart-links/{id}")),
        ("GET", format!("/api/smart-links/{id}/stats")),
        ("GET", format!("/api/acct_sample/smart-links/{id}/stats")),
        ("POST", format!("/api/smart-links/{id}/tags")),
        ("GET", format!("/api/smart-links/{id}/pixels")),
        ("PATCH", format!("/api/smart-links/{id}/pixels/{pixel}")),
        ("GET", format!("/api/x/smart-links/{id}")),
        ("PATCH", format!("/api/x/smart-links/{id}")),
        ("GET", format!("/api/x/smart-links/{id}/breakdown?by=country")),
        ("PATCH", format!("/api/x/pixels/{pixel}")),
        ("DELETE", format!("/api/x/pixels/{pixel}")),
        ("GET", format!("/api/smart-link-postbacks/{postback}")),
        ("PATCH", format!("/api/smart-link-postbacks/{postback}")),
        ("DELETE", format!("/api/smart-link-postbacks/{postback}")),
    ] {
        let request = world.request(method.parse().unwrap(), &path, &world.stranger).body("{}");
        assert_eq!(answer(request).await.0, StatusCode::NOT_FOUND, "{method} {path}");
    }
    for path in ["/api/smart-links", "/api/smart-link-postbacks"] {
        let (_, body) = answer(world.request(Method::GET, path, &world.stranger)).await;
        assert_eq!(body["data"], json!([]), "{path}");
    }
}
