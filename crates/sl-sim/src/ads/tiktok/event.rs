//! The rules of one event (ad-platforms 3.2, 3.3), and what TikTok reads over without a word.

use std::net::IpAddr;

use serde_json::Value;
use sl_core::time::Timestamp;

use super::{
    super::fields::{self, is_currency, is_hash, is_hash_of_nothing, strangers},
    AHEAD, INVALID, Refusal, UNHASHED, invalid,
};

/// Members that are known at each place.
const EVENT: [&str; 8] =
    ["event", "event_time", "event_id", "user", "page", "properties", "limited_data_use", "ad"];
const USER: [&str; 14] = [
    "ttclid",
    "ttp",
    "external_id",
    "ip",
    "user_agent",
    "city",
    "state",
    "country",
    "zip_code",
    "locale",
    "email",
    "phone",
    "first_name",
    "last_name",
];
const PAGE: [&str; 2] = ["url", "referrer"];
const PROPERTIES: [&str; 11] = [
    "value",
    "currency",
    "order_id",
    "content_type",
    "contents",
    "content_ids",
    "num_items",
    "query",
    "description",
    "shop_id",
    "predicted_ltv",
];
/// Members that tell of a person, which must be SHA-256 in lower-case hex.
const HASHED: [&str; 6] = ["external_id", "zip_code", "email", "phone", "first_name", "last_name"];
const PLAIN: [&str; 7] = ["ttclid", "ttp", "user_agent", "city", "state", "country", "locale"];

pub(super) fn check(event: &Value, now: Timestamp) -> Result<(), Refusal> {
    text(event, "event")?.ok_or_else(|| invalid("event", "is missing"))?;
    text(event, "event_id")?;
    let seconds = event.get("event_time").and_then(Value::as_i64);
    let seconds = seconds.ok_or_else(|| invalid("event_time", "must be an integer"))?;
    // Milliseconds lie far ahead.
    if seconds <= 0 || Timestamp::from_seconds(seconds) > now.plus(AHEAD) {
        return Err(invalid("event_time", "must be Unix seconds that are past"));
    }
    let user = event.get("user").filter(|user| user.is_object());
    check_user(user.ok_or_else(|| invalid("user", "must be an object"))?)?;
    let page = event.get("page").and_then(|page| page.get("url")).and_then(Value::as_str);
    page.and_then(|page| url::Url::parse(page).ok())
        .ok_or_else(|| invalid("page.url", "must be an address"))?;
    if event.get("limited_data_use").is_some_and(|value| !value.is_boolean()) {
        return Err(invalid("limited_data_use", "must be a boolean"));
    }
    event.get("properties").map_or(Ok(()), check_properties)
}

fn check_properties(properties: &Value) -> Result<(), Refusal> {
    if !properties.is_object() {
        return Err(invalid("properties", "must be an object"));
    }
    let value = properties.get("value");
    if value.is_some_and(|value| value.as_f64().is_none_or(|value| value < 0.0)) {
        return Err(invalid("properties.value", "must be a number from 0"));
    }
    let currency = text(properties, "currency")?;
    if value.is_some() != currency.is_some() {
        return Err(invalid("properties", "must have value and currency together"));
    }
    if currency.is_some_and(|currency| !is_currency(currency)) {
        return Err(invalid("properties.currency", "must be one of ISO 4217"));
    }
    text(properties, "order_id")?;
    if properties.get("contents").is_some() && text(properties, "content_type")?.is_none() {
        return Err(invalid("properties.content_type", "is required with contents"));
    }
    Ok(())
}

fn check_user(user: &Value) -> Result<(), Refusal> {
    for name in HASHED {
        let values = fields::many(user, name).ok_or_else(|| invalid(name, "must be a string or strings"))?;
        if !values.iter().all(|value| is_hash(value)) {
            return Err(Refusal(UNHASHED, format!("{name} must be hashed with SHA-256")));
        }
    }
    for name in PLAIN {
        text(user, name)?;
    }
    if text(user, "ttclid")?.is_some_and(|ttclid| ttclid.chars().count() > 1000) {
        return Err(invalid("user.ttclid", "must not be longer than 1000 characters"));
    }
    if text(user, "ip")?.is_some_and(|ip| ip.parse::<IpAddr>().is_err()) {
        return Err(Refusal(INVALID, "user.ip must be an address, not a hash".to_owned()));
    }
    Ok(())
}

/// What a success does not tell (ad-platforms 3.3): members under a wrong name or at a wrong place, and digests where
/// none belong or of nothing.
pub(super) fn read_over(event: &Value) -> Vec<String> {
    let mut odd = strangers("", event, &EVENT);
    for (at, known) in [("user", &USER[..]), ("page", &PAGE[..]), ("properties", &PROPERTIES[..])] {
        odd.extend(event.get(at).map(|object| strangers(at, object, known)).unwrap_or_default());
    }
    let Some(user) = event.get("user") else { return odd };
    let is = |name: &str, what: fn(&str) -> bool| {
        fields::many(user, name).unwrap_or_default().into_iter().any(what)
    };
    let hashed = PLAIN.iter().filter(|name| is(name, is_hash));
    odd.extend(hashed.map(|name| format!("user.{name} is hashed")));
    let nothing = HASHED.iter().filter(|name| is(name, is_hash_of_nothing));
    odd.extend(nothing.map(|name| format!("user.{name} is the hash of nothing")));
    odd
}

/// A text that is there is a text, and not empty.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> Result<Option<&'a str>, Refusal> {
    fields::text(object, name).ok_or_else(|| invalid(name, "must be a string that is not empty"))
}
