//! Deliveries sent again by a filter, and told to a destination that was added later.

use std::{collections::HashSet, time::Duration};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sl_core::{
    catalog::{AnswerTexts, EventMap, PlatformKind, Postback, PostbackMethod, PostbackScope},
    click::Class,
    conversion::{ConversionKind, Purchase},
    delivery::{Delivery, DeliveryKind, DeliveryState, Destination, Progress},
    ids::{PixelId, PostbackId},
    step::Step,
};
use sl_store::{
    outbox::DeliveryFilter,
    suite::sample::{self, HOUR, STRANGER, TEAM, after},
};

use crate::world::{World, answer};

const OLD: Destination = Destination::Pixel(PixelId(1));
const OTHER: Destination = Destination::Postback(PostbackId(1));
const REPLAY: &str = "/api/x/deliveries/replay";
const INTO: &str = "/api/x/deliveries/replay-into";

fn postback(number: u64, conversion_types: Vec<ConversionKind>) -> Postback {
    Postback {
        id: PostbackId(number),
        team: TEAM,
        url: "https://tracker.example/".to_owned(),
        method: PostbackMethod::Get,
        body: None,
        headers: Vec::new(),
        scope: PostbackScope::Global,
        conversion_types,
        answers: AnswerTexts::default(),
        in_order: false,
        pace: None,
        created_at: HOUR,
        updated_at: HOUR,
    }
}

/// A link with a pixel, a postback, and what the step brings.
async fn with(step: Step) -> World {
    let world = World::start().await;
    let mut link = sample::smart_link(1, TEAM);
    link.pixels = vec![PixelId(1)];
    world.store.catalog.put_link(link).await.unwrap();
    let mut pixel = sample::pixel(1, TEAM);
    pixel.events = EventMap::usual(PlatformKind::Meta);
    world.store.catalog.put_pixel(pixel).await.unwrap();
    world.store.catalog.put_postback(postback(1, ConversionKind::ALL.to_vec())).await.unwrap();
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(step).await.unwrap();
    world
}

async fn all(world: &World) -> Vec<Delivery> {
    let filter = DeliveryFilter { limit: 100_000, ..DeliveryFilter::default() };
    world.store.deliveries.list(TEAM, filter).await.unwrap()
}

async fn set(world: &World, job: u64, seconds: u64, to: Destination, state: DeliveryState) {
    let id = sample::job(job, to, after(seconds)).id;
    let ended = Progress { state, attempts: 3, next_attempt_at: None, ..Progress::fresh(HOUR) };
    sample::record(&world.store, id, None, ended).await.unwrap();
}

/// Every page of a replay; the figures of all of them.
async fn pages(world: &World, path: &str, limit: u64, body: &Value) -> (u64, u64, Vec<Value>) {
    let (mut replayed, mut examined, mut rest, mut cursor) = (0, 0, Vec::new(), String::new());
    loop {
        let page = world.send("POST", &format!("{path}?limit={limit}{cursor}"), body.clone()).await;
        replayed += page["data"]["replayed"].as_u64().unwrap();
        let seen = page["data"]["examined"].as_u64().unwrap();
        assert!(seen <= limit, "{page}");
        examined += seen;
        rest.push(page["data"]["left_alone"].clone());
        match page["_pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (replayed, examined, rest),
        }
    }
}

async fn waiting(world: &World) -> u64 {
    world.store.deliveries.counts(sl_core::time::Clock::now(&*world.clock)).await.unwrap().waiting
}

#[tokio::test]
async fn a_replay_by_filter_takes_up_what_the_filter_names_in_pages_and_a_second_time_nothing() {
    let jobs = (0..40).map(|n| sample::job(n, if n % 2 == 0 { OLD } else { OTHER }, after(n))).collect();
    let world = with(Step { jobs, ..sample::step(1) }).await;
    for n in 0..40 {
        let state = match n % 8 {
            0..4 => DeliveryState::Parked,
            4 | 5 => DeliveryState::Expired,
            _ => DeliveryState::Delivered,
        };
        set(&world, n, n, if n % 2 == 0 { OLD } else { OTHER }, state).await;
    }
    world.clock.set(after(100));
    let before = all(&world).await;
    // Of the pixel, from second 8 on and up to 31: numbers 8, 10, 12 and so on, without those that were taken.
    let filter = json!({ "destination": "pixel:1", "date_start": after(8).iso(), "date_end": after(31).iso(), "dry_run": true });
    assert_eq!(pages(&world, REPLAY, 3, &filter).await.0, 9);
    assert_eq!(all(&world).await, before, "a dry run changes nothing");
    let mut now = filter.clone();
    now["dry_run"] = json!(false);
    assert_eq!(pages(&world, REPLAY, 3, &now).await.0, 9);
    for delivery in all(&world).await {
        let old = before.iter().find(|old| old.job.id == delivery.job.id).unwrap();
        assert_eq!(old.job, delivery.job, "event id and cause stay");
        let second = delivery.job.created_at.since(HOUR).as_secs();
        let asked = (8..32).contains(&second) && second % 2 == 0 && second % 8 < 6;
        assert_eq!(delivery.progress.state == DeliveryState::Waiting, asked, "{second}");
        if asked {
            assert_eq!(
                (delivery.progress.attempts, delivery.progress.next_attempt_at),
                (0, Some(after(100)))
            );
        }
    }
    assert_eq!(pages(&world, REPLAY, 3, &now).await.0, 0, "what waits is left alone");
    assert_eq!(
        pages(&world, REPLAY, 7, &json!({})).await.0,
        21,
        "the rest, whatever it was, of all destinations"
    );
}

#[tokio::test]
async fn what_was_taken_is_too_old_or_has_nobody_to_hear_it_is_left_alone_and_counted() {
    const GONE: Destination = Destination::Postback(PostbackId(9));
    let jobs =
        vec![sample::job(1, OLD, after(1)), sample::job(2, OLD, after(2)), sample::job(3, GONE, after(3))];
    let world = with(Step { jobs, ..sample::step(1) }).await;
    set(&world, 1, 1, OLD, DeliveryState::Delivered).await;
    set(&world, 2, 2, OLD, DeliveryState::Parked).await;
    set(&world, 3, 3, GONE, DeliveryState::Parked).await;
    world.clock.set(after(2).plus(Duration::from_secs(72 * 3600 + 1)));
    let page = world.send("POST", REPLAY, json!({})).await["data"].take();
    assert_eq!((&page["replayed"], &page["examined"]), (&json!(0), &json!(2)));
    assert_eq!(
        (&page["left_alone"]["too_old"], &page["left_alone"]["destination_gone"]),
        (&json!(1), &json!(1))
    );
    world.clock.set(after(10));
    let taken = json!({ "states": ["delivered"], "again": true });
    assert_eq!(world.send("POST", REPLAY, taken).await["data"]["replayed"], 1);
    for (body, field) in [
        (json!({ "states": ["delivered"] }), "states"),
        (json!({ "states": ["waiting"] }), "states"),
        (json!({ "states": ["sent"] }), "states"),
        (json!({ "kinds": ["sale"] }), "kinds"),
        (json!({ "destination": "pixel" }), "destination"),
        // Misspelt, it would widen what is sent again.
        (json!({ "destinaton": "pixel:1" }), "destinaton"),
        (json!({ "dry_runn": true }), "dry_runn"),
        (json!({ "date_start": "soon" }), "date_start"),
        (json!({ "date_start": "2026-03-05", "date_end": "2026-03-04" }), "date_end"),
    ] {
        assert_eq!(world.refused("POST", REPLAY, body.clone()).await, [field], "{body}");
    }
    assert_eq!(
        world.refused("POST", &format!("{REPLAY}?limit=0&cursor=x"), json!({})).await,
        ["cursor", "limit"]
    );
}

#[tokio::test]
async fn a_pixel_that_was_added_later_is_told_what_happened_before_once_and_under_the_same_event_ids() {
    let link = sample::link_id(1);
    let click = sample::click(1, link, HOUR);
    let id = Some(click.click.id);
    let mut rows: Vec<_> = (0..25)
        .map(|n| sample::conversion(n, link, id, ConversionKind::NewSubscriber, after(n / 10)))
        .collect();
    let purchase = |n, status: &str| {
        let mut row = sample::conversion(n, link, id, ConversionKind::NewTransaction, after(n));
        row.purchase = Purchase::First;
        row.transaction.as_mut().unwrap().status = status.to_owned();
        row
    };
    rows.extend([purchase(40, "done"), purchase(41, "chargeback")]);
    // Nothing to a pixel with the usual events.
    rows.push(sample::conversion(42, link, id, ConversionKind::MessageReceived, after(42)));
    let ids: HashSet<String> = rows.iter().map(|row| row.id.to_string()).collect();
    let world = with(Step { clicks: vec![click], conversions: rows, ..sample::step(1) }).await;
    world.clock.set(after(100));
    let kinds = json!(["new_subscriber", "first_transaction", "message_received"]);
    let dry = json!({ "into": "pixel:1", "dry_run": true, "kinds": kinds });
    let (replayed, examined, _) = pages(&world, INTO, 4, &dry).await;
    assert_eq!((replayed, examined), (26, 28), "each looked at once, however many of one moment there are");
    assert_eq!(waiting(&world).await, 0);
    // Of another list; any id would do.
    for other in [link.to_string(), "clicks".to_owned(), format!("parked.{link}")] {
        assert_eq!(world.refused("POST", &format!("{INTO}?cursor={other}"), dry.clone()).await, ["cursor"]);
    }
    let now = json!({ "into": "pixel:1", "kinds": kinds });
    let (replayed, _, rest) = pages(&world, INTO, 4, &now).await;
    assert_eq!((replayed, waiting(&world).await), (26, 26));
    let sum = |name: &str| rest.iter().map(|page| page[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("reversed"), sum("not_wanted")), (1, 1));
    let told = all(&world).await;
    assert!(told.iter().all(|delivery| ids.contains(&delivery.job.event_id)));
    assert!(told.iter().all(|delivery| delivery.job.destination == OLD));
    assert_eq!(pages(&world, INTO, 100, &now).await.0, 0, "what waits is left alone");
    // One was taken meanwhile, one was refused.
    for (nth, state) in [DeliveryState::Delivered, DeliveryState::Parked].into_iter().enumerate() {
        let ended = Progress { state, next_attempt_at: None, ..told[nth].progress.clone() };
        sample::record(&world.store, told[nth].job.id, None, ended).await.unwrap();
    }
    let (replayed, _, rest) = pages(&world, INTO, 100, &now).await;
    assert_eq!((replayed, &rest[0]["already_delivered"]), (1, &json!(1)));
    let again = json!({ "into": "pixel:1", "again": true, "kinds": kinds });
    assert_eq!(pages(&world, INTO, 100, &again).await.0, 1);
}

#[tokio::test]
async fn a_pixel_that_was_added_later_is_told_the_clicks_of_before_under_the_ids_attribution_gives_them() {
    let link = sample::link_id(1);
    let mut clicks: Vec<_> = (0..25).map(|n| sample::click(n, link, after(n / 10))).collect();
    clicks[3].is_duplicate = true;
    let bot = std::sync::Arc::make_mut(&mut clicks[4].click);
    bot.class = Class::Bot;
    let told: HashSet<String> = clicks
        .iter()
        .filter(|row| !row.is_duplicate && row.click.class == Class::Person)
        .map(|row| format!("clk_{}", row.click.id))
        .collect();
    let row = sample::conversion(1, link, Some(clicks[0].click.id), ConversionKind::NewSubscriber, after(30));
    let world = with(Step { clicks, conversions: vec![row], ..sample::step(1) }).await;
    world.clock.set(after(100));
    let dry = json!({ "into": "pixel:1", "dry_run": true });
    assert_eq!(pages(&world, INTO, 4, &dry).await.0, 24, "clicks of people, and the subscriber");
    let now = json!({ "into": "pixel:1", "kinds": ["click"] });
    assert_eq!(pages(&world, INTO, 4, &now).await.0, 23);
    let deliveries = all(&world).await;
    assert!(deliveries.iter().all(|delivery| delivery.job.kind == DeliveryKind::Click));
    let ids: HashSet<String> = deliveries.into_iter().map(|delivery| delivery.job.event_id).collect();
    assert_eq!(ids, told);
    assert_eq!(pages(&world, INTO, 100, &now).await.0, 0, "each once");
    // A postback hears of no click, a pixel without a name for it neither.
    let (_, examined, _) = pages(&world, INTO, 100, &json!({ "into": "postback:1", "dry_run": true })).await;
    assert_eq!(examined, 1);
    let mut pixel = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
    pixel.events.event_click = None;
    world.store.catalog.put_pixel(pixel).await.unwrap();
    assert_eq!(pages(&world, INTO, 100, &now).await.1, 0);
}

#[tokio::test]
async fn a_replay_to_a_deleted_destination_is_refused_with_the_way_out_and_changes_nothing() {
    let jobs = (0..4).map(|n| sample::job(n, if n % 2 == 0 { OLD } else { OTHER }, after(n))).collect();
    let world = with(Step { jobs, ..sample::step(1) }).await;
    for n in 0..2 {
        set(&world, n, n, if n % 2 == 0 { OLD } else { OTHER }, DeliveryState::Parked).await;
    }
    for n in 2..4 {
        set(&world, n, n, if n % 2 == 0 { OLD } else { OTHER }, DeliveryState::Delivered).await;
    }
    world.send("DELETE", "/api/x/pixels/1", json!({})).await;
    world.send("DELETE", "/api/smart-link-postbacks/1", json!({})).await;
    world.clock.set(after(100));
    let before = all(&world).await;
    for n in 0..4 {
        let to = if n % 2 == 0 { OLD } else { OTHER };
        let path = format!("/api/x/deliveries/{}", sample::job(n, to, after(n)).id);
        assert_eq!(world.get(&path).await["data"]["destination"]["deleted"], true);
        let (status, refused) = world.call("POST", &format!("{path}/replay"), None).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
        let words = refused["errors"]["destination"][0].as_str().unwrap();
        assert!(words.contains(&to.to_string()) && words.contains("replay-into"), "{words}");
    }
    assert_eq!(all(&world).await, before);
    assert_eq!(world.get("/api/x/deliveries/replays").await["data"], json!([]), "nobody had anything sent");
}

/// The permission for all ad platforms is that of pixels (contract F).
#[tokio::test]
async fn what_goes_to_an_ad_platform_again_needs_the_permission_for_pixels() {
    let to = [OLD, Destination::Postback(PostbackId(1))];
    let jobs = (0..2).map(|n| sample::job(n, to[n as usize], after(n))).collect();
    let world = with(Step { jobs, ..sample::step(1) }).await;
    let key = world.key_with(&["postbacks.manage"]).await;
    let ids = [0, 1].map(|n| sample::job(n, to[n as usize], after(n)).id);
    let asked = async |path: String, body: Value| {
        answer(world.request(reqwest::Method::POST, &path, &key).body(body.to_string())).await.0
    };
    for (id, want) in ids.iter().zip([StatusCode::FORBIDDEN, StatusCode::OK]) {
        assert_eq!(asked(format!("/api/x/deliveries/{id}/replay"), json!({})).await, want);
    }
    for (filter, want) in [
        (json!({}), StatusCode::FORBIDDEN),
        (json!({ "destination": "pixel:1" }), StatusCode::FORBIDDEN),
        (json!({ "destination": "postback:1" }), StatusCode::OK),
    ] {
        assert_eq!(asked(REPLAY.to_owned(), filter.clone()).await, want, "{filter}");
    }
}

#[tokio::test]
async fn a_replay_leaves_a_row_that_says_who_asked_when_for_what_and_how_many_went() {
    const LIST: &str = "/api/x/deliveries/replays";
    let jobs = (0..10).map(|n| sample::job(n, OLD, after(n))).collect();
    let world = with(Step { jobs, ..sample::step(1) }).await;
    for n in 0..10 {
        set(&world, n, n, OLD, DeliveryState::Parked).await;
    }
    world.clock.set(after(100));
    let one = sample::job(9, OLD, after(9)).id;
    world.send("POST", &format!("/api/x/deliveries/{one}/replay"), json!({})).await;
    world.clock.set(after(200));
    let filter = json!({ "destination": "pixel:1", "states": ["parked"] });
    let mut dry = filter.clone();
    dry["dry_run"] = json!(true);
    pages(&world, REPLAY, 4, &dry).await;
    let (replayed, examined, rest) = pages(&world, REPLAY, 4, &filter).await;
    let rows = world.get(LIST).await["data"].take();
    assert_eq!(
        rows.as_array().unwrap().len(),
        2,
        "one for each that was asked for, none for the dry run: {rows}"
    );
    let whoami = world.get("/api/whoami").await;
    let newest = &rows[0];
    assert_eq!(newest["what"], "again");
    assert_eq!(newest["filter"], filter);
    assert_eq!(newest["asked_at"], after(200).iso());
    let sums = (newest["replayed"].as_u64(), newest["examined"].as_u64(), newest["pages"].as_u64());
    assert_eq!(sums, (Some(replayed), Some(examined), Some(rest.len() as u64)));
    assert_eq!(replayed, 9);
    assert!(newest["key"]["id"].is_u64() && newest["key"]["name"].is_string(), "{newest} {whoami}");
    assert_eq!(
        (&rows[1]["what"], &rows[1]["filter"]["delivery_id"], &rows[1]["replayed"]),
        (&json!("one"), &json!(one.to_string()), &json!(1))
    );
    // Another filter, or another key, is another replay, whatever cursor comes with it.
    let cursor = format!("?cursor=parked.~{}", newest["id"].as_str().unwrap());
    world.send("POST", &format!("{REPLAY}{cursor}"), json!({ "destination": "pixel:1" })).await;
    let key = world.key_with(&["postbacks.manage", "meta-pixels.manage"]).await;
    let asked =
        world.request(reqwest::Method::POST, &format!("{REPLAY}{cursor}"), &key).body(filter.to_string());
    assert_eq!(answer(asked).await.0, StatusCode::OK);
    let after_all = world.get(LIST).await["data"].take();
    assert_eq!(after_all.as_array().unwrap().len(), 4);
    assert!(after_all.as_array().unwrap().contains(newest), "untouched");
    let first = world.get(&format!("{LIST}?limit=3")).await;
    let next = first["_pagination"]["next_cursor"].as_str().unwrap();
    assert_eq!(world.get(&format!("{LIST}?limit=3&cursor={next}")).await["data"][0]["what"], "one");
    let stranger = answer(world.request(reqwest::Method::GET, LIST, &world.stranger)).await;
    assert_eq!(stranger.1["data"], json!([]));
}

#[tokio::test]
async fn a_replay_into_a_destination_keeps_to_its_events_its_links_its_age_and_its_team() {
    let link = sample::link_id(1);
    let kinds = [ConversionKind::NewSubscriber, ConversionKind::NewTransaction];
    let conversions =
        (0..6).map(|n| sample::conversion(n, link, None, kinds[n as usize % 2], after(n * 3600))).collect();
    let world = with(Step { conversions, ..sample::step(1) }).await;
    world.store.catalog.put_postback(postback(2, vec![ConversionKind::NewTransaction])).await.unwrap();
    let nowhere = sample::pixel(2, TEAM);
    world.store.catalog.put_pixel(nowhere).await.unwrap();
    world.store.catalog.put_pixel(sample::pixel(3, STRANGER)).await.unwrap();
    world.clock.set(after(2 * 3600 + 72 * 3600));
    let page = world.send("POST", INTO, json!({ "into": "postback:2" })).await["data"].take();
    assert_eq!((&page["replayed"], &page["left_alone"]["not_wanted"]), (&json!(2), &json!(3)));
    assert_eq!(page["left_alone"]["too_old"], 1, "the transaction of the first hours");
    let page = world.send("POST", INTO, json!({ "into": "pixel:2" })).await["data"].take();
    assert_eq!(page["examined"], 0, "it is on no link");
    let only = json!({ "into": "postback:1", "kinds": ["new_transaction"], "date_start": after(4 * 3600).iso(), "dry_run": true });
    assert_eq!(world.send("POST", INTO, only).await["data"]["replayed"], 1);
    assert_eq!(world.refused("POST", INTO, json!({})).await, ["into"]);
    assert_eq!(world.refused("POST", INTO, json!({ "into": "pixel:3" })).await, ["into"]);
    let many: serde_json::Map<String, Value> = (0..1_000).map(|n| (format!("x{n}"), json!(1))).collect();
    assert_eq!(world.refused("POST", REPLAY, Value::Object(many)).await.len(), 10, "not a line for each");
    let misspelt = json!({ "into": "pixel:1", "date_strat": "2026-03-01" });
    assert_eq!(world.refused("POST", INTO, misspelt).await, ["date_strat"]);
    assert_eq!(world.refused("POST", INTO, json!({ "into": "postback:x" })).await, ["into"]);
    let key = world.key_with(&["postbacks.manage"]).await;
    let ask = async |key: &str, into: &str| {
        let body = json!({ "into": into, "dry_run": true }).to_string();
        answer(world.request(reqwest::Method::POST, INTO, key).body(body)).await.0
    };
    assert_eq!(ask(&key, "pixel:1").await, StatusCode::FORBIDDEN);
    assert_eq!(ask(&key, "postback:1").await, StatusCode::OK);
    assert_eq!(ask(&world.stranger, "postback:1").await, StatusCode::UNPROCESSABLE_ENTITY);
}
