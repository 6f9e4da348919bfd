//! `/api/x/`: progress, one click, deliveries, dead letters, pool.

use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sl_core::{
    breaker::{Rest, Resting},
    conversion::ConversionKind,
    delivery::{Attempt, DeliveryState, Destination, Progress},
    event::EventBody,
    ids::{PixelId, PostbackId},
    step::{DeadLetter, Step},
    time::Timestamp,
};
use sl_store::suite::sample::{self, HOUR, TEAM, after};

use crate::world::World;

async fn with(step: Step) -> World {
    let world = World::start().await;
    world.store.catalog.put_link(sample::smart_link(1, TEAM)).await.unwrap();
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(step).await.unwrap();
    world
}

#[tokio::test]
async fn progress_has_its_shape_and_settles_when_nothing_is_due() {
    let world = World::start().await;
    let data = world.get("/api/x/progress").await["data"].take();
    assert_eq!(
        data,
        json!({
            "journal": { "head": 0, "synced": 0 }, "attribution": { "position": 0, "lag_seconds": 0.0 },
            "matcher": { "backlog": 0 }, "outbox": { "due": 0, "waiting": 0, "parked": 0 },
            "dead_letters": 0, "settled": true,
        })
    );
    let job = sample::job(1, Destination::Pixel(PixelId(1)), HOUR);
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(Step { jobs: vec![job], ..sample::step(1) }).await.unwrap();
    let data = world.get("/api/x/progress").await["data"].take();
    assert_eq!((&data["outbox"]["due"], &data["settled"]), (&json!(1), &json!(false)));
}

#[tokio::test]
async fn a_click_is_shown_with_everything_that_hangs_on_it() {
    let link = sample::link_id(1);
    let mut click = sample::click(1, link, HOUR);
    Arc::make_mut(&mut click.click).params.twclid = Some("tw1".to_owned());
    let id = click.click.id;
    let conversion = sample::conversion(3, link, Some(id), ConversionKind::NewTransaction, after(9));
    let mut job = sample::job(4, Destination::Postback(PostbackId(7)), after(9));
    job.click = Some(id);
    let world =
        with(Step { clicks: vec![click], conversions: vec![conversion], jobs: vec![job], ..sample::step(1) })
            .await;
    let data = world.get(&format!("/api/x/clicks/{id}")).await["data"].take();
    assert_eq!(data["click"]["id"], id.to_string());
    assert_eq!((&data["parameters"]["twclid"], &data["parameters"]["epik"]), (&json!("tw1"), &json!(null)));
    assert_eq!(
        (&data["rung"], &data["pool_link"], &data["window_seconds"]),
        (&json!("fresh"), &json!("c1"), &json!(21600))
    );
    assert_eq!(data["conversions"][0]["amount_gross"], 10.03);
    assert_eq!(
        data["deliveries"][0]["destination"],
        json!({ "kind": "postback", "id": 7, "platform": null, "label": null, "deleted": true })
    );
    let (status, _) = world.call("GET", "/api/x/clicks/01kz5a1b2c3d4e5f6g7h8j9k0m", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn deliveries_filter_page_and_can_be_replayed() {
    let jobs: Vec<_> =
        (1..=3).map(|n| sample::job(n, Destination::Pixel(PixelId(n % 2)), after(n))).collect();
    let parked = jobs[0].id;
    let world = with(Step { jobs, ..sample::step(1) }).await;
    world.store.catalog.put_pixel(sample::pixel(1, TEAM)).await.unwrap();
    let attempt = Attempt {
        at: after(9),
        millis: 7,
        status: Some(400),
        error_type: Some("http".into()),
        message: Some("Invalid token".into()),
    };
    let progress = Progress {
        state: DeliveryState::Parked,
        attempts: 3,
        next_attempt_at: None,
        reason: Some("refused".into()),
        last: Some(attempt.clone()),
        ..Progress::fresh(HOUR)
    };
    sl_store::suite::sample::record(&world.store, parked, Some(attempt), progress).await.unwrap();
    let first = world.get("/api/x/deliveries?limit=2").await;
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    let cursor = first["_pagination"]["next_cursor"].as_str().unwrap();
    let second = world.get(&format!("/api/x/deliveries?limit=2&cursor={cursor}")).await;
    assert_eq!(second["data"][0]["id"], parked.to_string());
    assert_eq!(second["_pagination"]["next_cursor"], Value::Null);
    assert_eq!(world.get("/api/x/deliveries?destination=pixel:0").await["data"].as_array().unwrap().len(), 1);
    let row = world.get("/api/x/deliveries?state=parked").await["data"][0].take();
    assert_eq!(
        (&row["reason"], &row["last"]["status_code"], &row["attempts"]),
        (&json!("refused"), &json!(400), &json!(3))
    );
    let shown = world.get(&format!("/api/x/deliveries/{parked}")).await;
    assert_eq!(shown["data"]["attempt_log"][0]["message"], "Invalid token");
    world.clock.set(after(60));
    let replayed =
        world.send("POST", &format!("/api/x/deliveries/{parked}/replay"), json!({})).await["data"].take();
    assert_eq!(
        (&replayed["state"], &replayed["attempts"], &replayed["reason"]),
        (&json!("waiting"), &json!(0), &Value::Null)
    );
    assert_eq!(replayed["next_attempt_at"], "2026-03-04T20:01:00+00:00");
    assert_eq!(replayed["event_id"], row["event_id"], "a receiver that has it recognises it");
    assert_eq!(world.get("/api/x/deliveries?state=parked").await["data"], json!([]));
    for bad in ["state=sent", "destination=pixel", "cursor=x"] {
        assert_eq!(
            world.call("GET", &format!("/api/x/deliveries?{bad}"), None).await.0,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn what_waits_for_a_destination_that_rests_says_when_it_is_tried_again() {
    let to = |n| Destination::Pixel(PixelId(n));
    let jobs = vec![sample::job(1, to(1), after(1)), sample::job(2, to(2), after(2))];
    let ids = [jobs[0].id, jobs[1].id];
    let world = with(Step { jobs, ..sample::step(1) }).await;
    let resting = Resting { rest: Rest { from: after(5), until: after(60) }, version: HOUR };
    world.store.outbox.rest(to(1), Some(resting)).await.unwrap();
    world.clock.set(after(30));
    let mut told = Vec::new();
    for id in ids {
        let shown = world.get(&format!("/api/x/deliveries/{id}")).await["data"]["next_attempt_at"].take();
        told.push(shown);
    }
    assert_eq!(told, [after(60).iso(), after(2).iso()]);
    let listed = world.get("/api/x/deliveries?destination=pixel:1").await;
    assert_eq!(listed["data"][0]["next_attempt_at"], after(60).iso());
    assert_eq!(
        world.get("/api/x/progress").await["data"]["outbox"],
        json!({ "due": 1, "waiting": 2, "parked": 0 })
    );
    world.clock.set(after(60));
    let shown = world.get(&format!("/api/x/deliveries/{}", ids[0])).await;
    assert_eq!(shown["data"]["next_attempt_at"], after(1).iso(), "due since then");
}

#[tokio::test]
async fn a_dead_letter_is_shown_and_goes_into_the_journal_again() {
    let letter = sample::dead_letter(1, HOUR);
    // As after an update that knows what to do with it.
    let body = br#"{"event":"posts.liked","account_id":"acct_sample","payload":{}}"#.to_vec();
    let usable = DeadLetter { body, ..sample::dead_letter(2, Timestamp(HOUR.0 - 60_000)) };
    let letters = vec![letter.clone(), usable.clone()];
    let world = with(Step { dead_letters: letters, ..sample::step(1) }).await;
    let row = world.get("/api/x/dead-letters").await["data"][0].take();
    assert_eq!(
        row,
        json!({ "id": letter.id.to_string(), "received_at": "2026-03-04T20:00:00+00:00",
        "event": "transactions.new", "account_id": "acct_sample", "reason": "payload.amount: missing", "body": "{}" })
    );
    let path = |letter: &DeadLetter| format!("/api/x/dead-letters/{}/retry", letter.id);
    assert_eq!(world.refused("POST", &path(&letter), json!({})).await, ["body"]);
    assert!(world.journaled().is_empty(), "it is kept where it is");
    let letter = usable;
    world.send("POST", &path(&letter), json!({})).await;
    let records = world.journaled();
    let EventBody::Webhook(webhook) = &records[0].event.body else { panic!("{records:?}") };
    assert_eq!((webhook.retry_of, &webhook.key, &webhook.body), (Some(letter.id), &letter.key, &letter.body));
    let (status, _) = world.call("POST", "/api/x/dead-letters/01KZ5C0V0000000000000000AB/retry", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_pool_is_counted_per_stock_and_a_needed_stock_is_shown_before_it_exists() {
    let world = World::start().await;
    world.store.pool.add(sample::new_links(&sample::stock(), 1..4)).await.unwrap();
    let trial =
        json!({ "account_id": "acct_sample", "name": "n", "link_type": "free_trial", "free_trial_days": 30 });
    world.send("POST", "/api/smart-links", trial).await;
    let rows = world.get("/api/x/pool").await["data"].take();
    assert_eq!(
        rows[0],
        json!({ "account_id": "acct_sample", "link_type": "tracking_link", "trial_days": null,
        "fresh": 3, "leased": 0, "given": 0, "quarantined": 0, "recycled": 0, "used": 0, "forecast_per_hour": 12.5,
        "time_to_empty_seconds": null, "last_refill_at": null, "last_error": "401" })
    );
    assert_eq!((&rows[1]["trial_days"], &rows[1]["fresh"]), (&json!(30), &json!(0)));
}
