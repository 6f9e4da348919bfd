//! The events of contract D.3, as they stand on the wire.

use bytes::Bytes;
use serde_json::{Value, json};
use sl_core::{money::Cents, time::Timestamp};

use super::super::{
    config::AccountSetup,
    hooks::Login,
    wire,
    world::{Fan, Happened, Joined, Transaction, is_back},
};

/// One event, ready to be signed.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// `evt_…`, the same at every attempt.
    pub(super) key: String,
    pub(super) body: Bytes,
    /// For `transactions.new`: which, and whether it says that the money went back.
    pub(super) money: Option<(String, bool)>,
}

/// What is told about one thing that happened; the main event first.
pub(super) fn events(creator: &AccountSetup, happened: &Happened, now: Timestamp) -> Vec<Event> {
    match happened {
        Happened::Subscribed { event, fan, at, price, kind } => {
            let name = if *kind == Joined::Renewed { "subscriptions.renewed" } else { "subscriptions.new" };
            let payload = subscription(creator, *event, fan, *at, *price, *kind);
            vec![seal(creator, name, format!("evt_{event}"), &payload, None)]
        }
        Happened::Paid { event, fan, transaction } => {
            let money = (transaction.id.clone(), is_back(&transaction.status));
            let key = format!("evt_{event}");
            let mut events =
                vec![seal(creator, "transactions.new", key, &payment(transaction, fan), Some(money))];
            if transaction.status == "loading" {
                events.extend(notification(creator, *event, fan, transaction));
            }
            events
        }
        Happened::Wrote { message, fan, at, text } => {
            let payload = json!({
                "id": message, "createdAt": at.iso(), "text": format!("<p>{text}</p>"), "isNew": true,
                "isOpened": false, "isSentByMe": false, "isFree": true, "price": 0, "isTip": false,
                "mediaCount": 0, "media": [], "previews": [],
                "fromUser": user(fan, now),
            });
            vec![seal(creator, "messages.received", format!("evt_m{message}"), &payload, None)]
        }
    }
}

/// `accounts.*` (contract D.3.6): times with microseconds and `Z`.
pub(super) fn login(account: &str, login: Login, event: u64, now: Timestamp) -> Event {
    let (name, state, success) = match login {
        Login::LoggedIn => ("accounts.reconnected", "authenticated", true),
        // Upstream mends it by itself: the event says so before it is done.
        Login::Reconnecting => ("accounts.session_expired", "authenticating", false),
        Login::LoggedOut => ("accounts.authentication_failed", "unauthenticated", false),
    };
    let started = now.iso().replace("+00:00", ".000000Z");
    let payload = json!({
        "client_reference_id": null, "state": state, "progress": "started",
        "latestAuthAttempt": {
            "started_at": started, "completed_at": null, "success": success, "error_message": null,
            "needs_otp": false, "needs_face_otp": false, "otp_phone_ending": null,
        },
    });
    let body = json!({"event": name, "account_id": account, "payload": payload});
    Event { key: format!("evt_{event}"), body: body.to_string().into(), money: None }
}

/// The same event, spoilt in one of three ways: cut off, without its fan, with a word for a number.
pub(super) fn broken(event: &Event, way: u8) -> Bytes {
    if way == 0 {
        return event.body.slice(..event.body.len() / 2);
    }
    let mut body: Value = serde_json::from_slice(&event.body).unwrap_or(Value::Null);
    if let Some(payload) = body.get_mut("payload").and_then(Value::as_object_mut) {
        if way == 1 {
            for fan in ["fan", "user", "fromUser"] {
                payload.remove(fan);
            }
        } else {
            for field in ["amount", "createdAt"] {
                payload.insert(field.to_owned(), json!("lots"));
            }
        }
    }
    body.to_string().into()
}

fn seal(
    creator: &AccountSetup,
    name: &str,
    key: String,
    payload: &Value,
    money: Option<(String, bool)>,
) -> Event {
    let body = json!({"event": name, "account_id": creator.id, "payload": payload});
    Event { key, body: body.to_string().into(), money }
}

fn subscription(
    creator: &AccountSetup,
    event: u64,
    fan: &Fan,
    at: Timestamp,
    price: Cents,
    kind: Joined,
) -> Value {
    let kind = match kind {
        Joined::New => "new_subscriber",
        Joined::Trial => "new_subscriber_trial",
        Joined::Returning | Joined::Renewed => "returning_subscriber",
    };
    json!({
        // Notifications have texts for ids, and name the creator `user_id`.
        "id": event.to_string(),
        "subType": kind,
        "createdAt": at.iso(),
        "text": "<a href=\"{SUBSCRIBER_LINK}\">{NAME}</a> subscribed to your profile! Price: {PRICE}",
        "replacePairs": {
            "{SUBSCRIBER_LINK}": format!("https://onlyfans.com/{}", fan.username),
            "{NAME}": fan.name,
            "{PRICE}": format!("${price}"),
        },
        "user_id": creator.onlyfans_id.to_string(),
        "user": user(fan, at),
    })
}

fn payment(transaction: &Transaction, fan: &Fan) -> Value {
    json!({
        "id": transaction.id,
        "type": transaction.kind,
        "amount": transaction.gross.to_json(),
        "net_amount": transaction.net.to_json(),
        "fee_amount": (transaction.gross - transaction.net).to_json(),
        "vat_amount": 0,
        "tax_amount": 0,
        "currency": "USD",
        "status": transaction.status,
        "description": wire::description(transaction, fan),
        "created_at": transaction.at.iso(),
        "fan": {"id": fan.id, "name": fan.name, "username": fan.username},
    })
}

/// Tips and unlocked messages are told a second time, as notifications; the money is the transaction's (contract H.14).
fn notification(creator: &AccountSetup, event: u64, fan: &Fan, transaction: &Transaction) -> Option<Event> {
    let chat = format!("https://onlyfans.com/my/chats/chat/{}/?firstId={event}", fan.id);
    let (name, extra) = match transaction.kind.as_str() {
        "tip" => ("tips.received", json!({"{MESSAGE_LINK}": chat})),
        "message" => (
            "messages.ppv.unlocked",
            json!({"{AMOUNT}": format!("${}", transaction.gross), "{MESSAGE_LINK}": chat}),
        ),
        _ => return None,
    };
    let payload = json!({
        "id": format!("{event}1"),
        "subType": name,
        "createdAt": transaction.at.iso(),
        "text": wire::description(transaction, fan),
        "replacePairs": extra,
        "user_id": creator.onlyfans_id.to_string(),
        "user": user(fan, transaction.at),
        "amountGross": transaction.gross.to_json(),
        "amountNet": transaction.net.to_json(),
    });
    Some(seal(creator, name, format!("evt_n{event}"), &payload, None))
}

fn user(fan: &Fan, now: Timestamp) -> Value {
    json!({
        "id": fan.id, "name": fan.name, "username": fan.username, "avatar": null, "subscribePrice": 0,
        "lastSeen": now.iso(),
    })
}
