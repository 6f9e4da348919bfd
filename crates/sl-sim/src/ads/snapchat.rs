//! Snapchat's Conversions API v3 (ad-platforms 4): `status` of the body decides; the test channel is a path of its own,
//! and keeps nothing.
//!
//! * [`event`]: the rules an event has to obey

mod event;

use std::time::Duration;

use serde_json::{Value, json};
use sl_core::time::Timestamp;

use super::{
    fields::{self, strangers},
    receiver::{Answer, Judged, Receiver, Sighted, Trouble},
};
use crate::server::Whole;
use event::Wrong;

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
/// Ad-platforms 4.5: by `event_id`; purchases by `order_id`.
const REMEMBERS: Duration = Duration::from_secs(48 * 3600);
const REMEMBERS_ORDERS: Duration = Duration::from_secs(30 * 86_400);

/// Why a call is refused: as a whole, or for one of its events (counted from 1).
enum Refusal {
    Call(u16, String),
    Event(usize, Wrong),
}

fn invalid(field: &str, rule: &str) -> Refusal {
    Refusal::Call(400, format!("{field} {rule}"))
}

impl Snapchat {
    /// What it reads over.
    fn check(&self, request: &Whole, now: Timestamp) -> Result<Vec<String>, Refusal> {
        if request.method != http::Method::POST {
            return Err(Refusal::Call(405, "POST only".to_owned()));
        }
        let query = request.query();
        let token = query.iter().find(|(name, _)| name == "access_token").map(|(_, token)| token.as_str());
        let token =
            token.or_else(|| request.header("authorization").strip_prefix("Bearer ")).unwrap_or_default();
        if token.is_empty() || !(self.0.tokens.is_empty() || self.0.tokens.iter().any(|known| known == token))
        {
            return Err(Refusal::Call(401, "The access token is invalid".to_owned()));
        }
        let pixel = pixel(request);
        if !(self.0.pixels.is_empty() || self.0.pixels.iter().any(|known| known == pixel)) {
            return Err(Refusal::Call(403, "No access to this pixel".to_owned()));
        }
        if !request.header("content-type").starts_with("application/json") {
            return Err(invalid("Content-Type", "must be application/json"));
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|_| invalid("body", "is no JSON"))?;
        let events = body.get("data").and_then(Value::as_array);
        let events = events.ok_or_else(|| invalid("data", "must be an array"))?;
        if events.is_empty() || events.len() > MOST_EVENTS {
            return Err(invalid("data", "must have 1 to 2000 events"));
        }
        let mut read_over = strangers("", &body, &["data"]);
        for (nth, event) in events.iter().enumerate() {
            event::check(event, now).map_err(|wrong| Refusal::Event(nth + 1, wrong))?;
            read_over.extend(event::read_over(event));
        }
        Ok(read_over)
    }
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
        let mut events = fields::events(request, pixel(request), "event_name");
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
        let (status, reason, mut body, read_over) = match self.check(request, now) {
            Ok(read_over) => {
                let body = json!({"status": "VALID", "reason": "All events were processed"});
                (200, None, body, read_over)
            }
            Err(Refusal::Call(status, why)) => {
                (status, Some(why.clone()), json!({"status": "INVALID", "reason": why}), Vec::new())
            }
            Err(Refusal::Event(nth, Wrong(code, why))) => {
                let errors = json!({"codes": [code], "error_msgs": [why]});
                let mut body = json!({"status": "INVALID", "event": nth, "errors": errors});
                if is_test {
                    let log = json!([{"event": nth, "status": "INVALID", "errors": errors, "warnings": []}]);
                    body =
                        json!({"status": "INVALID", "reason": "Some events are invalid", "event_logs": log});
                }
                (400, Some(why), body, Vec::new())
            }
        };
        if let Some(body) = body.as_object_mut().filter(|_| is_test) {
            body.insert("test_event".to_owned(), Value::Bool(true));
        }
        let accepted = reason.is_none() && !is_test;
        let is_test = is_test && reason.is_none();
        Judged { answer: Answer::json(status, body), accepted, reason, is_test, read_over }
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
