//! Sums and lists agree, whatever is asked for.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sl_api::ApiParts;
use sl_core::{
    click::Class,
    conversion::ConversionKind,
    ids::SmartLinkId,
    money::Cents,
    step::{FanDay, FanUnderLink, LinkTotals, Rollup, RollupKey, Step},
    time::Timestamp,
};
use sl_store::suite::sample::{self, HOUR, TEAM, after};

use crate::{watched::Watched, world::World};

const DAY: u64 = 24 * 3600;

/// A link with two people's clicks today, one tomorrow, a bot and a duplicate; fan 1 subscribes and tips 10.01 today,
/// fan 2 pays 10.02 tomorrow and gets it back.
async fn filled() -> (World, String) {
    filled_with(|_| {}).await
}

async fn filled_with(change: impl FnOnce(&mut ApiParts)) -> (World, String) {
    let world = World::with(change).await;
    world.store.catalog.put_link(sample::smart_link(1, TEAM)).await.unwrap();
    let link = sample::link_id(1);
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(history(link)).await.unwrap();
    world.clock.set(after(2 * DAY));
    (world, format!("/api/smart-links/{link}"))
}

fn history(link: SmartLinkId) -> Step {
    let mut bot = sample::click(4, link, after(40));
    std::sync::Arc::make_mut(&mut bot.click).class = Class::Bot;
    let mut duplicate = sample::click(5, link, after(50));
    duplicate.is_duplicate = true;
    let first = sample::click(1, link, after(10));
    let id = first.click.id;
    let conversion = |number, kind, at| sample::conversion(number, link, Some(id), kind, at);
    let mut reversed = conversion(2, ConversionKind::NewTransaction, after(DAY + 60));
    let transaction = reversed.transaction.as_mut().unwrap();
    transaction.status = "undo".to_owned();
    transaction.turns = vec![after(DAY + 120)];
    let hour = |hour, rollup| (RollupKey { link, hour }, rollup);
    let day = |fan, day: Timestamp, cents: i64| FanDay {
        link,
        fan: sample::fan(fan),
        day: day.day(),
        net: Cents(cents).net_of_platform_fee(),
        gross: Cents(cents),
    };
    Step {
        clicks: vec![
            first,
            sample::click(2, link, after(20)),
            sample::click(3, link, after(DAY + 30)),
            bot,
            duplicate,
        ],
        conversions: vec![
            conversion(8, ConversionKind::NewSubscriber, after(100)),
            conversion(1, ConversionKind::NewTransaction, after(200)),
            reversed,
        ],
        fans: vec![
            FanUnderLink { converted_at: after(100), ..sample::fan_under(link, 1, 1001) },
            FanUnderLink { converted_at: after(DAY + 60), ..sample::fan_under(link, 2, 0) },
        ],
        rollups: vec![
            hour(
                HOUR,
                Rollup {
                    clicks: 2,
                    bots: 1,
                    duplicates: 1,
                    subscribers: 1,
                    conversions: 2,
                    gross: Cents(1001),
                    net: Cents(801),
                },
            ),
            hour(after(DAY), Rollup { clicks: 1, conversions: 1, ..Rollup::default() }),
        ],
        fan_days: vec![day(1, HOUR, 1001), day(2, after(DAY), 0)],
        totals: vec![(
            link,
            LinkTotals { clicks: 3, conversions: 3, subscribers: 1, spenders: 1, revenue: Some(Cents(1001)) },
        )],
        ..sample::step(9)
    }
}

#[tokio::test]
async fn stats_are_increments_per_day_and_their_sum() {
    let (world, link) = filled().await;
    let body = world.get(&format!("{link}/stats")).await;
    assert_eq!(
        body["data"],
        json!({
            "summary": { "clicks_total": 3, "subs_total": 1, "revenue_total": 10.01, "spenders_total": 1 },
            "daily_metrics": [
                { "timestamp": "2026-03-04", "clicks": 2, "subs": 1, "revenue": 10.01, "spenders": 1 },
                { "timestamp": "2026-03-05", "clicks": 1, "subs": 0, "revenue": 0, "spenders": 0 },
            ],
            "monthly_metrics": [
                { "timestamp": "2026-03-01", "clicks": 3, "subs": 1, "revenue": 10.01, "spenders": 1 },
            ],
        })
    );
}

#[tokio::test]
async fn stats_of_a_range_hold_only_that_range() {
    let (world, link) = filled().await;
    let body = world.get(&format!("{link}/stats?date_start=2026-03-05&date_end=2026-03-05")).await;
    assert_eq!(
        body["data"]["summary"],
        json!({ "clicks_total": 1, "subs_total": 0, "revenue_total": 0, "spenders_total": 0 })
    );
    // 30 minutes into the hour: the bucket is cut and counted from rows.
    let body = world
        .get(&format!("{link}/stats?date_start=2026-03-04T20:00:15Z&date_end=2026-03-04%2020:30:00"))
        .await;
    assert_eq!(body["data"]["summary"]["clicks_total"], 1);
    let (status, _) =
        world.call("GET", &format!("{link}/stats?date_start=2026-03-06&date_end=2026-03-05"), None).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let older = link.replacen("/api/", "/api/acct_sample/", 1);
    assert_eq!(world.get(&format!("{older}/stats")).await["data"]["summary"]["clicks_total"], 3);
}

/// Contract A.1: the older paths.
#[tokio::test]
async fn a_path_with_an_account_knows_the_links_of_that_account_only() {
    let (world, link) = filled().await;
    world.store.catalog.put_account(sample::account_row("acct_second", TEAM)).await.unwrap();
    for page in ["stats", "clicks", "conversions"] {
        let of = |account: &str| link.replacen("/api/", &format!("/api/{account}/"), 1) + "/" + page;
        let (status, answer) = world.call("GET", &of("acct_sample"), None).await;
        assert_eq!(status, StatusCode::OK, "{page}: {answer}");
        let unknown = link.replacen("/api/smart-links/", "/api/acct_sample/smart-links/x", 1) + "/" + page;
        let (_, unknown) = world.call("GET", &unknown, None).await;
        // Of the same team, of another one, of nobody.
        for account in ["acct_second", "acct_other", "acct_nobody", "ACCT_SAMPLE", "%FF"] {
            let (status, answer) = world.call("GET", &of(account), None).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{account} {page}: {answer}");
            if account != "%FF" {
                assert_eq!(answer, unknown, "{account} {page}");
            }
        }
    }
}

#[tokio::test]
async fn the_clicks_total_is_the_number_of_rows_for_every_choice_of_flags() {
    let (world, link) = filled().await;
    for (bots, duplicates, want) in [(true, true, 5), (true, false, 4), (false, true, 4), (false, false, 3)] {
        let query = format!("include_bots={bots}&include_duplicates={}", u8::from(duplicates));
        let data = world.get(&format!("{link}/clicks?{query}")).await["data"].take();
        assert_eq!(data["summary"]["clicks_total"], want, "{query}");
        assert_eq!(data["rows"].as_array().unwrap().len(), want, "{query}");
        let charted: u64 =
            data["chart"].as_array().unwrap().iter().map(|day| day["clicks"].as_u64().unwrap()).sum();
        assert_eq!(charted, want as u64, "{query}");
    }
}

#[tokio::test]
async fn a_click_row_has_the_thirty_fields_and_the_range_is_echoed() {
    let (world, link) = filled().await;
    let data = world.get(&format!("{link}/clicks?limit=1")).await["data"].take();
    let row = data["rows"][0].as_object().unwrap();
    assert_eq!(row.len(), 30);
    assert_eq!(row["external_click_id"], "3");
    assert_eq!(row["utm_source"], "ig");
    assert_eq!(row["browser_platform"], "iOS");
    assert_eq!(row["ip_address"], "203.0.113.7");
    assert_eq!(
        data["filters"],
        json!({
            "date_start": "2026-03-04T20:00:01+00:00", "date_end": "2026-03-06T20:00:00+00:00",
            "include_bots": true, "include_duplicates": true, "limit": 1, "offset": 0,
        })
    );
}

#[tokio::test]
async fn conversions_sum_to_their_rows_and_reversed_money_is_not_revenue() {
    let (world, link) = filled().await;
    let data = world.get(&format!("{link}/conversions")).await["data"].take();
    assert_eq!(
        data["summary"],
        json!({ "conversions_total": 3, "subscribers_total": 1, "revenue_total": 10.01 })
    );
    assert_eq!(data["rows"].as_array().unwrap().len(), 3);
    assert_eq!(
        data["chart"],
        json!([
            { "timestamp": "2026-03-04", "conversions": 2 }, { "timestamp": "2026-03-05", "conversions": 1 },
        ])
    );
    assert_eq!(data["filters"]["conversion_type"], Value::Null);
    let newest = &data["rows"][0];
    assert_eq!((&newest["status"], &newest["amount_gross"]), (&json!("undo"), &json!(10.02)));
    assert_eq!(newest["click"].as_object().unwrap().len(), 30);
    assert_eq!(newest["fan"]["onlyfans_id"], newest["fan_onlyfans_id"]);
    let one =
        world.get(&format!("{link}/conversions?onlyfans_user_id=7001&conversion_type=new_transaction")).await;
    assert_eq!(
        one["data"]["summary"],
        json!({ "conversions_total": 1, "subscribers_total": 0, "revenue_total": 10.01 })
    );
    let (status, body) = world.call("GET", &format!("{link}/conversions?conversion_type=sale"), None).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(body["errors"]["conversion_type"][0].as_str().unwrap().contains("new_subscriber"));
}

/// Whatever a list is filtered by, money counts when it came and goes when it went (decisions 19).
#[tokio::test]
async fn revenue_of_a_range_is_the_same_with_flags_that_leave_nothing_out() {
    let (world, link) = filled().await;
    let tomorrow = |seconds: u64| after(DAY + seconds).iso().replace('+', "%2B");
    for (from, to, want) in
        [(0, 90, json!(10.02)), (100, 200, json!(-10.02)), (0, 3_599, json!(0)), (130, 200, json!(0))]
    {
        for flags in ["", "&include_bots=false", "&include_duplicates=false", "&onlyfans_user_id=7002"] {
            let range = format!("date_start={}&date_end={}", tomorrow(from), tomorrow(to));
            let data = world.get(&format!("{link}/conversions?{range}{flags}")).await["data"].take();
            assert_eq!(data["summary"]["revenue_total"], want, "{from}..{to} {flags}");
        }
    }
}

#[tokio::test]
async fn fans_and_spenders_are_net() {
    let (world, link) = filled().await;
    let data = world.get(&format!("{link}/fans")).await["data"].take();
    assert_eq!(data["summary"]["fans_total"], 2);
    assert_eq!(data["summary"]["revenue_net_total"], 8.01);
    assert_eq!(data["rows"][0]["onlyfans_id"], "7001");
    assert_eq!(data["rows"][0]["fan_id"], 7001);
    assert!(data["rows"][0]["conversion_id"].as_u64().unwrap() < 1 << 53);
    assert_eq!(data["filters"]["sort"], "-revenue_net");
    assert_eq!(data["filters"]["min_revenue_net"], Value::Null);
    let data = world
        .get(&format!("{link}/fans?min_revenue_net=5&has_messages=false&sort=converted_at"))
        .await["data"]
        .take();
    assert_eq!(
        (&data["summary"]["fans_total"], &data["filters"]["has_messages"]),
        (&json!(1), &json!("false"))
    );
    let spenders = world.get(&format!("{link}/spenders")).await["data"].take();
    assert_eq!(spenders.as_array().unwrap().len(), 1);
    assert_eq!(spenders[0]["revenue"]["total"], 8.01);
    assert_eq!(world.get(&format!("{link}/spenders?minSpend=9")).await["data"], json!([]));
}

/// However many conversions a link has: its sums are rolled up, and a fan's first conversion is looked for where it is.
#[tokio::test]
async fn a_page_reads_no_more_conversions_than_it_shows() {
    let read = Arc::new(AtomicUsize::new(0));
    let conversions = Arc::clone(&read);
    let (world, link) = filled_with(|parts| {
        let inner = Arc::clone(&parts.store.reports);
        parts.store.reports = Arc::new(Watched { inner, conversions, broken: false, left: None });
    })
    .await;
    let reads = async |path: &str| {
        let before = read.load(Ordering::Relaxed);
        let data = world.get(&format!("{link}/{path}")).await["data"].take();
        (data, read.load(Ordering::Relaxed) - before)
    };
    let (whole, _) = reads("conversions").await;
    for (offset, row) in whole["rows"].as_array().unwrap().iter().enumerate() {
        let (page, cost) = reads(&format!("conversions?limit=1&offset={offset}")).await;
        assert_eq!((&page["rows"], cost), (&json!([row]), 1));
        assert_eq!((&page["summary"], &page["chart"]), (&whole["summary"], &whole["chart"]));
        // By the rows themselves.
        let (counted, _) = reads("conversions?date_start=2020-01-01").await;
        assert_eq!((&page["summary"], &page["chart"]), (&counted["summary"], &counted["chart"]));
    }
    let (page, cost) = reads("fans?limit=1&sort=converted_at").await;
    let first = sample::conversion(8, sample::link_id(1), None, ConversionKind::NewSubscriber, after(100)).id;
    let number = u128::from_be_bytes(first.to_bytes()) & ((1 << 53) - 1);
    assert_eq!((page["rows"][0]["conversion_id"].as_u64().map(u128::from), cost), (Some(number), 1));
}

#[tokio::test]
async fn a_cohort_counts_what_its_subscribers_spent() {
    let (world, link) = filled().await;
    let data = world.get(&format!("{link}/cohort-arps?revenue_basis=gross")).await["data"].take();
    assert_eq!(
        (&data["subscribers_count"], &data["revenue_48h_total"], &data["arps_48h"]),
        (&json!(1), &json!(10.01), &json!(10.01))
    );
    let data = world.get(&format!("{link}/cohort-arps?acquisition_start=2026-03-05")).await["data"].take();
    assert_eq!(
        (&data["subscribers_count"], &data["arps_all_time"], &data["coverage_percent"]),
        (&json!(0), &json!(0), &json!(0))
    );
}

/// What was taken back counts until then (decisions 19); what came before the subscription counts by its click only.
#[tokio::test]
async fn a_window_of_a_cohort_holds_what_moved_in_it() {
    let world = World::start().await;
    world.store.catalog.put_link(sample::smart_link(1, TEAM)).await.unwrap();
    let link = sample::link_id(1);
    let [before, by] = [1, 2].map(|n| sample::click(n, link, after(n)).click.id);
    let row = |number, click, kind, at| sample::conversion(number, link, Some(click), kind, at);
    let money = ConversionKind::NewTransaction;
    let mut undone = row(8, by, money, after(40 * DAY));
    let facts = undone.transaction.as_mut().unwrap();
    (facts.status, facts.turns) = ("undo".to_owned(), vec![after(55 * DAY)]);
    // All of fan 1: 10.15 long before, 10.22 with the subscription's click, 10.08 that went back on the 25th day.
    let conversions = vec![
        row(15, before, money, after(10 * DAY)),
        row(22, by, money, after(30 * DAY - 60)),
        row(1, by, ConversionKind::NewSubscriber, after(30 * DAY)),
        undone,
    ];
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(Step { conversions, ..sample::step(1) }).await.unwrap();
    let data =
        world.get(&format!("/api/smart-links/{link}/cohort-arps?revenue_basis=gross")).await["data"].take();
    let revenue =
        ["48h", "7d", "14d", "21d", "30d", "all_time"].map(|window| &data[format!("revenue_{window}_total")]);
    assert_eq!(revenue.map(|total| total.as_f64().unwrap()), [10.22, 10.22, 20.3, 20.3, 10.22, 10.22]);
}

/// An end inside of a day, or at its first second, does not bring in the rest of it.
#[tokio::test]
async fn spenders_of_a_range_are_those_whose_money_moved_in_it() {
    let (world, link) = filled().await;
    let stats = async |from: Timestamp, to: Timestamp| {
        let [from, to] = [from, to].map(|at| at.iso().replace('+', "%2B"));
        world.get(&format!("{link}/stats?date_start={from}&date_end={to}")).await["data"].take()
    };
    let tomorrow = after(DAY).day();
    let data = stats(HOUR.day(), tomorrow).await;
    assert_eq!(data["summary"]["spenders_total"], 1);
    assert_eq!(data["daily_metrics"].as_array().unwrap().len(), 1, "{data}");
    // Fan 2 paid and got it back a minute later.
    for (seconds, revenue, spenders) in [(90, json!(10.02), 1), (130, json!(0), 0)] {
        let data = stats(tomorrow, after(DAY + seconds)).await;
        assert_eq!(data["summary"]["revenue_total"], revenue, "{seconds}");
        assert_eq!(data["summary"]["spenders_total"], spenders, "{seconds}");
    }
    // Fan 1 pays today and gets it back the day after tomorrow, which one of the ranges ends before.
    let id = sample::link_id(1);
    let back = after(2 * DAY + 600);
    let mut undone = sample::conversion(1, id, None, ConversionKind::NewTransaction, after(200));
    let facts = undone.transaction.as_mut().unwrap();
    (facts.status, facts.turns) = ("undo".to_owned(), vec![back]);
    let money = Cents(-1001);
    let day = FanDay {
        link: id,
        fan: sample::fan(1),
        day: back.day(),
        net: money.net_of_platform_fee(),
        gross: money,
    };
    let hour = Rollup { gross: money, net: money.net_of_platform_fee(), ..Rollup::default() };
    let rollups = vec![(RollupKey { link: id, hour: back.hour() }, hour)];
    let step = Step { conversions: vec![undone], fan_days: vec![day], rollups, ..sample::step(10) };
    world.store.ledger.apply(step).await.unwrap();
    for (end, revenue, spenders) in
        [(back.minus(std::time::Duration::from_secs(1)), json!(10.01), 1), (back, json!(0), 0)]
    {
        let data = stats(HOUR, end).await;
        assert_eq!(data["summary"]["revenue_total"], revenue);
        assert_eq!(data["summary"]["spenders_total"], spenders);
    }
}

/// A subscription and its payment share their second: which of them is known first does not change how the fan is shown.
#[tokio::test]
async fn a_fans_conversion_stays_that_of_its_subscription() {
    let (world, link) = filled().await;
    let shown = async || {
        world.get(&format!("{link}/fans?sort=converted_at")).await["data"]["rows"][0]["conversion_id"].take()
    };
    let before = shown().await;
    let payment = sample::conversion(1, sample::link_id(1), None, ConversionKind::NewTransaction, after(100));
    let subscriber =
        sample::conversion(8, sample::link_id(1), None, ConversionKind::NewSubscriber, after(100));
    assert!(payment.id < subscriber.id, "or it would not be taken for it");
    world.store.ledger.apply(Step { conversions: vec![payment], ..sample::step(10) }).await.unwrap();
    assert_eq!(shown().await, before);
    assert!(before.is_u64());
}
