//! The rules of one event (ad-platforms 2.2 to 2.4).

use std::{net::IpAddr, time::Duration};

use serde_json::Value;
use sl_core::time::Timestamp;

use super::{
    super::fields::{self, is_hash, is_hash_of_nothing},
    refusal::Refusal,
};

const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// `physical_store`.
const LONG: Duration = Duration::from_secs(62 * 86_400);
/// Clocks may be a minute off.
const AHEAD: Duration = Duration::from_secs(60);

const ACTION_SOURCES: [&str; 9] = [
    "website",
    "system_generated",
    "email",
    "app",
    "phone_call",
    "chat",
    "physical_store",
    "business_messaging",
    "other",
];

/// Members that must be SHA-256 in lower-case hex.
pub(super) const HASHED: [&str; 10] = ["em", "ph", "fn", "ln", "db", "ge", "ct", "st", "zp", "country"];
/// Members that name nobody, alone or together.
const VAGUE: [&str; 5] = ["ct", "st", "zp", "country", "client_user_agent"];

pub(super) fn check(event: &Value, now: Timestamp) -> Result<(), Refusal> {
    let name = text(event, "event_name")?.ok_or_else(|| missing("event_name"))?;
    let source = text(event, "action_source")?.ok_or_else(|| missing("action_source"))?;
    if !ACTION_SOURCES.contains(&source) {
        return Err(Refusal::malformed("action_source", "is unknown"));
    }
    time(event, source, now)?;
    text(event, "event_id")?;
    let user = event.get("user_data").ok_or_else(|| missing("user_data"))?;
    user_data(user)?;
    if source == "website" {
        let url = text(event, "event_source_url")?.ok_or_else(|| missing("event_source_url"))?;
        let url = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        url.ok_or_else(|| Refusal::malformed("event_source_url", "must be an address"))?;
        text(user, "client_user_agent")?.ok_or_else(|| missing("user_data.client_user_agent"))?;
    }
    processing_options(event)?;
    custom_data(event.get("custom_data"), name)
}

fn time(event: &Value, source: &str, now: Timestamp) -> Result<(), Refusal> {
    let seconds = event.get("event_time").ok_or_else(|| missing("event_time"))?;
    let seconds = seconds.as_i64().ok_or_else(|| Refusal::malformed("event_time", "must be an integer"))?;
    let at = Timestamp::from_seconds(seconds);
    // Milliseconds lie far ahead, and end here too.
    if at > now.plus(AHEAD) {
        return Err(Refusal::malformed("event_time", "lies in the future"));
    }
    let oldest = if source == "physical_store" { LONG } else { WEEK };
    if now.since(at) > oldest {
        return Err(Refusal::too_old());
    }
    Ok(())
}

fn user_data(user: &Value) -> Result<(), Refusal> {
    let members = user.as_object().ok_or_else(|| Refusal::malformed("user_data", "must be an object"))?;
    if members.values().any(Value::is_null) {
        return Err(Refusal::malformed("user_data", "has a null member"));
    }
    for name in HASHED {
        let values = many(user, name)?;
        if !values.iter().all(|value| is_hash(value)) {
            return Err(Refusal::malformed(
                &format!("user_data.{name}"),
                "must be SHA-256 in lower-case hex",
            ));
        }
        if values.iter().any(|value| is_hash_of_nothing(value)) {
            return Err(Refusal::malformed(&format!("user_data.{name}"), "is the hash of nothing"));
        }
    }
    if many(user, "external_id")?.iter().any(|id| id.is_empty() || is_hash_of_nothing(id)) {
        return Err(Refusal::malformed("user_data.external_id", "must not be empty"));
    }
    if let Some(ip) = text(user, "client_ip_address")?
        && ip.parse::<IpAddr>().is_err()
    {
        return Err(Refusal::malformed("user_data.client_ip_address", "must be an address"));
    }
    for name in ["fbc", "fbp"] {
        if let Some(value) = text(user, name)?
            && !is_browser_id(value)
        {
            return Err(Refusal::malformed(
                &format!("user_data.{name}"),
                "must look like fb.1.1772655069000.x",
            ));
        }
    }
    if members.keys().all(|name| VAGUE.contains(&name.as_str())) {
        return Err(Refusal::insufficient());
    }
    Ok(())
}

fn custom_data(custom: Option<&Value>, name: &str) -> Result<(), Refusal> {
    let custom = custom.unwrap_or(&Value::Null);
    if !(custom.is_object() || custom.is_null()) {
        return Err(Refusal::malformed("custom_data", "must be an object"));
    }
    let currency = text(custom, "currency")?;
    if currency.is_some_and(|word| word.len() != 3 || !word.bytes().all(|byte| byte.is_ascii_uppercase())) {
        return Err(Refusal::malformed("custom_data.currency", "must be ISO 4217"));
    }
    let value = match custom.get("value") {
        None => None,
        Some(value) => {
            let number = value.as_f64().filter(|number| *number >= 0.0 && number.is_finite());
            Some(
                number
                    .ok_or_else(|| Refusal::malformed("custom_data.value", "must be a number, at least 0"))?,
            )
        }
    };
    match (value, currency) {
        (Some(_), Some(_)) => Ok(()),
        _ if name == "Purchase" => Err(Refusal::no_value()),
        (None, None) => Ok(()),
        (Some(_), None) => Err(missing("custom_data.currency")),
        (None, Some(_)) => Err(missing("custom_data.value")),
    }
}

/// Limited Data Use: the array, and numbers beside it (ad-platforms 2.7).
fn processing_options(event: &Value) -> Result<(), Refusal> {
    let Some(options) = event.get("data_processing_options") else { return Ok(()) };
    let known = options.as_array().is_some_and(|words| words.iter().all(|word| word == "LDU"));
    if !known {
        return Err(Refusal::malformed("data_processing_options", "must be [] or [\"LDU\"]"));
    }
    for name in ["data_processing_options_country", "data_processing_options_state"] {
        if event.get(name).is_some_and(|value| !value.is_u64()) {
            return Err(Refusal::malformed(name, "must be a number"));
        }
    }
    Ok(())
}

fn missing(field: &str) -> Refusal {
    Refusal::malformed(field, "is missing")
}

/// A text that is there is a text, and not empty.
fn text<'a>(object: &'a Value, name: &str) -> Result<Option<&'a str>, Refusal> {
    fields::text(object, name).ok_or_else(|| Refusal::malformed(name, "must be a string that is not empty"))
}

/// A text, or a list of texts.
fn many<'a>(object: &'a Value, name: &str) -> Result<Vec<&'a str>, Refusal> {
    let wrong = || Refusal::malformed(&format!("user_data.{name}"), "must be a string or a list of strings");
    fields::many(object, name).ok_or_else(wrong)
}

/// `fb.{index}.{ms}.{rest}`, perhaps with one more part of 2 or 8 characters (ad-platforms 2.3).
fn is_browser_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match *parts.as_slice() {
        ["fb", index, time, rest] => digits(index) && is_time(time) && !rest.is_empty(),
        ["fb", index, time, rest, mark] => {
            digits(index) && is_time(time) && !rest.is_empty() && matches!(mark.len(), 2 | 8)
        }
        _ => false,
    }
}

fn is_time(text: &str) -> bool {
    (10..=13).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}
