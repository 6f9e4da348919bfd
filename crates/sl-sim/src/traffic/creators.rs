//! The platform, as a fan's browser meets it: pages, and a button for everything.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sl_core::time::Timestamp;
use url::Url;

use super::Inner;

/// The platform's answer to subscribing.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Subscribed {
    /// False: the fan was subscribed already.
    pub(super) new: bool,
    pub(super) account: String,
    pub(super) subscribed_at: Timestamp,
    pub(super) price_cents: i64,
    pub(super) transaction: Option<String>,
}

/// The platform's answer to paying.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Paid {
    pub(super) transaction: String,
    pub(super) at: Timestamp,
    pub(super) gross_cents: i64,
}

/// The platform's answer to writing a message.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Written {
    pub(super) at: Timestamp,
}

/// The platform's answer to taking money back.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct TakenBack {}

/// Why something did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotDone {
    /// The platform said no.
    Refused,
    /// Nobody knows whether it came about.
    Unknown,
}

/// Opens the page at an address of the real platform, on the simulator; refused when there is none.
pub(super) async fn visit(inner: &Inner, location: &str) -> Result<(), NotDone> {
    let url = Url::parse(location).map_err(|_| NotDone::Refused)?;
    let url = inner.config.platform_url.join(url.path()).map_err(|_| NotDone::Refused)?;
    let page = inner.http.get(url).send().await.map_err(|_| NotDone::Unknown)?;
    if page.status().is_success() { Ok(()) } else { Err(NotDone::Refused) }
}

pub(super) async fn subscribe(inner: &Inner, location: &str, fan: u64) -> Result<Subscribed, NotDone> {
    let fan = json!({"id": fan, "name": format!("Fan {fan}"), "username": format!("u{fan}")});
    press(inner, "subscribe", json!({"link": location, "fan": fan})).await
}

pub(super) async fn pay(
    inner: &Inner,
    account: &str,
    fan: u64,
    kind: &str,
    cents: i64,
) -> Result<Paid, NotDone> {
    // People here renew seconds after they subscribed. On the real platform a day lies between, and a webhook about the
    // renewal could not be taken for the date of the subscription (decisions 22), as it could here.
    let body =
        json!({"account": account, "fan": fan, "type": kind, "amount_cents": cents, "announced": false});
    press(inner, "spend", body).await
}

pub(super) async fn write(inner: &Inner, account: &str, fan: u64) -> Result<Written, NotDone> {
    press(inner, "message", json!({"account": account, "fan": fan, "text": "hi there"})).await
}

pub(super) async fn take_back(
    inner: &Inner,
    account: &str,
    transaction: &str,
    status: &str,
) -> Result<TakenBack, NotDone> {
    let body = json!({"account": account, "transaction": transaction, "status": status});
    press(inner, "chargeback", body).await
}

async fn press<T: DeserializeOwned>(inner: &Inner, what: &str, body: Value) -> Result<T, NotDone> {
    let url = inner.config.platform_url.join(&format!("/_sim/{what}")).map_err(|_| NotDone::Refused)?;
    let response = inner.http.post(url).json(&body).send().await.map_err(|_| NotDone::Unknown)?;
    if response.status().is_client_error() {
        return Err(NotDone::Refused);
    }
    response.json().await.map_err(|_| NotDone::Unknown)
}
