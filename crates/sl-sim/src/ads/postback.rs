//! Receiver of postback URLs: takes GET and POST on any path, and counts a conversion once.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sl_core::time::Timestamp;

use super::fields::whole;
use super::receiver::{Answer, Judged, Receiver, Sighted, Taken};
use crate::server::Whole;

/// The receiver of postback URLs.
pub(super) struct Postbacks;

/// Where a sender may put the id of a conversion: parameters of the query, members of a JSON or form body.
const IDS: [&str; 4] = ["event_id", "conversion_id", "delivery_id", "transaction_id"];
/// Headers in which a sender may put the id of a conversion.
const ID_HEADERS: [&str; 2] = ["idempotency-key", "x-event-id"];
/// Parameters or members in which a sender may say the kind of a conversion.
const NAMES: [&str; 3] = ["event", "conversion_type", "type"];
/// Trackers remember a conversion for good; a month is longer than any retry.
const REMEMBERS: Duration = Duration::from_secs(30 * 86_400);

impl Receiver for Postbacks {
    fn name(&self) -> &'static str {
        "postback"
    }

    fn claims(&self, _: &Whole) -> bool {
        true
    }

    fn sight(&self, request: &Whole) -> Vec<Sighted> {
        let mut fields = request.query();
        fields.extend(body_fields(request));
        let find = |names: &[&str]| {
            let value = |name: &&str| fields.iter().find(|(key, value)| key == name && !value.is_empty());
            names.iter().find_map(value).map(|(_, value)| value.clone())
        };
        let by_header = || ID_HEADERS.iter().map(|name| request.header(name)).find(|value| !value.is_empty());
        let name = find(&NAMES).unwrap_or_else(|| "postback".to_owned());
        let id = find(&IDS).or_else(|| by_header().map(str::to_owned)).unwrap_or_else(|| digest(request));
        // One URL may be told of the same conversion by two postbacks: they differ in their path.
        let key = format!("{}\n{name}\n{id}", request.uri.path());
        vec![Sighted { name, id, key, also: None, wire: whole(request) }]
    }

    fn judge(&self, request: &Whole, _: Timestamp) -> Judged {
        let known = matches!(request.method.as_str(), "GET" | "POST");
        Judged {
            answer: if known { Answer::json(200, json!({"status": "ok"})) } else { Answer::empty(405) },
            taken: if known { Taken::Everything } else { Taken::Nothing },
            reason: (!known).then(|| format!("method {}", request.method)),
            is_test: false,
            read_over: Vec::new(),
        }
    }

    fn remembers(&self) -> Duration {
        REMEMBERS
    }
}

/// Members of a JSON object, or pairs of a form.
fn body_fields(request: &Whole) -> Vec<(String, String)> {
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(members)) => members
            .into_iter()
            .filter_map(|(key, value)| match value {
                Value::String(text) => Some((key, text)),
                Value::Number(number) => Some((key, number.to_string())),
                _ => None,
            })
            .collect(),
        _ => form_urlencoded::parse(&request.body).into_owned().collect(),
    }
}

/// A sender without ids is known by what it sends.
fn digest(request: &Whole) -> String {
    let mut hash = Sha256::new();
    hash.update(request.uri.to_string());
    hash.update(&request.body);
    let digest: [u8; 32] = hash.finalize().into();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
