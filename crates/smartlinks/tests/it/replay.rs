//! What is sent again: by a service that was killed, and because somebody asks for it.

use serde_json::json;

use crate::{
    creator::{LINK, prepare},
    process::Service,
    world::Ads,
};

fn visits(service: &Service, visitors: std::ops::RangeInclusive<u32>) {
    for visitor in visitors {
        assert_eq!(service.visit(&LINK.to_string(), visitor).unwrap().status, 302);
    }
}

/// Waits until the receiver has taken so many.
fn until_taken(ads: &Ads, events: u64) {
    for _ in 0..600 {
        if ads.meta().accepted >= events {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{:?}", ads.meta());
}

#[test]
fn kill_9_between_sending_and_recording_sends_the_same_bytes_again_and_never_others() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 100);
    let ads = Ads::start();
    let service = ads.service(dir.path());
    let key = service.owner_key.clone().unwrap();
    ads.pixel(&service, &key);
    // It takes them, and the service never hears of it.
    ads.stall(&json!({ "ms": 600_000 }));
    visits(&service, 1..=1);
    until_taken(&ads, 1);
    let taken = ads.meta();
    assert_eq!((taken.accepted, taken.distinct), (1, 1));
    service.kill();
    ads.stall(&json!({}));
    let service = ads.service(dir.path());
    service.until(&key, "/api/x/deliveries?state=delivered", |shown| {
        shown["data"].as_array().is_some_and(|rows| rows.len() == 1)
    });
    let meta = ads.meta();
    assert_eq!(
        (meta.accepted, meta.distinct, meta.changed),
        (2, 1, 0),
        "twice, with the same bytes, and counted once"
    );
}

/// The same of a request with many events: whatever each of them comes together with afterwards.
#[test]
fn kill_9_between_sending_and_recording_many_events_sends_the_same_bytes_of_each_again() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 200);
    let ads = Ads::start();
    let service = ads.service(dir.path());
    let key = service.owner_key.clone().unwrap();
    visits(&service, 1..=100);
    service.settle(&key);
    ads.pixel(&service, &key);
    visits(&service, 101..=101);
    until_taken(&ads, 1);
    service.settle(&key);
    // It takes a hundred at once, and the service never hears of it.
    ads.stall(&json!({ "ms": 600_000 }));
    let told = service.post(&key, "/api/x/deliveries/replay-into?limit=500", &json!({ "into": "pixel:1" }));
    assert_eq!(told["data"]["replayed"], 100, "{told}");
    until_taken(&ads, 101);
    assert_eq!(ads.meta().together, 100);
    service.kill();
    ads.stall(&json!({}));
    let service = ads.service(dir.path());
    service.until(&key, "/api/x/deliveries?state=delivered&limit=500", |shown| {
        shown["data"].as_array().is_some_and(|rows| rows.len() == 101)
    });
    let meta = ads.meta();
    assert_eq!((meta.accepted, meta.distinct, meta.changed), (201, 101, 0));
}

#[test]
fn what_was_refused_goes_out_when_somebody_asks_for_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 300);
    let ads = Ads::start();
    let service = ads.service(dir.path());
    let key = service.owner_key.clone().unwrap();
    ads.pixel(&service, &key);
    ads.fail(&json!({ "status": 400 }));
    visits(&service, 1..=7);
    service.until(&key, "/api/x/progress", |shown| shown["data"]["outbox"]["parked"] == 7);
    ads.fail(&json!({}));
    let path = "/api/x/deliveries/replay?limit=3";
    let replay = |dry_run: bool| {
        let (mut replayed, mut cursor) = (0, String::new());
        loop {
            let page = service.post(&key, &format!("{path}{cursor}"), &json!({ "dry_run": dry_run }));
            replayed += page["data"]["replayed"].as_u64().unwrap();
            match page["_pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return replayed,
            }
        }
    };
    assert_eq!(replay(true), 7);
    assert_eq!(service.api(&key, "/api/x/progress")["data"]["outbox"]["parked"], 7, "nothing was done");
    assert_eq!(replay(false), 7);
    service.until(&key, "/api/x/deliveries?state=delivered", |shown| {
        shown["data"].as_array().is_some_and(|rows| rows.len() == 7)
    });
    let meta = ads.meta();
    assert_eq!((meta.accepted, meta.distinct, meta.changed), (7, 7, 0));
    assert_eq!(replay(false), 0);
}
