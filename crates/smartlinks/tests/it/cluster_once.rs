//! Pool keeper, matcher and reconciliation work in one process of a cluster at a time, however many have these roles.

use std::{collections::BTreeMap, thread, time::Duration};

use serde_json::json;

use crate::{
    cluster::{Machine, Servers, set_up, visit},
    cluster_outage::patiently,
    process::{Reach, Service},
    world::{Ads, Platform},
};

/// Links of their own for visitors; one more is shared.
const STOCK: u64 = 100;
const REST: &str = "edge,api,intake,dashboard,attribution,postback";

/// A service whose platform roles are in so many processes.
struct Stage {
    platform: Platform,
    ads: Ads,
    rest: Service,
    key: String,
    link: String,
    creators: Vec<Service>,
}

impl Stage {
    /// The link has its stock, and nothing is due at the platform for an hour.
    fn start(servers: &Servers, machines: &[Machine], home: &Machine) -> Self {
        let (platform, ads) = (Platform::start("nova"), Ads::start());
        let url = platform.url();
        let stock = STOCK.to_string();
        let more = [
            ("POOL__MIN", stock.as_str()),
            ("PLATFORM__REQUESTS_PER_MINUTE", "60000"),
            ("PLATFORM__POLL", "1h"),
        ];
        let settings = servers.and(&[&Platform::settings(&url)[..], &more].concat());
        let rest = home.start(&settings);
        platform.webhooks_to(rest.admin);
        let key = rest.owner_key.clone().unwrap();
        let creators: Vec<_> = machines.iter().map(|machine| machine.start(&settings)).collect();
        let link = set_up(&rest, &key, &ads.url());
        patiently(&rest, &key, "/api/x/pool", |shown| {
            let pool = &shown["data"][0];
            pool["leased"].as_u64().unwrap() + pool["fresh"].as_u64().unwrap() >= STOCK
        });
        // Money is read once, ten seconds after the start.
        let stage = Self { platform, ads, rest, key, link, creators };
        stage.until_asked("transactions", 1);
        stage
    }

    fn until_asked(&self, endpoint: &str, times: u64) {
        for _ in 0..1200 {
            if self.book().get(endpoint) >= Some(&times) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{endpoint} is not asked for: {:?}", self.book());
    }

    /// Requests by endpoint, as the platform counted them.
    fn book(&self) -> BTreeMap<String, u64> {
        let requests = self.platform.requests().into_iter();
        requests.map(|(endpoint, statuses)| (endpoint, statuses.values().sum())).collect()
    }

    /// Somebody comes, subscribes and is credited.
    fn fan(&self, number: u32) {
        let place = visit(&self.rest, &self.link, number);
        let shown = format!("/api/smart-links/{}", self.link);
        let clicked = |shown: &serde_json::Value| shown["data"]["clicks_count"] == number;
        patiently(&self.rest, &self.key, &shown, clicked);
        self.platform.act("subscribe", &json!({ "link": place, "fan": { "id": 500 + number } }));
        patiently(&self.rest, &self.key, &shown, |shown| shown["data"]["subscribers_count"] == number);
    }
}

/// Requests by endpoint, as the process counted them.
fn asked(process: &Reach) -> BTreeMap<String, u64> {
    let metrics = process.get("/metrics");
    let mut asked = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("smartlinks_platform_requests_total{")) {
        let endpoint = line.split("endpoint=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let count: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        *asked.entry(endpoint.to_owned()).or_insert(0) += count as u64;
    }
    asked
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn two_processes_with_the_platforms_roles_ask_it_no_more_than_one_and_either_may_die() {
    let one = [Machine::of("pool,matcher")];
    let (servers, home) = (Servers::of("alone"), Machine::of(REST));
    let alone = Stage::start(&servers, &one, &home).book();
    assert_eq!(alone["create_tracking_link"], STOCK + 1, "{alone:?}");

    let two = [Machine::of("pool,matcher"), Machine::of("pool,matcher")];
    let (servers, home) = (Servers::of("twice"), Machine::of(REST));
    let mut stage = Stage::start(&servers, &two, &home);
    assert_eq!(stage.book(), alone, "what two ask for, and what one does");
    for fan in 1..=3 {
        stage.fan(fan);
    }
    // Nothing was asked for by both.
    let [first, second] = [asked(&stage.creators[0]), asked(&stage.creators[1])];
    let both: Vec<_> = first.keys().filter(|endpoint| second.contains_key(*endpoint)).collect();
    assert!(both.is_empty(), "{both:?}: {first:?} {second:?}");
    let all: u64 = first.values().chain(second.values()).sum();
    assert_eq!(all, stage.book().values().sum::<u64>(), "{first:?} {second:?} {:?}", stage.book());

    // One of them has both roles, so that the platform is asked at one pace. It dies; the other does everything.
    assert!(first.is_empty() != second.is_empty(), "{first:?} {second:?}");
    let busier = usize::from(first.is_empty());
    stage.creators.remove(busier).kill();
    let before = stage.book();
    stage.fan(4);
    let after = stage.book();
    assert!(after["link_subscribers"] > before["link_subscribers"], "{before:?} {after:?}");
    let told = stage.ads.of("postback");
    assert_eq!(told.changed, 0, "{told:?}");
}
