//! Meta Conversions API (ad-platforms 2).

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    AdPlatform, Answer, Event, Facts, Person, Settings, Skip, Tests, Usual, Verdict, Worth,
    members::Members,
    shared::{HOUR, check_amount, encoded, limits, money, post, set, source_url},
};
use crate::{
    batch::Batching,
    catalog::{Pixel, PlatformKind},
    click::Click,
    delivery::RenderedRequest,
    identity::{Identity, fbc_id},
    lint::{Subject, Warning, word},
    retry::{Limits, Outcome},
    seal::Secret,
    visitor::is_unexpanded_macro,
};

/// From this length on, an id in base64url with letters of one case only was changed on its way: of 20 letters, once in
/// half a million.
const LONG_ENOUGH: usize = 20;

pub(super) static FACTS: Facts = Facts {
    word: "meta",
    name: "Meta",
    usual: Usual {
        click: Some("ViewContent"),
        subscriber: Some("Subscribe"),
        purchase: Some("Purchase"),
        third_message: Some("Lead"),
    },
    subscribers_only: false,
    has_pixel_id: true,
    odd_pixel_id: |id| {
        let is_odd = !id.bytes().all(|byte| byte.is_ascii_digit());
        is_odd
            .then_some(" is no number: Meta's pixels and datasets have a number, shown in the Events Manager")
    },
    without_click: "insufficient_user_data",
    person: Some(Person {
        click_id: |person| person.fbc.is_some(),
        browser_id: |person| person.fbp.is_some(),
        worth: Worth {
            click_id: 26,
            browser_id: 12,
            ip_and_user_agent: 15,
            ipv6: 3,
            external_id: 10,
            place: 1,
        },
    }),
    // As long as Meta's own click cookie lives (ad-platforms 13.4).
    credits_days: Some(90),
    odd,
    odd_name,
    any_name: "TestEvent",
    tests: Tests::WithCode,
    has_version: true,
    most_days: None,
    has_public_address: true,
};

fn odd(subject: &Subject<'_>, warnings: &mut Vec<Warning>) {
    let (params, cookies) = (&subject.click.params, &subject.click.cookies);
    let cookie = cookies.fbc.as_deref().or(params.fbc.as_deref());
    let fbclid = params.fbclid.as_deref().filter(|id| !is_unexpanded_macro(id));
    let of_cookie = cookie.and_then(fbc_id);
    let differs = of_cookie.zip(fbclid).is_some_and(|(a, b)| a != b && a.eq_ignore_ascii_case(b));
    if differs || fbclid.is_some_and(one_case) {
        let why = "fbclid lost its upper or lower case on the way: Meta will not find the click";
        warnings.push(Warning::new(word::CASE_CHANGED, why));
    }
    if cookie.is_some() && of_cookie.is_none() {
        warnings.push(Warning::new(word::MALFORMED_COOKIE, "_fbc is not of the form fb.1.{ms}.{fbclid}"));
    }
    if (params.fbp.is_some() || cookies.fbp.is_some()) && subject.person.fbp.is_none() {
        warnings.push(Warning::new(word::MALFORMED_COOKIE, "_fbp is not of the form fb.1.{ms}.{number}"));
    }
}

/// Ad-platforms 2.5.
fn odd_name(name: &str) -> Option<&'static str> {
    let allowed = |char: char| char.is_alphanumeric() || matches!(char, ' ' | '_' | '-');
    let is_odd = name.chars().count() > 50 || !name.chars().all(allowed);
    is_odd.then_some(": keep to 50 letters, digits, blanks, _ and -")
}

fn one_case(id: &str) -> bool {
    let letters = || id.bytes().filter(u8::is_ascii_alphabetic);
    id.len() >= LONG_ENOUGH
        && letters().count() >= LONG_ENOUGH / 2
        && (letters().all(|byte| byte.is_ascii_lowercase())
            || letters().all(|byte| byte.is_ascii_uppercase()))
}

/// One event that is older than seven days refuses the whole call (ad-platforms 2.2).
const LIMITS: Limits = limits(Duration::from_secs(7 * 24 * HOUR));

/// The platform at its address.
#[derive(Debug, Clone)]
pub struct Meta {
    base_url: String,
    version: String,
}

impl Meta {
    /// Meta as the operator has configured it.
    #[must_use]
    pub fn configured(settings: &Settings) -> Self {
        Self::new(&settings.base_url, settings.version.as_deref().unwrap_or_default())
    }

    /// `base_url` is an origin; `version` such as `v26.0`, unless the pixel has its own.
    #[must_use]
    pub fn new(base_url: &str, version: impl Into<String>) -> Self {
        Self { base_url: base_url.trim_end_matches('/').to_owned(), version: version.into() }
    }

    fn version<'a>(&'a self, pixel: &'a Pixel) -> &'a str {
        pixel.api_version.as_deref().unwrap_or(&self.version)
    }

    fn address(&self, pixel: &Pixel) -> String {
        format!("{}/{}/{}/events", self.base_url, self.version(pixel), encoded(&pixel.pixel_id))
    }

    /// An expired version is served silently by the oldest living one; a header says which (ad-platforms 2.1).
    fn other_version(&self, pixel: &Pixel, answer: &Answer) -> Option<String> {
        let served = answer.headers.get("facebook-api-version")?.to_str().ok()?;
        let configured = self.version(pixel);
        (served != configured).then(|| format!("answered by {served}, configured is {configured}"))
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
        Ok(post(self.address(pixel), &body))
    }

    fn is_addressed(&self, pixel: &Pixel, url: &str) -> bool {
        url == self.address(pixel)
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

    fn verdict(&self, pixel: &Pixel, answer: &Answer, events: usize) -> Verdict {
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
                short.into_iter().chain(trace).chain(self.other_version(pixel, answer)).collect();
            return Verdict { outcome, words: Some(words.join("; ")) };
        }
        let Some(error) = body.get("error") else {
            // Of something in between (HTML, as a rule), or a success that confirms nothing.
            let outcome = match by_status(answer) {
                Outcome::Delivered if body.is_object() => Outcome::Unclear,
                Outcome::Delivered => Outcome::Retry,
                other => other,
            };
            return Verdict { outcome, words: Some(answer.words(500)) };
        };
        Verdict { outcome: outcome(error, answer), words: Some(words(error)) }
    }
}

/// What an error means: by its code, then `is_transient`, then the status (ad-platforms 2.6).
fn outcome(error: &Value, answer: &Answer) -> Outcome {
    let number = |key: &str| error.get(key).and_then(Value::as_u64);
    let is_transient = error.get("is_transient").and_then(Value::as_bool) == Some(true);
    match (number("code"), number("error_subcode")) {
        (Some(190 | 102 | 10 | 200..=299), _) => Outcome::Auth,
        (Some(100), Some(33)) | (Some(3 | 803 | 2635), _) => Outcome::Config,
        (Some(4 | 17 | 341 | 368 | 613 | 80_000..=80_014), _) => Outcome::Slow(wish(answer)),
        (Some(1 | 2 | 21_009), _) => Outcome::Retry,
        _ if is_transient => Outcome::Retry,
        (Some(100 | 105 | 506), _) => Outcome::Payload,
        // An error is none the better for a status of success.
        _ => match by_status(answer) {
            Outcome::Delivered => Outcome::Unclear,
            other => other,
        },
    }
}

fn by_status(answer: &Answer) -> Outcome {
    Outcome::of_status(answer.status, wish(answer))
}

/// For how long the platform wants no requests.
fn wish(answer: &Answer) -> Option<Duration> {
    regain(answer).or_else(|| answer.retry_after())
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
