//! Pixels: defaults, partial updates, tokens that never come back.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sl_core::{
    catalog::PlatformKind,
    delivery::{DeliveryState, Destination, Progress},
    identity::Identity,
    ids::PixelId,
    lint::{Known, match_quality},
    seal::{PIXEL_TOKEN, SealKeys, Secret},
    step::Step,
};
use sl_store::suite::sample::{self, HOUR, TEAM};

use crate::world::{World, answer};

async fn with_links() -> (World, [String; 2]) {
    let world = World::start().await;
    for number in [1, 2] {
        world.store.catalog.put_link(sample::smart_link(number, TEAM)).await.unwrap();
    }
    (world, [1, 2].map(|number| format!("/api/smart-links/{}/pixels", sample::link_id(number))))
}

fn meta() -> Value {
    json!({ "platform": "meta", "pixel_id": "820000000000001", "pixel_access_token": "EAAB-very-secret", "label": "House pixel" })
}

#[tokio::test]
async fn a_new_pixel_has_the_defaults_of_its_platform_and_hides_its_token() {
    let (world, [pixels, _]) = with_links().await;
    let created = world.send("POST", &pixels, meta()).await;
    assert_eq!(
        created["data"],
        json!({
            "id": 1, "platform": "meta", "pixel_id": "820000000000001", "label": "House pixel",
            "event_source_url": null, "event_click": "ViewContent", "event_new_subscriber": "Subscribe",
            "event_first_transaction": "Purchase", "event_new_transaction": "Purchase",
            "event_message_received_from_fan": null, "event_fan_sent_1_message": null,
            "event_fan_sent_3_messages": "Lead", "has_access_token": true,
            "value_basis": "gross", "limited_data_use": false, "api_version": null, "external_id_source": "ecid",
            "in_order": false, "max_per_minute": null, "notice": null, "warnings": [],
            "created_at": "2026-03-04T20:00:00+00:00", "updated_at": "2026-03-04T20:00:00+00:00",
        })
    );
    let row = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&row.sealed_token).contains("EAAB"));
    let token = SealKeys::new([7; 32]).open(PIXEL_TOKEN, &row.sealed_token).unwrap();
    assert_eq!(token.expose(), "EAAB-very-secret");
    assert_eq!(world.get(&pixels).await["data"].as_array().unwrap().len(), 1);
    let listed = world.get("/api/smart-links?pixel_ids=820000000000001").await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_that_the_present_key_does_not_open_is_noticed_until_it_is_given_again() {
    let (world, [pixels, _]) = with_links().await;
    world.send("POST", &pixels, meta()).await;
    let mut row = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
    row.sealed_token = SealKeys::new([8; 32]).seal(PIXEL_TOKEN, &Secret::new("EAAB-very-secret"), [1; 24]);
    world.store.catalog.put_pixel(row).await.unwrap();
    let shown = world.get("/api/x/pixels").await;
    let notice = shown["data"][0]["notice"].as_str().unwrap();
    assert!(notice.contains("secrets/seal.key") && notice.contains("pixel_access_token"), "{notice}");
    let again = json!({ "pixel_access_token": "EAAB-very-secret" });
    assert_eq!(world.send("PATCH", &format!("{pixels}/1"), again).await["data"]["notice"], Value::Null);
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_named() {
    let (world, [pixels, _]) = with_links().await;
    assert_eq!(
        world.refused("POST", &pixels, json!({})).await,
        ["pixel_access_token", "pixel_id", "platform"]
    );
    let wrong = json!({ "platform": "myspace", "pixel_id": "x".repeat(256), "pixel_access_token": "t", "label": "l".repeat(101),
                        "event_source_url": "ftp://x", "event_click": 5 });
    let fields = world.refused("POST", &pixels, wrong).await;
    assert_eq!(fields, ["event_click", "event_source_url", "label", "pixel_id", "platform"]);
    for id in ["abc/../x", "12 34", "12?x"] {
        let wrong = json!({ "platform": "meta", "pixel_id": id, "pixel_access_token": "t" });
        assert_eq!(world.refused("POST", &pixels, wrong).await, ["pixel_id"], "{id}");
    }
    let creatortraffic = json!({ "platform": "creatortraffic", "pixel_id": "", "pixel_access_token": "t" });
    let made = world.send("POST", &pixels, creatortraffic).await;
    assert_eq!(
        (&made["data"]["pixel_id"], &made["data"]["notice"]),
        (&json!(""), &json!("ask for the address"))
    );
}

#[tokio::test]
async fn an_update_changes_only_what_is_sent_and_no_error_repeats_a_token() {
    let (world, [pixels, _]) = with_links().await;
    world.send("POST", &pixels, meta()).await;
    let path = format!("{pixels}/1");
    let body = world
        .send(
            "PATCH",
            &path,
            json!({ "event_click": null, "event_new_subscriber": "StartTrial", "label": null }),
        )
        .await;
    let data = &body["data"];
    assert_eq!(
        (&data["event_click"], &data["event_new_subscriber"], &data["label"]),
        (&Value::Null, &json!("StartTrial"), &Value::Null)
    );
    assert_eq!(data["event_first_transaction"], "Purchase");
    let (_, body) = world
        .call("PATCH", &path, Some(&json!({ "platform": "tiktok", "pixel_access_token": "EAAB-other" })))
        .await;
    assert!(body["errors"]["platform"].is_array());
    assert!(!body.to_string().contains("EAAB"));
    let nested = json!({ "pixel_access_token": { "token": "EAAB-nested" } });
    let (_, body) = world.call("PATCH", &path, Some(&nested)).await;
    assert!(body["errors"]["pixel_access_token"].is_array() && !body.to_string().contains("EAAB"));
    let body = world
        .send(
            "PATCH",
            "/api/x/pixels/1",
            json!({ "value_basis": "net", "limited_data_use": true, "api_version": "v21.0" }),
        )
        .await;
    assert_eq!(
        (&body["data"]["value_basis"], &body["data"]["api_version"]),
        (&json!("net"), &json!("v21.0"))
    );
    assert_eq!(
        world
            .refused("PATCH", "/api/x/pixels/1", json!({ "value_basis": "both", "api_version": "../v1" }))
            .await,
        ["api_version", "value_basis"]
    );
}

#[tokio::test]
async fn an_empty_token_is_refused_and_the_present_one_stays() {
    let (world, [pixels, _]) = with_links().await;
    world.send("POST", &pixels, meta()).await;
    let path = format!("{pixels}/1");
    let before = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
    for empty in [json!(""), json!(" \t "), Value::Null] {
        let change = json!({ "pixel_access_token": empty, "label": "other" });
        assert_eq!(world.refused("PATCH", &path, change).await, ["pixel_access_token"], "{empty}");
        let new = json!({ "platform": "meta", "pixel_id": "1", "pixel_access_token": empty });
        assert_eq!(world.refused("POST", &pixels, new).await, ["pixel_access_token"], "{empty}");
    }
    for empty in [json!(""), Value::Null] {
        let change = json!({ "pixel_id": empty });
        assert_eq!(world.refused("PATCH", &path, change).await, ["pixel_id"], "{empty}");
    }
    assert_eq!(world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap(), before);
    world.send("PATCH", &path, json!({ "label": "other" })).await;
    let kept = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
    assert_eq!(kept.sealed_token, before.sealed_token, "left out: kept");
}

#[tokio::test]
async fn a_version_is_a_part_of_an_address_and_nothing_else() {
    let (world, [pixels, _]) = with_links().await;
    world.send("POST", &pixels, meta()).await;
    for version in ["..", "v", "v.", "v1.", "26.0", "v26.0beta", "v26/..", "v26.0?"] {
        let refused = world.refused("PATCH", "/api/x/pixels/1", json!({ "api_version": version })).await;
        assert_eq!(refused, ["api_version"], "{version}");
    }
    for version in ["v3", "v1.3", "v26.0"] {
        let kept = world.send("PATCH", "/api/x/pixels/1", json!({ "api_version": version })).await;
        assert_eq!(kept["data"]["api_version"], version);
    }
}

#[tokio::test]
async fn what_means_nothing_to_a_platform_is_refused_instead_of_kept() {
    let (world, [pixels, _]) = with_links().await;
    let creatortraffic = json!({ "platform": "creatortraffic", "pixel_id": "", "pixel_access_token": "t" });
    world.send("POST", &pixels, creatortraffic).await;
    let all = json!({
        "value_basis": "net", "limited_data_use": true, "api_version": "v2", "external_id_source": "click_id",
    });
    assert_eq!(
        world.refused("PATCH", "/api/x/pixels/1", all).await,
        ["api_version", "external_id_source", "limited_data_use", "value_basis"]
    );
    let paced = world.send("PATCH", "/api/x/pixels/1", json!({ "max_per_minute": 60 })).await;
    assert_eq!(paced["data"]["max_per_minute"], 60);
}

#[tokio::test]
async fn disconnecting_leaves_the_pixel_with_the_team() {
    let (world, [first, second]) = with_links().await;
    world.send("POST", &first, meta()).await;
    let (status, _) = world.call("DELETE", &format!("{second}/1"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it does not hang on that link");
    let (status, _) = world.call("DELETE", &format!("{first}/1"), None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(world.get(&first).await["data"], json!([]));
    assert!(world.store.catalog.pixel(PixelId(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_deleted_pixel_leaves_every_link_and_the_store_and_what_it_was_told_stays_readable() {
    let (world, [first, second]) = with_links().await;
    for pixels in [&first, &second] {
        world.send("POST", pixels, meta()).await;
    }
    let [a, b] = [1, 2].map(sample::link_id);
    world.send("POST", &format!("/api/x/pixels/1/smart-links/{b}"), json!({})).await;
    let told = sample::job(1, Destination::Pixel(PixelId(1)), HOUR);
    let path = format!("/api/x/deliveries/{}", told.id);
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(Step { jobs: vec![told.clone()], ..sample::step(1) }).await.unwrap();
    let delivered =
        Progress { state: DeliveryState::Delivered, next_attempt_at: None, ..Progress::fresh(HOUR) };
    sample::record(&world.store, told.id, None, delivered).await.unwrap();
    let before = world.get(&path).await["data"].take();

    let viewer = world.key_with(&["meta-pixels.view"]).await;
    let delete = |key: &str| answer(world.request(Method::DELETE, "/api/x/pixels/1", key));
    assert_eq!(delete(&viewer).await.0, StatusCode::FORBIDDEN);
    assert_eq!(delete(&world.stranger).await.0, StatusCode::NOT_FOUND, "another team's");
    assert_eq!(world.store.catalog.pixels(TEAM).await.unwrap().len(), 2);
    let (status, body) = world.call("DELETE", "/api/x/pixels/1", None).await;
    assert_eq!((status, &body["data"]), (StatusCode::OK, &json!({ "success": true })));

    let left: Vec<_> =
        world.store.catalog.pixels(TEAM).await.unwrap().into_iter().map(|pixel| pixel.id).collect();
    assert_eq!(left, [PixelId(2)]);
    for (link, pixels) in [(a, vec![]), (b, vec![PixelId(2)])] {
        assert_eq!(world.store.catalog.link(link).await.unwrap().unwrap().pixels, pixels);
    }
    for method in ["GET", "DELETE"] {
        assert_eq!(world.call(method, "/api/x/pixels/1", None).await.0, StatusCode::NOT_FOUND);
    }
    let after = world.get(&path).await["data"].take();
    assert_eq!((&after["state"], &after["event_id"]), (&json!("delivered"), &before["event_id"]));
    let gone =
        json!({ "kind": "pixel", "id": 1, "platform": "meta", "label": "House pixel", "deleted": true });
    assert_eq!((&before["destination"]["platform"], &after["destination"]), (&json!("meta"), &gone));
    let again = json!({ "into": "pixel:1" });
    let (status, _) = world.call("POST", "/api/x/deliveries/replay-into", Some(&again)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_test_event_needs_its_code_and_shows_the_platforms_words() {
    let (world, [pixels, _]) = with_links().await;
    world.send("POST", &pixels, meta()).await;
    let path = format!("{pixels}/1/test-event");
    let good = json!({ "event_type": "event_new_subscriber_paid", "test_event_code": "TEST123" });
    assert_eq!(world.send("POST", &path, good).await["data"], json!({ "success": true }));
    assert_eq!(
        world.refused("POST", &path, json!({ "event_type": "event_new_subscriber" })).await,
        ["event_type", "test_event_code"]
    );
    let refused = json!({ "event_type": "event_click", "test_event_code": "TEST-BAD" });
    let (status, body) = world.call("POST", &path, Some(&refused)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(body["message"].as_str().unwrap().contains("Invalid parameter (100)"));
    let refused = json!({ "event_type": "event_click", "test_event_code": "TEST-OLD" });
    assert_eq!(world.refused("POST", &path, refused).await, ["pixel_access_token"]);
}

#[tokio::test]
async fn a_teams_pixels_can_be_listed_and_attached_to_further_links() {
    let (world, [first, second]) = with_links().await;
    world.send("POST", &first, meta()).await;
    let [a, b] = [1, 2].map(|number| sample::link_id(number).to_string());
    let listed = world.get("/api/x/pixels").await;
    assert_eq!(listed["data"][0]["smart_link_ids"], json!([a]));
    for _ in 0..2 {
        let attached = world.send("POST", &format!("/api/x/pixels/1/smart-links/{b}"), json!({})).await;
        assert_eq!(attached["data"]["smart_link_ids"], json!([a, b]), "twice changes nothing");
    }
    assert_eq!(world.get(&second).await["data"][0]["id"], 1);
    world.send("PATCH", &format!("{second}/1"), json!({ "event_click": null })).await;
    assert_eq!(world.get(&first).await["data"][0]["event_click"], Value::Null, "it is one pixel");
    world.call("DELETE", &format!("{first}/1"), None).await;
    assert_eq!(world.get("/api/x/pixels/1").await["data"]["smart_link_ids"], json!([b]));
    let stranger = |method: &str, path: String| {
        let method = method.parse().unwrap();
        world.request(method, &path, &world.stranger).send()
    };
    for (method, path) in
        [("GET", "/api/x/pixels/1".to_owned()), ("POST", format!("/api/x/pixels/1/smart-links/{a}"))]
    {
        assert_eq!(stranger(method, path).await.unwrap().status(), StatusCode::NOT_FOUND, "another team's");
    }
    let (status, _) = world.call("POST", &format!("/api/x/pixels/9/smart-links/{a}"), Some(&json!({}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_names_the_person_can_be_chosen() {
    let (world, [pixels, _]) = with_links().await;
    world.send("POST", &pixels, meta()).await;
    let set = |source: &str| json!({ "external_id_source": source });
    let changed = world.send("PATCH", "/api/x/pixels/1", set("visitor")).await;
    assert_eq!(changed["data"]["external_id_source"], "visitor");
    let kept = world.send("PATCH", "/api/x/pixels/1", json!({ "limited_data_use": true })).await;
    assert_eq!(kept["data"]["external_id_source"], "visitor");
    assert_eq!(world.refused("PATCH", "/api/x/pixels/1", set("email")).await, ["external_id_source"]);
    let sent = json!({ "in_order": true, "max_per_minute": 600 });
    let changed = world.send("PATCH", "/api/x/pixels/1", sent).await["data"].take();
    assert_eq!((&changed["in_order"], &changed["max_per_minute"]), (&json!(true), &json!(600)));
    let wrong = json!({ "in_order": "yes", "max_per_minute": -1 });
    assert_eq!(world.refused("PATCH", "/api/x/pixels/1", wrong).await, ["in_order", "max_per_minute"]);
}

#[tokio::test]
async fn a_name_that_snapchat_does_not_know_is_warned_of_when_it_is_saved() {
    let (world, [pixels, _]) = with_links().await;
    let pixel = json!({ "platform": "snapchat", "pixel_id": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
                        "pixel_access_token": "t", "event_click": "LEAD",
                        "event_new_subscriber": "CUSTOM_EVENT_1" });
    let saved = world.send("POST", &pixels, pixel).await["data"].take();
    let warnings = saved["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].as_str().unwrap().starts_with("unknown_event_name: LEAD"), "{warnings:?}");
    assert_eq!(saved["event_click"], "LEAD", "and it is saved");
}

#[tokio::test]
async fn an_id_that_can_be_no_pixels_is_warned_of_when_it_is_saved() {
    let (world, [pixels, _]) = with_links().await;
    let uuid = "0F1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
    for (platform, id, is_odd) in [
        ("meta", "820000000000001", false),
        ("meta", "12a", true),
        ("snapchat", uuid, false),
        ("snapchat", "0f1e2d3c4b5a69788796a5b4c3d2e1f0", true),
        ("snapchat", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1fg", true),
        ("tiktok", "CABC1DEF2GHI3JKL4MNO", false),
    ] {
        let pixel = json!({ "platform": platform, "pixel_id": id, "pixel_access_token": "t" });
        let saved = world.send("POST", &pixels, pixel).await["data"].take();
        let warnings: Vec<_> =
            saved["warnings"].as_array().unwrap().iter().map(|said| said.as_str().unwrap()).collect();
        assert_eq!(warnings.len(), usize::from(is_odd), "{platform} {id}: {warnings:?}");
        let begin = format!("malformed_pixel_id: {id} is no ");
        assert!(warnings.iter().all(|said| said.starts_with(&begin)), "{warnings:?}");
        assert_eq!(saved["pixel_id"], id, "and it is saved");
    }
    // Once it is corrected, nothing is said any more.
    let corrected =
        world.send("PATCH", &format!("{pixels}/2"), json!({ "pixel_id": "12" })).await["data"].take();
    assert_eq!(corrected["warnings"], json!([]));
}

#[tokio::test]
async fn coverage_says_how_much_the_platform_was_told_of_people() {
    let (world, [pixels, _]) = with_links().await;
    world.send("POST", &pixels, meta()).await;
    let path = "/api/x/pixels/1/coverage";
    let empty = world.get(path).await["data"].take();
    assert_eq!((&empty["events"], &empty["match_quality"]), (&json!(0), &Value::Null));
    let jobs: Vec<_> = (1..=4).map(|n| sample::job(n, Destination::Pixel(PixelId(1)), HOUR)).collect();
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(Step { jobs: jobs.clone(), ..sample::step(1) }).await.unwrap();
    let some = |text: &str| Some(text.to_owned());
    let bare = Identity { ip: some("203.0.113.7"), user_agent: some("x"), ..Identity::default() };
    let clicked = Identity { fbc: some("fb.1.1.a"), ..bare.clone() };
    for (job, person, state) in [
        (&jobs[0], &clicked, DeliveryState::Delivered),
        (&jobs[1], &bare, DeliveryState::Delivered),
        (&jobs[2], &bare, DeliveryState::Delivered),
        (&jobs[3], &clicked, DeliveryState::Parked),
    ] {
        let known = Known::of(PlatformKind::Meta, person);
        let match_quality = match_quality(PlatformKind::Meta, known);
        let progress =
            Progress { state, next_attempt_at: None, known, match_quality, ..Progress::fresh(HOUR) };
        sl_store::suite::sample::record(&world.store, job.id, None, progress).await.unwrap();
    }
    let data = world.get(path).await["data"].take();
    assert_eq!((&data["events"], &data["with_warnings"]), (&json!(3), &json!(0.0)));
    let shares = &data["identifiers"];
    assert_eq!(
        (&shares["click_id"], &shares["ip"], &shares["ipv6"]),
        (&json!(0.33), &json!(1.0), &json!(0.0))
    );
    assert_eq!(data["match_quality"], 2.37, "(4.1 + 1.5 + 1.5) / 3");
    let stranger = world.request("GET".parse().unwrap(), path, &world.stranger).send().await.unwrap();
    assert_eq!(stranger.status(), StatusCode::NOT_FOUND);
}
