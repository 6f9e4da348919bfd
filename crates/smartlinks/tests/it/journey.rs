//! The whole way of a fan against a simulated creator platform: ad, click, subscription, money, postback.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    process::Service,
    world::{Ads, Platform},
};

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

    // A preview of the ad, as an app's link checker makes it.
    service.shared(&link);
    let place = service.visit(&link, 1).unwrap().location.unwrap();
    assert!(place.starts_with("https://onlyfans.com/nova/c"), "{place}");
    platform.act("subscribe", &json!({ "link": place, "fan": { "id": 501 } }));
    let shown = format!("/api/smart-links/{link}");
    service.until(&key, &shown, |shown| shown["data"]["subscribers_count"] == 1);
    platform.act("spend", &json!({ "account": "acct_1", "fan": 501, "type": "tip", "amount_cents": 2000 }));
    // The price of the subscription and the tip.
    let shown = service.until(&key, &shown, |shown| shown["data"]["revenue"].as_str() == Some("30.00"));
    assert_eq!(shown["data"]["clicks_count"], 1, "{shown}");
    assert_eq!(service.api(&key, &format!("/api/x/smart-links/{link}"))["data"]["speculative"], 1);

    let lines: Vec<String> = told.iter().take(3).collect();
    for wanted in ["t=new_subscriber&n=8.00", "t=new_transaction&n=8.00", "t=new_transaction&n=16.00"] {
        assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted}: {lines:?}");
    }
    service.settle(&key);
    assert_eq!(service.terminate().code(), Some(0));
}

#[test]
fn nobody_is_sent_to_a_link_that_the_creator_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let platform = Platform::start("nova");
    let service = platform.service_with(dir.path(), &[("POOL__MIN", "20")]);
    let key = service.owner_key.clone().unwrap();
    let link = set_up(&service, &key, tracker().0);
    service.until(&key, "/api/x/pool", |shown| shown["data"][0]["leased"] == 20);
    let shared = service.shared(&link);
    let all = (1..=21).map(|code| format!("https://onlyfans.com/nova/c{code}"));
    let ended: Vec<String> = all.filter(|link| *link != shared).collect();
    assert!(ended.contains(&service.visit(&link, 1).unwrap().location.unwrap()));
    for link in &ended {
        platform.act("end-link", &json!({ "link": link }));
    }
    service.until_said("pool links at hand lead nowhere any more");
    // New ones are made, and until then the overflow link is there for everybody.
    let (mut visitor, mut own) = (1, 0);
    while own < 10 {
        visitor += 1;
        assert!(visitor < 2000, "nobody gets a link of their own any more");
        let place = service.visit(&link, visitor).unwrap().location.unwrap();
        assert!(!ended.contains(&place), "visitor {visitor} was sent to {place}");
        own += usize::from(place != shared);
        thread::sleep(Duration::from_millis(20));
    }
    let counted = service.get("/metrics");
    let line = "smartlinks_pool_links_ended_total{account=\"acct_1\",type=\"tracking_link\"} 20";
    assert!(counted.contains(line), "{counted}");
}

/// A pixel of each platform on the link; their numbers.
fn pixels(service: &Service, key: &str, link: &str) -> Vec<u64> {
    let pixels = [
        ("meta", "1234567890123456"),
        ("tiktok", "CABC1DEF2GHI3JKL4MNO"),
        ("snapchat", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"),
        ("creatortraffic", ""),
    ];
    let attach = |(platform, id)| {
        let pixel = json!({ "platform": platform, "pixel_id": id, "pixel_access_token": "TOKEN-1" });
        let made = service.post(key, &format!("/api/smart-links/{link}/pixels"), &pixel);
        made["data"]["id"].as_u64().unwrap()
    };
    pixels.into_iter().map(attach).collect()
}

#[test]
fn every_ad_platform_is_told_what_it_takes_and_says_what_it_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let (platform, ads) = (Platform::start("nova"), Ads::start());
    let creatortraffic = format!("{}/creatortraffic/conversion", ads.url());
    let service = platform.service_with(
        dir.path(),
        &[
            ("EDGE__TRUSTED_PROXIES", "127.0.0.0/8"),
            ("AD_PLATFORMS__META__BASE_URL", &ads.url()),
            ("AD_PLATFORMS__TIKTOK__BASE_URL", &ads.url()),
            ("AD_PLATFORMS__SNAPCHAT__BASE_URL", &ads.url()),
            ("AD_PLATFORMS__CREATORTRAFFIC__BASE_URL", &creatortraffic),
        ],
    );
    platform.webhooks_to(service.admin);
    let key = service.owner_key.clone().unwrap();
    let (tracker, _told) = tracker();
    let link = set_up(&service, &key, tracker);
    let pixels = pixels(&service, &key, &link);

    // As long as they may be, in both cases: they come out as they came in.
    let long = "aB-_9zQ".repeat(140);
    let (fbclid, ttclid, sccid) =
        (format!("IwAR{long}{long}"), format!("E.C.P.{long}"), format!("Sc{long}{long}"));
    let query = format!("ecid=ct_77&utm_source=creatortraffic&fbclid={fbclid}&ttclid={ttclid}&ScCid={sccid}");
    let place = service.visit_by(&link, 1, &query).unwrap().location.unwrap();
    platform.act("subscribe", &json!({ "link": place, "fan": { "id": 501 } }));
    let shown = format!("/api/smart-links/{link}");
    service.until(&key, &shown, |shown| shown["data"]["subscribers_count"] == 1);
    platform.act("spend", &json!({ "account": "acct_1", "fan": 501, "type": "tip", "amount_cents": 2000 }));
    service.until(&key, &shown, |shown| shown["data"]["revenue"].as_str() == Some("30.00"));
    service.settle(&key);
    for (receiver, names) in [
        ("meta", vec!["Purchase", "Subscribe", "ViewContent"]),
        ("tiktok", vec!["CompletePayment", "Subscribe", "ViewContent"]),
        ("snapchat", vec!["PURCHASE", "SIGN_UP", "VIEW_CONTENT"]),
        ("creatortraffic", vec!["subscribe"]),
    ] {
        let state = ads.of(receiver);
        assert_eq!(state.distinct_by_name.keys().collect::<Vec<_>>(), names, "{receiver}: {state:?}");
        assert!(state.refused.is_empty() && state.read_over.is_empty(), "{receiver}: {state:?}");
    }

    for (nth, receiver, id) in [(0, "meta", &fbclid), (1, "tiktok", &ttclid), (2, "snapchat", &sccid)] {
        let told = service.api(&key, &format!("/api/x/deliveries?destination=pixel:{}", pixels[nth]));
        let told = told["data"].as_array().unwrap();
        assert_eq!(told.len(), 3);
        for row in told {
            let sent = ads.sent(receiver, row["event_id"].as_str().unwrap());
            assert!(sent.contains(id.as_str()), "{receiver}: {sent}");
            assert!(row["match_quality"].as_f64() > Some(4.0), "{row}");
        }
    }

    // By hand: TikTok and Snapchat have channels of their own, and say what they dislike.
    let test = |pixel: u64, body| {
        service.try_post(&key, &format!("/api/smart-links/{link}/pixels/{pixel}/test-event"), &body)
    };
    let paid = "event_new_subscriber_paid";
    let (tiktok, snapchat) = (pixels[1], pixels[2]);
    assert_eq!(test(tiktok, json!({ "event_type": paid, "test_event_code": "TEST1" })).status, 200);
    assert_eq!(test(tiktok, json!({ "event_type": paid })).status, 422, "TikTok needs a code");
    assert_eq!(test(snapchat, json!({ "event_type": paid })).status, 200);
    assert_eq!(
        test(snapchat, json!({ "event_type": "event_fan_sent_1_message" })).status,
        200,
        "an event that is off"
    );
    assert_eq!((ads.of("tiktok").tests, ads.of("snapchat").tests), (1, 2));
    ads.fail(&json!({ "status": 401, "count": 1, "only": "tiktok" }));
    let refused = test(tiktok, json!({ "event_type": paid, "test_event_code": "TEST1" }));
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("Access token is incorrect"), "{}", refused.body);
    assert_eq!(
        test(pixels[3], json!({ "event_type": paid })).status,
        422,
        "CreatorTraffic knows no test events"
    );
}
