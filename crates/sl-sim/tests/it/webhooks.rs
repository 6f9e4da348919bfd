//! Webhooks of contract D.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sl_core::{
    money::Cents,
    webhook::{Parsed, parse, verify},
};
use sl_sim::{platform::Faults, server::Whole};

use crate::people::{ACCOUNT, Ear, SECRET, Stage};

fn event(request: &Whole) -> Value {
    serde_json::from_slice(&request.body).unwrap_or(Value::Null)
}

fn named<'a>(heard: &'a [Whole], name: &str) -> Vec<&'a Whole> {
    heard.iter().filter(|request| event(request)["event"] == name).collect()
}

#[tokio::test]
async fn a_subscription_is_announced_with_a_signature_over_the_raw_bytes() {
    let stage = Stage::new(Faults::none()).await;
    let ear = Ear::new(&[]).await;
    stage.platform.set_webhook(ear.url());
    let (_, code) = stage.tracking_link("one").await;
    stage.sim("subscribe", json!({"link": format!("/nova/c{code}"), "fan": {"id": 440_012_345}})).await;
    let heard = ear.until(|heard| heard.len() == 2).await;
    for request in &heard {
        assert!(verify(&[SECRET], &request.body, request.header("signature")));
        assert!(request.header("x-ofapi-idempotency-key").starts_with("evt_"));
        assert_eq!(request.header("user-agent"), "OnlyFansAPI.com/Webhook-Client");
        assert_eq!(request.uri.path(), "/webhooks/onlyfansapi");
    }
    let Ok(Parsed::Subscription(new)) = parse(&named(&heard, "subscriptions.new")[0].body) else { panic!() };
    assert_eq!((new.fan.as_str(), new.price), ("440012345", Some(Cents(1000))));
    let Ok(Parsed::Transaction(paid)) = parse(&named(&heard, "transactions.new")[0].body) else { panic!() };
    assert_eq!((paid.kind.as_str(), paid.gross, paid.net), ("new_subscription", Cents(1000), Cents(800)));
    assert!(
        !String::from_utf8_lossy(&heard[0].body).contains(&format!("c{code}")),
        "no event names the link"
    );
}

#[tokio::test]
async fn an_event_is_sent_again_with_the_same_key_until_it_is_taken() {
    let stage =
        Stage::new(Faults { retry_after: std::time::Duration::from_millis(5), ..Faults::none() }).await;
    let ear = Ear::new(&[503, 500, 429]).await;
    stage.platform.set_webhook(ear.url());
    stage.sim("subscribe", json!({"link": "/nova", "fan": {"id": 1}})).await;
    let heard = ear.until(|heard| heard.len() == 5).await;
    let keys: BTreeSet<_> =
        heard.iter().map(|one| one.header("x-ofapi-idempotency-key").to_owned()).collect();
    let bodies: BTreeSet<_> = heard.iter().map(|one| one.body.clone()).collect();
    assert_eq!((keys.len(), bodies.len()), (2, 2));
}

#[tokio::test]
async fn nothing_is_sent_while_webhooks_pause() {
    let stage = Stage::new(Faults::none()).await;
    let ear = Ear::new(&[]).await;
    stage.platform.set_webhook(ear.url());
    stage.sim("pause-webhooks", json!({"paused": true})).await;
    stage.sim("subscribe", json!({"link": "/nova", "fan": {"id": 1}})).await;
    assert_eq!(stage.platform.state().webhooks.waiting, 2);
    assert_eq!(stage.platform.state().webhooks.attempts, 0);
    stage.sim("pause-webhooks", json!({"paused": false})).await;
    ear.until(|heard| heard.len() == 2).await;
}

#[tokio::test]
async fn misbehaviour_leaves_each_real_event_there_and_spares_the_order_of_statuses() {
    let short = std::time::Duration::from_millis(40);
    let faults = Faults {
        duplicated: 0.5,
        delayed: 0.5,
        longest_delay: short,
        malformed: 0.5,
        forged: 0.5,
        settled_later: 1.0,
        ..Faults::none()
    };
    let stage = Stage::new(faults).await;
    let ear = Ear::new(&[]).await;
    stage.platform.set_webhook(ear.url());
    for fan in 1..=10 {
        stage.sim("subscribe", json!({"link": "/nova", "fan": {"id": fan}})).await;
    }
    let state = || stage.platform.state().webhooks;
    // Ten subscriptions, ten payments, each told as `loading` and as `done`.
    let all = async {
        // Counted after it was heard: nothing that is heard says that the last one is counted.
        while state().delivered < 30 || state().waiting > 0 {
            tokio::time::sleep(short).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), all).await.expect("all are delivered");
    let heard = ear.until(|_| true).await;
    assert!(state().repeated > 0 && state().malformed > 0 && state().forged > 0, "{:?}", state());
    let good: Vec<_> =
        heard.iter().filter(|one| verify(&[SECRET], &one.body, one.header("signature"))).collect();
    assert_eq!((heard.len() - good.len()) as u64, state().forged);
    let mut keys = BTreeMap::new();
    let mut statuses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut unusable = 0;
    for request in good {
        match parse(&request.body) {
            Err(_) => unusable += 1,
            Ok(parsed) => {
                let first = keys.insert(request.header("x-ofapi-idempotency-key"), ()).is_none();
                if let Parsed::Transaction(paid) = parsed
                    && first
                {
                    statuses.entry(paid.id.to_string()).or_default().push(paid.status);
                }
            }
        }
    }
    assert_eq!(unusable, state().malformed);
    assert_eq!(keys.len(), 30);
    assert_eq!(statuses.len(), 10);
    assert!(statuses.values().all(|told| told == &["loading", "done"]), "{statuses:?}");
}

#[tokio::test]
async fn a_redelivery_by_hand_names_what_it_repeats() {
    let stage = Stage::new(Faults { redelivered: 1.0, ..Faults::none() }).await;
    let ear = Ear::new(&[]).await;
    stage.platform.set_webhook(ear.url());
    stage.sim("subscribe", json!({"link": "/nova", "fan": {"id": 1}})).await;
    let again = |heard: &[Whole]| {
        let by_hand = heard.iter().filter(|one| !one.header("x-ofapi-redelivery-of").is_empty());
        by_hand.count() == 2
    };
    let heard = ear.until(again).await;
    assert_eq!(heard.len(), 4);
}

#[tokio::test]
async fn everything_a_fan_does_is_told_in_the_words_of_the_contract() {
    let stage = Stage::new(Faults::none()).await;
    let ear = Ear::new(&[]).await;
    stage.platform.set_webhook(ear.url());
    stage.sim("subscribe", json!({"link": "/nova", "fan": {"id": 5}})).await;
    stage.sim("message", json!({"account": ACCOUNT, "fan": 5, "text": "hi"})).await;
    let spend = |kind: &str| json!({"account": ACCOUNT, "fan": 5, "type": kind, "amount_cents": 1999});
    let tip = stage.sim("spend", spend("tip")).await;
    stage.sim("spend", spend("message")).await;
    stage.sim("spend", spend("recurring_subscription")).await;
    let undo = json!({"account": ACCOUNT, "transaction": tip["transaction"], "status": "undo"});
    stage.sim("chargeback", undo).await;
    // new + payment, message, tip + notification, message + notification, renewal + renewed, undo.
    let heard = ear.until(|heard| heard.len() == 10).await;
    for name in ["messages.received", "tips.received", "messages.ppv.unlocked", "subscriptions.renewed"] {
        assert_eq!(named(&heard, name).len(), 1, "{name}");
    }
    assert!(heard.iter().all(|one| parse(&one.body).is_ok()));
    let tips: Vec<_> = named(&heard, "transactions.new")
        .into_iter()
        .map(event)
        .filter(|one| one["payload"]["id"] == tip["transaction"])
        .map(|one| one["payload"]["status"].clone())
        .collect();
    assert_eq!(tips.len(), 2);
    assert!(tips.contains(&json!("loading")) && tips.contains(&json!("undo")));
    let state = stage.platform.state().accounts[ACCOUNT].clone();
    assert_eq!((state.transactions, state.gross_cents, state.reversed_cents), (4, 1000 + 2 * 1999, 1999));
    let (status, body) = stage.call(reqwest::Method::POST, "/_sim/spend", Some(spend("gift"))).await;
    assert_eq!(status, 422, "{body}");
}
