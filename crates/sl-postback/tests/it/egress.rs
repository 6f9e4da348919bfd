//! Promise 9: outbound requests reach no private network, follow nothing, read no more than they must, tell no secret.

use axum::{http::StatusCode, response::IntoResponse};
use sl_core::delivery::DeliveryState;

use sl_postback::{Egress, Forbidden};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{Receiver, World, confirmed, postback};

/// What a destination can't be: private and special ranges of both families, each way to spell an address, translated and
/// mapped forms, other schemes, and user names.
const REFUSED: [&str; 84] = [
    // Private and special, IPv4.
    "http://0.0.0.0/",
    "http://0.1.2.3/",
    "http://10.0.0.1/",
    "http://10.255.255.255:8080/",
    "http://100.64.0.1/",
    "http://100.127.255.254/",
    "http://127.0.0.1/",
    "http://127.255.255.254/",
    "http://169.254.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.0.0.1/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://192.168.0.1/",
    "https://192.168.255.255:8443/",
    "http://198.18.0.1/",
    "http://198.19.255.255/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://239.255.255.250:1900/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    // ... and IPv6.
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[100::1]/",
    "http://[2001::1]/",
    "http://[2001:10::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[febf::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[ff0e::1]/",
    // IPv4 inside IPv6: mapped, compatible, translated, 6to4.
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:c0a8:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    // Other spellings of the same.
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0177.0.0.01/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0x7F.0x0.0x0.0x1/",
    "http://0/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://127.0.0.1./",
    "http://①②⑦.0.0.1/",
    "http://127。0。0。1/",
    "http://%31%32%37.0.0.1/",
    "http://127.0.0.1:80#@example.com/",
    "http://127.0.0.1?@example.com/",
    r"http://127.0.0.1\@example.com/",
    "http:127.0.0.1/",
    "http:///127.0.0.1/",
    " http://127.0.0.1/",
    "http://127.0.0.1\t/",
    // Other schemes and user names.
    "file:///etc/passwd",
    "ftp://example.com/",
    "gopher://127.0.0.1:6379/_x",
    "data:text/plain,x",
    "http://example.com@127.0.0.1/",
    "http://user@example.com/",
    "https://user:pw@example.com/",
];

#[test]
fn every_address_and_trick_of_the_table_is_refused_when_it_is_entered() {
    let egress = Egress::default();
    for text in REFUSED {
        let url = url::Url::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert!(egress.check(&url).is_err(), "{text:?} is {url}");
    }
    for text in
        ["https://tracker.example/pb", "http://8.8.8.8/", "https://[2606:4700::1111]/", "http://172.15.0.1/"]
    {
        let passed: Result<(), Forbidden> = egress.check(&url::Url::parse(text).unwrap());
        assert_eq!(passed, Ok(()), "{text}");
    }
}

/// A server that answers with what `write` sends, once for each connection.
async fn raw(write: impl AsyncFn(&mut tokio::net::TcpStream) + Clone + 'static) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let write = write.clone();
            tokio::task::spawn_local(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                write(&mut stream).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn answers_that_drip_break_off_or_swell_hold_nobody_up() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            // One byte now and then, for ever.
            let drip = raw(async |stream: &mut tokio::net::TcpStream| {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await;
                while stream.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            })
            .await;
            // Half an answer.
            let broken = raw(async |stream: &mut tokio::net::TcpStream| {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
            })
            .await;
            // A head, then nothing.
            let silent = raw(async |stream: &mut tokio::net::TcpStream| {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n").await;
                std::future::pending::<()>().await;
            })
            .await;
            let mut world = World::new(drip).await;
            for (number, address) in (1..).zip([drip, broken, silent]) {
                world.save_postback(number, format!("http://{address}/"), None).await;
            }
            let to: Vec<_> = (1..=3).map(postback).collect();
            let ids = world.conversions(1..2, &to).await;
            world.work(&["127.0.0.0/8"]).await;
            // The status is what counts: it came, and the words stop where they stop.
            for id in &ids[..2] {
                let delivery = world.until(*id, |delivery| delivery.progress.attempts == 1).await;
                assert_eq!(delivery.progress.last.unwrap().status, Some(200));
                assert_eq!(delivery.progress.state, DeliveryState::Delivered);
            }
            let silent = world.until(ids[2], |delivery| delivery.progress.attempts == 1).await.progress;
            assert_eq!(silent.last.unwrap().error_type.as_deref(), Some("timeout"));
            world.close().await;
        })
        .await;
}

#[tokio::test]
async fn a_compressed_bomb_stays_compressed() {
    // What a megabyte of zeros begins with; nobody here unpacks it.
    let bomb = || {
        let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
        (StatusCode::BAD_REQUEST, [("content-encoding", "gzip")], [&head[..], &[0xff; 4096]].concat())
            .into_response()
    };
    let tracker = Receiver::start(move |_, _| bomb()).await;
    let mut world = World::new(tracker.address).await;
    world.save_postback(1, format!("http://{}/", tracker.address), None).await;
    let ids = world.conversions(1..2, &[postback(1)]).await;
    world.work(&["127.0.0.1"]).await;
    let delivery = world.until_state(ids[0], DeliveryState::Parked).await;
    let words = delivery.progress.last.unwrap().message.unwrap();
    assert!(words.len() <= 2048, "{}", words.len());
    assert_eq!(tracker.all()[0].headers.get("accept-encoding"), None, "nothing compressed is asked for");
    world.close().await;
}

/// The name is looked up once, where the connection is made, and what is private is refused there: there is no second
/// look-up that could say something else.
#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let inside = Receiver::start(|_, _| confirmed()).await;
    let url = format!("http://localhost:{}/", inside.address.port());
    assert_eq!(
        Egress::default().check(&url::Url::parse(&url).unwrap()),
        Ok(()),
        "a name passes the first check"
    );
    let mut world = World::new(inside.address).await;
    world.save_postback(1, url, None).await;
    let ids = world.conversions(1..2, &[postback(1)]).await;
    world.work(&[]).await;
    let delivery = world.until_state(ids[0], DeliveryState::Parked).await;
    assert_eq!(delivery.progress.last.unwrap().error_type.as_deref(), Some("egress"));
    assert!(inside.all().is_empty());
    world.close().await;
}

#[tokio::test]
async fn a_postback_to_a_private_address_is_never_connected_to() {
    let inside = Receiver::start(|_, _| "secret".into_response()).await;
    let mut world = World::new(inside.address).await;
    let port = inside.address.port();
    let hosts = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"];
    for (number, host) in (1..).zip(hosts) {
        world.save_postback(number, format!("http://{host}:{port}/"), None).await;
    }
    let to: Vec<_> = (1..=4).map(postback).collect();
    let ids = world.conversions(1..2, &to).await;
    world.work(&[]).await;
    for (id, host) in ids.iter().zip(hosts) {
        let delivery = world.until_state(*id, DeliveryState::Parked).await;
        assert_eq!(delivery.progress.last.unwrap().error_type.as_deref(), Some("egress"), "{host}");
    }
    assert!(inside.all().is_empty());
    world.close().await;
}

#[tokio::test]
async fn an_exception_by_name_and_port_opens_that_port_only() {
    let (open, shut) = (Receiver::start(|_, _| confirmed()).await, Receiver::start(|_, _| confirmed()).await);
    let mut world = World::new(open.address).await;
    world.save_postback(1, format!("http://localhost:{}/", open.address.port()), None).await;
    world.save_postback(2, format!("http://localhost:{}/", shut.address.port()), None).await;
    let ids = world.conversions(1..2, &[postback(1), postback(2)]).await;
    world.work(&[&format!("localhost:{}", open.address.port())]).await;
    world.until_state(ids[0], DeliveryState::Delivered).await;
    world.until_state(ids[1], DeliveryState::Parked).await;
    assert!(shut.all().is_empty());
    world.close().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let inside = Receiver::start(|_, _| "inside".into_response()).await;
    let to = format!("http://{}/", inside.address);
    let outside =
        Receiver::start(move |_, _| (StatusCode::FOUND, [("location", to.clone())]).into_response()).await;
    let mut world = World::new(outside.address).await;
    world.save_postback(1, format!("http://{}/", outside.address), None).await;
    let ids = world.conversions(1..2, &[postback(1)]).await;
    world.work(&["127.0.0.0/8"]).await;
    let delivery = world.until_state(ids[0], DeliveryState::Parked).await;
    assert_eq!(delivery.progress.last.unwrap().status, Some(302));
    assert!(inside.all().is_empty());
    world.close().await;
}

#[tokio::test]
async fn an_endless_answer_and_an_echoed_secret_are_cut() {
    let answer = |_: usize, one: &crate::world::Received| {
        let secret = one.headers["x-api-key"].to_str().unwrap().to_owned();
        let words = format!("no such key {secret}, nor token s3cr3t-in-query {}", "x".repeat(1 << 20));
        (StatusCode::BAD_REQUEST, words).into_response()
    };
    let tracker = Receiver::start(answer).await;
    let mut world = World::new(tracker.address).await;
    let url = format!("http://{}/?token=s3cr3t-in-query&cid={{click_id}}", tracker.address);
    world.save_postback(1, url, Some("hunter2hunter2")).await;
    let ids = world.conversions(1..2, &[postback(1)]).await;
    world.work(&["127.0.0.1"]).await;
    let delivery = world.until_state(ids[0], DeliveryState::Parked).await;
    let words = delivery.progress.last.unwrap().message.unwrap();
    assert!(words.len() <= 2048 && words.starts_with("no such key ***, nor token *** "), "{}", words.len());
    world.close().await;
}
