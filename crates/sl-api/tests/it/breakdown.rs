//! Clicks by one property, in the API and on the dashboard.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sl_core::{
    ids::SmartLinkId,
    step::{Dimension, DimensionKey, DimensionRollup, Rollup, RollupKey, Step},
    time::Timestamp,
};
use sl_store::suite::sample::{self, HOUR, TEAM, after};

use crate::{
    dashboard::{cookie, page, sign_in},
    world::{World, answer},
};

const DAY: u64 = 24 * 3600;

/// Nine clicks of today, two of tomorrow, which is when it is asked.
fn history(link: SmartLinkId) -> Step {
    let value = |at: Timestamp, dimension, value: &str, clicks| {
        let key = DimensionKey { link, day: at.day(), dimension, value: value.into() };
        (key, DimensionRollup { clicks })
    };
    let hour = |hour, clicks| {
        let rollup = Rollup { clicks, bots: 50, duplicates: 70, ..Rollup::default() };
        (RollupKey { link, hour }, rollup)
    };
    let tomorrow = after(DAY);
    Step {
        rollups: vec![hour(HOUR, 6), hour(after(3600), 3), hour(tomorrow, 2)],
        dimensions: vec![
            value(HOUR, Dimension::Country, "US", 5),
            value(HOUR, Dimension::Country, "DE", 4),
            value(tomorrow, Dimension::Country, "DE", 2),
            value(HOUR, Dimension::UtmSource, "<i>ig", 4),
            value(HOUR, Dimension::UtmSource, "(other)", 3),
        ],
        ..sample::step(1)
    }
}

async fn filled() -> (World, String) {
    let world = World::start().await;
    world.store.catalog.put_link(sample::smart_link(1, TEAM)).await.unwrap();
    let link = sample::link_id(1);
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(history(link)).await.unwrap();
    world.clock.set(after(DAY));
    (world, format!("/api/x/smart-links/{link}/breakdown"))
}

async fn asked(world: &World, path: &str, query: &str) -> Value {
    world.get(&format!("{path}?{query}")).await["data"].take()
}

#[tokio::test]
async fn rows_are_by_clicks_and_then_by_value_and_those_without_one_are_null() {
    let (world, path) = filled().await;
    assert_eq!(
        asked(&world, &path, "by=country").await,
        json!({
            "summary": { "clicks_total": 11 },
            "rows": [{ "value": "DE", "clicks": 6 }, { "value": "US", "clicks": 5 }],
            "rest": { "rows": 0, "clicks": 0 },
            "filters": {
                "by": "country", "limit": 100,
                "date_start": "2026-03-04T00:00:00+00:00", "date_end": "2026-03-05T23:59:59+00:00",
            },
        })
    );
    let data = asked(&world, &path, "by=utm_source&limit=2").await;
    assert_eq!(
        (&data["rows"], &data["rest"]),
        (
            &json!([{ "value": "<i>ig", "clicks": 4 }, { "value": null, "clicks": 4 }]),
            &json!({ "rows": 1, "clicks": 3 })
        )
    );
    let data = asked(&world, &path, "by=utm_term").await;
    assert_eq!(data["rows"], json!([{ "value": null, "clicks": 11 }]));
}

#[tokio::test]
async fn rows_and_rest_add_up_to_the_clicks_that_the_stats_have_of_the_same_days() {
    let (world, path) = filled().await;
    let stats = format!("/api/smart-links/{}/stats", sample::link_id(1));
    for (range, clicks) in [
        ("date_start=2026-03-04", 11),
        ("date_start=2026-03-04&date_end=2026-03-04", 9),
        ("date_start=2026-03-05&date_end=9999-12-31", 2),
        ("date_end=2026-03-03", 0),
    ] {
        let summary = asked(&world, &stats, range).await["summary"].take();
        assert_eq!(summary["clicks_total"], clicks, "{range}");
        for by in Dimension::ALL.map(Dimension::as_str) {
            let data = asked(&world, &path, &format!("{range}&by={by}&limit=1")).await;
            let rows = data["rows"].as_array().unwrap().iter();
            let sum: u64 = rows.chain([&data["rest"]]).map(|row| row["clicks"].as_u64().unwrap()).sum();
            assert_eq!((&data["summary"]["clicks_total"], sum), (&json!(clicks), clicks), "{range} {by}");
        }
    }
}

#[tokio::test]
async fn what_was_answered_for_can_be_asked_for_again() {
    let (world, path) = filled().await;
    let first = asked(&world, &path, "by=country&date_end=2026-03-04").await;
    let [start, end] = ["date_start", "date_end"].map(|key| first["filters"][key].as_str().unwrap());
    let again = asked(&world, &path, &format!("by=country&date_start={start}&date_end={end}")).await;
    assert_eq!(again, first);
    assert_eq!(again["summary"]["clicks_total"], 9);
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_with_what_can() {
    let (world, path) = filled().await;
    let refused = async |query: &str| {
        let (status, body) = world.call("GET", &format!("{path}?{query}"), None).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}: {body}");
        body
    };
    let body = refused("").await;
    assert!(body["errors"]["by"][0].as_str().unwrap().contains("is required: one of country, "), "{body}");
    let body = refused("by=shoe&limit=1001&date_start=2026-03-04T12:00:00Z").await;
    let fields: Vec<_> = body["errors"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["by", "date_start", "limit"]);
    assert!(body["errors"]["by"][0].as_str().unwrap().contains("utm_campaign"), "{body}");
    let body = refused("by=ecid&date_end=2026-03-04T12:00:00Z").await;
    assert!(body["errors"]["date_end"][0].as_str().unwrap().contains("whole days only"), "{body}");
}

#[tokio::test]
async fn clicks_by_value_are_for_who_may_see_the_link() {
    let (world, path) = filled().await;
    let path = format!("{path}?by=country");
    let status = async |key: &str| answer(world.request("GET".parse().unwrap(), &path, key)).await.0;
    assert_eq!(status(&world.stranger).await, StatusCode::NOT_FOUND);
    assert_eq!(status(&world.key_with(&["smart-links.manage"]).await).await, StatusCode::FORBIDDEN);
    assert_eq!(status(&world.key_with(&["smart-links.view"]).await).await, StatusCode::OK);
}

#[tokio::test]
async fn the_page_of_a_link_has_its_clicks_by_what_is_chosen() {
    let (world, _) = filled().await;
    let link = sample::link_id(1);
    let shown = async |query: &str| {
        let cookie = cookie(&sign_in(&world, &world.key).await);
        page(&world, &format!("/links/{link}{query}"), &cookie).await
    };
    let cells = |value: &str, clicks: u64, share: &str| {
        format!(
            "<th scope=\"row\">{value}</th><td class=\"n\">{clicks}</td><td class=\"n\">{share} %</td></tr>"
        )
    };
    let (_, html) = shown("").await;
    let place = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text}: {html}"));
    assert!(place(&cells("DE", 6, "54.5")) < place(&cells("US", 5, "45.5")));
    assert!(html.contains("by=country#by\" aria-current=\"page\""), "{html}");
    let (_, html) = shown("?by=utm_source").await;
    assert!(html.contains("by=utm_source#by\" aria-current=\"page\""), "{html}");
    for row in [
        cells("&lt;i&gt;ig", 4, "36.4"),
        cells("<span class=\"quiet\">none</span>", 4, "36.4"),
        cells("(other)", 3, "27.3"),
    ] {
        assert!(html.contains(&row), "{row}: {html}");
    }
    assert!(!html.contains(" more</span>"), "{html}");
    assert_eq!(shown("?by=shoe").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    // Today leaves the thirty days.
    world.clock.set(after(30 * DAY));
    let (_, html) = shown("").await;
    assert!(html.contains(&cells("DE", 2, "100.0")) && !html.contains(">US<"), "{html}");
    world.clock.set(after(31 * DAY));
    assert!(shown("").await.1.contains("No click in these days."));
}

#[tokio::test]
async fn the_page_of_a_link_sums_what_is_behind_its_ten_commonest_values() {
    let (world, _) = filled().await;
    let link = sample::link_id(1);
    let count = |number: u64| {
        let value = format!("ad-{number:02}").as_str().into();
        let key = DimensionKey { link, day: after(DAY).day(), dimension: Dimension::UtmCampaign, value };
        (key, DimensionRollup { clicks: 20 - number })
    };
    let hour = RollupKey { link, hour: after(DAY) };
    let all = Rollup { clicks: (1..=12).map(|number| 20 - number).sum(), ..Rollup::default() };
    let step =
        Step { dimensions: (1..=12).map(count).collect(), rollups: vec![(hour, all)], ..sample::step(2) };
    world.store.ledger.apply(step).await.unwrap();
    world.clock.set(after(30 * DAY));
    let cookie = cookie(&sign_in(&world, &world.key).await);
    let (_, html) = page(&world, &format!("/links/{link}?by=utm_campaign"), &cookie).await;
    assert!(html.contains("ad-10<") && !html.contains("ad-11<"), "{html}");
    assert!(html.contains("2 more</span></th><td class=\"n\">17</td>"), "9 and 8: {html}");
}
