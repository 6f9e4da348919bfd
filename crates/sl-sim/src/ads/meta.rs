//! Meta's Conversions API (ad-platforms 2): one bad event refuses the whole call.
//!
//! * [`event`]: the rules an event has to obey · [`members`]: names it knows · [`refusal`]: error bodies and codes

mod event;
mod members;
mod refusal;

use std::time::Duration;

use serde_json::{Value, json};
use sl_core::time::Timestamp;

use super::fields;
use super::receiver::{Answer, Judged, Receiver, Sighted, Taken, Trouble};
use crate::server::Whole;
use refusal::Refusal;

/// Which requests the receiver accepts.
#[derive(Debug, Clone, Default)]
pub struct MetaRules {
    /// Access tokens that work; any when empty.
    pub tokens: Vec<String>,
    /// Pixels that exist; any when empty.
    pub pixels: Vec<String>,
}

/// The receiver of Meta's requests.
pub(super) struct Meta(MetaRules);

/// Ad-platforms 2.9: same name and id within 48 hours, the first counts.
const REMEMBERS: Duration = Duration::from_secs(48 * 3600);
/// Ad-platforms 2.1.
const MOST_EVENTS: usize = 1000;
/// Members that are known at the root.
const ROOT: [&str; 8] = [
    "data",
    "test_event_code",
    "partner_agent",
    "access_token",
    "namespace_id",
    "upload_id",
    "upload_tag",
    "upload_source",
];
/// Ad-platforms 2.1: versions still served; older ones are served by the oldest of these.
const OLDEST_VERSION: u32 = 21;
const NEWEST_VERSION: u32 = 26;

impl Meta {
    pub(super) fn new(rules: MetaRules) -> Self {
        Self(rules)
    }

    fn check(&self, request: &Whole, now: Timestamp) -> Result<Accepted, Refusal> {
        let (version, pixel) = address(request).ok_or_else(Refusal::unknown_object)?;
        if !request.header("content-type").starts_with("application/json") {
            return Err(Refusal::malformed("Content-Type", "must be application/json"));
        }
        let body: Value =
            serde_json::from_slice(&request.body).map_err(|_| Refusal::malformed("body", "is no JSON"))?;
        let token = match body.get("access_token") {
            Some(token) => token.as_str().unwrap_or_default().to_owned(),
            None => request.param("access_token"),
        };
        if token.is_empty() || !(self.0.tokens.is_empty() || self.0.tokens.contains(&token)) {
            return Err(Refusal::token());
        }
        if !(self.0.pixels.is_empty() || self.0.pixels.iter().any(|known| known == pixel)) {
            return Err(Refusal::unknown_object());
        }
        let events = body.get("data").and_then(Value::as_array);
        let events = events.ok_or_else(|| Refusal::malformed("data", "must be an array"))?;
        if events.is_empty() || events.len() > MOST_EVENTS {
            return Err(Refusal::malformed("data", "must have 1 to 1000 events"));
        }
        let mut read_over = fields::strangers("", &body, &ROOT);
        for event in events {
            event::check(event, now)?;
            read_over.extend(members::read_over(event));
        }
        let test_code = match body.get("test_event_code") {
            None => None,
            Some(Value::String(code)) if !code.is_empty() => Some(code.clone()),
            Some(_) => return Err(Refusal::malformed("test_event_code", "must be a string")),
        };
        Ok(Accepted { version, events: events.len(), is_test: test_code.is_some(), read_over })
    }
}

struct Accepted {
    version: u32,
    events: usize,
    is_test: bool,
    read_over: Vec<String>,
}

impl Receiver for Meta {
    fn name(&self) -> &'static str {
        "meta"
    }

    /// `POST /v26.0/{pixel}/events`, or without a version.
    fn claims(&self, request: &Whole) -> bool {
        matches!(request.segments().as_slice(), [version, _, "events"] if is_version(version))
            || matches!(request.segments().as_slice(), [pixel, "events"] if is_number(pixel))
    }

    fn sight(&self, request: &Whole) -> Vec<Sighted> {
        let pixel = address(request).map(|(_, pixel)| pixel).unwrap_or_default();
        fields::events(request, pixel, "event_name")
    }

    fn judge(&self, request: &Whole, now: Timestamp) -> Judged {
        match self.check(request, now) {
            Ok(accepted) => {
                let served = accepted.version.clamp(OLDEST_VERSION, NEWEST_VERSION);
                let body = json!({
                    "events_received": accepted.events, "messages": [], "fbtrace_id": refusal::trace(request),
                });
                Judged {
                    answer: Answer::json(200, body).with("facebook-api-version", format!("v{served}.0")),
                    taken: Taken::Everything,
                    reason: None,
                    is_test: accepted.is_test,
                    read_over: accepted.read_over,
                }
            }
            Err(refusal) => Judged {
                reason: Some(refusal.reason()),
                answer: refusal.answer(refusal::trace(request)),
                taken: Taken::Nothing,
                is_test: false,
                read_over: Vec::new(),
            },
        }
    }

    fn trouble(&self, trouble: Trouble) -> Answer {
        match trouble {
            Trouble::Failed(status) => Refusal::of_status(status).answer("A_on_demand".to_owned()),
            // No Retry-After is promised; the minutes are in a usage header.
            Trouble::Limited { retry_after } => {
                let minutes = (retry_after + 59) / 60;
                let usage =
                    json!({"0": [{"type": "ads_management", "estimated_time_to_regain_access": minutes}]});
                Refusal::throttled().answer("A_limited".to_owned()).with("x-business-use-case-usage", usage)
            }
        }
    }

    fn remembers(&self) -> Duration {
        REMEMBERS
    }
}

/// Version (the newest without one) and pixel of `POST /{version}/{pixel}/events`.
fn address(request: &Whole) -> Option<(u32, &str)> {
    if request.method != http::Method::POST {
        return None;
    }
    let path: Vec<&str> = request.uri.path().split('/').filter(|part| !part.is_empty()).collect();
    match *path.as_slice() {
        [version, pixel, "events"] if is_number(pixel) => {
            let major = version.strip_prefix('v')?.split('.').next()?;
            Some((major.parse().ok()?, pixel))
        }
        [pixel, "events"] if is_number(pixel) => Some((NEWEST_VERSION, pixel)),
        _ => None,
    }
}

fn is_version(text: &str) -> bool {
    text.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
