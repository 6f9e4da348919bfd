//! The service on a cluster whose servers stop: redirects go on, and afterwards nothing is missing.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    cluster::{Servers, dir, set_up, visit},
    process::{Reach, Service},
    world::{Ads, Platform},
};

/// Servers of this test's own: nobody else misses them.
pub(crate) struct Own {
    home: TempDir,
    pub(crate) kafka: String,
    pub(crate) cql: String,
}

impl Own {
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let while_here = ["--while", &std::process::id().to_string()].map(str::to_owned);
        let said = script("up", home.path(), &while_here);
        let address = |name: &str| {
            let line = said.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{said}"));
            line.split('=').nth(1).unwrap().trim_matches('\'').to_owned()
        };
        let (kafka, cql) = (address("SMARTLINKS_TEST_KAFKA"), address("SMARTLINKS_TEST_CQL"));
        Self { home, kafka, cql }
    }

    /// Stops a server, in order or as `how` says.
    pub(crate) fn down(&self, server: &str, how: &[&str]) {
        let words: Vec<_> = [&[server], how].concat().into_iter().map(str::to_owned).collect();
        script("down", self.home.path(), &words);
    }

    /// Starts one again on its data, or lets it go on.
    pub(crate) fn up(&self, server: &str) {
        script("up", self.home.path(), &[server.to_owned()]);
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        script("down", self.home.path(), &[]);
    }
}

fn script(name: &str, home: &Path, arguments: &[String]) -> String {
    let scripts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/dev-cluster");
    let mut command = Command::new(scripts.join(name));
    let output = command.args(arguments).arg("--dir").arg(home.join("cluster")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{name} {arguments:?}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// How long each server is away: long enough for every time-out; `SMARTLINKS_TEST_OUTAGE_SECONDS` asks for more.
fn span() -> Duration {
    let asked = std::env::var("SMARTLINKS_TEST_OUTAGE_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(15))
}

/// Visitors until told to stop, about fifty a second; says how many, each of whom was redirected.
fn visitors(edge: &Reach, link: &str, next: &AtomicU32, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let visitor = next.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        visit(edge, link, visitor);
        assert!(begun.elapsed() < Duration::from_secs(10), "visitor {visitor} waited");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn servers_that_stop_cost_no_redirect_and_no_cent() {
    let own = Own::start();
    let servers = Servers::at("outage", &own.kafka, &own.cql);
    let (platform, ads, home) = (Platform::start("nova"), Ads::start(), dir());
    let url = platform.url();
    let more = [("POOL__MIN", "300"), ("PLATFORM__REQUESTS_PER_MINUTE", "60000")];
    let settings = servers.and(&[&Platform::settings(&url)[..], &more].concat());
    let mut service = Service::start_with(home.path(), &settings);
    platform.webhooks_to(service.admin);
    let key = service.owner_key.clone().unwrap();
    let link = set_up(&service, &key, &ads.url());
    service.until(&key, "/api/x/pool", |shown| shown["data"][0]["leased"].as_u64() >= Some(256));
    let places: Vec<String> = (1..=20).map(|visitor| visit(&service, &link, visitor)).collect();

    let (next, stop) = (AtomicU32::new(1000), AtomicBool::new(false));
    let edge: &Reach = &service;
    thread::scope(|scope| {
        let traffic = scope.spawn(|| visitors(edge, &link, &next, &stop));
        let fans = |first: u32| {
            for fan in first..first + 4 {
                let place = &places[fan as usize];
                platform.act("subscribe", &json!({ "link": place, "fan": { "id": 500 + fan } }));
                let tip =
                    json!({ "account": "acct_1", "fan": 500 + fan, "type": "tip", "amount_cents": 2000 });
                platform.act("spend", &tip);
            }
        };
        fans(0);
        for (first, gone) in [(4, &["kafka-1"][..]), (8, &["cql-1"]), (12, &["kafka-1", "cql-1"])] {
            gone.iter().for_each(|server| own.down(server, &[]));
            thread::sleep(span() / 2);
            // In the middle of it people subscribe and spend.
            fans(first);
            thread::sleep(span() / 2);
            if gone == ["kafka-1"] {
                // Where attribution stands is not known now, and nobody claims that it has caught up.
                let behind = |shown: &serde_json::Value| {
                    shown["data"]["attribution"]["lag_seconds"].as_f64() > Some(3.0)
                        && shown["data"]["settled"] == false
                };
                patiently(edge, &key, "/api/x/progress", behind);
            }
            gone.iter().for_each(|server| own.up(server));
        }
        stop.store(true, Ordering::Relaxed);
        traffic.join().unwrap();
    });

    let visitors = u64::from(next.load(Ordering::Relaxed) - 1000) + 20;
    let shown = format!("/api/smart-links/{link}");
    let wanted = format!("{}.00", 16 * 30);
    let credited = patiently(&service, &key, &shown, |shown| {
        shown["data"]["revenue"].as_str() == Some(&wanted)
            && shown["data"]["clicks_count"].as_u64() == Some(visitors)
    });
    assert_eq!(credited["data"]["subscribers_count"], 16, "{credited}");
    // What could not be read or sent at first waits for its next try.
    patiently(&service, &key, "/api/x/progress", |shown| {
        shown["data"]["settled"] == true && shown["data"]["outbox"]["waiting"] == 0
    });
    let told = ads.of("postback");
    // A subscription, its price and a tip of each fan. One that was sent when the store went away may come twice,
    // never as another one.
    assert_eq!((told.distinct, told.changed), (48, 0), "{told:?}");
    assert_eq!(service.terminate().code(), Some(0));
}

/// Clients that lost a server try it again with pauses.
pub(crate) fn patiently(
    service: &Reach,
    key: &str,
    path: &str,
    mut ready: impl FnMut(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let begun = Instant::now();
    loop {
        let answer = service.try_api(key, path);
        let shown = serde_json::from_str(&answer.body).unwrap();
        if answer.status == 200 && ready(&shown) {
            return shown;
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "{path} stays {} {shown}", answer.status);
        thread::sleep(Duration::from_millis(200));
    }
}
