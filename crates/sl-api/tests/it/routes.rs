//! What is documented answers; what is not does not.

use reqwest::{Method, StatusCode};
use serde_json::Value;
use sl_core::seal::Secret;

use crate::world::{World, answer};

#[tokio::test]
async fn every_documented_operation_answers() {
    let world = World::start().await;
    let document = world.get("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 30);
    for (path, item) in paths {
        let filled = path
            .replace("{smart_link_id}", "01KZ4M8Q2T7V9W3X5Y6B1C0DEF")
            .replace("{account}", "acct_sample")
            .replace("{pixel_id}", "1")
            .replace("{postback_id}", "1")
            .replace("{click_id}", "01kz5a1b2c3d4e5f6g7h8j9k0m")
            .replace("{delivery_id}", "01KZ5C0V0000000000000000AB")
            .replace("{dead_letter_id}", "01KZ5C0V0000000000000000AB");
        assert!(!filled.contains('{'), "{path}");
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let (status, body) = answer(world.request(method.clone(), &filled, &world.key)).await;
            assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert!(status.as_u16() < 500, "{method} {path}: {body}");
            // An unknown id is 404 too, but in other words than an unknown path.
            assert_ne!(body["error"], "There is no such path.", "{method} {path}");
        }
    }
}

/// The answers that the document gives to an operation: of the paths that fit, the one with fewest parameters.
pub(crate) fn documented(method: &str, path: &str) -> Option<Value> {
    let document: Value = serde_json::from_str(include_str!("../../../../schemas/openapi.json")).unwrap();
    let path = path.split('?').next().unwrap();
    let fits = |template: &str| {
        let (parts, given) = (template.split('/'), path.split('/'));
        parts.clone().count() == given.clone().count()
            && parts.zip(given).all(|(part, given)| part == given || part.starts_with('{'))
    };
    let paths = document["paths"].as_object().unwrap();
    let known = paths.iter().filter(|(template, item)| fits(template) && item.get(method).is_some());
    let (_, item) = known.min_by_key(|(template, _)| template.matches('{').count())?;
    Some(item[method]["responses"].clone())
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_as_documented() {
    let world = World::start().await;
    let document = world.get("/openapi.json").await;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("requestBody").is_none() {
                continue;
            }
            let responses = &operation["responses"];
            assert!(responses.get("408").is_some() || path.ends_with("/test-event"), "{method} {path}");
            let filled = path.replace("{smart_link_id}", "01KZ4M8Q2T7V9W3X5Y6B1C0DEF");
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = world.request(method.clone(), &filled, &world.key).body("x".repeat((1 << 20) + 1));
            let (status, _) = answer(request).await;
            // A test event looks for its pixel first.
            if !path.ends_with("/test-event") {
                assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{method} {path}");
            }
            assert!(responses.get("413").is_some(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_schema_that_is_referred_to_exists() {
    let world = World::start().await;
    let document = world.get("/openapi.json").await;
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_in_json() {
    let world = World::start().await;
    let (status, body) = answer(world.request(Method::GET, "/api/nothing", &world.key)).await;
    assert_eq!((status, body["error"].as_str()), (StatusCode::NOT_FOUND, Some("There is no such path.")));
    let response = world.request(Method::PUT, "/api/smart-links", &world.key).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    let allow = response.headers()["allow"].to_str().unwrap().to_owned();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
}

#[tokio::test]
async fn operations_need_no_key_but_the_metrics_token_when_there_is_one() {
    let world = World::with(|parts| {
        parts.settings.metrics_token = Some(Secret::new("scrape"));
        parts.ready = std::sync::Arc::new(|| Err("the journal is being read".to_owned()));
    })
    .await;
    let get = async |path: &str| answer(world.client.get(format!("{}{path}", world.base))).await;
    assert_eq!(get("/healthz").await.0, StatusCode::OK);
    let (status, body) = get("/readyz").await;
    assert_eq!(
        (status, &body["reason"]),
        (StatusCode::SERVICE_UNAVAILABLE, &Value::from("the journal is being read"))
    );
    assert_eq!(get("/metrics").await.0, StatusCode::UNAUTHORIZED);
    let (status, body) = answer(world.request(Method::GET, "/metrics", "scrape")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.as_str().unwrap().contains("smartlinks_journal_head 3"));
}
