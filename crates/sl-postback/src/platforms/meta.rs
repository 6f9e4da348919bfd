//! Meta Conversions API (ad-platforms 2).

use std::time::Duration;

use serde_json::{Map, Value, json};
use sl_core::{
    catalog::{Pixel, PlatformKind},
    click::Click,
    delivery::RenderedRequest,
    places,
    retry::{Limits, Outcome},
    seal::Secret,
    visitor::is_unexpanded_macro,
};

use super::shared::{digest, source_url};
use crate::{
    platform::{AdPlatform, Event, Skip, Verdict},
    sender::Answer,
};

const HOUR: u64 = 3600;
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
        if event.name == "Purchase" && event.value.is_none() {
            return Err(Skip::MISSING_VALUE);
        }
        if event.value.is_some_and(|value| value.0 < 0) {
            return Err(Skip::NEGATIVE_VALUE);
        }
        let mut data = json!({
            "event_name": event.name,
            "event_time": event.occurred_at.seconds(),
            "event_id": event.event_id,
            "action_source": if event.renewal { "system_generated" } else { "website" },
            "event_source_url":
                pixel.event_source_url.clone().unwrap_or_else(|| source_url(click_url, "fbclid")),
            "user_data": user_data(click).ok_or(Skip::INSUFFICIENT_USER_DATA)?,
        });
        if let Some(value) = event.value {
            set(&mut data, "custom_data", json!({ "value": value.to_json(), "currency": "USD" }));
            if let (Some(order), Some(custom)) = (event.order_id, data.get_mut("custom_data")) {
                set(custom, "order_id", json!(order));
            }
        }
        if pixel.limited_data_use {
            set(&mut data, "data_processing_options", json!(["LDU"]));
            set(&mut data, "data_processing_options_country", json!(0));
            set(&mut data, "data_processing_options_state", json!(0));
        }
        let mut body = json!({ "data": [data] });
        if let Some(code) = event.test_code {
            set(&mut body, "test_event_code", json!(code));
        }
        let version = pixel.api_version.as_deref().unwrap_or(&self.version);
        Ok(RenderedRequest {
            method: "POST".to_owned(),
            url: format!("{}/{version}/{}/events", self.base_url, pixel.pixel_id),
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body: body.to_string().into_bytes(),
        })
    }

    /// The token is the first member of the body, which keeps it out of every URL (ad-platforms 2.1).
    fn authorise(&self, mut request: RenderedRequest, token: &Secret) -> RenderedRequest {
        let member = format!("{{\"access_token\":{},", Value::from(token.expose()));
        request.body.splice(..1, member.into_bytes());
        request
    }

    fn verdict(&self, answer: &Answer) -> Verdict {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let success = (200..300).contains(&answer.status);
        if success && body.get("events_received").and_then(Value::as_u64).is_some_and(|count| count >= 1) {
            let trace = body.get("fbtrace_id").and_then(Value::as_str);
            return Verdict {
                outcome: Outcome::Delivered,
                words: trace.map(|id| format!("fbtrace_id {id}")),
            };
        }
        let Some(error) = body.get("error") else {
            // An answer of something in between, or a success that confirms nothing.
            let by_status = Outcome::of_status(answer.status, answer.retry_after());
            let outcome = if by_status == Outcome::Delivered { Outcome::Retry } else { by_status };
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
        _ => Outcome::of_status(answer.status, answer.retry_after()),
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
fn user_data(click: &Click) -> Option<Value> {
    let mut user = Map::new();
    let mut put =
        |key: &str, value: Option<Value>| value.map(|value| user.insert(key.to_owned(), value)).is_some();
    let strong = [
        put("client_ip_address", click.request.ip.and_then(places::address).map(Value::from)),
        put("fbc", fbc(click).map(Value::from)),
        put("fbp", fbp(click).map(Value::from)),
        put("external_id", click.params.ecid.as_deref().and_then(places::external_id).map(hashed)),
    ];
    let agent = click.request.user_agent.trim();
    put("client_user_agent", (!agent.is_empty()).then(|| Value::from(agent)));
    let place = &click.place;
    let country = place.country.as_deref().and_then(places::country);
    let of = country.as_deref();
    put("ct", place.city.as_deref().and_then(places::city).map(hashed));
    put("st", place.region.as_deref().and_then(|value| places::region(value, of)).map(hashed));
    put("zp", place.postal_code.as_deref().and_then(|value| places::postal_code(value, of)).map(hashed));
    put("country", country.clone().map(hashed));
    strong.contains(&true).then_some(Value::Object(user))
}

#[expect(clippy::needless_pass_by_value, reason = "the last step of a chain of options")]
fn hashed(value: String) -> Value {
    json!([digest(&value)])
}

/// The cookie when it belongs to this click, else made of the click (ad-platforms 2.3).
fn fbc(click: &Click) -> Option<String> {
    let fbclid = click.params.fbclid.as_deref().filter(|id| !id.is_empty() && !is_unexpanded_macro(id));
    let cookie = click.cookies.fbc.as_deref().or(click.params.fbc.as_deref());
    let own = cookie.filter(|cookie| match (parts(cookie), fbclid) {
        (Some(id), Some(fbclid)) => id == fbclid,
        (Some(_), None) => true,
        (None, _) => false,
    });
    own.map(str::to_owned).or_else(|| fbclid.map(|id| format!("fb.1.{}.{id}", click.at.0)))
}

/// Fourth part of `fb.{index}.{ms}.{text}`, optionally with one more part of 2 or 8 characters.
fn parts(cookie: &str) -> Option<&str> {
    let mut parts = cookie.split('.');
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let valid = parts.next() == Some("fb")
        && parts.next().is_some_and(digits)
        && parts.next().is_some_and(|ms| digits(ms) && (10..=13).contains(&ms.len()));
    let id = parts.next().filter(|id| valid && !id.is_empty())?;
    let mark_fits = parts.next().is_none_or(|mark| matches!(mark.len(), 2 | 8));
    (mark_fits && parts.next().is_none()).then_some(id)
}

/// Sent as it came, when it is well formed (decisions 37).
fn fbp(click: &Click) -> Option<&str> {
    let known = click.params.fbp.as_deref().or(click.cookies.fbp.as_deref())?;
    let number = parts(known)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(known)
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}
