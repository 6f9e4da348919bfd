//! A platform, somebody who asks it, and somebody who listens to its webhooks.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sl_core::{
    seal::Secret,
    time::{ManualClock, Timestamp},
};
use sl_sim::{
    client,
    platform::{AccountSetup, Faults, PlatformConfig, PlatformSim},
    server::{Server, Whole},
};

pub(crate) const ACCOUNT: &str = "acct_7f3a";
pub(crate) const SECRET: &str = "webhook secret";
/// 2026-03-04T20:11:09Z.
pub(crate) const NOW: Timestamp = Timestamp(1_772_655_069_000);

pub(crate) fn localhost() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(crate) fn http() -> Client {
    client::build(Duration::from_secs(5), Duration::from_secs(10), 4).unwrap()
}

/// A platform with one creator, `nova`, and somebody who holds its key.
pub(crate) struct Stage {
    pub(crate) platform: PlatformSim,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) http: Client,
}

impl Stage {
    pub(crate) async fn new(faults: Faults) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let config = PlatformConfig {
            accounts: vec![AccountSetup::new(ACCOUNT, "nova", 120_034_567)],
            faults,
            ..PlatformConfig::new(clock.clone(), 1, Secret::new("key"), Secret::new(SECRET))
        };
        Self { platform: PlatformSim::bind(config).await.unwrap(), clock, http: http() }
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.platform.url());
        let mut request = self.http.request(method, url).bearer_auth("key");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// `GET /api/acct_7f3a/…`.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.call(Method::GET, &format!("/api/{ACCOUNT}/{path}"), None).await
    }

    /// `POST /api/acct_7f3a/…`.
    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::POST, &format!("/api/{ACCOUNT}/{path}"), Some(body)).await
    }

    /// `POST /_sim/…`, which must work.
    pub(crate) async fn sim(&self, what: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, &format!("/_sim/{what}"), Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{what}: {answer}");
        answer
    }

    /// Makes a tracking link and returns its id and code.
    pub(crate) async fn tracking_link(&self, name: &str) -> (u64, u64) {
        let (status, body) = self.post("tracking-links", json!({"name": name})).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let link = &body["data"][0];
        (link["id"].as_u64().unwrap(), link["campaignCode"].as_u64().unwrap())
    }
}

/// Listens to webhooks.
pub(crate) struct Ear {
    pub(crate) server: Server,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    requests: Mutex<Vec<Whole>>,
    /// Statuses of the next answers; 200 afterwards.
    answers: Mutex<Vec<u16>>,
    more: tokio::sync::Notify,
}

impl Ear {
    pub(crate) async fn new(answers: &[u16]) -> Self {
        let mut answers = answers.to_vec();
        answers.reverse();
        let heard = Arc::new(Heard { answers: Mutex::new(answers), ..Heard::default() });
        let server = Server::bind(localhost(), Arc::clone(&heard), |heard, request| async move {
            let status = heard.answers.lock().pop().unwrap_or(200);
            heard.requests.lock().push(request);
            heard.more.notify_one();
            http::Response::builder().status(status).body(axum::body::Body::empty()).unwrap()
        });
        Self { server: server.await.unwrap(), heard }
    }

    pub(crate) fn url(&self) -> url::Url {
        format!("http://{}/webhooks/onlyfansapi", self.server.addr()).parse().unwrap()
    }

    /// Waits until `enough` holds of everything heard so far.
    pub(crate) async fn until(&self, enough: impl Fn(&[Whole]) -> bool) -> Vec<Whole> {
        loop {
            let more = self.heard.more.notified();
            let heard = self.heard.requests.lock().clone();
            if enough(&heard) {
                return heard;
            }
            tokio::time::timeout(Duration::from_secs(10), more).await.expect("more webhooks");
        }
    }
}
