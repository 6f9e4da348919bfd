//! `kill -9` of the process of every role of a cluster in turn, while visitors come and people subscribe.

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

use serde_json::{Value, json};

use crate::{
    cluster::{Machine, Servers, set_up},
    cluster_outage::{Until, patiently},
    process::{Reach, Service, visit},
    world::{Ads, Platform},
};

/// Every role has one process; this is the order in which they die, each time all of them.
const ROLES: [&str; 5] = ["edge", "attribution", "postback", "pool,matcher", "api,intake,dashboard"];
const EDGE: usize = 0;
const DESK: usize = 4;
const ROUNDS: u32 = 2;

/// Visitors who are answered between two kills, at least.
const VISITORS: usize = 60;
/// Fans who subscribe while a role is away.
const FANS: u64 = 3;
/// Requests that one destination gets at once.
const AT_ONCE: u64 = 8;

/// The keeper shares the first link that it makes: who comes while an edge waits for stock is sent there.
const SHARED: &str = "https://onlyfans.com/nova/c1";

/// People who come to the edge, wherever it is just now, and come again until they are answered.
struct Crowd {
    link: String,
    edge: Mutex<SocketAddr>,
    next: AtomicU32,
    stop: AtomicBool,
    answered: Mutex<Vec<(u32, String)>>,
}

impl Crowd {
    fn come(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let visitor = self.next.fetch_add(1, Ordering::Relaxed);
            let place = self.place_of(visitor);
            self.answered.lock().unwrap().push((visitor, place));
            thread::sleep(Duration::from_millis(40));
        }
    }

    /// Whose click was written when the edge died, but not answered, gets the same link at the next try.
    fn place_of(&self, visitor: u32) -> String {
        for _ in 0..6000 {
            let edge = *self.edge.lock().unwrap();
            if let Ok(answer) = visit(edge, &self.link, visitor) {
                assert_eq!(answer.status, 302);
                return answer.location.unwrap();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("visitor {visitor} is never answered");
    }

    /// Waits for more answers.
    fn until(&self, ready: impl Fn(&[(u32, String)]) -> bool) {
        for _ in 0..6000 {
            if ready(&self.answered.lock().unwrap()) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("nobody is answered any more, or nobody gets a link of their own");
    }

    /// Waits until so many more are answered; the last of them got a link of their own.
    fn goes_on(&self, more: usize) {
        let before = self.answered.lock().unwrap().len();
        self.until(|answered| {
            answered.len() >= before + more && answered.last().is_some_and(|(_, place)| place != SHARED)
        });
    }

    /// Those who came last and have links of their own.
    fn latest(&self, count: u64) -> Vec<(u32, String)> {
        let answered = self.answered.lock().unwrap();
        let own = answered.iter().rev().filter(|(_, place)| place != SHARED);
        own.take(count as usize).cloned().collect()
    }
}

/// The processes.
struct Processes<'a> {
    machines: Vec<Machine>,
    running: Vec<Option<Service>>,
    settings: Vec<(&'a str, &'a str)>,
}

impl<'a> Processes<'a> {
    fn start(settings: Vec<(&'a str, &'a str)>) -> Self {
        let machines: Vec<_> = ROLES.into_iter().map(Machine::of).collect();
        // The desk first: its start makes the owner's key.
        let mut running: Vec<_> = ROLES.iter().map(|_| None).collect();
        for role in (0..ROLES.len()).rev() {
            running[role] = Some(machines[role].start(&settings));
        }
        Self { machines, running, settings }
    }

    fn of(&self, role: usize) -> &Service {
        self.running[role].as_ref().unwrap()
    }

    /// `kill -9`; `meanwhile` happens before it is started again.
    fn replace(&mut self, role: usize, meanwhile: impl FnOnce()) {
        self.running[role].take().unwrap().kill();
        meanwhile();
        self.running[role] = Some(self.machines[role].start(&self.settings));
    }
}

/// The click rows of a link, all of them.
fn rows(api: &Reach, key: &str, link: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    loop {
        let path = format!("/api/smart-links/{link}/clicks?limit=1000&offset={}", rows.len());
        let page = api.api(key, &path)["data"]["rows"].as_array().unwrap().clone();
        if page.is_empty() {
            return rows;
        }
        rows.extend(page);
    }
}

fn address(visitor: u32) -> String {
    let [_, a, b, c] = visitor.to_be_bytes();
    format!("23.{a}.{b}.{c}")
}

/// Somebody who came lately subscribes and spends; who is then credited.
fn subscribe(platform: &Platform, crowd: &Crowd, fans: &mut Vec<u32>) {
    for (visitor, place) in crowd.latest(FANS) {
        let fan = 500 + fans.len();
        platform.act("subscribe", &json!({ "link": place, "fan": { "id": fan } }));
        let tip = json!({ "account": "acct_1", "fan": fan, "type": "tip", "amount_cents": 2000 });
        platform.act("spend", &tip);
        fans.push(visitor);
    }
}

/// A Smart Link whose clicks and conversions are told to a pixel and a postback; the stock is there.
fn prepare(processes: &Processes<'_>, key: &str, ads: &Ads) -> String {
    let desk = processes.of(DESK);
    let link = set_up(desk, key, &ads.url());
    let pixel = json!({ "platform": "meta", "pixel_id": "123456789", "pixel_access_token": "TOKEN-1" });
    desk.post(key, &format!("/api/smart-links/{link}/pixels"), &pixel);
    patiently(desk, key, "/api/x/pool", |shown| {
        let pool = &shown["data"][0];
        pool["leased"].as_u64() >= Some(256) && pool["fresh"].as_u64() >= Some(2000)
    });
    link
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn kill_9_of_every_role_in_turn_under_load_loses_no_answered_click_and_no_cent_and_tells_each_once() {
    let (servers, platform, ads) = (Servers::of("kills"), Platform::start("nova"), Ads::start());
    let (url, meta) = (platform.url(), ads.url());
    let more = [
        ("POOL__MIN", "3000"),
        ("PLATFORM__REQUESTS_PER_MINUTE", "60000"),
        ("AD_PLATFORMS__META__BASE_URL", &meta),
    ];
    let mut processes = Processes::start(servers.and(&[&Platform::settings(&url)[..], &more].concat()));
    let key = processes.of(DESK).owner_key.clone().unwrap();
    platform.webhooks_to(processes.of(DESK).admin);
    let crowd = Crowd {
        link: prepare(&processes, &key, &ads),
        edge: Mutex::new(processes.of(EDGE).edge),
        next: AtomicU32::new(1),
        stop: AtomicBool::new(false),
        answered: Mutex::default(),
    };
    let mut fans = Vec::new();
    thread::scope(|scope| {
        let until = Until(&crowd.stop);
        let traffic = [(); 2].map(|()| scope.spawn(|| crowd.come()));
        crowd.goes_on(VISITORS);
        for _ in 0..ROUNDS {
            for role in 0..ROLES.len() {
                processes.replace(role, || subscribe(&platform, &crowd, &mut fans));
                match role {
                    EDGE => *crowd.edge.lock().unwrap() = processes.of(EDGE).edge,
                    DESK => platform.webhooks_to(processes.of(DESK).admin),
                    _ => {}
                }
                crowd.goes_on(VISITORS);
            }
        }
        drop(until);
        traffic.into_iter().for_each(|visitors| visitors.join().unwrap());
    });
    check(processes.of(DESK), &key, &crowd, &fans);
    told(&ads, &crowd, fans.len() as u64);
}

/// Every answered click is there once, no link has two visitors, and every fan is credited to the right one.
fn check(desk: &Service, key: &str, crowd: &Crowd, fans: &[u32]) {
    let answered = crowd.answered.lock().unwrap();
    let (count, link) = (answered.len(), &crowd.link);
    let mut holders = HashMap::new();
    for (visitor, place) in answered.iter().filter(|(_, place)| place != SHARED) {
        assert_eq!(holders.insert(place, visitor), None, "{place} has two visitors");
    }
    assert!(holders.len() > count / 2, "{} of {count} visitors have links of their own", holders.len());

    let shown = format!("/api/smart-links/{link}");
    let revenue = format!("{}.00", 30 * fans.len());
    let credited = patiently(desk, key, &shown, |shown| {
        shown["data"]["revenue"].as_str() == Some(&revenue)
            && shown["data"]["clicks_count"].as_u64() == Some(count as u64)
    });
    assert_eq!(credited["data"]["subscribers_count"], fans.len(), "{credited}");
    patiently(desk, key, "/api/x/progress", |shown| {
        let outbox = &shown["data"]["outbox"];
        shown["data"]["settled"] == true && outbox["waiting"] == 0 && outbox["parked"] == 0
    });

    let mut clicks = HashMap::new();
    for row in rows(desk, key, link) {
        *clicks.entry(row["ip_address"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    let wanted: HashMap<_, _> = answered.iter().map(|(visitor, _)| (address(*visitor), 1)).collect();
    assert_eq!(clicks, wanted, "clicks by address of the visitor");

    let conversions = desk.api(key, &format!("{shown}/conversions?limit=1000"))["data"]["rows"].clone();
    for (fan, visitor) in (500..).zip(fans) {
        let own = conversions.as_array().unwrap().iter();
        let own: Vec<_> =
            own.filter(|row| row["fan_onlyfans_id"].to_string().contains(&fan.to_string())).collect();
        // The subscription, its price, a tip.
        assert_eq!(own.len(), 3, "fan {fan}: {own:?}");
        assert!(own.iter().all(|row| row["click"]["ip_address"] == address(*visitor)), "fan {fan}: {own:?}");
    }
}

/// Each is told as one event with one body. What was sent when a worker died, before its answer was written down, comes
/// again; nothing else does.
fn told(ads: &Ads, crowd: &Crowd, fans: u64) {
    let postback = ads.of("postback");
    assert_eq!((postback.distinct, postback.changed), (3 * fans, 0), "{postback:?}");
    let again = postback.accepted - postback.distinct;
    assert!(again <= AT_ONCE * u64::from(ROUNDS), "{postback:?}");
    // Clicks, subscriptions and purchases.
    let clicks = crowd.answered.lock().unwrap().len() as u64;
    let meta = ads.meta();
    assert_eq!((meta.distinct, meta.changed), (clicks + 2 * fans, 0), "{meta:?}");
}
