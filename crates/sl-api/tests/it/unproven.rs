//! Webhooks that nobody can have signed, in the log.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::{Method, StatusCode};

use crate::world::{World, answer};

/// What is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn wrong_signatures_are_one_line_that_holds_nothing_of_their_senders() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_max_level(tracing::Level::WARN)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::start().await;
    for _ in 0..30 {
        let request = world.request(Method::POST, "/webhooks/onlyfansapi", "").body("a secret word");
        assert_eq!(answer(request.header("Signature", "5157")).await.0, StatusCode::UNAUTHORIZED);
    }
    let said = || String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(said(), "");
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(70)).await;
    let said = said();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("30 webhooks with a wrong signature") && said.contains("platform.webhook_secrets"),
        "{said}"
    );
    for secret in ["a secret word", "5157", "127.0.0.1"] {
        assert!(!said.contains(secret), "{said}");
    }
}
