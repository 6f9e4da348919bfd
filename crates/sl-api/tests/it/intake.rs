//! Webhooks: signed, kept, answered.

use std::sync::{Arc, Mutex};

use reqwest::{RequestBuilder, StatusCode};
use serde_json::json;
use sl_api::Upstream;
use sl_core::{
    event::EventBody,
    ids::{AccountId, TeamId},
    seal::Secret,
};
use sl_journal::{ClickLog, Fate, LostReason, Ticket};
use sl_store::suite::sample::STRANGER;

use crate::world::{WEBHOOK_SECRETS, World, answer};

fn body() -> String {
    json!({ "event": "transactions.new", "account_id": "acct_other", "payload": {
        "id": "tx-1", "type": "tip", "amount": 20, "net_amount": 16, "status": "done", "description": "Tip",
        "created_at": "2026-03-05T07:02:44+00:00", "fan": { "id": 440_012_345, "name": "Sam", "username": "u1" } } })
    .to_string()
}

fn signed(world: &World, body: &str, secret: &str) -> RequestBuilder {
    let signature = sl_core::webhook::sign(secret.as_bytes(), body.as_bytes());
    unsigned(world, body).header("Signature", signature)
}

fn unsigned(world: &World, body: &str) -> RequestBuilder {
    world.client.post(format!("{}/webhooks/onlyfansapi", world.base)).body(body.to_owned())
}

#[tokio::test]
async fn a_signed_webhook_is_in_the_journal_when_it_is_answered() {
    let world = World::start().await;
    for (n, secret) in WEBHOOK_SECRETS.iter().enumerate() {
        let request = signed(&world, &body(), secret).header("X-OFAPI-Idempotency-Key", format!("evt_{n}"));
        assert_eq!(answer(request).await, (StatusCode::OK, json!({ "status": "stored" })));
    }
    let records = world.journaled();
    assert_eq!(records.len(), 2);
    let event = &records[0].event;
    assert_eq!((event.team, event.account.as_str()), (STRANGER, "acct_other"));
    let EventBody::Webhook(webhook) = &event.body else { panic!("{event:?}") };
    assert_eq!((webhook.event.as_str(), webhook.key.as_str()), ("transactions.new", "evt_0"));
    assert_eq!(webhook.body, body().into_bytes());
}

#[tokio::test]
async fn a_missing_or_wrong_signature_is_401_and_leaves_nothing() {
    let world = World::start().await;
    for request in [
        unsigned(&world, &body()),
        signed(&world, &body(), "guess"),
        unsigned(&world, &body()).header("Signature", "zz"),
    ] {
        assert_eq!(answer(request).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.journaled().len(), 0);
}

#[tokio::test]
async fn unsigned_webhooks_are_taken_only_when_configured_and_wrong_ones_never() {
    let world = World::with(|parts| {
        parts.settings.accept_unsigned = true;
        parts.settings.webhook_secrets = vec![Secret::new("s")];
    })
    .await;
    assert_eq!(answer(unsigned(&world, &body())).await.0, StatusCode::OK);
    assert_eq!(answer(signed(&world, &body(), "guess")).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_redelivery_is_answered_as_duplicate_by_its_key_or_its_body() {
    let world = World::start().await;
    let secret = WEBHOOK_SECRETS[0];
    let keyed = || signed(&world, &body(), secret).header("X-OFAPI-Idempotency-Key", "evt_9");
    assert_eq!(answer(keyed()).await.1, json!({ "status": "stored" }));
    assert_eq!(answer(keyed()).await, (StatusCode::OK, json!({ "status": "duplicate" })));
    assert_eq!(answer(signed(&world, &body(), secret)).await.1, json!({ "status": "stored" }));
    assert_eq!(answer(signed(&world, &body(), secret)).await.1, json!({ "status": "duplicate" }));
    assert_eq!(world.journaled().len(), 2);
}

#[tokio::test]
async fn unusable_bodies_are_kept_and_answered_202_and_unknown_events_are_stored() {
    let world = World::start().await;
    let secret = WEBHOOK_SECRETS[0];
    for bad in [
        "",
        "not json",
        "[]",
        "{\"event\":\"transactions.new\",\"account_id\":\"acct_other\",\"payload\":{}}",
    ] {
        let (status, body) = answer(signed(&world, bad, secret)).await;
        assert_eq!((status, body), (StatusCode::ACCEPTED, json!({ "status": "dead_letter" })), "{bad}");
    }
    let unknown = r#"{"event":"moon.rises","account_id":null,"payload":{}}"#;
    assert_eq!(answer(signed(&world, unknown, secret)).await.1, json!({ "status": "stored" }));
    let records = world.journaled();
    assert_eq!(records.len(), 5, "nothing with a valid signature is lost");
    assert_eq!(records[4].event.team, TeamId(1));
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_413() {
    let world = World::start().await;
    let (status, _) = answer(unsigned(&world, &"x".repeat((1 << 20) + 1))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// A disk that takes nothing.
struct Full;

impl ClickLog for Full {
    fn append(&self, _: sl_core::event::Event) -> Result<Ticket, LostReason> {
        Err(LostReason::DiskFull)
    }

    fn fate(&self, _: Ticket) -> std::pin::Pin<Box<dyn Future<Output = Fate> + Send>> {
        Box::pin(std::future::ready(Fate::Lost(LostReason::DiskFull)))
    }
}

#[tokio::test]
async fn a_journal_that_takes_nothing_is_503_so_that_upstream_comes_again() {
    let world = World::with(|parts| parts.log = Arc::new(Full)).await;
    let response = signed(&world, &body(), WEBHOOK_SECRETS[0]).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
}

/// Notes what it is told.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<String>>>);

impl Noted {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Upstream for Noted {
    fn webhook_came(&self, account: &AccountId) {
        self.note(format!("came {account}"));
    }

    fn webhook_refused(&self) {
        self.note("refused".to_owned());
    }

    fn accounts_changed(&self) {
        self.note("accounts".to_owned());
    }
}

#[tokio::test]
async fn who_follows_the_platform_is_told_of_accounts_and_of_every_webhook_kept_or_not() {
    let noted = Noted::default();
    let world = World::with(|parts| parts.upstream = Arc::new(noted.clone())).await;
    let secret = WEBHOOK_SECRETS[0];
    assert_eq!(answer(signed(&world, &body(), secret)).await.0, StatusCode::OK);
    assert_eq!(noted.take(), ["came acct_other"]);
    assert_eq!(answer(signed(&world, &body(), "guess")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(noted.take(), [""; 0]);
    for (event, changes) in [
        ("accounts.connected", true),
        ("accounts.authentication_failed", true),
        ("accounts.disconnected", true),
        ("accounts.session_expired", false),
    ] {
        let event = json!({ "event": event, "account_id": "acct_new", "payload": {} }).to_string();
        assert_eq!(answer(signed(&world, &event, secret)).await.1["status"], "stored", "{event}");
        let want = ["came acct_new", "accounts"];
        assert_eq!(noted.take(), want[..1 + usize::from(changes)], "{event}");
    }
    let (told, full) = (noted.clone(), Arc::new(Full));
    let world = World::with(|parts| (parts.upstream, parts.log) = (Arc::new(told), full)).await;
    assert_eq!(answer(signed(&world, &body(), secret)).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(noted.take(), ["refused"]);
}
