//! The rules of one event (ad-platforms 4.2 to 4.4), and what Snapchat reads over without a word.

use std::{net::IpAddr, time::Duration};

use serde_json::Value;
use sl_core::time::Timestamp;

use super::super::fields::{self, is_currency, is_hash, is_hash_of_nothing, strangers};

/// Ad-platforms 4.5: the published limit.
const OLDEST: Duration = Duration::from_secs(37 * 86_400);
/// A clock may be a minute off.
const AHEAD: Duration = Duration::from_secs(60);
/// Seconds later than this are milliseconds, which Snap's own template sends: the year 5138.
const LAST_SECOND: i64 = 100_000_000_000;

/// Ad-platforms 4.4; and five numbered ones of one's own. There is no `LEAD`.
const NAMES: &str = "PURCHASE SAVE START_CHECKOUT ADD_CART VIEW_CONTENT ADD_BILLING SIGN_UP SEARCH PAGE_VIEW SUBSCRIBE \
                     AD_CLICK AD_VIEW COMPLETE_TUTORIAL INVITE LOGIN SHARE RESERVE ACHIEVEMENT_UNLOCKED ADD_TO_WISHLIST \
                     SPENT_CREDITS RATE START_TRIAL LIST_VIEW LEVEL_COMPLETE APP_INSTALL APP_OPEN CUSTOM_EVENT_1 \
                     CUSTOM_EVENT_2 CUSTOM_EVENT_3 CUSTOM_EVENT_4 CUSTOM_EVENT_5";
const EVENT: [&str; 9] = [
    "event_name",
    "event_time",
    "event_id",
    "action_source",
    "event_source_url",
    "user_data",
    "custom_data",
    "data_processing_options",
    "integration",
];
/// Members that tell of a person, which must be SHA-256 in lower-case hex.
const HASHED: [&str; 10] = ["em", "ph", "fn", "ln", "ge", "ct", "st", "zp", "country", "external_id"];
const PLAIN: [&str; 6] =
    ["sc_click_id", "sc_cookie1", "client_ip_address", "client_user_agent", "madid", "idfv"];
const CUSTOM: [&str; 8] = [
    "value",
    "currency",
    "order_id",
    "content_ids",
    "contents",
    "num_items",
    "sign_up_method",
    "search_string",
];

/// Code and sentence of what is wrong with an event. The real codes have no published list.
pub(super) struct Wrong(pub(super) &'static str, pub(super) String);

fn wrong(field: &str, rule: &str) -> Wrong {
    Wrong("1001", format!("{field} {rule}"))
}

pub(super) fn check(event: &Value, now: Timestamp) -> Result<(), Wrong> {
    let name = text(event, "event_name")?.ok_or_else(|| wrong("event_name", "is missing"))?;
    if !NAMES.split_whitespace().any(|known| known == name) {
        return Err(Wrong("1002", format!("event_name {name} is unknown")));
    }
    text(event, "event_id")?;
    let time = event.get("event_time").and_then(Value::as_i64);
    let time = time.ok_or_else(|| wrong("event_time", "must be an integer"))?;
    let at = if time > LAST_SECOND { Timestamp(time) } else { Timestamp::from_seconds(time) };
    if at > now.plus(AHEAD) || now.since(at) > OLDEST {
        return Err(Wrong("1003", "event_time is out of range".to_owned()));
    }
    match text(event, "action_source")? {
        Some("WEB") => {
            let url = text(event, "event_source_url")?.and_then(|url| url::Url::parse(url).ok());
            url.ok_or_else(|| wrong("event_source_url", "must be an address"))?;
        }
        Some("MOBILE_APP" | "OFFLINE") => {}
        _ => return Err(wrong("action_source", "must be WEB, MOBILE_APP or OFFLINE")),
    }
    check_user(event.get("user_data").unwrap_or(&Value::Null))?;
    check_custom(name, event.get("custom_data").unwrap_or(&Value::Null))?;
    let options = fields::many(event, "data_processing_options");
    let known = options.is_some_and(|all| all.iter().all(|option| ["LMU", "DELETE"].contains(option)));
    if known { Ok(()) } else { Err(wrong("data_processing_options", "must be LMU or DELETE")) }
}

fn check_custom(name: &str, custom: &Value) -> Result<(), Wrong> {
    let value = custom.get("value");
    if value.is_some_and(|value| value.as_f64().is_none_or(|value| value < 0.0)) {
        return Err(wrong("custom_data.value", "must be a number from 0"));
    }
    let currency = text(custom, "currency")?;
    if currency.is_some_and(|currency| !is_currency(currency)) {
        return Err(wrong("custom_data.currency", "must be one of ISO 4217"));
    }
    text(custom, "order_id")?;
    if name == "PURCHASE" && (value.is_none() || currency.is_none()) {
        return Err(Wrong("1004", "custom_data of a PURCHASE must have value and currency".to_owned()));
    }
    Ok(())
}

fn check_user(user: &Value) -> Result<(), Wrong> {
    for name in HASHED {
        let values = fields::many(user, name).ok_or_else(|| wrong(name, "must be a string or strings"))?;
        if !values.iter().all(|value| is_hash(value)) {
            return Err(Wrong("1005", format!("{name} must be hashed with SHA-256")));
        }
    }
    for name in PLAIN {
        text(user, name)?;
    }
    let ip = text(user, "client_ip_address")?;
    if ip.is_some_and(|ip| ip.parse::<IpAddr>().is_err()) {
        return Err(Wrong("1006", "client_ip_address must be an address, not a hash".to_owned()));
    }
    let device = ip.is_some() && user.get("client_user_agent").is_some();
    if !device && ["em", "ph", "madid"].iter().all(|name| user.get(name).is_none()) {
        return Err(Wrong("1007", "user_data is too little to recognise anybody by".to_owned()));
    }
    Ok(())
}

/// Members under a wrong name, and digests where none belong or of nothing.
pub(super) fn read_over(event: &Value) -> Vec<String> {
    let mut odd = strangers("", event, &EVENT);
    odd.extend(event.get("custom_data").map(|it| strangers("custom_data", it, &CUSTOM)).unwrap_or_default());
    let Some(user) = event.get("user_data") else { return odd };
    let known: Vec<&str> = HASHED.into_iter().chain(PLAIN).collect();
    odd.extend(strangers("user_data", user, &known));
    let is = |name: &str, what: fn(&str) -> bool| {
        fields::many(user, name).unwrap_or_default().into_iter().any(what)
    };
    let hashed = PLAIN.iter().filter(|name| is(name, is_hash));
    odd.extend(hashed.map(|name| format!("user_data.{name} is hashed")));
    let nothing = HASHED.iter().filter(|name| is(name, is_hash_of_nothing));
    odd.extend(nothing.map(|name| format!("user_data.{name} is the hash of nothing")));
    odd
}

/// A text that is there is a text, and not empty.
fn text<'a>(object: &'a Value, name: &str) -> Result<Option<&'a str>, Wrong> {
    fields::text(object, name).ok_or_else(|| wrong(name, "must be a string that is not empty"))
}
