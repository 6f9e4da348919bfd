//! Lists and reports as CSV.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use sl_api::ApiParts;
use sl_core::{
    click::{Class, ClickRow},
    conversion::{Conversion, ConversionKind},
    delivery::Destination,
    ids::PixelId,
    money::Cents,
    step::{
        Dimension, DimensionKey, DimensionRollup, FanDay, FanUnderLink, LinkTotals, Rollup, RollupKey, Step,
    },
    time::Timestamp,
};
use sl_store::suite::sample::{self, HOUR, TEAM, after};
use tokio::sync::Notify;

use crate::{
    dashboard::{cookie, page, sign_in},
    routes::documented,
    watched::Watched,
    world::{World, answer},
};

/// A click whose parameters mean harm, and one without any.
fn clicks() -> Vec<ClickRow> {
    let link = sample::link_id(1);
    let mut hostile = sample::click(1, link, after(10));
    let click = Arc::make_mut(&mut hostile.click);
    click.request.user_agent = "=cmd|' /C calc'!A0".to_owned();
    click.request.referrer = Some("@SUM(A1:A9)".to_owned());
    click.params.utm_campaign = Some("say \"hi\", you\r\nthere".to_owned());
    click.params.utm_content = Some("-2+3".to_owned());
    click.params.utm_term = Some("Größe 🔥".to_owned());
    let mut plain = sample::click(2, link, after(20));
    plain.is_duplicate = true;
    let click = Arc::make_mut(&mut plain.click);
    click.params = Default::default();
    (click.class, click.request.referrer, click.request.ip, click.place.country) =
        (Class::Bot, None, None, None);
    vec![hostile, plain]
}

fn history() -> Step {
    let link = sample::link_id(1);
    let clicks = clicks();
    let conversion = |number, click, kind, at| sample::conversion(number, link, click, kind, at);
    let taken_back = Conversion {
        gross: Cents(-350),
        net: Cents(-280),
        ..conversion(3, None, ConversionKind::NewTransaction, after(200))
    };
    let first = clicks[0].click.id;
    let fan = |number, gross| {
        let mut fan = sample::fan_under(link, number, gross);
        fan.profile.name = Some(format!("+{number}"));
        FanUnderLink { click: Some(first), tips_net: Cents(5), ..fan }
    };
    let rollup = Rollup { clicks: 2, subscribers: 1, gross: Cents(1001), ..Rollup::default() };
    let dimension = |value: &str, clicks| {
        let key =
            DimensionKey { link, day: HOUR.day(), dimension: Dimension::UtmSource, value: value.into() };
        (key, DimensionRollup { clicks })
    };
    let pixel = Destination::Pixel(PixelId(1));
    Step {
        conversions: vec![conversion(1, Some(first), ConversionKind::NewTransaction, after(100)), taken_back],
        clicks,
        fans: vec![fan(1, 1001), fan(2, 99)],
        rollups: vec![(RollupKey { link, hour: HOUR }, rollup)],
        dimensions: vec![dimension("=1+1", 1)],
        fan_days: vec![FanDay {
            link,
            fan: sample::fan(1),
            day: HOUR.day(),
            net: Cents(801),
            gross: Cents(1001),
        }],
        totals: vec![(link, LinkTotals { clicks: 2, ..LinkTotals::default() })],
        jobs: (1..=2).map(|number| sample::job(number, pixel, after(number))).collect(),
        ..sample::step(1)
    }
}

async fn filled(step: Step) -> (World, String) {
    filled_with(step, |_| {}).await
}

async fn filled_with(step: Step, change: impl FnOnce(&mut ApiParts)) -> (World, String) {
    let world = World::with(change).await;
    world.store.catalog.put_link(sample::smart_link(1, TEAM)).await.unwrap();
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(step).await.unwrap();
    world.clock.set(after(3600));
    (world, format!("/api/x/smart-links/{}", sample::link_id(1)))
}

/// The text of a file that came whole.
async fn file(world: &World, path: &str) -> String {
    let response = world.request(Method::GET, path, &world.key).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/csv; charset=utf-8");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let disposition = response.headers()[header::CONTENT_DISPOSITION].to_str().unwrap().to_owned();
    let name = path.rsplit('/').next().unwrap().split(".csv").next().unwrap();
    assert!(disposition.starts_with(&format!("attachment; filename=\"{name}")), "{disposition}");
    assert!(disposition.ends_with(".csv\""), "{disposition}");
    response.text().await.unwrap()
}

/// Rows as pairs of column and cell.
fn rows(text: &str) -> Vec<Vec<(String, String)>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().unwrap().clone();
    let pairs =
        |row: csv::StringRecord| names.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect();
    reader.records().map(|row| pairs(row.unwrap())).collect()
}

fn column(text: &str, name: &str) -> Vec<String> {
    let cell = |row: Vec<(String, String)>| row.into_iter().find(|(column, _)| column == name).unwrap().1;
    rows(text).into_iter().map(cell).collect()
}

#[tokio::test]
async fn clicks_are_as_a_buyer_opens_them() {
    let (world, link) = filled(history()).await;
    let [first, second] = clicks().try_into().unwrap();
    let want = format!(
        "id,created_at,referrer,ip_address,user_agent,browser_device_type,browser_name,browser_family,\
         browser_platform,is_bot,is_duplicate,country_code,gross_clicks,external_click_id,fbclid,gclid,gbraid,wbraid,\
         ttclid,sccid,aff_s1,aff_s2,aff_s3,aff_s4,aff_s5,utm_source,utm_medium,utm_campaign,utm_content,utm_term\r\n\
         {},2026-03-04T20:00:20+00:00,,,Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) Instagram 371.0,\
         Mobile,Instagram,Safari,iOS,true,true,,1,,,,,,,,,,,,,,,,,\r\n\
         {},2026-03-04T20:00:10+00:00,'@SUM(A1:A9),203.0.113.7,'=cmd|' /C calc'!A0,\
         Mobile,Instagram,Safari,iOS,false,false,US,1,1,,,,,,,,,,,,ig,,\"say \"\"hi\"\", you\r\nthere\",'-2+3,Größe 🔥\r\n",
        second.click.id, first.click.id
    );
    assert_eq!(file(&world, &format!("{link}/clicks.csv")).await, want);
    let people = file(&world, &format!("{link}/clicks.csv?include_bots=false")).await;
    assert_eq!(column(&people, "id"), [first.click.id.to_string()]);
    let none = file(&world, &format!("{link}/clicks.csv?date_start=2026-03-05")).await;
    assert_eq!((none.lines().count(), column(&none, "id").len()), (1, 0));
}

#[tokio::test]
async fn amounts_are_exact_decimals_also_when_money_was_taken_back() {
    let (world, link) = filled(history()).await;
    let text = file(&world, &format!("{link}/conversions.csv")).await;
    assert_eq!(column(&text, "amount_gross"), ["-3.50", "10.01"]);
    assert_eq!(column(&text, "amount_net"), ["-2.80", "8.01"]);
    assert_eq!(column(&text, "click.utm_content"), ["", "'-2+3"]);
    assert_eq!(column(&text, "click.id"), [String::new(), clicks()[0].click.id.to_string()]);
    let text = file(&world, &format!("{link}/conversions.csv?onlyfans_user_id=7001")).await;
    assert_eq!(column(&text, "amount_gross"), ["10.01"]);
    let text = file(&world, &format!("{link}/fans.csv?sort=revenue_net")).await;
    assert_eq!(column(&text, "revenue_net"), ["0.79", "8.01"]);
    assert_eq!(column(&text, "tips_net"), ["0.05", "0.05"]);
    assert_eq!(column(&text, "name"), ["'+2", "'+1"]);
    let text = file(&world, &format!("{link}/stats.csv")).await;
    assert_eq!(text, "timestamp,clicks,subs,revenue,spenders\r\n2026-03-04,2,1,10.01,1\r\n");
    let text = file(&world, &format!("{link}/breakdown.csv?by=utm_source")).await;
    assert_eq!(text, "value,clicks\r\n'=1+1,1\r\n,1\r\n");
}

/// Fields of a row of JSON by their path; a list is one.
fn fields(row: &Value, path: &str, found: &mut BTreeSet<String>) {
    match row {
        Value::Object(fields_of_it) => {
            for (name, value) in fields_of_it {
                let dot = if path.is_empty() { "" } else { "." };
                fields(value, &format!("{path}{dot}{name}"), found);
            }
        }
        _ => _ = found.insert(path.to_owned()),
    }
}

#[tokio::test]
async fn the_columns_are_the_fields_of_the_json() {
    let (world, link) = filled(history()).await;
    let contract = link.replace("/api/x/", "/api/");
    for (file_path, json_path, rows_at, left_out) in [
        (format!("{link}/clicks.csv"), format!("{contract}/clicks"), "/data/rows", None),
        (format!("{link}/conversions.csv"), format!("{contract}/conversions"), "/data/rows", None),
        (
            format!("{link}/fans.csv"),
            format!("{contract}/fans"),
            "/data/rows",
            Some("subscription_insights."),
        ),
        (format!("{link}/stats.csv"), format!("{contract}/stats"), "/data/daily_metrics", None),
        (format!("{link}/breakdown.csv?by=ecid"), format!("{link}/breakdown?by=ecid"), "/data/rows", None),
        ("/api/x/deliveries.csv".to_owned(), "/api/x/deliveries".to_owned(), "/data", Some("last")),
    ] {
        let json = world.get(&json_path).await;
        let list = json.pointer(rows_at).unwrap().as_array().unwrap();
        let text = file(&world, &file_path).await;
        let rows = rows(&text);
        assert!(!rows.is_empty());
        assert_eq!(rows.len(), list.len(), "{file_path}");
        let row = list.iter().rfind(|row| row["click"].is_object()).unwrap_or(&list[0]);
        let mut want = BTreeSet::new();
        fields(row, "", &mut want);
        let mut columns: BTreeSet<String> = rows[0].iter().map(|(name, _)| name.clone()).collect();
        if let Some(left_out) = left_out {
            want.retain(|name| !name.starts_with(left_out));
            columns.retain(|name| !name.starts_with(left_out));
        }
        assert_eq!(columns, want, "{file_path}");
    }
}

#[tokio::test]
async fn a_file_has_all_rows_and_each_once() {
    let link = sample::link_id(1);
    // 1,250 clicks, 600 of them at one moment.
    let moment =
        |number: u64| if number < 600 { HOUR } else { Timestamp(HOUR.0 + i64::try_from(number).unwrap()) };
    let clicks: Vec<_> = (0..1250).map(|number| sample::click(number, link, moment(number))).collect();
    let mut ids: Vec<_> = clicks.iter().map(|row| (row.click.at, row.click.id)).collect();
    ids.sort_unstable();
    let ids: Vec<_> = ids.into_iter().rev().map(|(_, id)| id.to_string()).collect();
    let conversion =
        |number| sample::conversion(number, link, None, ConversionKind::MessageReceived, after(number / 3));
    let conversions: Vec<_> = (0..1100).map(conversion).collect();
    let pixel = Destination::Pixel(PixelId(1));
    let jobs: Vec<_> = (1..=1001).map(|number| sample::job(number, pixel, HOUR)).collect();
    let fans: Vec<_> = (1..=501).map(|number| sample::fan_under(link, number, 100)).collect();
    let (world, path) = filled(Step { clicks, conversions, jobs, fans, ..sample::step(1) }).await;
    assert_eq!(column(&file(&world, &format!("{path}/clicks.csv")).await, "id"), ids);
    for (path, count) in [
        (format!("{path}/conversions.csv"), 1100),
        (format!("{path}/fans.csv"), 501),
        ("/api/x/deliveries.csv".to_owned(), 1001),
    ] {
        let text = file(&world, &path).await;
        let first = rows(&text)[0][0].0.clone();
        let all = column(&text, &first);
        assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (count, count), "{path}");
    }
    let none = file(&world, "/api/x/deliveries.csv?state=parked").await;
    assert_eq!(rows(&none).len(), 0);
}

#[tokio::test]
async fn nothing_is_read_any_more_for_a_client_that_hung_up() {
    let left = Arc::new(Notify::new());
    let told = Arc::clone(&left);
    let change = |parts: &mut ApiParts| {
        let inner = Arc::clone(&parts.store.reports);
        let watched = Watched { inner, conversions: Arc::default(), broken: false, left: Some(left) };
        parts.store.reports = Arc::new(watched);
    };
    let link = sample::link_id(1);
    let conversion =
        |number| sample::conversion(number, link, None, ConversionKind::MessageReceived, after(number));
    let conversions = (0..600).map(conversion).collect();
    let (world, path) = filled_with(Step { conversions, ..sample::step(1) }, change).await;
    let request = world.request(Method::GET, &format!("{path}/conversions.csv"), &world.key);
    let mut response = request.send().await.unwrap();
    // The first page has come, the second is being read.
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    tokio::time::timeout(Duration::from_secs(10), told.notified()).await.expect("somebody still reads");
}

#[tokio::test]
async fn only_who_may_see_the_list_gets_the_file() {
    let (world, link) = filled(history()).await;
    let clicks_only = world.key_with(&["smart-links.view"]).await;
    let postbacks_only = world.key_with(&["postbacks.view"]).await;
    let status = async |path: &str, key: &str| {
        let (status, body) = answer(world.request(Method::GET, path, key)).await;
        assert!(documented("get", path).unwrap().get(status.as_str()).is_some(), "{path} {status}");
        (status, body)
    };
    for name in ["clicks", "conversions", "breakdown", "fans", "stats"] {
        let path = format!("{link}/{name}.csv?{}", if name == "breakdown" { "by=ecid" } else { "" });
        assert_eq!(status(&path, &clicks_only).await.0, StatusCode::OK, "{path}");
        assert_eq!(status(&path, &postbacks_only).await.0, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(status(&path, &world.stranger).await.0, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(status(&path, "slk_wrong").await.0, StatusCode::UNAUTHORIZED, "{path}");
        let (refused, body) =
            status(&format!("{path}&limit=5&offset=1&date_begin=2026-03-01"), &world.key).await;
        assert_eq!(refused, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        let fields: Vec<_> = body["errors"].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["date_begin", "limit", "offset"], "{path}: {body}");
    }
    let (_, body) = status(&format!("{link}/clicks.csv?date_start=soon"), &world.key).await;
    assert!(body["errors"]["date_start"].is_array(), "{body}");
    assert!(status(&format!("{link}/breakdown.csv"), &world.key).await.1["errors"]["by"].is_array());
    let path = "/api/x/deliveries.csv";
    assert_eq!(status(path, &clicks_only).await.0, StatusCode::FORBIDDEN);
    assert_eq!(status(path, &postbacks_only).await.0, StatusCode::OK);
    let (_, other) = status(path, &world.stranger).await;
    assert_eq!(other.as_str().unwrap().lines().count(), 1, "nothing of ours: {other}");
    assert!(status(&format!("{path}?cursor=x"), &world.key).await.1["errors"]["cursor"].is_array());
}

#[tokio::test]
async fn the_dashboard_offers_the_files_of_a_link() {
    let (world, _) = filled(history()).await;
    let link = format!("/links/{}", sample::link_id(1));
    let session = cookie(&sign_in(&world, &world.key).await);
    let (_, html) = page(&world, &link, &session).await;
    let offered = html.split('"').filter(|text| text.contains(".csv")).collect::<BTreeSet<_>>();
    assert_eq!(offered.len(), 3, "{html}");
    let get = async |path: &str, session: &str| {
        let request = world.client.get(format!("{}{path}", world.base)).header(header::COOKIE, session);
        request.send().await.unwrap()
    };
    for path in offered.iter().map(|path| path.replace("&amp;", "&").replace("&#x2f;", "/")) {
        let response = get(&path, &session).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/csv; charset=utf-8", "{path}");
        let text = response.text().await.unwrap();
        let api = path.replace("/links/", "/api/x/smart-links/");
        assert_eq!(text, file(&world, &api).await);
        assert!(!rows(&text).is_empty(), "{path}");
        assert_eq!(get(&path, "").await.status(), StatusCode::SEE_OTHER, "{path}");
        let stranger = cookie(&sign_in(&world, &world.stranger).await);
        assert_eq!(page(&world, &path, &stranger).await.0, StatusCode::NOT_FOUND, "{path}");
        let other = cookie(&sign_in(&world, &world.key_with(&["postbacks.view"]).await).await);
        assert_eq!(page(&world, &path, &other).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    let (status, html) = page(&world, &format!("{link}/clicks.csv?limit=1"), &session).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("The limit field is no parameter here"), "{html}");
}
