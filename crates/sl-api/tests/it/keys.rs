//! Who gets in, and what the envelope-free endpoints say.

use reqwest::{Method, StatusCode};
use serde_json::json;
use sl_api::{ensure_team_and_owner_key, list_keys, revoke_key};
use sl_store::suite::sample::{HOUR, TEAM, after};

use crate::world::{World, answer};

#[tokio::test]
async fn the_owner_key_is_made_once() {
    let world = World::start().await;
    let again = ensure_team_and_owner_key(&world.store, "x", "x", &*world.clock, &|_| {}).await.unwrap();
    assert_eq!(again, None);
    assert_eq!(list_keys(&world.store, TEAM).await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_valid_key_everything_is_401_with_a_sentence() {
    let world = World::start().await;
    for key in ["", "slk_short", &format!("slk_{}", "x".repeat(40))] {
        let (status, body) = answer(world.request(Method::GET, "/api/whoami", key)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(body["error"].as_str().unwrap().contains("smartlinks keys create"));
        assert_eq!(body["error"], body["message"]);
    }
    let bare = world.client.get(format!("{}/api/smart-links", world.base));
    assert_eq!(answer(bare).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_revoked_key_opens_nothing() {
    let world = World::start().await;
    let id = list_keys(&world.store, TEAM).await.unwrap()[0].id;
    assert_eq!(world.call("GET", "/api/whoami", None).await.0, StatusCode::OK);
    revoke_key(&world.store, TEAM, id, HOUR).await.unwrap();
    assert_eq!(world.call("GET", "/api/whoami", None).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_without_the_permission_is_told_which_one() {
    let world = World::start().await;
    let viewer = world.key_with(&["smart-links.view"]).await;
    let (status, _) = answer(world.request(Method::GET, "/api/smart-links", &viewer)).await;
    assert_eq!(status, StatusCode::OK);
    let create = world.request(Method::POST, "/api/smart-links", &viewer).body("{}");
    let (status, body) = answer(create).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body["error"].as_str().unwrap().contains("smart-links.manage"), "{body}");
}

#[tokio::test]
async fn whoami_and_accounts_have_no_envelope() {
    let world = World::start().await;
    world.get("/api/whoami").await;
    assert_eq!(
        world.get("/api/whoami").await,
        json!({
            "api_key": {
                "name": "owner",
                "created_at": "2026-03-04T20:00:00+00:00",
                "last_used_at": "2026-03-04T20:00:00+00:00",
            },
            "team": { "name": "My team", "slug": "my-team" },
        })
    );
    // Uses are noted to the minute, and none is before the key was made.
    world.clock.set(after(7));
    let viewer = world.key_with(&[]).await;
    for _ in 0..2 {
        let (_, shown) = answer(world.request(Method::GET, "/api/whoami", &viewer)).await;
        assert_eq!(shown["api_key"]["created_at"], "2026-03-04T20:00:07+00:00");
        assert!(
            [&json!(null), &shown["api_key"]["created_at"]].contains(&&shown["api_key"]["last_used_at"]),
            "{shown}"
        );
    }
    let accounts = world.get("/api/accounts").await;
    assert_eq!(accounts.as_array().unwrap().len(), 1, "another team's account is not shown");
    assert_eq!(accounts[0]["id"], "acct_sample");
    assert_eq!(accounts[0]["onlyfans_id"], 1);
    assert_eq!(accounts[0]["onlyfans_user_data"]["username"], "acct_sample");
    assert_eq!(accounts[0]["is_authenticated"], true);
    assert_eq!(world.get("/api/accounts?onlyfans_username=nobody").await, json!([]));
    assert_eq!(world.get("/api/accounts?onlyfans_username=").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_answer_carries_the_headers_of_the_contract() {
    let world = World::start().await;
    for path in ["/api/smart-links", "/api/smart-links/nonsense", "/api/nothing/here"] {
        let response = world.request(Method::GET, path, &world.key).send().await.unwrap();
        for name in [
            "x-ofapi-credits-balance",
            "x-ofapi-credits-used",
            "x-ofapi-is-cached",
            "x-rate-limit-limit-minute",
        ] {
            assert!(response.headers().contains_key(name), "{path}: {name}");
        }
    }
}
