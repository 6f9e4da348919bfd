//! Edges whose clock is wrong, beside others whose clock is right.

use std::{collections::HashMap, sync::Arc, thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    cluster::{Machine, Servers, dir, set_up, visit},
    inside::{Inside, Wrong},
    process::Reach,
    world::{Ads, Platform},
};

const MINUTE: Duration = Duration::from_secs(60);

/// What a history comes to: rows of conversions, and totals.
type Outcome = (Vec<String>, Value);

/// Visitors at two edges in turn, the clock of one of which is set; every other one subscribes and spends.
fn history(set: impl FnOnce(&Wrong)) -> Outcome {
    let (servers, platform, ads) = (Servers::of("clock"), Platform::start("nova"), Ads::start());
    let url = platform.url();
    let more = [("POOL__MIN", "300"), ("PLATFORM__REQUESTS_PER_MINUTE", "60000")];
    let settings = servers.and(&[&Platform::settings(&url)[..], &more].concat());
    let rest = Machine::of("api,intake,dashboard,pool,matcher,attribution,postback");
    let others = rest.start(&settings);
    let key = others.owner_key.clone().unwrap();
    platform.webhooks_to(others.admin);
    let (right, home, clock) = (Machine::of("edge"), dir(), Arc::new(Wrong::default()));
    set(&clock);
    let right = right.start(&settings);
    let wrong = Inside::start_roles("edge", home.path(), &settings, clock);
    let link = set_up(&others, &key, &ads.url());
    others.until(&key, "/api/x/pool", |shown| shown["data"][0]["leased"].as_u64() >= Some(257));
    let edges: [&Reach; 2] = [&right, &wrong];
    let mut holders = HashMap::new();
    let mut places = Vec::new();
    for visitor in 1..=40_u32 {
        let edge = edges[visitor as usize % 2];
        let place = visit(edge, &link, visitor);
        assert_eq!(visit(edge, &link, visitor), place, "who comes again");
        assert_eq!(holders.insert(place.clone(), visitor), None, "{place} has two visitors");
        places.push(place);
    }
    for (fan, place) in (500_i64..).zip(&places).filter(|(fan, _)| fan % 3 > 0) {
        platform.act("subscribe", &json!({ "link": place, "fan": { "id": fan } }));
        let tip = json!({ "account": "acct_1", "fan": fan, "type": "tip", "amount_cents": 300 + fan });
        platform.act("spend", &tip);
    }
    let shown = format!("/api/smart-links/{link}");
    others.until(&key, &shown, |shown| shown["data"]["subscribers_count"] == 27);
    // Quiet three times in a row, with the same rows.
    let (mut before, mut same) = (Value::Null, 0);
    while same < 3 {
        others.settle(&key);
        thread::sleep(Duration::from_millis(700));
        let now = others.api(&key, &format!("{shown}/conversions?limit=500"))["data"].clone();
        same = if now["rows"] == before["rows"] { same + 1 } else { 0 };
        before = now;
    }
    let text = |row: &Value| {
        let fields = ["fan_onlyfans_id", "conversion_type", "amount_gross", "amount_net", "status"];
        let mut text: Vec<String> = fields.iter().map(|field| row[field].to_string()).collect();
        text.push(row["click"]["ip_address"].to_string());
        text.join(" ")
    };
    let mut rows: Vec<_> = before["rows"].as_array().unwrap().iter().map(text).collect();
    rows.sort();
    let totals = others.api(&key, &shown)["data"].clone();
    let told = ads.of("postback");
    let totals = json!([
        totals["clicks_count"],
        totals["subscribers_count"],
        totals["revenue"],
        before["summary"],
        [told.accepted, told.distinct, told.changed],
    ]);
    (rows, totals)
}

#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn an_edge_whose_clock_is_ten_minutes_off_changes_no_figure() {
    let right = history(|_| {});
    assert!(right.0.len() >= 27 * 3, "{right:#?}");
    assert_eq!(right.1[4], json!([81, 81, 0]), "each is told once");
    assert_eq!(history(|clock| clock.ahead_by(10 * MINUTE)), right, "ahead");
    assert_eq!(history(|clock| clock.behind_by(10 * MINUTE)), right, "behind");
}

/// An edge whose clock is hours ahead takes the leases of another for over. The links of those pass quarantine, so that
/// nobody gets them while the other edge still hands them out; and the other learns that they are no longer its own.
#[test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
fn two_edges_that_both_believe_in_a_block_give_no_link_twice() {
    let (servers, platform, ads) = (Servers::of("block"), Platform::start("nova"), Ads::start());
    let url = platform.url();
    let more = [("POOL__MIN", "1000"), ("PLATFORM__REQUESTS_PER_MINUTE", "60000")];
    let settings = servers.and(&[&Platform::settings(&url)[..], &more].concat());
    let rest = Machine::of("api,intake,dashboard,pool,matcher,attribution,postback");
    let others = rest.start(&settings);
    let key = others.owner_key.clone().unwrap();
    let (first, home, clock) = (Machine::of("edge"), dir(), Arc::new(Wrong::default()));
    let mut right = first.start(&settings);
    let link = set_up(&others, &key, &ads.url());
    others.until(&key, "/api/x/pool", |shown| {
        let pool = &shown["data"][0];
        pool["leased"].as_u64() >= Some(256) && pool["fresh"].as_u64() >= Some(600)
    });
    let (mut holders, mut visitors_in_all) = (HashMap::new(), 0);
    let mut visit_all = |edge: &Reach, visitors: std::ops::Range<u32>, least: usize| {
        // A visitor who outruns a busy disk may get the shared link; most don't.
        let (shared, count) = (edge.shared(&link), visitors.len());
        let mut own = 0;
        for visitor in visitors {
            let place = visit(edge, &link, visitor);
            assert!(place.contains("/nova/c"), "visitor {visitor}: {place}");
            if place != shared {
                own += 1;
                assert_eq!(holders.insert(place.clone(), visitor), None, "{place} has two visitors");
            }
        }
        visitors_in_all += count;
        assert!(own >= least, "{own} of {count} have links of their own");
        own
    };
    visit_all(&right, 1..20, 10);
    clock.ahead_by(120 * MINUTE);
    let wrong = Inside::start_roles("edge", home.path(), &settings, clock);
    // The block is ended by the clock of the other one, and nothing of it is leased again.
    others.until(&key, "/api/x/pool", |shown| {
        let pool = &shown["data"][0];
        pool["quarantined"].as_u64() > Some(100) && pool["leased"].as_u64() >= Some(256)
    });
    // One of those blocks is the wrong one's own once it has heard of it.
    let mut newcomer = 5000;
    while visit_all(&wrong, newcomer..newcomer + 1, 0) == 0 {
        newcomer += 1;
        assert!(newcomer < 5600, "the other edge has no links for a minute");
        thread::sleep(Duration::from_millis(100));
    }
    visit_all(&wrong, 1000..1200, 50);
    visit_all(&right, 20..120, 50);
    visit_all(&wrong, 1200..1240, 0);
    let pool = others.api(&key, "/api/x/pool")["data"][0].clone();
    assert!(pool["quarantined"].as_u64() > Some(100), "{pool}");
    // What it would give back is no longer its own; it leaves in order, and starts anew with other links.
    assert_eq!(right.terminate().code(), Some(0));
    let right = first.start(&settings);
    visit_all(&right, 2000..2040, 0);
    let clicks = format!("/api/smart-links/{link}");
    others.until(&key, &clicks, |shown| shown["data"]["clicks_count"] == visitors_in_all);
}
