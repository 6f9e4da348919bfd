//! Snapchat's Conversions API v3 (ad-platforms 4): `status` of the body decides; the test channel is a path of its own,
//! and keeps nothing.

use std::{net::IpAddr, time::Duration};

use serde_json::{Value, json};
use sl_core::time::Timestamp;

use super::{
    fields::{self, is_hash},
    receiver::{Answer, Judged, Receiver, Sighted, Trouble},
};
use crate::server::Whole;

/// Whom it believes.
#[derive(Debug, Clone, Default)]
pub struct SnapchatRules {
    /// Access tokens that work; any when empty.
    pub tokens: Vec<String>,
    /// Pixels that exist; any when empty.
    pub pixels: Vec<String>,
}

/// See the module.
pub(super) struct Snapchat(pub(super) SnapchatRules);

/// Ad-platforms 4.1.
const MOST_EVENTS: usize = 2000;
/// Ad-platforms 4.5: the published limit.
const OLDEST: Duration = Duration::from_secs(37 * 86_400);
/// A clock may be a minute off.
const AHEAD: Duration = Duration::from_secs(60);
/// Ad-platforms 4.5: by `event_id`; purchases by `order_id`.
const REMEMBERS: Duration = Duration::from_secs(48 * 3600);
const REMEMBERS_ORDERS: Duration = Duration::from_secs(30 * 86_400);
/// Seconds later than this are milliseconds, which Snap's own template sends: the year 5138.
const LAST_SECOND: i64 = 100_000_000_000;

/// HTTP status and sentence of a refusal.
struct Refusal(u16, String);

fn invalid(field: &str, rule: &str) -> Refusal {
    Refusal(400, format!("{field} {rule}"))
}

impl Snapchat {
    fn check(&self, request: &Whole, now: Timestamp) -> Result<(), Refusal> {
        let query = request.query();
        let token = query.iter().find(|(name, _)| name == "access_token").map(|(_, token)| token.as_str());
        let token =
            token.or_else(|| request.header("authorization").strip_prefix("Bearer ")).unwrap_or_default();
        if token.is_empty() || !(self.0.tokens.is_empty() || self.0.tokens.iter().any(|known| known == token))
        {
            return Err(Refusal(401, "The access token is invalid".to_owned()));
        }
        let pixel = pixel(request);
        if !(self.0.pixels.is_empty() || self.0.pixels.iter().any(|known| known == pixel)) {
            return Err(Refusal(403, "No access to this pixel".to_owned()));
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|_| invalid("body", "is no JSON"))?;
        let events = body.get("data").and_then(Value::as_array);
        let events = events.ok_or_else(|| invalid("data", "must be an array"))?;
        if events.is_empty() || events.len() > MOST_EVENTS {
            return Err(invalid("data", "must have 1 to 2000 events"));
        }
        events.iter().try_for_each(|event| check_event(event, now))
    }
}

fn check_event(event: &Value, now: Timestamp) -> Result<(), Refusal> {
    let name = text(event, "event_name")?.ok_or_else(|| invalid("event_name", "is missing"))?;
    text(event, "event_id")?;
    let time = event.get("event_time").and_then(Value::as_i64);
    let time = time.ok_or_else(|| invalid("event_time", "must be an integer"))?;
    let at = if time > LAST_SECOND { Timestamp(time) } else { Timestamp::from_seconds(time) };
    if at > now.plus(AHEAD) || now.since(at) > OLDEST {
        return Err(invalid("event_time", "is out of range"));
    }
    match text(event, "action_source")? {
        Some("WEB") => {
            let url = text(event, "event_source_url")?.and_then(|url| url::Url::parse(url).ok());
            url.ok_or_else(|| invalid("event_source_url", "must be an address"))?;
        }
        Some("MOBILE_APP" | "OFFLINE") => {}
        _ => return Err(invalid("action_source", "must be WEB, MOBILE_APP or OFFLINE")),
    }
    check_user(event.get("user_data").unwrap_or(&Value::Null))?;
    let custom = event.get("custom_data").unwrap_or(&Value::Null);
    let value = custom.get("value");
    if value.is_some_and(|value| !value.is_number()) {
        return Err(invalid("custom_data.value", "must be a number"));
    }
    let has_both = value.is_some() && text(custom, "currency")?.is_some();
    if name == "PURCHASE" && !has_both {
        return Err(invalid("custom_data", "of a PURCHASE must have value and currency"));
    }
    Ok(())
}

fn check_user(user: &Value) -> Result<(), Refusal> {
    for name in ["em", "ph", "fn", "ln", "ge", "ct", "st", "zp", "country", "external_id"] {
        let values = fields::many(user, name).ok_or_else(|| invalid(name, "must be a string or strings"))?;
        if !values.iter().all(|value| is_hash(value)) {
            return Err(invalid(name, "must be hashed with SHA-256"));
        }
    }
    let ip = text(user, "client_ip_address")?;
    if ip.is_some_and(|ip| ip.parse::<IpAddr>().is_err()) {
        return Err(invalid("client_ip_address", "must be an address, not a hash"));
    }
    let device = ip.is_some() && text(user, "client_user_agent")?.is_some();
    if !device && ["em", "ph", "madid"].iter().all(|name| user.get(name).is_none()) {
        return Err(invalid("user_data", "is too little to recognise anybody by"));
    }
    Ok(())
}

impl Receiver for Snapchat {
    fn name(&self) -> &'static str {
        "snapchat"
    }

    /// `/v3/{pixel}/events`, and `/validate` behind it. A pixel is a UUID, so none of Meta's paths is meant.
    fn claims(&self, request: &Whole) -> bool {
        matches!(request.segments().as_slice(), ["v3", _, "events"] | ["v3", _, "events", "validate"])
    }

    fn sight(&self, request: &Whole) -> Vec<Sighted> {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let mut events = fields::events(&body, pixel(request), "event_name");
        let rows = body.get("data").and_then(Value::as_array).into_iter().flatten();
        for (event, row) in events.iter_mut().zip(rows) {
            let order = row.pointer("/custom_data/order_id").and_then(Value::as_str);
            if let Some(order) = order.filter(|_| event.name == "PURCHASE") {
                event.key = format!("{}\nPURCHASE\norder {order}", pixel(request));
            }
        }
        events
    }

    fn judge(&self, request: &Whole, now: Timestamp) -> Judged {
        let is_test = request.segments().ends_with(&["validate"]);
        match self.check(request, now) {
            Ok(()) => {
                let body =
                    json!({"status": "VALID", "reason": "All events were processed", "test_event": is_test});
                Judged {
                    answer: Answer::json(200, body),
                    accepted: !is_test,
                    reason: None,
                    is_test,
                    read_over: Vec::new(),
                }
            }
            Err(Refusal(status, why)) => {
                let body = json!({"status": "INVALID", "reason": why, "test_event": is_test});
                Judged {
                    answer: Answer::json(status, body),
                    accepted: false,
                    reason: Some(why),
                    is_test: false,
                    read_over: Vec::new(),
                }
            }
        }
    }

    fn trouble(&self, trouble: Trouble) -> Answer {
        match trouble {
            Trouble::Failed(status @ 500..) => Answer::empty(status),
            Trouble::Failed(status) => {
                Answer::json(status, json!({"status": "INVALID", "reason": "Refused on demand"}))
            }
            Trouble::Limited { .. } => Answer::empty(429),
        }
    }

    fn remembers(&self, name: &str) -> Duration {
        if name == "PURCHASE" { REMEMBERS_ORDERS } else { REMEMBERS }
    }
}

fn pixel(request: &Whole) -> &str {
    request.uri.path().split('/').filter(|part| !part.is_empty()).nth(1).unwrap_or_default()
}

/// A text that is there is a text, and not empty.
fn text<'a>(object: &'a Value, name: &str) -> Result<Option<&'a str>, Refusal> {
    fields::text(object, name).ok_or_else(|| invalid(name, "must be a string that is not empty"))
}
