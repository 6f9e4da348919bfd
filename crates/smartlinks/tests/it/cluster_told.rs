//! What one process says of all of them, and what it tells them.

use std::{
    fs,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    cluster::{Machine, Servers, set_up, visit},
    cluster_outage::patiently,
    fleet::WHOLE,
    process::{self, command, named},
    world::{Ads, Platform},
};

/// Readings of the accounts that the platform has counted.
fn readings(platform: &Platform) -> u64 {
    platform.requests().get("accounts").map_or(0, |answers| answers.values().sum())
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn the_api_answers_for_roles_in_other_processes_and_they_hear_of_the_webhooks_it_takes() {
    let (servers, platform, ads) = (Servers::of("told"), Platform::start("nova"), Ads::start());
    let url = platform.url();
    let settings = servers.and(&Platform::settings(&url));
    // Nothing answers at this port, so the edge's clicks stay in its journal.
    let cut_off =
        servers.and(&[&Platform::settings(&url)[..], &[("KAFKA__BROKERS", "127.0.0.1:9")]].concat());
    let desk = Machine::of("api,intake,dashboard");
    let api = desk.start(&settings);
    let key = api.owner_key.clone().unwrap();
    platform.webhooks_to(api.admin);
    let (creators, decider, machine) =
        (Machine::of("pool,matcher"), Machine::of("attribution"), Machine::of("edge"));
    let _others = [creators.start(&settings), decider.start(&settings)];
    let edge = machine.start(&cut_off);
    let link = set_up(&api, &key, &ads.url());

    // The keeper is elsewhere.
    patiently(&api, &key, "/api/x/pool", |shown| {
        let stock = &shown["data"][0];
        stock["forecast_per_hour"].is_number() && stock["last_refill_at"].is_string()
    });

    // The click is in the journal of another process only, and counts as not settled also when that dies.
    visit(&edge, &link, 1);
    let waits = |shown: &serde_json::Value| {
        shown["data"]["journal"]["unforwarded"] == 1 && shown["data"]["settled"] == false
    };
    patiently(&api, &key, "/api/x/progress", waits);
    edge.kill();
    let older = tempfile::tempdir().unwrap();
    copy(machine.path(), older.path());
    let died = Instant::now();
    while died.elapsed() < Duration::from_secs(3) {
        let shown = api.api(&key, "/api/x/progress");
        assert!(waits(&shown), "{shown}");
        thread::sleep(Duration::from_millis(100));
    }
    let mut edge = machine.start(&settings);
    api.settle(&key);
    let shown = api.api(&key, &format!("/api/smart-links/{link}"));
    assert_eq!(shown["data"]["clicks_count"], 1, "settled means counted: {shown}");

    // Twice in less time than passes between two readings that nobody asks for.
    for _ in 0..2 {
        let before = readings(&platform);
        platform.act("login", &json!({ "account": "acct_1", "login": "logged_in" }));
        let told = Instant::now();
        while readings(&platform) == before {
            assert!(told.elapsed() < Duration::from_secs(25), "nobody reads the accounts anew");
            thread::sleep(Duration::from_millis(50));
        }
    }

    // What the edge has forwarded since then, its copy of that day would number anew.
    for visitor in 2..6 {
        visit(&edge, &link, visitor);
    }
    api.settle(&key);
    assert_eq!(edge.terminate().code(), Some(0));
    let mut old = command();
    old.args(["serve", "--roles", "edge"]).envs(process::settings(older.path())).envs(named(&settings));
    let mut old = old.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while old.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(50));
    }
    let _ = old.kill();
    let refused = old.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("it is an older copy"), "{said}");
}

/// A directory with everything in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, to) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &to);
        } else if kind.is_file() {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn two_apis_that_change_one_link_at_once_keep_each_others_changes() {
    const EACH: usize = 12;
    let (servers, platform, ads) = (Servers::of("apis"), Platform::start("nova"), Ads::start());
    let url = platform.url();
    let settings = servers.and(&Platform::settings(&url));
    let whole = Machine::of(WHOLE[0]);
    let first = whole.start(&settings);
    let key = first.owner_key.clone().unwrap();
    let link = set_up(&first, &key, &ads.url());
    let machine = Machine::of("api");
    let second = machine.start(&settings);
    let path = format!("/api/smart-links/{link}/pixels");
    thread::scope(|scope| {
        for (api, of) in [(first.reach(), "1"), (second.reach(), "2")] {
            let (key, path) = (&key, &path);
            scope.spawn(move || {
                for number in 0..EACH {
                    let id = format!("{of}{number:015}");
                    let pixel = json!({ "platform": "meta", "pixel_id": id, "pixel_access_token": "T", "label": "L" });
                    api.post(key, path, &pixel);
                }
            });
        }
    });
    let shown = first.api(&key, &path);
    assert_eq!(shown["data"].as_array().map(Vec::len), Some(2 * EACH), "{shown}");
}
