//! The whole way of a fan against a simulated creator platform: ad, click, subscription, money, postback.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, mpsc},
    thread,
};

use serde_json::{Value, json};
use sl_core::{
    seal::Secret,
    time::{Clock, Timestamp},
};
use sl_sim::platform::{AccountSetup, Faults, PlatformConfig, PlatformSim};

use crate::process::Service;

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        Timestamp(i64::try_from(since.as_millis()).unwrap())
    }
}

/// The simulated platform on a runtime of its own.
struct Platform {
    runtime: tokio::runtime::Runtime,
    sim: PlatformSim,
    http: reqwest::Client,
}

impl Platform {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut config =
            PlatformConfig::new(Arc::new(WallClock), 1, Secret::new("key-1"), Secret::new("hook-1"));
        config.accounts = vec![AccountSetup::new("acct_1", "nova", 77)];
        config.faults = Faults::none();
        let sim = runtime.block_on(PlatformSim::bind(config)).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { runtime, sim, http }
    }

    fn act(&self, what: &str, body: &Value) -> Value {
        let url = format!("{}/_sim/{what}", self.sim.url());
        self.runtime.block_on(async {
            let answer = self.http.post(url).body(body.to_string()).send().await.unwrap();
            let (status, text) = (answer.status(), answer.text().await.unwrap());
            assert!(status.is_success(), "{what}: {text}");
            serde_json::from_str(&text).unwrap()
        })
    }

    fn service(&self, dir: &Path) -> Service {
        Service::start_with(
            dir,
            &[
                ("PLATFORM__BASE_URL", &self.sim.url()),
                ("PLATFORM__API_KEY", "key-1"),
                ("PLATFORM__WEBHOOK_SECRETS", "hook-1"),
                ("PLATFORM__DEBOUNCE", "200ms"),
                ("PLATFORM__POLL", "1s"),
                ("EGRESS__ALLOW", "127.0.0.0/8"),
            ],
        )
    }
}

/// A tracker that hands on the request lines it gets.
fn tracker() -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (got, lines) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut text = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = text.next().unwrap().unwrap();
            while text.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = got.send(first);
        }
    });
    (address, lines)
}

/// A link and a postback for everything.
fn set_up(service: &Service, key: &str, tracker: SocketAddr) -> String {
    service.until(key, "/api/accounts", |shown| shown[0]["onlyfans_username"] == "nova");
    let link = json!({ "account_id": "acct_1", "name": "Ad", "link_type": "tracking_link" });
    let link = service.post(key, "/api/smart-links", &link)["data"]["id"].as_str().unwrap().to_owned();
    let postback = json!({
        "url": format!("http://{tracker}/pb?c={{click_id}}&t={{conversion_type}}&n={{amount_net}}"),
        "smart_link_scope": "global",
        "conversion_types": ["new_subscriber", "new_transaction"],
    });
    service.post(key, "/api/smart-link-postbacks", &postback);
    service.until(key, "/api/x/pool", |shown| shown["data"][0]["leased"].as_u64() > Some(0));
    link
}

#[test]
fn a_fan_is_credited_to_the_click_and_the_tracker_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let platform = Platform::start();
    let mut service = platform.service(dir.path());
    platform.sim.set_webhook(format!("http://{}/webhooks/onlyfansapi", service.admin).parse().unwrap());
    let key = service.owner_key.clone().unwrap();
    let (tracker, told) = tracker();
    let link = set_up(&service, &key, tracker);

    let place = service.visit(&link, 1).unwrap().location.unwrap();
    assert!(place.starts_with("https://onlyfans.com/nova/c"), "{place}");
    platform.act("subscribe", &json!({ "link": place, "fan": { "id": 501 } }));
    let shown = format!("/api/smart-links/{link}");
    service.until(&key, &shown, |shown| shown["data"]["subscribers_count"] == 1);
    platform.act("spend", &json!({ "account": "acct_1", "fan": 501, "type": "tip", "amount_cents": 2000 }));
    // The price of the subscription and the tip.
    let shown = service.until(&key, &shown, |shown| shown["data"]["revenue"].as_str() == Some("30.00"));
    assert_eq!(shown["data"]["clicks_count"], 1, "{shown}");

    let lines: Vec<String> = told.iter().take(3).collect();
    for wanted in ["t=new_subscriber&n=8.00", "t=new_transaction&n=8.00", "t=new_transaction&n=16.00"] {
        assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted}: {lines:?}");
    }
    service.settle(&key);
    assert_eq!(service.terminate().code(), Some(0));
}
