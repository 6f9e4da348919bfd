//! Attributors that stand still and go on: whoever takes an account's partition for its own, each click and each cent counts once.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    cluster::{Machine, Servers, set_up},
    cluster_outage::{Until, patiently},
    process::{Service, visit},
    world::{Ads, Platform},
};

/// How often one of the two stands still.
const ROUNDS: usize = 4;

/// The service without attribution, and what happens outside.
struct Stage {
    platform: Platform,
    ads: Ads,
    rest: Service,
    key: String,
    link: String,
    /// Who has come.
    visitors: AtomicU32,
    fans: AtomicU32,
}

impl Stage {
    /// Somebody comes, subscribes and spends; waits until all who did so are credited.
    fn fan(&self) {
        let (place, fans) =
            (come(self.rest.edge, &self.link, &self.visitors), self.fans.fetch_add(1, Ordering::Relaxed) + 1);
        self.platform.act("subscribe", &json!({ "link": place, "fan": { "id": 500 + fans } }));
        let tip = json!({ "account": "acct_1", "fan": 500 + fans, "type": "tip", "amount_cents": 2000 });
        self.platform.act("spend", &tip);
        self.until_credited(None);
    }

    fn until_credited(&self, clicks: Option<u32>) {
        let fans = self.fans.load(Ordering::Relaxed);
        let (shown, revenue) = (format!("/api/smart-links/{}", self.link), format!("{}.00", 30 * fans));
        let credited = patiently(&self.rest, &self.key, &shown, |shown| {
            shown["data"]["revenue"].as_str() == Some(&revenue)
                && clicks.is_none_or(|clicks| shown["data"]["clicks_count"] == clicks)
        });
        assert_eq!(credited["data"]["subscribers_count"], fans, "{credited}");
    }
}

/// Somebody new comes; where they are sent.
fn come(edge: SocketAddr, link: &str, visitors: &AtomicU32) -> String {
    let answer = visit(edge, link, visitors.fetch_add(1, Ordering::Relaxed) + 1).unwrap();
    assert_eq!(answer.status, 302);
    answer.location.unwrap()
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn an_attributor_that_stood_still_under_load_counts_nothing_that_the_other_has_counted() {
    let (servers, platform, ads) = (Servers::of("deciders"), Platform::start("nova"), Ads::start());
    let url = platform.url();
    let more = [("POOL__MIN", "3000"), ("PLATFORM__REQUESTS_PER_MINUTE", "60000")];
    let settings = servers.and(&[&Platform::settings(&url)[..], &more].concat());
    let home = Machine::of("edge,api,intake,dashboard,pool,matcher,postback");
    let rest = home.start(&settings);
    platform.webhooks_to(rest.admin);
    let key = rest.owner_key.clone().unwrap();
    let machines = [Machine::of("attribution"), Machine::of("attribution")];
    let mut deciders = machines.each_ref().map(|machine| machine.start(&settings));
    let link = set_up(&rest, &key, &ads.url());
    patiently(&rest, &key, "/api/x/pool", |shown| {
        let pool = &shown["data"][0];
        pool["leased"].as_u64() >= Some(256) && pool["fresh"].as_u64() >= Some(2000)
    });
    let (visitors, fans) = (AtomicU32::new(0), AtomicU32::new(0));
    let stage = Stage { platform, ads, rest, key, link, visitors, fans };

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let until = Until(&stop);
        let (edge, link, visitors, stop) = (stage.rest.edge, &stage.link, &stage.visitors, &stop);
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                come(edge, link, visitors);
                thread::sleep(Duration::from_millis(10));
            }
        });
        // All clicks are of one account, whose partition one of the two has: in one of two rounds it is that one.
        for round in 0..ROUNDS {
            let still = &deciders[round % 2];
            stage.fan();
            still.freeze();
            stage.fan();
            still.thaw();
            stage.fan();
        }
        drop(until);
    });
    let clicks = stage.visitors.load(Ordering::Relaxed);
    assert!(clicks > 500, "there was no load: {clicks} visitors");
    stage.until_credited(Some(clicks));
    patiently(&stage.rest, &stage.key, "/api/x/progress", |shown| {
        shown["data"]["settled"] == true && shown["data"]["outbox"]["waiting"] == 0
    });
    // A subscription, its price and a tip of each.
    let (told, due) = (stage.ads.of("postback"), 3 * 3 * ROUNDS as u64);
    assert_eq!((told.accepted, told.distinct, told.changed), (due, due, 0), "{told:?}");
    for decider in &mut deciders {
        assert_eq!(decider.terminate().code(), Some(0), "it was fenced, not broken");
    }
}
