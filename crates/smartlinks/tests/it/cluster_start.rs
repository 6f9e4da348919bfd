//! An edge of a cluster that starts while the servers are away.

use std::{collections::HashMap, thread, time::Duration};

use serde_json::json;

use crate::{
    cluster::{Machine, Servers, set_up, visit},
    cluster_outage::patiently,
    own::Own,
    process::{Reach, Service},
    world::{Ads, Platform},
};

/// Visitors and where they were sent.
#[derive(Default)]
struct Sent(HashMap<String, u32>);

impl Sent {
    /// A visitor of this number, who gets a link of their own that nobody else has, and always the same.
    fn visit(&mut self, edge: &Reach, link: &str, visitor: u32) -> String {
        let place = visit(edge, link, visitor);
        assert!(place.starts_with("https://onlyfans.com/nova/c"), "visitor {visitor} has no link: {place}");
        let holder = *self.0.entry(place.clone()).or_insert(visitor);
        assert_eq!(holder, visitor, "{place} has two visitors");
        place
    }
}

/// Waits until an edge answers like that, each time to another visitor: `first` and those after it. Who came while the link
/// was paused stays on the creator's page. Each of them counts as demand, for which links are leased: few are enough.
fn until_status(edge: &Reach, link: &str, first: u32, mut wanted: impl FnMut(u16, Option<&str>) -> bool) {
    for visitor in first..first + 600 {
        let answer = edge.visit(link, visitor).unwrap();
        if wanted(answer.status, answer.location.as_deref()) {
            return;
        }
        thread::sleep(Duration::from_millis(200));
    }
    panic!("the edge goes on answering something else");
}

/// Waits until visitors of an edge get links of their own: two of them end at different ones.
fn until_own(edge: &Reach, link: &str, first: u32) {
    let mut before = String::new();
    until_status(edge, link, first, |_, place| {
        let place = place.unwrap_or_default();
        let own = place.contains("/nova/c") && before.contains("/nova/c") && place != before;
        place.clone_into(&mut before);
        own
    });
}

/// Waits until the edges have all that they want: for two seconds they leave what there is. One that wanted more would
/// have taken the rest, however little it is.
fn until_stocked(api: &Service, key: &str) {
    let (mut before, mut same) = (0, 0);
    patiently(api, key, "/api/x/pool", |shown| {
        let pool = &shown["data"][0];
        let leased = pool["leased"].as_u64().unwrap();
        same = if leased == before && pool["fresh"].as_u64() > Some(0) { same + 1 } else { 0 };
        before = leased;
        same >= 10
    });
}

/// Links that are out.
fn leased(api: &Service, key: &str) -> u64 {
    api.api(key, "/api/x/pool")["data"][0]["leased"].as_u64().unwrap()
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn an_edge_that_starts_while_the_servers_are_away_redirects_and_goes_over_to_them_later() {
    let own = Own::start();
    let servers = Servers::at("start", &own.kafka, &own.cql);
    let (platform, ads) = (Platform::start("nova"), Ads::start());
    let url = platform.url();
    // Three edges with a block of 256 each, and as much again for whoever runs dry: nobody has to share a link.
    let more = [("POOL__MIN", "2000"), ("PLATFORM__REQUESTS_PER_MINUTE", "60000")];
    let settings = servers.and(&[&Platform::settings(&url)[..], &more].concat());
    let rest = Machine::of("api,intake,dashboard,pool,matcher,attribution,postback");
    let mut others = rest.start(&settings);
    let key = others.owner_key.clone().unwrap();
    platform.webhooks_to(others.admin);
    let (killed, stopped, new) = (Machine::of("edge"), Machine::of("edge"), Machine::of("edge"));
    let (first, mut second) = (killed.start(&settings), stopped.start(&settings));
    let link = set_up(&others, &key, &ads.url());
    patiently(&others, &key, "/api/x/pool", |shown| {
        let pool = &shown["data"][0];
        pool["leased"].as_u64() >= Some(512) && pool["fresh"].as_u64() >= Some(1024)
    });
    let mut sent = Sent::default();
    for visitor in 1..=10 {
        sent.visit(&first, &link, visitor);
        sent.visit(&second, &link, 100 + visitor);
    }
    others.settle(&key);

    // One edge dies, the other stops in order and can give nothing back. The CQL server hangs, then it is gone.
    own.down("kafka-1", &["--kill"]);
    own.down("cql-1", &["--freeze"]);
    for visitor in 11..=20 {
        sent.visit(&first, &link, visitor);
        sent.visit(&second, &link, 100 + visitor);
    }
    first.kill();
    assert_eq!(second.terminate().code(), Some(0));
    let first = killed.start_alone(&settings);
    own.down("cql-1", &["--kill"]);
    let second = stopped.start_alone(&settings);
    let third = new.start_alone(&settings);

    // Who came before is known; who comes now gets a link that nobody has.
    for visitor in 1..=40 {
        sent.visit(&first, &link, visitor);
        sent.visit(&second, &link, 100 + visitor);
    }
    let ready = second.get("/readyz");
    assert!(ready.contains("\"ready\":true") && ready.contains("scylla.nodes"), "{ready}");
    assert!(second.get("/metrics").contains("smartlinks_clicks_total"));
    // Who never had a catalog says so, at both listeners.
    assert_eq!(third.visit(&link, 1).unwrap().status, 503);
    let ready = third.get("/readyz");
    assert!(ready.contains("\"ready\":false") && ready.contains("scylla.nodes"), "{ready}");
    // So does a process with other roles, which does not die of it and may be stopped in order.
    assert_eq!(others.terminate().code(), Some(0));
    let mut waits = rest.start_alone(&settings);
    let answer = waits.try_api(&key, "/api/x/progress");
    assert!(
        answer.status == 503 && answer.body.contains("scylla.nodes"),
        "{} {}",
        answer.status,
        answer.body
    );
    assert!(waits.get("/readyz").contains("\"ready\":false"));
    assert_eq!(waits.terminate().code(), Some(0));
    let others = rest.start_alone(&settings);
    platform.webhooks_to(others.admin);

    // The servers come back, and nobody has to be started anew.
    own.up("kafka-1");
    own.up("cql-1");
    let pause = |paused: bool| {
        others.patch(&key, &format!("/api/x/smart-links/{link}"), &json!({ "paused": paused }));
    };
    others.until_said("ready ");
    patiently(&others, &key, "/readyz", |shown| shown["ready"] == true);
    until_status(&third, &link, 100_000, |status, _| status == 302);
    pause(true);
    for edge in [&first, &second, &third] {
        until_status(edge, &link, 200_000, |_, place| place == Some("https://onlyfans.com/nova"));
    }
    pause(false);
    let edges = [&first, &second, &third];
    for (number, edge) in (1_u32..).zip(edges) {
        until_own(edge, &link, 300_000 * number);
    }
    until_stocked(&others, &key);
    for (number, edge) in (1_u32..).zip(edges) {
        for visitor in 1..=40 {
            sent.visit(edge, &link, 1000 * number + visitor);
        }
    }
    // Leases that were taken over are prolonged, and the rest of the old ones has been ended.
    assert!(leased(&others, &key) > 0);
    // Everybody is credited, whenever they came.
    let credited: Vec<_> = [1, 15, 30, 101, 115, 130].iter().zip(500_u32..).collect();
    for (visitor, fan) in &credited {
        let place = sent.0.iter().find(|(_, holder)| holder == visitor).unwrap().0;
        platform.act("subscribe", &json!({ "link": place, "fan": { "id": fan } }));
        let tip = json!({ "account": "acct_1", "fan": fan, "type": "tip", "amount_cents": 2000 });
        platform.act("spend", &tip);
    }
    let wanted = format!("{}.00", 30 * credited.len());
    let shown = patiently(&others, &key, &format!("/api/smart-links/{link}"), |shown| {
        shown["data"]["revenue"].as_str() == Some(&wanted)
    });
    assert_eq!(shown["data"]["subscribers_count"], credited.len(), "{shown}");
    let conversions = others.api(&key, &format!("/api/smart-links/{link}/conversions?limit=500"));
    for (visitor, fan) in &credited {
        let rows = conversions["data"]["rows"].as_array().unwrap();
        let row =
            rows.iter().find(|row| row["fan_onlyfans_id"].to_string().contains(&fan.to_string())).unwrap();
        let [_, a, b, c] = visitor.to_be_bytes();
        assert_eq!(row["click"]["ip_address"], format!("23.{a}.{b}.{c}"), "{row}");
    }
}
