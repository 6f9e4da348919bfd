//! Workers that join, die and stand still: each delivery is told once, whoever had its shard.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sl_core::{delivery::Destination, ids::PostbackId};
use sl_store::outbox::{SHARDS, shard_of};

use crate::{
    cluster::{Machine, Servers, set_up, visit},
    cluster_outage::patiently,
    process::Service,
    world::{Ads, Platform},
};

/// A cluster without workers: what is due stays so until one comes.
struct Stage {
    settings: Vec<(String, String)>,
    platform: Platform,
    ads: Ads,
    rest: Service,
    key: String,
    places: Vec<String>,
    /// Postbacks that every conversion is told to.
    trackers: u64,
    fans: usize,
}

impl Stage {
    /// With a postback in each of the shards, at least.
    fn start(servers: &Servers, home: &Machine) -> Self {
        let (platform, ads) = (Platform::start("nova"), Ads::start());
        let url = platform.url();
        let more = [("POOL__MIN", "100"), ("PLATFORM__REQUESTS_PER_MINUTE", "60000")];
        let settings = servers.and(&[&Platform::settings(&url)[..], &more].concat());
        let rest = home.start(&settings);
        platform.webhooks_to(rest.admin);
        let key = rest.owner_key.clone().unwrap();
        let link = set_up(&rest, &key, &ads.url());
        // One there is already.
        let (mut trackers, mut shards) = (1, BTreeSet::new());
        while shards.len() < SHARDS as usize / 2 {
            let made = rest.post(
                &key,
                "/api/smart-link-postbacks",
                &json!({
                    "url": format!("{}/pb/{trackers}?t={{conversion_type}}&event_id={{event_id}}", ads.url()),
                    "smart_link_scope": "global",
                    "conversion_types": ["new_subscriber", "new_transaction"],
                }),
            );
            let id = made["data"]["id"].as_u64().unwrap();
            shards.insert(shard_of(Destination::Postback(PostbackId(id))));
            trackers += 1;
        }
        let places = (1..=12).map(|visitor| visit(&rest, &link, visitor)).collect();
        let settings = settings.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { settings, platform, ads, rest, key, places, trackers, fans: 0 }
    }

    fn worker(&self, machine: &Machine) -> Service {
        let settings: Vec<_> =
            self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        machine.start(&settings)
    }

    /// So many subscribe and spend.
    fn fans(&mut self, count: usize) {
        for _ in 0..count {
            let (place, fan) = (&self.places[self.fans], 500 + self.fans);
            self.platform.act("subscribe", &json!({ "link": place, "fan": { "id": fan } }));
            let tip = json!({ "account": "acct_1", "fan": fan, "type": "tip", "amount_cents": 2000 });
            self.platform.act("spend", &tip);
            self.fans += 1;
        }
    }

    /// What all trackers together are to be told: a subscription, its price and a tip of each fan.
    fn due(&self) -> u64 {
        3 * self.fans as u64 * self.trackers
    }

    /// Waits until so much was told or waits to be.
    fn until_written(&self) {
        patiently(&self.rest, &self.key, "/api/x/progress", |shown| {
            let waiting = shown["data"]["outbox"]["waiting"].as_u64().unwrap();
            waiting + self.ads.of("postback").distinct >= self.due()
        });
    }

    /// Waits until everything was told, each once and in one request.
    fn until_told_once(&self) {
        patiently(&self.rest, &self.key, "/api/x/progress", |shown: &Value| {
            self.ads.of("postback").distinct == self.due()
                && shown["data"]["settled"] == true
                && shown["data"]["outbox"]["waiting"] == 0
        });
        let told = self.ads.of("postback");
        assert_eq!((told.accepted, told.distinct, told.changed), (self.due(), self.due(), 0), "{told:?}");
    }
}

/// How many shards a worker has.
fn shards(worker: &Service) -> u64 {
    let metrics = worker.get("/metrics");
    let line = metrics.lines().find(|line| line.starts_with("smartlinks_outbox_shards "));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64)
}

/// Waits until each has so many.
fn until_shared(workers: &[&Service], each: u64) {
    for _ in 0..1200 {
        if workers.iter().all(|worker| shards(worker) == each) {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("shards: {:?}", workers.iter().map(|worker| shards(worker)).collect::<Vec<_>>());
}

const REST: &str = "edge,api,intake,dashboard,pool,matcher,attribution";
const ALL: u64 = SHARDS as u64;

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn a_worker_that_joins_under_load_and_one_that_is_killed_hand_their_shards_on_and_nothing_is_told_twice() {
    let (servers, home) = (Servers::of("workers"), Machine::of(REST));
    let mut stage = Stage::start(&servers, &home);
    let machines = [Machine::of("postback"), Machine::of("postback")];
    let first = stage.worker(&machines[0]);
    until_shared(&[&first], ALL);

    // Receivers are slow, so that the first has much under way when the other takes its share.
    stage.ads.slow(300);
    stage.fans(4);
    stage.until_written();
    let second = stage.worker(&machines[1]);
    until_shared(&[&first, &second], ALL / 2);
    stage.until_told_once();

    // It is the first one's shards that the second sends now.
    stage.ads.slow(0);
    first.kill();
    let killed = Instant::now();
    stage.fans(4);
    stage.until_told_once();
    eprintln!("everything was told {:?} after the other worker was killed", killed.elapsed());
    until_shared(&[&second], ALL);
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn a_worker_that_stood_still_sends_nothing_of_what_another_has_taken_over() {
    let (servers, home) = (Servers::of("still"), Machine::of(REST));
    let mut stage = Stage::start(&servers, &home);
    let machines = [Machine::of("postback"), Machine::of("postback")];
    let (first, second) = (stage.worker(&machines[0]), stage.worker(&machines[1]));
    until_shared(&[&first, &second], ALL / 2);

    first.freeze();
    stage.fans(4);
    // What the first one had, too.
    stage.until_told_once();
    until_shared(&[&second], ALL);
    stage.fans(4);
    first.thaw();
    stage.until_told_once();
    until_shared(&[&first, &second], ALL / 2);
    stage.fans(4);
    stage.until_told_once();
}
