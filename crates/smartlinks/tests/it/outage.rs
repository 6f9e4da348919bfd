//! What goes on while others are down, and what is made up for afterwards.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::{
    creator::{LINK, address, prepare},
    process::Service,
    world::{Ads, Platform},
};

/// Where visitors go when there is no pool link.
const PROFILE: &str = "https://onlyfans.com/creator";

#[test]
fn a_platform_that_is_down_stops_no_redirect_and_everybody_is_matched_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 0);
    let platform = Platform::start("creator");
    platform.act("fail", &json!({ "status": 503 }));
    let service = platform.service(dir.path());
    let key = service.owner_key.clone().unwrap();
    platform.webhooks_to(service.admin);
    let link = LINK.to_string();
    assert_eq!(service.visit(&link, 1).unwrap().location.as_deref(), Some(PROFILE));

    platform.act("fail", &json!({}));
    service.until(&key, "/api/x/pool", |shown| shown["data"][0]["leased"].as_u64() > Some(0));
    let place = service.visit(&link, 2).unwrap().location.unwrap();
    assert_ne!(place, PROFILE);

    platform.act("fail", &json!({ "status": 503 }));
    platform.act("subscribe", &json!({ "link": place, "fan": { "id": 900 } }));
    service.until(&key, "/api/x/progress", |shown| shown["data"]["matcher"]["backlog"].as_u64() > Some(0));
    assert_eq!(service.visit(&link, 3).unwrap().status, 302);
    let shown = format!("/api/smart-links/{link}");
    assert_eq!(service.api(&key, &shown)["data"]["subscribers_count"], 0);

    platform.act("fail", &json!({}));
    let shown = service.until(&key, &shown, |shown| shown["data"]["subscribers_count"] == 1);
    assert_eq!(shown["data"]["revenue"], "10.00", "{shown}");
}

#[test]
fn a_receiver_that_is_down_gets_everything_afterwards_one_body_per_event() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 300);
    let ads = Ads::start();
    ads.fail(&json!({ "status": 503, "count": 4 }));
    let service = ads.service(dir.path());
    let key = service.owner_key.clone().unwrap();
    ads.pixel(&service, &key);
    for visitor in 1..=6 {
        assert_eq!(service.visit(&LINK.to_string(), visitor).unwrap().status, 302);
    }
    service.until(&key, "/api/x/deliveries?state=delivered", |shown| {
        shown["data"].as_array().is_some_and(|rows| rows.len() == 6)
    });
    let meta = ads.meta();
    assert_eq!((meta.distinct, meta.accepted, meta.changed, meta.turned_away), (6, 6, 0, 4));
}

#[test]
fn garbage_on_every_port_harms_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path(), 300);
    let mut service = Service::start(dir.path());
    let key = service.owner_key.clone().unwrap();
    let mut chance = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let socket = dir.path().join("control.sock");
    for round in 0..60 {
        let mut bytes = vec![0; 1 << (round % 15)];
        chance.fill_bytes(&mut bytes);
        if round % 3 == 0 {
            // Something that begins well.
            bytes.splice(
                ..0,
                *b"POST /webhooks/onlyfansapi HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n",
            );
        }
        throw(service.edge, &bytes);
        throw(service.admin, &bytes);
        let mut control = UnixStream::connect(&socket).unwrap();
        let _ = control.write_all(&bytes);
    }
    let place = service.visit(&LINK.to_string(), 1).unwrap().location.unwrap();
    assert!((1..=300).map(address).any(|own| own == place), "{place}");
    service.settle(&key);
    assert_eq!(service.terminate().code(), Some(0));
}

/// Sends it and hangs up; whether it is taken or refused is the other's business.
fn throw(to: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.read(&mut [0; 64]);
}

#[test]
#[ignore = "an experiment"]
fn disk_full() {
    let dir = std::path::PathBuf::from(std::env::var("FULL_DIR").unwrap());
    prepare(&dir, 3000);
    let mut service =
        Service::start_with(&dir, &[("JOURNAL__SEGMENT", "1MiB"), ("EDGE__DURABLE_WAIT", "1s")]);
    let key = service.owner_key.clone().unwrap();
    for visitor in 1..=20 {
        service.visit(&LINK.to_string(), visitor).unwrap();
    }
    let full = dir.join("filler");
    let mut file = std::fs::File::create(&full).unwrap();
    let block = vec![1u8; 1 << 16];
    while file.write_all(&block).is_ok() {}
    let mut kinds = std::collections::BTreeMap::new();
    for visitor in 100..8000 {
        let answer = service.visit(&LINK.to_string(), visitor);
        *kinds
            .entry(answer.map_or_else(
                |error| error.to_string(),
                |answer| {
                    format!("{} {}", answer.status, answer.location.is_some_and(|place| place == PROFILE))
                },
            ))
            .or_insert(0) += 1;
    }
    println!("{kinds:?}");
    drop(file);
    std::fs::remove_file(&full).unwrap();
    thread::sleep(Duration::from_secs(3));
    for visitor in 10_000..10_020 {
        let answer = service.visit(&LINK.to_string(), visitor);
        println!("{:?}", answer.map(|answer| (answer.status, answer.location)));
    }
    println!("{}", service.api(&key, "/api/x/progress"));
    println!("{:?}", service.terminate());
}
