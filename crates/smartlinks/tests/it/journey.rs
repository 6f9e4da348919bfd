//! The whole way of a fan against a simulated creator platform: ad, click, subscription, money, postback.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    thread,
};

use serde_json::json;

use crate::{process::Service, world::Platform};

/// A tracker that hands on the request lines it gets.
fn tracker() -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (got, lines) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut text = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = text.next().unwrap().unwrap();
            while text.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = got.send(first);
        }
    });
    (address, lines)
}

/// A link and a postback for everything.
fn set_up(service: &Service, key: &str, tracker: SocketAddr) -> String {
    service.until(key, "/api/accounts", |shown| shown[0]["onlyfans_username"] == "nova");
    let link = json!({ "account_id": "acct_1", "name": "Ad", "link_type": "tracking_link" });
    let link = service.post(key, "/api/smart-links", &link)["data"]["id"].as_str().unwrap().to_owned();
    let postback = json!({
        "url": format!("http://{tracker}/pb?c={{click_id}}&t={{conversion_type}}&n={{amount_net}}"),
        "smart_link_scope": "global",
        "conversion_types": ["new_subscriber", "new_transaction"],
    });
    service.post(key, "/api/smart-link-postbacks", &postback);
    service.until(key, "/api/x/pool", |shown| shown["data"][0]["leased"].as_u64() > Some(0));
    link
}

#[test]
fn a_fan_is_credited_to_the_click_and_the_tracker_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let platform = Platform::start("nova");
    let mut service = platform.service(dir.path());
    platform.webhooks_to(service.admin);
    let key = service.owner_key.clone().unwrap();
    let (tracker, told) = tracker();
    let link = set_up(&service, &key, tracker);

    let place = service.visit(&link, 1).unwrap().location.unwrap();
    assert!(place.starts_with("https://onlyfans.com/nova/c"), "{place}");
    platform.act("subscribe", &json!({ "link": place, "fan": { "id": 501 } }));
    let shown = format!("/api/smart-links/{link}");
    service.until(&key, &shown, |shown| shown["data"]["subscribers_count"] == 1);
    platform.act("spend", &json!({ "account": "acct_1", "fan": 501, "type": "tip", "amount_cents": 2000 }));
    // The price of the subscription and the tip.
    let shown = service.until(&key, &shown, |shown| shown["data"]["revenue"].as_str() == Some("30.00"));
    assert_eq!(shown["data"]["clicks_count"], 1, "{shown}");

    let lines: Vec<String> = told.iter().take(3).collect();
    for wanted in ["t=new_subscriber&n=8.00", "t=new_transaction&n=8.00", "t=new_transaction&n=16.00"] {
        assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted}: {lines:?}");
    }
    service.settle(&key);
    assert_eq!(service.terminate().code(), Some(0));
}
