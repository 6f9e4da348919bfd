//! Ad platforms: what they take, what they refuse and with which code (ad-platforms 2).

mod creatortraffic;
mod faults;
mod meta;
mod postback;
mod snapchat;
mod tiktok;

use std::{sync::Arc, time::Duration};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sl_core::time::ManualClock;
use sl_sim::ads::{AdsConfig, AdsFaults, AdsSim, MetaRules};

use crate::people::{NOW, http};

struct Stage {
    ads: AdsSim,
    clock: Arc<ManualClock>,
    http: Client,
}

impl Stage {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let rules = MetaRules { tokens: vec!["EAAG".to_owned()], pixels: vec!["123".to_owned()] };
        let config = AdsConfig { meta: rules, ..AdsConfig::new(clock.clone()) };
        Self { ads: AdsSim::bind(config).await.unwrap(), clock, http: http() }
    }

    async fn send(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}{path}", self.ads.url())).json(body);
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// One event to the pixel that exists.
    async fn event(&self, event: &Value) -> (StatusCode, Value) {
        self.send("/v26.0/123/events", &json!({"access_token": "EAAG", "data": [event]})).await
    }

    async fn sim(&self, what: &str, body: Value) {
        let (status, answer) = self.send(&format!("/_sim/{what}"), &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}

const HASH: &str = "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A good event of Meta.
fn subscribe() -> Value {
    json!({
        "event_name": "Subscribe", "event_time": NOW.seconds() - 60, "event_id": "01K1", "action_source": "website",
        "event_source_url": "https://go.example.net/go/01KZ4M8Q2T7V9W3X5Y6B1C0DEF",
        "user_data": {
            "client_ip_address": "203.0.113.7", "client_user_agent": "Mozilla/5.0", "country": [HASH],
            "fbc": "fb.1.1772655000000.IwAR2", "fbp": "fb.1.1772655000000.1098115397", "external_id": [HASH],
        },
        "custom_data": {"value": 10.0, "currency": "USD"},
    })
}

/// The good event with one member changed (`null`: removed).
fn with(pointer: &str, value: Value) -> Value {
    changed(subscribe(), pointer, value)
}

/// A good call with one member changed (`null`: removed), put there if it is not there.
fn changed(mut call: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = call.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => parent.remove(name),
        value => parent.insert(name.to_owned(), value),
    };
    call
}
