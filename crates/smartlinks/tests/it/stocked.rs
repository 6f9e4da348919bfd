//! A service beside a simulated creator platform, with one Smart Link and a full stock of pool links.

use std::{thread, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    process::{Answer, PATIENCE, Service},
    world::Platform,
};

/// Links of visitors' own in a full stock; the link that they share comes on top.
pub(crate) const STOCK: u32 = 20;

pub(crate) struct Stocked {
    pub(crate) platform: Platform,
    pub(crate) service: Service,
    pub(crate) key: String,
    /// Id of the Smart Link.
    pub(crate) link: String,
    _dir: TempDir,
}

impl Stocked {
    /// Returns once everything is at the edge and nothing more is being made.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let platform = Platform::start("nova");
        let service = platform.service_with(dir.path(), &[("POOL__MIN", &STOCK.to_string())]);
        platform.webhooks_to(service.admin);
        let key = service.owner_key.clone().unwrap();
        service.until(&key, "/api/accounts", |shown| shown[0]["onlyfans_username"] == "nova");
        let mut stocked = Self { platform, service, key, link: String::new(), _dir: dir };
        stocked.link = stocked.new_link();
        stocked.until_pool(|row| row["leased"] == STOCK);
        let begun = std::time::Instant::now();
        while stocked.made() <= u64::from(STOCK) || stocked.shared() == PROFILE {
            assert!(begun.elapsed() < PATIENCE, "there is no link for everybody");
            thread::sleep(Duration::from_millis(10));
        }
        stocked
    }

    /// Calls that made links, and those that tried.
    pub(crate) fn made(&self) -> u64 {
        self.platform.requests().get("create_tracking_link").map_or(0, |statuses| statuses.values().sum())
    }

    /// The link of those who get none of their own.
    pub(crate) fn shared(&self) -> String {
        self.service.shared(&self.link)
    }

    /// Waits until the stock's row is as wanted.
    pub(crate) fn until_pool(&self, ready: impl Fn(&Value) -> bool) {
        self.service.until(&self.key, "/api/x/pool", |shown| ready(&shown["data"][0]));
    }

    /// The answer to somebody who makes a Smart Link.
    pub(crate) fn create(&self) -> Answer {
        let link = json!({ "account_id": "acct_1", "name": "Ad", "link_type": "tracking_link" });
        self.service.try_post(&self.key, "/api/smart-links", &link)
    }

    /// Makes a Smart Link; its id.
    pub(crate) fn new_link(&self) -> String {
        let answer = self.create();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let made: Value = serde_json::from_str(&answer.body).unwrap();
        made["data"]["id"].as_str().unwrap().to_owned()
    }
}

/// Where visitors go when there is no link at all.
pub(crate) const PROFILE: &str = "https://onlyfans.com/nova";
