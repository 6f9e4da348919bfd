//! Bodies of webhooks (contract D.3) as typed events; every refusal names the field.

use std::fmt;

use serde_json::Value;

use crate::{
    conversion::{FanProfile, Transaction},
    ids::{FanId, MessageId, TransactionId},
    money::Cents,
    time::{DayEdge, Timestamp},
};

/// What a webhook says, as far as we use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// `subscriptions.new`, `subscriptions.renewed` (contract D.3.1).
    Subscription(Subscription),
    /// `transactions.new` (contract D.3.2), whatever its status.
    Transaction(Transaction),
    /// `messages.received` (contract D.3.3).
    Message(Message),
    /// An `accounts.*` event that says whether links can be made (contract D.3.6).
    Account(Signal),
    /// Known or unknown, but nothing to do: kept and ignored.
    Ignored,
}

/// A fan subscribed, or renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Who: `payload.user.id`; never `payload.user_id`, which is the creator.
    pub fan: FanId,
    /// Name and picture.
    pub profile: FanProfile,
    /// `createdAt`.
    pub at: Timestamp,
    /// `replacePairs["{PRICE}"]`, when it is there and readable.
    pub price: Option<Cents>,
    /// `subscriptions.renewed`: nobody looks for its link.
    pub renewed: bool,
}

/// A message from a fan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The platform's id.
    pub id: MessageId,
    /// `fromUser.id`.
    pub fan: FanId,
    /// Name and picture.
    pub profile: FanProfile,
    /// `createdAt`.
    pub at: Timestamp,
}

/// Whether links of the account can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// They can.
    pub usable: bool,
    /// `latestAuthAttempt.started_at`, when the payload has it.
    pub as_of: Option<Timestamp>,
}

/// Why a webhook can't be used: the field, what it holds, what it should hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Reason {
    /// Path of the field, such as `payload.fan.id`; `body` for the whole.
    pub field: &'static str,
    /// What is wrong and what was wanted.
    pub problem: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// Reads a webhook body.
///
/// # Errors
/// [`Reason`] when an event we use lacks what we need from it. An unknown event is [`Parsed::Ignored`].
pub fn parse(raw: &[u8]) -> Result<Parsed, Reason> {
    let body: Value = serde_json::from_slice(raw)
        .map_err(|error| Reason { field: "body", problem: format!("is not JSON ({error})") })?;
    if !body.is_object() {
        return Err(wrong("body", &body, "a JSON object"));
    }
    let event = match body.get("event") {
        Some(Value::String(event)) if !event.is_empty() => event.as_str(),
        Some(other) => return Err(wrong("event", other, "the name of an event")),
        None => return Err(absent("event", "the name of an event")),
    };
    let used = matches!(event, "subscriptions.new" | "subscriptions.renewed" | "transactions.new")
        || event == "messages.received"
        || account_signal(event).is_some();
    if !used {
        return Ok(Parsed::Ignored);
    }
    match body.get("account_id") {
        Some(Value::String(account)) if is_short(account) => {}
        Some(other) => return Err(wrong("account_id", other, ACCOUNT)),
        None => return Err(absent("account_id", ACCOUNT)),
    }
    let payload = match body.get("payload") {
        Some(payload @ Value::Object(_)) => payload,
        Some(other) => return Err(wrong("payload", other, "an object")),
        None => return Err(absent("payload", "an object")),
    };
    match event {
        "transactions.new" => transaction(payload).map(Parsed::Transaction),
        "messages.received" => message(payload).map(Parsed::Message),
        "subscriptions.new" | "subscriptions.renewed" => {
            subscription(payload, event == "subscriptions.renewed").map(Parsed::Subscription)
        }
        _ => Ok(account_signal(event).map_or(Parsed::Ignored, |usable| {
            let started = payload.pointer("/latestAuthAttempt/started_at").and_then(Value::as_str);
            let as_of = started.and_then(|text| Timestamp::parse(text, DayEdge::Start).ok());
            Parsed::Account(Signal { usable, as_of })
        })),
    }
}

const ACCOUNT: &str = "an account id, acct_…, of at most 255 characters";

/// Ids become keys of stores, whose length is bounded.
fn is_short(id: &str) -> bool {
    (1..=255).contains(&id.len())
}

/// `event` and `account_id`, as far as the body has them.
pub(super) fn names(raw: &[u8]) -> (String, Option<String>) {
    let body: Value = serde_json::from_slice(raw).unwrap_or(Value::Null);
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let account = text("account_id").filter(|account| is_short(account));
    (text("event").unwrap_or_default(), account)
}

/// Contract D.3.6: `session_expired` was mended by upstream itself and says nothing.
fn account_signal(event: &str) -> Option<bool> {
    match event {
        "accounts.connected" | "accounts.reconnected" => Some(true),
        "accounts.authentication_failed"
        | "accounts.otp_code_required"
        | "accounts.face_otp_required"
        | "accounts.disconnected" => Some(false),
        _ => None,
    }
}

fn subscription(payload: &Value, renewed: bool) -> Result<Subscription, Reason> {
    let user = payload.get("user").unwrap_or(&Value::Null);
    let price = payload.pointer("/replacePairs/{PRICE}").and_then(|price| Cents::from_json(price).ok());
    Ok(Subscription {
        fan: FanId::from(id(user.get("id"), "payload.user.id")?),
        profile: profile(user),
        at: time(payload.get("createdAt"), "payload.createdAt")?,
        price: price.filter(|price| price.0 >= 0),
        renewed,
    })
}

fn transaction(payload: &Value) -> Result<Transaction, Reason> {
    let fan = payload.get("fan").unwrap_or(&Value::Null);
    let status = text(payload.get("status"), "payload.status")?;
    if let Some(currency) =
        payload.get("currency").filter(|word| word.as_str() != Some("USD") && !word.is_null())
    {
        return Err(wrong("payload.currency", currency, "USD; amounts are credited in dollars only"));
    }
    Ok(Transaction {
        id: TransactionId::from(id(payload.get("id"), "payload.id")?),
        kind: text(payload.get("type"), "payload.type")?,
        fan: FanId::from(id(fan.get("id"), "payload.fan.id")?),
        profile: profile(fan),
        gross: amount(payload.get("amount"), "payload.amount")?,
        net: amount(payload.get("net_amount"), "payload.net_amount")?,
        status,
        description: payload.get("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
        at: time(payload.get("created_at"), "payload.created_at")?,
        reconciled: false,
    })
}

fn message(payload: &Value) -> Result<Message, Reason> {
    let user = payload.get("fromUser").unwrap_or(&Value::Null);
    Ok(Message {
        id: MessageId::from(id(payload.get("id"), "payload.id")?),
        fan: FanId::from(id(user.get("id"), "payload.fromUser.id")?),
        profile: profile(user),
        at: time(payload.get("createdAt"), "payload.createdAt")?,
    })
}

fn profile(user: &Value) -> FanProfile {
    let text = |name: &str| user.get(name).and_then(Value::as_str).map(str::to_owned);
    FanProfile { username: text("username"), name: text("name"), avatar: text("avatar") }
}

/// Ids come as numbers or strings (contract D.3): always text here.
fn id(value: Option<&Value>, field: &'static str) -> Result<String, Reason> {
    const WANTED: &str = "an id, a whole number or a text of at most 255 characters";
    match value {
        Some(Value::String(text)) if is_short(text) => Ok(text.clone()),
        Some(Value::Number(number)) if number.is_u64() => Ok(number.to_string()),
        Some(other) => Err(wrong(field, other, WANTED)),
        None => Err(absent(field, WANTED)),
    }
}

fn text(value: Option<&Value>, field: &'static str) -> Result<String, Reason> {
    match value {
        Some(Value::String(text)) if is_short(text) => Ok(text.clone()),
        Some(other) => Err(wrong(field, other, "a word")),
        None => Err(absent(field, "a word")),
    }
}

fn amount(value: Option<&Value>, field: &'static str) -> Result<Cents, Reason> {
    const WANTED: &str = "an amount in dollars, such as 12.50";
    let value = value.ok_or_else(|| absent(field, WANTED))?;
    match Cents::from_json(value) {
        Ok(cents) if cents.is_believable() => Ok(cents),
        _ => Err(wrong(field, value, WANTED)),
    }
}

fn time(value: Option<&Value>, field: &'static str) -> Result<Timestamp, Reason> {
    const WANTED: &str = "a time, such as 2026-03-04T20:11:09Z";
    let value = value.ok_or_else(|| absent(field, WANTED))?;
    let parsed = value.as_str().and_then(|text| Timestamp::parse(text, DayEdge::Start).ok());
    parsed.filter(|at| at.0 >= 0).ok_or_else(|| wrong(field, value, WANTED))
}

fn absent(field: &'static str, wanted: &str) -> Reason {
    Reason { field, problem: format!("is missing; {wanted} was expected") }
}

/// The value is cut: a reason is shown to people, the whole body is kept beside it.
fn wrong(field: &'static str, value: &Value, wanted: &str) -> Reason {
    let shown: String = value.to_string().chars().take(80).collect();
    Reason { field, problem: format!("{shown} is not {wanted}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(event: &str, payload: Value) -> Result<Parsed, Reason> {
        let body = json!({"event": event, "account_id": "acct_7f3a", "payload": payload});
        parse(body.to_string().as_bytes())
    }

    fn tip() -> Value {
        json!({"id": "tx-55820017", "type": "tip", "amount": 20, "net_amount": 16, "status": "loading",
            "description": "Tip", "created_at": "2026-03-05T07:02:44+00:00",
            "fan": {"id": 440012345, "name": "Sam", "username": "u440012345"}})
    }

    /// It becomes a key of the store, where it would be refused for good.
    #[test]
    fn an_account_id_of_any_length_is_no_account() {
        for (length, is_one) in [(255, true), (256, false), (70_000, false)] {
            let account = "a".repeat(length);
            let body =
                json!({"event": "accounts.connected", "account_id": account, "payload": {}}).to_string();
            assert_eq!(names(body.as_bytes()).1.is_some(), is_one, "{length}");
            let refused = parse(body.as_bytes()).err().map(|reason| reason.field);
            assert_eq!(refused, (!is_one).then_some("account_id"), "{length}");
        }
    }

    #[test]
    fn the_fan_of_a_subscription_is_the_user_not_the_creator() {
        let payload = json!({"id": "9900112233", "subType": "new_subscriber_trial",
            "createdAt": "2026-03-04T20:11:09+00:00", "replacePairs": {"{PRICE}": "$4.00"}, "user_id": "120034567",
            "user": {"id": 440012345, "name": "Sam", "username": "u440012345", "avatar": null}});
        let Ok(Parsed::Subscription(new)) = parsed("subscriptions.new", payload) else { panic!() };
        assert_eq!(new.fan.as_str(), "440012345");
        assert_eq!(new.price, Some(Cents(400)));
        assert_eq!(new.at.iso(), "2026-03-04T20:11:09+00:00");
        assert!(!new.renewed);
    }

    #[test]
    fn money_keeps_its_cents_and_ids_may_be_numbers() {
        let mut payload = tip();
        payload["id"] = json!(77);
        payload["amount"] = json!(19.99);
        payload["created_at"] = json!("2026-03-05 07:02:44");
        let Ok(Parsed::Transaction(tx)) = parsed("transactions.new", payload) else { panic!() };
        assert_eq!((tx.id.as_str(), tx.gross, tx.net), ("77", Cents(1999), Cents(1600)));
        assert_eq!(tx.at.iso(), "2026-03-05T07:02:44+00:00");
        assert!(!tx.reconciled);
    }

    #[test]
    fn every_malformed_shape_names_its_field() {
        for (field, value) in [
            ("id", json!(null)),
            ("type", json!(7)),
            ("amount", json!("lots")),
            ("amount", json!(1e300)),
            ("net_amount", json!(null)),
            ("status", json!("")),
            ("created_at", json!("soon")),
            ("created_at", json!(17)),
        ] {
            let mut payload = tip();
            payload[field] = value;
            let reason = parsed("transactions.new", payload).unwrap_err();
            assert_eq!(reason.field, format!("payload.{field}"));
            let mut payload = tip();
            payload.as_object_mut().unwrap().remove(field);
            let reason = parsed("transactions.new", payload).unwrap_err();
            assert!(reason.to_string().starts_with(&format!("payload.{field}: is missing")), "{reason}");
        }
        let mut payload = tip();
        payload["currency"] = json!("EUR");
        assert_eq!(parsed("transactions.new", payload).unwrap_err().field, "payload.currency");
        let reason = parsed("messages.received", json!({"id": 1})).unwrap_err();
        assert_eq!(reason.field, "payload.fromUser.id");
        let reason = parsed("subscriptions.new", json!({"user": {"id": "1"}})).unwrap_err();
        assert_eq!(reason.field, "payload.createdAt");
        assert_eq!(parse(b"{").unwrap_err().field, "body");
        assert_eq!(parse(b"[]").unwrap_err().field, "body");
        assert_eq!(parse(b"{}").unwrap_err().field, "event");
        assert_eq!(parse(br#"{"event":"transactions.new"}"#).unwrap_err().field, "account_id");
        let no_payload = br#"{"event":"transactions.new","account_id":"a"}"#;
        assert_eq!(parse(no_payload).unwrap_err().field, "payload");
    }

    #[test]
    fn unknown_events_are_kept_and_ignored() {
        assert_eq!(parse(br#"{"event":"brand.new","payload":7}"#), Ok(Parsed::Ignored));
        assert_eq!(parsed("tips.received", json!({})), Ok(Parsed::Ignored));
        assert_eq!(parsed("accounts.session_expired", json!({})), Ok(Parsed::Ignored));
    }

    #[test]
    fn account_events_are_ordered_by_their_own_time() {
        let payload = json!({"latestAuthAttempt": {"started_at": "2026-03-05T05:00:00.000000Z"}});
        let Ok(Parsed::Account(signal)) = parsed("accounts.authentication_failed", payload) else { panic!() };
        assert!(!signal.usable);
        assert_eq!(signal.as_of.unwrap().iso(), "2026-03-05T05:00:00+00:00");
        let connected = parsed("accounts.connected", json!({}));
        assert_eq!(connected, Ok(Parsed::Account(Signal { usable: true, as_of: None })));
    }
}
