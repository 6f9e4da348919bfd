//! Meta Conversions API (ad-platforms 2).

use std::time::Duration;

use serde_json::{Map, Value, json};
use sl_core::{
    batch::Batching,
    catalog::{Pixel, PlatformKind},
    click::Click,
    delivery::RenderedRequest,
    identity::Identity,
    retry::{Limits, Outcome},
    seal::Secret,
};

use super::{
    members::Members,
    shared::{HOUR, check_amount, encoded, money, post, set, source_url},
};
use crate::{
    platform::{AdPlatform, Event, Skip, Verdict},
    sender::Answer,
};

/// Seven days less an hour: one event that is older refuses the whole call (ad-platforms 2.2).
const LIMITS: Limits =
    Limits { age: Duration::from_secs((7 * 24 - 1) * HOUR), ambiguous: Some(Duration::from_secs(47 * HOUR)) };

/// The platform at its address.
#[derive(Debug, Clone)]
pub struct Meta {
    base_url: String,
    version: String,
}

impl Meta {
    /// `base_url` is an origin; `version` such as `v26.0`, unless the pixel has its own.
    #[must_use]
    pub fn new(base_url: &str, version: impl Into<String>) -> Self {
        Self { base_url: base_url.trim_end_matches('/').to_owned(), version: version.into() }
    }
}

impl Meta {
    /// An expired version is served silently by the oldest living one; a header says which (ad-platforms 2.1).
    fn other_version(&self, answer: &Answer) -> Option<String> {
        let served = answer.headers.get("facebook-api-version")?.to_str().ok()?;
        (served != self.version).then(|| format!("answered by {served}, configured is {}", self.version))
    }
}

impl AdPlatform for Meta {
    fn kind(&self) -> PlatformKind {
        PlatformKind::Meta
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn build(
        &self,
        pixel: &Pixel,
        event: &Event<'_>,
        click: &Click,
        click_url: &str,
    ) -> Result<RenderedRequest, Skip> {
        check_amount(event, &["Purchase"])?;
        let mut data = json!({
            "event_name": event.name,
            "event_time": event.occurred_at.seconds(),
            "event_id": event.event_id,
            "action_source": if event.renewal { "system_generated" } else { "website" },
            "event_source_url":
                pixel.event_source_url.clone().unwrap_or_else(|| source_url(click_url, |name| name == "fbclid")),
            "user_data": user_data(pixel, click).ok_or(Skip::INSUFFICIENT_USER_DATA)?,
        });
        if let Some(money) = money(event) {
            set(&mut data, "custom_data", money);
        }
        if pixel.limited_data_use {
            set(&mut data, "data_processing_options", json!(["LDU"]));
            set(&mut data, "data_processing_options_country", json!(0));
            set(&mut data, "data_processing_options_state", json!(0));
        }
        let mut body = json!({ "data": [data] });
        if let Some(code) = event.channel.code() {
            set(&mut body, "test_event_code", json!(code));
        }
        let version = pixel.api_version.as_deref().unwrap_or(&self.version);
        Ok(post(format!("{}/{version}/{}/events", self.base_url, encoded(&pixel.pixel_id)), &body))
    }

    fn batching(&self) -> Option<Batching> {
        Some(Batching { most: 1_000, list: "data" })
    }

    /// The token is the first member of the body, which keeps it out of every URL (ad-platforms 2.1).
    fn authorise(&self, mut request: RenderedRequest, token: &Secret) -> RenderedRequest {
        let member = format!("{{\"access_token\":{},", Value::from(token.expose()));
        request.body.splice(..1, member.into_bytes());
        request
    }

    fn verdict(&self, answer: &Answer, events: usize) -> Verdict {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let success = (200..300).contains(&answer.status);
        let received =
            body.get("events_received").and_then(Value::as_u64).filter(|count| success && *count >= 1);
        if let Some(received) = received {
            let trace = body.get("fbtrace_id").and_then(Value::as_str).map(|id| format!("fbtrace_id {id}"));
            let short = received < events as u64;
            // It does not say which.
            let outcome = if short { Outcome::Unclear } else { Outcome::Delivered };
            let short = short.then(|| format!("events_received {received} of {events}"));
            let words: Vec<String> =
                short.into_iter().chain(trace).chain(self.other_version(answer)).collect();
            return Verdict { outcome, words: Some(words.join("; ")) };
        }
        let Some(error) = body.get("error") else {
            // Of something in between (HTML, as a rule), or a success that confirms nothing.
            let outcome = match Outcome::of_status(answer.status, answer.retry_after()) {
                Outcome::Delivered if body.is_object() => Outcome::Unclear,
                Outcome::Delivered => Outcome::Retry,
                other => other,
            };
            return Verdict { outcome, words: Some(answer.words(500)) };
        };
        Verdict { outcome: outcome(error, answer), words: Some(words(error)) }
    }
}

/// By code, then `is_transient`, then status (ad-platforms 2.6).
fn outcome(error: &Value, answer: &Answer) -> Outcome {
    let number = |key: &str| error.get(key).and_then(Value::as_u64);
    let is_transient = error.get("is_transient").and_then(Value::as_bool) == Some(true);
    match (number("code"), number("error_subcode")) {
        (Some(190 | 102 | 10 | 200..=299), _) => Outcome::Auth,
        (Some(100), Some(33)) | (Some(3 | 803 | 2635), _) => Outcome::Config,
        (Some(4 | 17 | 341 | 368 | 613 | 80_000..=80_014), _) => Outcome::Slow(regain(answer)),
        (Some(1 | 2 | 21_009), _) => Outcome::Retry,
        _ if is_transient => Outcome::Retry,
        (Some(100 | 105 | 506), _) => Outcome::Payload,
        // An error is none the better for a status of success.
        _ => match Outcome::of_status(answer.status, answer.retry_after()) {
            Outcome::Delivered => Outcome::Unclear,
            other => other,
        },
    }
}

/// Minutes until access is regained, from the usage header.
fn regain(answer: &Answer) -> Option<Duration> {
    let usage = answer.headers.get("x-business-use-case-usage")?.as_bytes();
    let usage: Map<String, Value> = serde_json::from_slice(usage).ok()?;
    let entries = usage.values().filter_map(Value::as_array).flatten();
    let minutes = entries.filter_map(|entry| entry.get("estimated_time_to_regain_access")?.as_u64());
    minutes.max().filter(|minutes| *minutes > 0).map(|minutes| Duration::from_secs(60 * minutes))
}

fn words(error: &Value) -> String {
    let text = |key: &str| {
        error.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let parts = ["code", "error_subcode", "message", "error_user_msg", "fbtrace_id"];
    let told = parts.iter().filter_map(|key| text(key).map(|value| format!("{key} {value}")));
    told.collect::<Vec<_>>().join("; ")
}

/// Members by which Meta may recognise the person; `None` when it would refuse them as too little (ad-platforms 1.7).
fn user_data(pixel: &Pixel, click: &Click) -> Option<Value> {
    let (person, mut user) = (Identity::of(click, pixel.external_id_source), Members::default());
    user.plain("client_ip_address", person.ip)
        .plain("client_user_agent", person.user_agent)
        .plain("fbc", person.fbc)
        .plain("fbp", person.fbp)
        .hashed_list("external_id", person.external_id)
        .hashed_list("ct", person.city)
        .hashed_list("st", person.region)
        .hashed_list("zp", person.postal_code)
        .hashed_list("country", person.country);
    user.any(&["client_ip_address", "fbc", "fbp", "external_id"]).then(|| user.into_value())
}
