//! TikTok's Events API 2.0 (ad-platforms 3): the `code` of the body decides, not the HTTP status; one invalid event
//! refuses the whole call.
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
use event::text;

/// Which requests the receiver accepts.
#[derive(Debug, Clone, Default)]
pub struct TikTokRules {
    /// Access tokens that work; any when empty.
    pub tokens: Vec<String>,
    /// Pixel codes that exist; any when empty.
    pub pixels: Vec<String>,
}

/// The receiver of TikTok's requests.
pub(super) struct TikTok(pub(super) TikTokRules);

/// Ad-platforms 3.6.
const REMEMBERS: Duration = Duration::from_secs(48 * 3600);
/// Ad-platforms 3.1.
const MOST_EVENTS: usize = 1000;
/// Not published; a clock may be a minute off.
const AHEAD: Duration = Duration::from_secs(60);

/// Members that are known at the root.
const ROOT: [&str; 5] = ["event_source", "event_source_id", "data", "test_event_code", "partner_name"];

const OK: u32 = 0;
const INVALID: u32 = 40_002;
const UNHASHED: u32 = 40_062;
const NO_ROUTE: u32 = 40_400;
const NO_PERMISSION: u32 = 40_001;
const NO_TOKEN: u32 = 40_104;
const BAD_TOKEN: u32 = 40_105;
const TOO_MANY: u32 = 40_100;
const SERVER_SIDE: u32 = 50_000;

/// Code and sentence of a refusal.
struct Refusal(u32, String);

fn invalid(field: &str, rule: &str) -> Refusal {
    Refusal(INVALID, format!("{field} {rule}"))
}

impl TikTok {
    fn check(&self, request: &Whole, now: Timestamp) -> Result<Accepted, Refusal> {
        // With its last slash (ad-platforms 3.1).
        if request.method != http::Method::POST || !request.uri.path().ends_with('/') {
            return Err(Refusal(NO_ROUTE, "No such path".to_owned()));
        }
        let token = request.header("access-token");
        if token.is_empty() {
            return Err(Refusal(NO_TOKEN, "Access token is empty".to_owned()));
        }
        if !(self.0.tokens.is_empty() || self.0.tokens.iter().any(|known| known == token)) {
            return Err(Refusal(BAD_TOKEN, "Access token is incorrect".to_owned()));
        }
        if !request.header("content-type").starts_with("application/json") {
            return Err(invalid("Content-Type", "must be application/json"));
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|_| invalid("body", "is no JSON"))?;
        if body.get("event_source").and_then(Value::as_str) != Some("web") {
            return Err(invalid("event_source", "must be web"));
        }
        let pixel =
            text(&body, "event_source_id")?.ok_or_else(|| invalid("event_source_id", "is missing"))?;
        if !(self.0.pixels.is_empty() || self.0.pixels.iter().any(|known| known == pixel)) {
            return Err(Refusal(NO_PERMISSION, "No permission to operate this pixel".to_owned()));
        }
        let events = body.get("data").and_then(Value::as_array);
        let events = events.ok_or_else(|| invalid("data", "must be an array"))?;
        if events.is_empty() || events.len() > MOST_EVENTS {
            return Err(invalid("data", "must have 1 to 1000 events"));
        }
        let mut read_over = strangers("", &body, &ROOT);
        for event in events {
            event::check(event, now)?;
            read_over.extend(event::read_over(event));
        }
        Ok(Accepted { is_test: text(&body, "test_event_code")?.is_some(), read_over })
    }
}

struct Accepted {
    is_test: bool,
    read_over: Vec<String>,
}

impl Receiver for TikTok {
    fn name(&self) -> &'static str {
        "tiktok"
    }

    fn claims(&self, request: &Whole) -> bool {
        request.segments() == ["open_api", "v1.3", "event", "track"]
    }

    fn sight(&self, request: &Whole) -> Vec<Sighted> {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let pixel = body.get("event_source_id").and_then(Value::as_str).unwrap_or_default();
        fields::events(request, pixel, "event")
    }

    fn judge(&self, request: &Whole, now: Timestamp) -> Judged {
        match self.check(request, now) {
            Ok(Accepted { is_test, read_over }) => Judged {
                answer: envelope(200, OK, "OK"),
                taken: Taken::Everything,
                reason: None,
                is_test,
                read_over,
            },
            Err(Refusal(code, message)) => Judged {
                // Refusals come with 200; only a token is told by the status as well.
                answer: envelope(if (40_100..40_131).contains(&code) { 401 } else { 200 }, code, &message),
                taken: Taken::Nothing,
                reason: Some(message),
                is_test: false,
                read_over: Vec::new(),
            },
        }
    }

    fn trouble(&self, trouble: Trouble) -> Answer {
        match trouble {
            Trouble::Failed(401) => envelope(401, BAD_TOKEN, "Access token is incorrect"),
            Trouble::Failed(403) => envelope(200, NO_PERMISSION, "No permission to operate this pixel"),
            // A gateway's page.
            Trouble::Failed(status @ 502..) => Answer::empty(status),
            Trouble::Failed(status @ 500..) => envelope(status, SERVER_SIDE, "Internal error"),
            Trouble::Failed(429) | Trouble::Limited { .. } => envelope(401, TOO_MANY, "Too many requests"),
            Trouble::Failed(_) => envelope(200, INVALID, "Refused on demand"),
        }
    }

    fn remembers(&self) -> Duration {
        REMEMBERS
    }
}

fn envelope(status: u16, code: u32, message: &str) -> Answer {
    let body = json!({"code": code, "message": message, "request_id": "20261125000000000000", "data": {}});
    Answer::json(status, body)
}
