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
    receiver::{Answer, Judged, Receiver, Sighted, Taken, Trouble},
};
use crate::server::Whole;
use event::Wrong;

/// Which requests the receiver accepts.
#[derive(Debug, Clone, Default)]
pub struct SnapchatRules {
    /// Access tokens that work; any when empty.
    pub tokens: Vec<String>,
    /// Pixels that exist; any when empty.
    pub pixels: Vec<String>,
}

/// The receiver of Snapchat's requests.
pub(super) struct Snapchat(pub(super) SnapchatRules);

/// Ad-platforms 4.1.
const MOST_EVENTS: usize = 2000;
/// Ad-platforms 4.5: by name and `event_id`; purchases by `order_id` too.
const REMEMBERS: Duration = Duration::from_secs(48 * 3600);
const REMEMBERS_ORDERS: Duration = Duration::from_secs(30 * 86_400);

/// Why a call is refused as a whole.
struct Refusal(u16, String);

/// A call whose events were looked at.
struct Accepted {
    events: usize,
    /// Each is judged for itself (ad-platforms 0): these are refused, counted from 0.
    wrong: Vec<(usize, Wrong)>,
    /// Members that nobody knows.
    read_over: Vec<String>,
}

fn invalid(field: &str, rule: &str) -> Refusal {
    Refusal(400, format!("{field} {rule}"))
}

impl Snapchat {
    fn check(&self, request: &Whole, now: Timestamp) -> Result<Accepted, Refusal> {
        if request.method != http::Method::POST {
            return Err(Refusal(405, "POST only".to_owned()));
        }
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
        let mut wrong = Vec::new();
        for (nth, event) in events.iter().enumerate() {
            match event::check(event, now) {
                Ok(()) => read_over.extend(event::read_over(event)),
                Err(why) => wrong.push((nth, why)),
            }
        }
        Ok(Accepted { events: events.len(), wrong, read_over })
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
                let key = format!("{}\nPURCHASE\norder {order}", pixel(request));
                event.also = Some((key, REMEMBERS_ORDERS));
            }
        }
        events
    }

    fn judge(&self, request: &Whole, now: Timestamp) -> Judged {
        let is_test = request.segments().ends_with(&["validate"]);
        let mut judged = match self.check(request, now) {
            Ok(accepted) => looked_at(accepted, is_test),
            Err(Refusal(status, why)) => Judged {
                answer: Answer::json(status, json!({"status": "INVALID", "reason": why})),
                taken: Taken::Nothing,
                reason: Some(why),
                is_test: false,
                read_over: Vec::new(),
            },
        };
        if is_test {
            judged.is_test = judged.reason.is_none();
            judged.taken = Taken::Nothing;
            if let Some(Value::Object(body)) = &mut judged.answer.body {
                body.insert("test_event".to_owned(), Value::Bool(true));
            }
        }
        judged
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

    fn remembers(&self) -> Duration {
        REMEMBERS
    }
}

/// What it says of a call's events. The first one that is wrong is named.
fn looked_at(Accepted { events, wrong, read_over }: Accepted, is_test: bool) -> Judged {
    let Some((nth, Wrong(code, why))) = wrong.first() else {
        let body = json!({"status": "VALID", "reason": "All events were processed"});
        let answer = Answer::json(200, body);
        return Judged { answer, taken: Taken::Everything, reason: None, is_test: false, read_over };
    };
    let errors = json!({"codes": [code], "error_msgs": [why]});
    let body = if is_test {
        let log = json!([{"event": nth + 1, "status": "INVALID", "errors": errors, "warnings": []}]);
        json!({"status": "INVALID", "reason": "Some events are invalid", "event_logs": log})
    } else {
        json!({"status": "INVALID", "event": nth + 1, "errors": errors})
    };
    // What it says when it took some of them is nowhere written.
    let status = if wrong.len() < events { 200 } else { 400 };
    let reason = Some(why.clone());
    let taken = match status {
        200 => Taken::AllBut(wrong.into_iter().map(|(nth, _)| nth).collect()),
        _ => Taken::Nothing,
    };
    Judged { answer: Answer::json(status, body), taken, reason, is_test: false, read_over }
}

fn pixel(request: &Whole) -> &str {
    request.uri.path().split('/').filter(|part| !part.is_empty()).nth(1).unwrap_or_default()
}
