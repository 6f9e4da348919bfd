//! Clients that send a body slowly, on raw sockets.

use std::time::Duration;

use sl_store::suite::sample::TEAM;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::World;

/// Sends the head and a part of the body, then nothing; gives the whole answer.
async fn half_sent(world: &World, path: &str, key: &str) -> String {
    let mut stream = TcpStream::connect(world.base.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{\"name\": "
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    // Until the end of the answer's head and body; the connection may stay open behind it.
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&answer);
        if read == 0 || text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.ends_with('}')) {
            return text.into_owned();
        }
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408_and_keeps_nobody_waiting() {
    let world = World::with(|parts| parts.settings.body_time = Duration::from_millis(200)).await;
    for path in ["/api/smart-links", "/webhooks/onlyfansapi"] {
        let slow = half_sent(&world, path, &world.key);
        tokio::pin!(slow);
        // Meanwhile another call that changes something is answered.
        let other = async {
            let link = serde_json::json!({
                "account_id": "acct_sample", "name": "Ad", "link_type": "tracking_link",
            });
            world.send("POST", "/api/smart-links", link).await
        };
        let (answer, made) = tokio::join!(slow, other);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{path}: {answer}");
        assert!(answer.contains("The body did not come in time"), "{path}: {answer}");
        assert!(made["data"]["id"].is_string(), "{made}");
    }
    assert_eq!(world.store.catalog.links(TEAM).await.unwrap().len(), 2, "the slow one made nothing");
    assert_eq!(world.journaled().len(), 0);
}

#[tokio::test]
async fn who_has_no_key_is_not_waited_for() {
    let world = World::with(|parts| parts.settings.body_time = Duration::from_secs(3600)).await;
    let answer = half_sent(&world, "/api/smart-links", "slk_wrong").await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}
