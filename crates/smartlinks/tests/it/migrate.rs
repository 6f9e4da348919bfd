//! An embedded service that becomes a cluster: `smartlinks migrate`.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    cluster::{Servers, dir, visit},
    process::{Reach, Service, command, named, settings},
    world::{Ads, Platform},
};

/// The command on a directory.
fn migrate(dir: &Path, more: &[(&str, &str)]) -> Command {
    let mut command = command();
    command.args(["migrate", "--from", "embedded", "--to", "cluster", "--json"]);
    command.envs(settings(dir)).envs(named(more));
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Settings of a cluster that nobody asks.
const NOWHERE: [(&str, &str); 5] = [
    ("STORAGE__BACKEND", "cluster"),
    ("SECRETS__KEY", "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"),
    ("KAFKA__BROKERS", "127.0.0.1:1"),
    ("SCYLLA__NODES", "127.0.0.1:1"),
    ("SECRETS__VISITORS_KEY", "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"),
];

#[test]
fn any_other_move_is_wrong_usage() {
    for (from, to, word) in [
        ("cluster", "embedded", "only an embedded store"),
        ("embedded", "embedded", "only an embedded store"),
        ("cluster", "cluster", "only an embedded store"),
        ("disk", "cluster", "no such storage"),
    ] {
        let output = command().args(["migrate", "--from", from, "--to", to]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{from} {to}");
        assert!(said(&output).contains(word), "{}", said(&output));
    }
    let here = dir();
    let embedded = migrate(here.path(), &[]).output().unwrap();
    assert_eq!(embedded.status.code(), Some(2));
    assert!(said(&embedded).contains("storage.backend"), "{}", said(&embedded));
}

#[test]
fn a_service_that_runs_or_that_visitors_would_not_know_again_is_not_moved() {
    let here = dir();
    let nothing = migrate(here.path(), &NOWHERE).output().unwrap();
    assert_eq!(nothing.status.code(), Some(1));
    assert!(said(&nothing).contains("no embedded store"), "{}", said(&nothing));

    let mut service = Service::start(here.path());
    let running = migrate(here.path(), &NOWHERE).output().unwrap();
    assert_eq!(running.status.code(), Some(1));
    assert!(said(&running).contains("in use by process"), "{}", said(&running));
    assert_eq!(service.terminate().code(), Some(0));

    let strangers = migrate(here.path(), &NOWHERE).output().unwrap();
    assert_eq!(strangers.status.code(), Some(2));
    assert!(said(&strangers).contains("secrets.visitors_key_file"), "{}", said(&strangers));

    // Nothing of that was a move: the service goes on.
    assert_eq!(Service::start(here.path()).terminate().code(), Some(0));
}

#[test]
fn a_stop_without_order_must_be_mended_first() {
    let (platform, here) = (Platform::start("nova"), dir());
    let service = platform.service(here.path());
    let key = service.owner_key.clone().unwrap();
    service.until(&key, "/api/accounts", |shown| shown[0]["onlyfans_username"] == "nova");
    let link = json!({ "account_id": "acct_1", "name": "Ad", "link_type": "tracking_link" });
    service.post(&key, "/api/smart-links", &link);
    service.until(&key, "/api/x/pool", |shown| shown["data"][0]["leased"].as_u64() > Some(0));
    service.kill();
    let file = here.path().join("secrets/visitors.key");
    let settings = [&NOWHERE[..4], &[("SECRETS__VISITORS_KEY_FILE", file.to_str().unwrap())]].concat();
    let refused = migrate(here.path(), &settings).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let why = said(&refused);
    assert!(why.contains("serve") && why.contains("SIGTERM"), "{why}");
    // That remedy is one: what is missing now are the servers.
    assert_eq!(platform.service(here.path()).terminate().code(), Some(0));
    let refused = migrate(here.path(), &settings).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("kafka.brokers"), "{}", said(&refused));
}

/// What a person sees of a service: everything that must be the same afterwards.
fn shown(api: &Reach, key: &str, link: &str) -> BTreeMap<String, Value> {
    let of_link = |path: &str| format!("/api/smart-links/{link}{path}");
    let paths = [
        "/api/accounts".to_owned(),
        "/api/smart-links".to_owned(),
        of_link(""),
        of_link("/clicks?limit=500&include_bots=1&include_duplicates=1"),
        of_link("/conversions?limit=500"),
        of_link("/fans?limit=500"),
        of_link("/spenders?limit=500"),
        of_link("/stats"),
        of_link("/pixels"),
        "/api/smart-link-postbacks".to_owned(),
        "/api/x/dead-letters".to_owned(),
        "/api/x/deliveries?limit=500".to_owned(),
        "/api/x/deliveries/replays".to_owned(),
        "/api/x/pool".to_owned(),
    ];
    let mut seen = BTreeMap::new();
    for path in paths {
        let answer = api.try_api(key, &path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let mut body: Value = serde_json::from_str(&answer.body).unwrap();
        if let Some(fields) = body.as_object_mut() {
            // When and by whom it was asked is another matter each time.
            fields.remove("_meta");
            fields.remove("filters");
            if let Some(data) = fields.get_mut("data").and_then(Value::as_object_mut) {
                data.remove("filters");
            }
        }
        if path.contains("/fans") || path.contains("/spenders") {
            // Of equals neither is first.
            let list = if body["data"].is_array() { &mut body["data"] } else { &mut body["data"]["rows"] };
            let list = list.as_array_mut().unwrap_or_else(|| panic!("{path}"));
            for row in &mut *list {
                // When it was asked.
                row.pointer_mut("/revenue")
                    .and_then(Value::as_object_mut)
                    .map(|sum| sum.remove("calculated_at"));
            }
            list.sort_by_key(Value::to_string);
        }
        if path == "/api/smart-link-postbacks" {
            // What waited is told as soon as it is looked at.
            for postback in body["data"].as_array_mut().unwrap() {
                postback.as_object_mut().unwrap().remove("latest_response");
            }
        }
        if path == "/api/x/pool" {
            // What is free goes back and forth and becomes more, and forecasts are the running keeper's.
            for stock in body["data"].as_array_mut().unwrap() {
                *stock = json!({ "given": stock["given"], "used": stock["used"],
                    "quarantined": stock["quarantined"], "recycled": stock["recycled"] });
            }
        }
        if path.starts_with("/api/x/deliveries?") {
            // What waits is tried again.
            let row = |row: &Value| json!([row["id"], row["event_id"], row["created_at"]]);
            body = body["data"].as_array().unwrap().iter().map(row).collect();
        }
        seen.insert(path, body);
    }
    seen
}

/// Forty visitors, ten fans, money that comes and goes; a webhook that can't be used; a receiver that fails in the end.
fn history(service: &Service, platform: &Platform, ads: &Ads, key: &str) -> (String, Vec<String>) {
    platform.webhooks_to(service.admin);
    let link = crate::cluster::set_up(service, key, &ads.url());
    let pixel = json!({ "platform": "meta", "pixel_id": "123456789", "pixel_access_token": "TOKEN-1" });
    service.post(key, &format!("/api/smart-links/{link}/pixels"), &pixel);
    service.until(key, "/api/x/pool", |shown| shown["data"][0]["leased"].as_u64() >= Some(60));
    let places: Vec<String> = (1..=40).map(|visitor| visit(service, &link, visitor)).collect();
    for visitor in [3, 3, 7, 20] {
        assert_eq!(visit(service, &link, visitor), places[visitor as usize - 1]);
    }
    let fan = |number: usize| {
        let fan = 500 + number;
        platform.act("subscribe", &json!({ "link": places[number], "fan": { "id": fan } }));
        let tip = json!({ "account": "acct_1", "fan": fan, "type": "tip", "amount_cents": 1000 + number });
        let spent = platform.act("spend", &tip);
        if number % 5 == 2 {
            let back = json!({ "account": "acct_1", "transaction": spent["transaction"], "status": "undo" });
            platform.act("chargeback", &back);
        }
        platform.act("message", &json!({ "account": "acct_1", "fan": fan, "text": "hi" }));
    };
    (0..8).for_each(fan);
    let stats = format!("/api/smart-links/{link}");
    service.until(key, &stats, |shown| shown["data"]["subscribers_count"] == 8);
    service.settle(key);
    ads.fail(&json!({ "status": 503 }));
    // Too few for the receiver to be left alone.
    (8..10).for_each(fan);
    service.until(key, &stats, |shown| shown["data"]["subscribers_count"] == 10);
    service.until(key, "/api/x/progress", |shown| {
        let data = &shown["data"];
        data["outbox"]["waiting"].as_u64() >= Some(6) && data["attribution"]["lag_seconds"] == 0.0
    });
    quiet(service, key, &link);
    (link, places)
}

/// Waits until nothing comes in any more.
fn quiet(service: &Service, key: &str, link: &str) {
    let (mut before, mut same) = (Value::Null, 0);
    while same < 4 {
        thread::sleep(Duration::from_millis(500));
        let shown = service.api(key, &format!("/api/smart-links/{link}/conversions?limit=500"));
        let now = shown["data"]["rows"].clone();
        same = if now == before { same + 1 } else { 0 };
        before = now;
    }
}

/// Runs the command and kills it when it has moved a kind; whether it came to that.
fn killed_after(mut command: Command, kind: &str) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let came = lines.map_while(Result::ok).any(|line| {
        println!("migrate: {line}");
        line.contains(&format!("  {kind}  "))
    });
    child.kill().unwrap();
    child.wait().unwrap();
    came
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn a_service_that_was_moved_goes_on_where_it_was_however_often_the_move_was_killed() {
    let (platform, ads, home) = (Platform::start("nova"), Ads::start(), dir());
    let url = platform.url();
    let ads_url = ads.url();
    let more = [
        ("POOL__MIN", "80"),
        ("PLATFORM__REQUESTS_PER_MINUTE", "60000"),
        ("AD_PLATFORMS__META__BASE_URL", ads_url.as_str()),
    ];
    let alone = [&Platform::settings(&url)[..], &more].concat();
    let mut service = Service::start_with(home.path(), &alone);
    let key = service.owner_key.clone().unwrap();
    let (link, places) = history(&service, &platform, &ads, &key);
    let before = shown(&service, &key, &link);
    assert_eq!(service.terminate().code(), Some(0));
    // Nothing is told while it is looked at: the receivers refuse still.
    let told = |receiver: &str| ads.of(receiver).distinct;
    let told_before = (told("postback"), told("meta"));

    let servers = Servers::of("moved");
    let visitors = home.path().join("secrets/visitors.key");
    let visitors = [("SECRETS__VISITORS_KEY_FILE", visitors.to_str().unwrap())];
    let together = servers.and(&[&alone[..], &visitors].concat());
    for kind in ["teams", "pool links", "clicks", "deliveries", "pieces of memory"] {
        assert!(killed_after(migrate(home.path(), &together), kind), "{kind}");
        // Neither side serves meanwhile.
        for (settings, why) in [(&alone, "moved to a cluster"), (&together, "is being moved here")] {
            let mut command = command();
            command.arg("serve").envs(crate::process::settings(home.path())).envs(named(settings));
            let refused = command.output().unwrap();
            assert_eq!(refused.status.code(), Some(1));
            assert!(said(&refused).contains(why), "{}", said(&refused));
        }
    }
    let moved = migrate(home.path(), &together).output().unwrap();
    assert!(moved.status.success(), "{}", said(&moved));
    let moved: Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!((&moved["resumed"], &moved["differences"]), (&json!(true), &json!([])), "{moved}");
    assert_eq!(moved["verified"]["clicks"], 40, "{moved}");
    assert!(moved["verified"]["deliveries_waiting"].as_u64() >= Some(6), "{moved}");
    let again = migrate(home.path(), &together).output().unwrap();
    assert!(again.status.success(), "{}", said(&again));
    assert!(String::from_utf8_lossy(&again.stdout).contains("moved_before"));
    // Two clusters would tell receivers everything twice.
    let others = Servers::of("moved_again");
    let elsewhere = others.and(&[&alone[..], &visitors].concat());
    let refused = migrate(home.path(), &elsewhere).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("moved to another cluster already"), "{}", said(&refused));

    // On the old directory, whose journal goes to Kafka whole; and on a machine that has nothing of before.
    ads.fail(&json!({}));
    let elsewhere = dir();
    let mut first = Service::start_with(home.path(), &together);
    let mut second = Service::start_with(elsewhere.path(), &together);
    platform.webhooks_to(first.admin);
    assert_eq!(first.owner_key, None);
    first.until(&key, "/api/x/progress", |shown| {
        shown["data"]["attribution"]["lag_seconds"] == 0.0
            && shown["data"]["attribution"]["position"].as_u64() > Some(40)
    });
    let after = shown(&first, &key, &link);
    for (path, before) in &before {
        assert_eq!(before, &after[path], "{path}");
    }

    // A visitor of before is known, on both machines; its click is credited when it subscribes now.
    assert_eq!(visit(&first, &link, 21), places[20]);
    platform.act("subscribe", &json!({ "link": places[20], "fan": { "id": 700 } }));
    platform.act("spend", &json!({ "account": "acct_1", "fan": 700, "type": "tip", "amount_cents": 2000 }));
    let stats = format!("/api/smart-links/{link}");
    first.until(&key, &stats, |shown| shown["data"]["subscribers_count"] == 11);
    let rows =
        first.api(&key, &format!("/api/smart-links/{link}/conversions?limit=500"))["data"]["rows"].clone();
    let bound =
        rows.as_array().unwrap().iter().find(|row| row["fan_onlyfans_id"].to_string().contains("700"));
    assert_eq!(bound.unwrap()["click"]["ip_address"], "23.0.0.21", "{rows}");
    // A fan of before spends again.
    platform.act("spend", &json!({ "account": "acct_1", "fan": 503, "type": "tip", "amount_cents": 5000 }));
    // A new visitor gets a link that nobody has.
    let new = visit(&second, &link, 99);
    assert!(!places.contains(&new), "{new} twice");

    // What waited goes out, each event once and with the bytes of its first attempt.
    first.until(&key, "/api/x/progress", |shown| {
        shown["data"]["settled"] == true && shown["data"]["outbox"]["waiting"] == 0
    });
    let shown = first.api(&key, "/api/x/deliveries?limit=500")["data"].clone();
    let delivered = shown.as_array().unwrap().iter().filter(|row| row["state"] == "delivered").count();
    let (postback, meta) = (ads.of("postback"), ads.of("meta"));
    assert_eq!((postback.changed, meta.changed), (0, 0), "{postback:?} {meta:?}");
    assert_eq!(postback.accepted, postback.distinct, "nothing went out twice: {postback:?}");
    assert_eq!(meta.accepted, meta.distinct, "nothing went out twice: {meta:?}");
    assert_eq!(postback.distinct + meta.distinct, delivered as u64);
    assert!(postback.distinct > told_before.0, "{told_before:?} {postback:?}");
    for service in [&mut first, &mut second] {
        assert_eq!(service.terminate().code(), Some(0));
    }
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn a_cluster_that_served_already_is_not_moved_into() {
    let (servers, here, there) = (Servers::of("taken"), dir(), dir());
    assert_eq!(Service::start(here.path()).terminate().code(), Some(0));
    let settings = servers.and(&[]);
    assert_eq!(Service::start_with(there.path(), &settings).terminate().code(), Some(0));
    let file = here.path().join("secrets/visitors.key");
    let settings = servers.and(&[("SECRETS__VISITORS_KEY_FILE", file.to_str().unwrap())]);
    let refused = migrate(here.path(), &settings).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("in use already"), "{}", said(&refused));
    // It was no move.
    assert_eq!(Service::start(here.path()).terminate().code(), Some(0));
}
