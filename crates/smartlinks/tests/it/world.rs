//! The simulated creator platform and ad platforms, on runtimes of their own, beside a service in a process of its own.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, thread, time::Duration};

use serde_json::{Value, json};
use sl_core::{
    seal::Secret,
    time::{Clock, Timestamp},
};
use sl_sim::{
    ads::{AdsConfig, AdsSim, ReceiverState},
    platform::{AccountSetup, Faults, PlatformConfig, PlatformSim},
};
use tokio::runtime::Runtime;

use crate::{creator::LINK, process::Service};

pub(crate) struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        Timestamp(i64::try_from(since.as_millis()).unwrap())
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// POST to a simulator's control.
fn control(runtime: &Runtime, http: &reqwest::Client, url: String, body: &Value) -> Value {
    runtime.block_on(async {
        let answer = http.post(&url).body(body.to_string()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{url}: {text}");
        serde_json::from_str(&text).unwrap()
    })
}

/// A creator platform with one account, `acct_1`.
pub(crate) struct Platform {
    runtime: Runtime,
    sim: PlatformSim,
    http: reqwest::Client,
}

impl Platform {
    /// `username` is the creator's handle.
    pub(crate) fn start(username: &str) -> Self {
        Self::start_at(username, Arc::new(WallClock))
    }

    /// The same with a clock of the test's.
    pub(crate) fn start_at(username: &str, clock: Arc<dyn Clock>) -> Self {
        Self::of(vec![AccountSetup::new("acct_1", username, 77)], Faults::none(), clock)
    }

    /// One with these accounts and this behaviour.
    pub(crate) fn of(accounts: Vec<AccountSetup>, faults: Faults, clock: Arc<dyn Clock>) -> Self {
        let runtime = runtime();
        let (key, hook) = (Secret::new("key-1"), Secret::new("hook-1"));
        let mut config = PlatformConfig::new(clock, 1, key, hook);
        (config.accounts, config.faults) = (accounts, faults);
        let sim = runtime.block_on(PlatformSim::bind(config)).unwrap();
        Self { runtime, sim, http: client() }
    }

    /// Something people do (`subscribe`, `spend`) or a switch (`fail`).
    pub(crate) fn act(&self, what: &str, body: &Value) -> Value {
        control(&self.runtime, &self.http, format!("{}/_sim/{what}", self.sim.url()), body)
    }

    pub(crate) fn webhooks_to(&self, admin: SocketAddr) {
        self.sim.set_webhook(format!("http://{admin}/webhooks/onlyfansapi").parse().unwrap());
    }

    /// Tries of webhooks that were not answered with a 2xx.
    pub(crate) fn refused_webhooks(&self) -> u64 {
        self.sim.state().webhooks.refused
    }

    /// Waits until everything that it has to say was taken.
    pub(crate) fn until_webhooks_are_taken(&self) {
        for _ in 0..3600 {
            if self.sim.state().webhooks.waiting == 0 {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("nobody takes the webhooks: {:?}", self.sim.state().webhooks);
    }

    /// Its book of requests: by endpoint and status.
    pub(crate) fn requests(&self) -> BTreeMap<String, BTreeMap<u16, u64>> {
        self.sim.state().requests
    }

    /// A service that follows it closely.
    pub(crate) fn service(&self, dir: &Path) -> Service {
        self.service_with(dir, &[])
    }

    /// The same with more settings.
    pub(crate) fn service_with(&self, dir: &Path, more: &[(&str, &str)]) -> Service {
        let url = self.sim.url();
        Service::start_with(dir, &[&Self::settings(&url), more].concat())
    }

    /// A start that is killed after a while, ready or not.
    pub(crate) fn killed_start(&self, dir: &Path, more: &[(&str, &str)], after: Duration) {
        let url = self.sim.url();
        Service::killed_start(dir, &[&Self::settings(&url), more].concat(), after);
    }

    /// Address of its API.
    pub(crate) fn url(&self) -> String {
        self.sim.url()
    }

    /// What a service is told that follows the platform at `url` closely.
    pub(crate) fn settings(url: &str) -> [(&'static str, &str); 6] {
        [
            ("PLATFORM__BASE_URL", url),
            ("PLATFORM__API_KEY", "key-1"),
            ("PLATFORM__WEBHOOK_SECRETS", "hook-1"),
            ("PLATFORM__DEBOUNCE", "200ms"),
            ("PLATFORM__POLL", "1s"),
            ("EGRESS__ALLOW", "127.0.0.0/8"),
        ]
    }
}

/// Ad platforms.
pub(crate) struct Ads {
    runtime: Runtime,
    sim: AdsSim,
    http: reqwest::Client,
}

impl Ads {
    pub(crate) fn start() -> Self {
        let runtime = runtime();
        let sim = runtime.block_on(AdsSim::bind(AdsConfig::new(Arc::new(WallClock)))).unwrap();
        Self { runtime, sim, http: client() }
    }

    /// Address of all of them; any path is the receiver of postbacks.
    pub(crate) fn url(&self) -> String {
        self.sim.url()
    }

    /// The next answers fail.
    pub(crate) fn fail(&self, how: &Value) {
        control(&self.runtime, &self.http, format!("{}/_sim/fail", self.sim.url()), how);
    }

    /// The next answers are kept back, after the work was done.
    pub(crate) fn stall(&self, how: &Value) {
        control(&self.runtime, &self.http, format!("{}/_sim/stall", self.sim.url()), how);
    }

    /// Every answer takes so long from now on, milliseconds.
    pub(crate) fn slow(&self, millis: u64) {
        let latency = json!({ "ms": millis });
        control(&self.runtime, &self.http, format!("{}/_sim/latency", self.sim.url()), &latency);
    }

    /// A service that tells them.
    pub(crate) fn service(&self, dir: &Path) -> Service {
        Service::start_with(dir, &[("AD_PLATFORMS__META__BASE_URL", &self.sim.url())])
    }

    /// Puts a Meta pixel on [`LINK`]; its clicks are events.
    pub(crate) fn pixel(&self, service: &Service, key: &str) {
        let pixel = json!({ "platform": "meta", "pixel_id": "123456789", "pixel_access_token": "TOKEN-1" });
        service.post(key, &format!("/api/smart-links/{LINK}/pixels"), &pixel);
    }

    /// What all of them have seen.
    pub(crate) fn all(&self) -> BTreeMap<String, ReceiverState> {
        self.sim.state().receivers
    }

    /// What Meta has seen.
    pub(crate) fn meta(&self) -> ReceiverState {
        self.of("meta")
    }

    /// What a receiver has seen.
    pub(crate) fn of(&self, receiver: &str) -> ReceiverState {
        self.sim.state().receivers.get(receiver).cloned().unwrap_or_default()
    }

    /// The requests that carried an event, as they came.
    pub(crate) fn sent(&self, receiver: &str, event_id: &str) -> String {
        let events = self.sim.events(receiver, event_id);
        let versions = events.iter().flat_map(|event| &event.versions);
        versions.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}
