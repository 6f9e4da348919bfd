//! Three CQL nodes, each of which has everything: any one of them may die.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    cluster::{Servers, dir, set_up, visit},
    cluster_outage::{Until, patiently, visitors},
    own::Own,
    process::{Reach, Service},
    world::{Ads, Platform},
};

/// Killed one after the other; only the last is not started again.
const NODES: [&str; 2] = ["cql-2", "cql-1"];
/// Fans that come while one node is away.
const FANS: usize = 4;

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn with_three_copies_a_killed_node_costs_no_redirect_and_everything_is_credited_and_told_without_it() {
    let own = Own::start_with(&["--nodes", "3"]);
    let servers = Servers::at("replicas", &own.kafka, &own.cql);
    let (platform, ads, home) = (Platform::start("nova"), Ads::start(), dir());
    let url = platform.url();
    let more =
        [("SCYLLA__REPLICATION", "3"), ("POOL__MIN", "300"), ("PLATFORM__REQUESTS_PER_MINUTE", "60000")];
    let settings = servers.and(&[&Platform::settings(&url)[..], &more].concat());
    let mut service = Service::start_with(home.path(), &settings);
    platform.webhooks_to(service.admin);
    let key = service.owner_key.clone().unwrap();
    let link = set_up(&service, &key, &ads.url());
    patiently(&service, &key, "/api/x/pool", |shown| shown["data"][0]["leased"].as_u64() >= Some(150));
    let places: Vec<String> = (1..=20).map(|visitor| visit(&service, &link, visitor)).collect();

    let (next, stop) = (AtomicU32::new(1000), AtomicBool::new(false));
    let edge: &Reach = &service;
    let shown = format!("/api/smart-links/{link}");
    thread::scope(|scope| {
        let until = Until(&stop);
        let traffic = scope.spawn(|| visitors(edge, &link, &next, &stop));
        // The second is the one that drivers ask first. Of what was written while the first was away, one copy is left then.
        for (round, node) in NODES.into_iter().enumerate() {
            own.down(node, &["--kill"]);
            for (fan, place) in places.iter().enumerate().skip(round * FANS).take(FANS) {
                platform.act("subscribe", &json!({ "link": place, "fan": { "id": 500 + fan } }));
                let tip =
                    json!({ "account": "acct_1", "fan": 500 + fan, "type": "tip", "amount_cents": 2000 });
                platform.act("spend", &tip);
            }
            // A subscription, its price and a tip of each.
            let fans = (round + 1) * FANS;
            let revenue = format!("{}.00", 30 * fans);
            patiently(edge, &key, &shown, |shown| shown["data"]["revenue"].as_str() == Some(&revenue));
            told(&ads, 3 * fans as u64);
            if NODES.last() != Some(&node) {
                own.up(node);
            }
        }
        drop(until);
        traffic.join().unwrap();
    });

    // The last one stays away.
    let visitors = u64::from(next.load(Ordering::Relaxed) - 1000) + 20;
    let credited = patiently(&service, &key, &shown, |shown| {
        shown["data"]["clicks_count"].as_u64() == Some(visitors) && shown["data"]["revenue"] == "240.00"
    });
    assert_eq!(credited["data"]["subscribers_count"], 8, "{credited}");
    patiently(&service, &key, "/api/x/progress", |shown| {
        shown["data"]["settled"] == true && shown["data"]["outbox"]["waiting"] == 0
    });
    let told = ads.of("postback");
    // One whose answer could not be written down when a node went may come twice, never as another one.
    assert_eq!((told.distinct, told.changed), (24, 0), "{told:?}");
    assert_eq!(service.terminate().code(), Some(0));
}

/// Waits until the buyer's tracker has heard of so many.
fn told(ads: &Ads, events: u64) {
    for _ in 0..900 {
        if ads.of("postback").distinct == events {
            return;
        }
        thread::sleep(Duration::from_millis(200));
    }
    panic!("{events} should have been told, and {:?} were", ads.of("postback"));
}
