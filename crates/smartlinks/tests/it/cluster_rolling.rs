//! Every process of a cluster is stopped in order and started again, one after the other, under load.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    cluster::{Machine, Servers, set_up, visit},
    cluster_outage::{Until, patiently},
    process::{Reach, Service, visit as visit_at},
    world::{Ads, Platform},
};

/// Machines of one kind with their running processes.
struct Pair {
    machines: [Machine; 2],
    running: Vec<Service>,
}

impl Pair {
    fn start(roles: &'static str, settings: &[(&str, &str)]) -> Self {
        let machines = [Machine::of(roles), Machine::of(roles)];
        let running = machines.iter().map(|machine| machine.start(settings)).collect();
        Self { machines, running }
    }

    /// SIGTERM, and started again when it has ended. `meanwhile` is told which one is away, and then where it is.
    fn restart(
        &mut self,
        settings: &[(&str, &str)],
        mut away: impl FnMut(usize),
        mut back: impl FnMut(usize, &Reach),
    ) {
        for number in 0..self.machines.len() {
            away(number);
            assert_eq!(self.running[number].terminate().code(), Some(0));
            self.running[number] = self.machines[number].start(settings);
            back(number, &self.running[number]);
        }
    }
}

/// Where visitors may go now.
struct Edges(Mutex<[Option<SocketAddr>; 2]>);

impl Edges {
    fn set(&self, number: usize, edge: Option<SocketAddr>) {
        self.0.lock().unwrap()[number] = edge;
    }

    /// A visitor who takes the other edge when one is just going away, as a load balancer would have it.
    fn visit(&self, link: &str, visitor: u32) -> String {
        for turn in 0..200 {
            let edges = *self.0.lock().unwrap();
            let Some(edge) = edges[(visitor as usize + turn) % 2] else { continue };
            if let Ok(answer) = visit_at(edge, link, visitor) {
                assert_eq!(answer.status, 302);
                return answer.location.unwrap();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("visitor {visitor} finds no edge");
    }
}

/// The keeper shares the first link that it makes: who comes while an edge waits for stock is sent there.
const SHARED: &str = "https://onlyfans.com/nova/c1";

/// Visitors until told to stop; says how many they were and how many of them got a link of their own.
fn visitors(edges: &Edges, link: &str, next: &AtomicU32, stop: &AtomicBool) -> (u64, usize) {
    let (mut count, mut sent) = (0, HashMap::new());
    while !stop.load(Ordering::Relaxed) {
        let visitor = next.fetch_add(1, Ordering::Relaxed);
        let place = edges.visit(link, visitor);
        count += 1;
        if place != SHARED {
            assert_eq!(sent.insert(place.clone(), visitor), None, "{place} has two visitors");
        }
        thread::sleep(Duration::from_millis(20));
    }
    (count, sent.len())
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn a_rolling_restart_of_every_role_under_load_loses_and_doubles_nothing() {
    let (servers, platform, ads) = (Servers::of("rolling"), Platform::start("nova"), Ads::start());
    let url = platform.url();
    let more = [("POOL__MIN", "3000"), ("PLATFORM__REQUESTS_PER_MINUTE", "60000")];
    let settings = servers.and(&[&Platform::settings(&url)[..], &more].concat());
    let desk = Machine::of("api,intake,dashboard");
    let first = desk.start(&settings);
    let key = first.owner_key.clone().unwrap();
    let other = Machine::of("api,intake,dashboard");
    let mut desks = Pair { running: vec![first, other.start(&settings)], machines: [desk, other] };
    platform.webhooks_to(desks.running[0].admin);
    let mut creators = Pair::start("pool,matcher", &settings);
    let mut deciders = Pair::start("attribution", &settings);
    let mut workers = Pair::start("postback", &settings);
    let mut serving = Pair::start("edge", &settings);
    let link = set_up(&desks.running[0], &key, &ads.url());
    let enough = |shown: &serde_json::Value| {
        let pool = &shown["data"][0];
        pool["leased"].as_u64().unwrap() >= 512 && pool["fresh"].as_u64().unwrap() >= 2000
    };
    patiently(&desks.running[0], &key, "/api/x/pool", enough);
    let places: Vec<String> =
        (1..=20).map(|visitor| visit(&serving.running[visitor as usize % 2], &link, visitor)).collect();

    let edges = Edges(Mutex::new([Some(serving.running[0].edge), Some(serving.running[1].edge)]));
    let (next, stop) = (AtomicU32::new(1000), AtomicBool::new(false));
    let mut fans = 0;
    let mut fan = || {
        let place = &places[fans];
        platform.act("subscribe", &json!({ "link": place, "fan": { "id": 500 + fans } }));
        let tip = json!({ "account": "acct_1", "fan": 500 + fans, "type": "tip", "amount_cents": 2000 });
        platform.act("spend", &tip);
        fans += 1;
    };
    let (count, own) = thread::scope(|scope| {
        let until = Until(&stop);
        let traffic = scope.spawn(|| visitors(&edges, &link, &next, &stop));
        for pair in [&mut creators, &mut deciders, &mut workers] {
            pair.restart(&settings, |_| fan(), |_, _| {});
        }
        // Webhooks go where nobody is about to leave.
        platform.webhooks_to(desks.running[1].admin);
        desks.restart(&settings, |_| fan(), |_, service| platform.webhooks_to(service.admin));
        serving.restart(
            &settings,
            |number| {
                edges.set(number, None);
                fan();
            },
            |number, service| edges.set(number, Some(service.edge)),
        );
        drop(until);
        traffic.join().unwrap()
    });
    assert!(own > 100, "there was no load: {count} visitors, {own} with links of their own");
    assert_eq!(fans, 10);
    let api = &desks.running[0];
    let shown = format!("/api/smart-links/{link}");
    let credited = patiently(api, &key, &shown, |shown| {
        shown["data"]["revenue"].as_str() == Some("300.00")
            && shown["data"]["clicks_count"].as_u64() == Some(count + 20)
    });
    assert_eq!(credited["data"]["subscribers_count"], 10, "{credited}");
    patiently(api, &key, "/api/x/progress", |shown| {
        shown["data"]["settled"] == true && shown["data"]["outbox"]["waiting"] == 0
    });
    // A subscription, its price and a tip of each: each once, and in one request.
    let told = ads.of("postback");
    assert_eq!((told.accepted, told.distinct, told.changed), (30, 30, 0), "{told:?}");
}
