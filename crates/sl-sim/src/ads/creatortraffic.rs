//! CreatorTraffic (ad-platforms 5). Its interface is not public: this one takes what the shipped template sends, and looks
//! at it as closely as a tracker would.

use std::time::Duration;

use serde_json::json;
use sl_core::time::{DayEdge, Timestamp};

use super::fields::whole;
use super::receiver::{Answer, Judged, Receiver, Sighted, Taken};
use crate::server::Whole;

/// Which requests the receiver accepts.
#[derive(Debug, Clone, Default)]
pub struct CreatorTrafficRules {
    /// Bearer tokens that work; any when empty.
    pub tokens: Vec<String>,
}

/// The receiver of CreatorTraffic's requests.
pub(super) struct CreatorTraffic(pub(super) CreatorTrafficRules);

/// A click converts once; a month is longer than any retry.
const REMEMBERS: Duration = Duration::from_secs(30 * 86_400);
/// A clock may be a minute off.
const AHEAD: Duration = Duration::from_secs(60);
/// Parameters that it knows.
const KNOWN: [&str; 4] = ["click_id", "event", "event_id", "ts"];

struct Refusal(u16, &'static str);

impl CreatorTraffic {
    fn check(&self, request: &Whole, now: Timestamp) -> Result<(), Refusal> {
        if request.method != http::Method::GET {
            return Err(Refusal(405, "GET only"));
        }
        let token = request.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        if token.is_empty() || !(self.0.tokens.is_empty() || self.0.tokens.iter().any(|known| known == token))
        {
            return Err(Refusal(401, "unknown token"));
        }
        let click = request.param("click_id");
        if click.is_empty() {
            return Err(Refusal(422, "click_id is missing"));
        }
        if [("{", "}"), ("__", "__")]
            .iter()
            .any(|(open, close)| click.starts_with(open) && click.ends_with(close))
        {
            return Err(Refusal(422, "click_id is a macro"));
        }
        if request.param("event") != "subscribe" {
            return Err(Refusal(422, "event is unknown"));
        }
        if request.param("event_id").is_empty() {
            return Err(Refusal(422, "event_id is missing"));
        }
        let at = request.param("ts");
        let at = Timestamp::parse(&at, DayEdge::Start).ok().filter(|_| at.ends_with("+00:00"));
        match at {
            Some(at) if at <= now.plus(AHEAD) => Ok(()),
            Some(_) => Err(Refusal(422, "ts lies in the future")),
            None => Err(Refusal(422, "ts is no time")),
        }
    }
}

impl Receiver for CreatorTraffic {
    fn name(&self) -> &'static str {
        "creatortraffic"
    }

    /// Whatever begins with `/creatortraffic`: the address is the operator's to enter.
    fn claims(&self, request: &Whole) -> bool {
        request.segments().first() == Some(&"creatortraffic")
    }

    fn sight(&self, request: &Whole) -> Vec<Sighted> {
        let (name, id) = (request.param("event"), request.param("event_id"));
        vec![Sighted { name, id, key: request.param("click_id"), also: None, wire: whole(request) }]
    }

    fn judge(&self, request: &Whole, now: Timestamp) -> Judged {
        let names = request.query().into_iter().map(|(name, _)| name);
        let read_over = names.filter(|name| !KNOWN.contains(&name.as_str())).collect();
        match self.check(request, now) {
            Ok(()) => Judged {
                answer: Answer::json(200, json!({"status": "ok"})),
                taken: Taken::Everything,
                reason: None,
                is_test: false,
                read_over,
            },
            Err(Refusal(status, why)) => Judged {
                answer: Answer::json(status, json!({"status": "error", "message": why})),
                taken: Taken::Nothing,
                reason: Some(why.to_owned()),
                is_test: false,
                read_over: Vec::new(),
            },
        }
    }

    fn remembers(&self) -> Duration {
        REMEMBERS
    }
}
