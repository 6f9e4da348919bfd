//! TikTok Events API 2.0 (ad-platforms 3). The `code` of the body decides, never the HTTP status alone.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    AdPlatform, Answer, Event, Facts, Person, Settings, Skip, Tests, Usual, Verdict, Worth,
    members::Members,
    shared::{HOUR, check_amount, limits, money, post, set, source_url},
};
use crate::{
    batch::Batching,
    catalog::{Pixel, PlatformKind},
    click::Click,
    delivery::RenderedRequest,
    identity::{Identity, LONGEST_TTCLID},
    lint::{Subject, Warning, word},
    retry::{Limits, Outcome},
    seal::Secret,
};

pub(super) static FACTS: Facts = Facts {
    word: "tiktok",
    name: "TikTok",
    usual: Usual {
        click: Some("ViewContent"),
        subscriber: Some("Subscribe"),
        purchase: Some("CompletePayment"),
        third_message: None,
    },
    subscribers_only: false,
    has_pixel_id: true,
    odd_pixel_id: |_| None,
    without_click: "insufficient_user_data",
    person: Some(Person {
        click_id: |person| person.ttclid.is_some(),
        browser_id: |person| person.ttp.is_some(),
        worth: Worth {
            click_id: 30,
            browser_id: 10,
            ip_and_user_agent: 12,
            ipv6: 0,
            external_id: 14,
            place: 1,
        },
    }),
    // The longest click window (ad-platforms 3.3).
    credits_days: Some(28),
    odd,
    odd_name: |_| None,
    any_name: "TestEvent",
    tests: Tests::WithCode,
    has_version: false,
    // The longest window of its attribution.
    most_days: Some(28),
    has_public_address: true,
};

fn odd(subject: &Subject<'_>, warnings: &mut Vec<Warning>) {
    let Some(ttclid) = subject.click.params.ttclid.as_deref() else { return };
    let head = ttclid.get(..6).unwrap_or_default();
    if head != "E.C.P." && head.eq_ignore_ascii_case("E.C.P.") {
        let why = "ttclid lost its upper case on the way: TikTok will not find the click";
        warnings.push(Warning::new(word::CASE_CHANGED, why));
    }
    if ttclid.chars().count() > LONGEST_TTCLID {
        let why = format!("ttclid is longer than {LONGEST_TTCLID} characters and left out");
        warnings.push(Warning::new(word::TTCLID_TOO_LONG, why));
    }
}

/// Names that mean a purchase, today's and older ones (ad-platforms 1.7, 3.4).
const PURCHASES: [&str; 3] = ["Purchase", "CompletePayment", "PlaceAnOrder"];
/// Another version is another address; an expired one fails (ad-platforms 3.1).
const VERSION: &str = "v1.3";
/// Taken in part: of a single event that is delivered (ad-platforms 3.5).
const PARTIAL: u64 = 20_001;

/// The platform at its address.
#[derive(Debug, Clone)]
pub struct TikTok {
    base_url: String,
    limits: Limits,
}

impl TikTok {
    /// TikTok as the operator has configured it.
    #[must_use]
    pub fn configured(settings: &Settings) -> Self {
        Self::new(&settings.base_url, settings.max_age.unwrap_or_default())
    }

    /// `base_url` is an origin; `oldest` is the age up to which events are sent. TikTok publishes none: 7 days are safe
    /// (ad-platforms 3.6).
    #[must_use]
    pub fn new(base_url: &str, oldest: Duration) -> Self {
        Self { base_url: base_url.trim_end_matches('/').to_owned(), limits: limits(oldest) }
    }

    fn address(&self, pixel: &Pixel) -> String {
        let version = pixel.api_version.as_deref().unwrap_or(VERSION);
        format!("{}/open_api/{version}/event/track/", self.base_url)
    }
}

impl AdPlatform for TikTok {
    fn kind(&self) -> PlatformKind {
        PlatformKind::Tiktok
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn build(
        &self,
        pixel: &Pixel,
        event: &Event<'_>,
        click: &Click,
        click_url: &str,
    ) -> Result<RenderedRequest, Skip> {
        check_amount(event, &PURCHASES)?;
        let own = || source_url(click_url, |name| name == "ttclid");
        let mut data = json!({
            "event": event.name,
            "event_time": event.occurred_at.seconds(),
            "event_id": event.event_id,
            "user": user(pixel, click).ok_or(Skip::INSUFFICIENT_USER_DATA)?,
            "page": { "url": pixel.event_source_url.clone().unwrap_or_else(own) },
        });
        if let Some(money) = money(event) {
            set(&mut data, "properties", money);
        }
        if pixel.limited_data_use {
            set(&mut data, "limited_data_use", json!(true));
        }
        let mut body = json!({ "event_source": "web", "event_source_id": pixel.pixel_id, "data": [data] });
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

    fn authorise(&self, mut request: RenderedRequest, token: &Secret) -> RenderedRequest {
        request.headers.push(("Access-Token".to_owned(), token.expose().to_owned()));
        request
    }

    fn verdict(&self, _: &Pixel, answer: &Answer, events: usize) -> Verdict {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(code) = body.get("code").and_then(Value::as_u64) else {
            // A gateway's page: TikTok itself always says a code.
            let outcome = match Outcome::of_status(answer.status, answer.retry_after()) {
                slow @ Outcome::Slow(_) => slow,
                _ => Outcome::Retry,
            };
            return Verdict { outcome, words: Some(answer.words(500)) };
        };
        let outcome = match outcome(code, &body, answer) {
            // It does not say which.
            Outcome::Delivered if code == PARTIAL && events > 1 => Outcome::Unclear,
            outcome => outcome,
        };
        Verdict { outcome, words: Some(words(code, &body)) }
    }
}

/// Members by which TikTok may recognise the person; `None` when none of them would do (ad-platforms 1.7). Places go in
/// the clear, the postal code and the buyer's id hashed (ad-platforms 3.3).
fn user(pixel: &Pixel, click: &Click) -> Option<Value> {
    let (person, mut user) = (Identity::of(click, pixel.external_id_source), Members::default());
    user.plain("ttclid", person.ttclid)
        .plain("ttp", person.ttp)
        .hashed("external_id", person.external_id)
        .plain("ip", person.ip)
        .plain("user_agent", person.user_agent)
        .plain("city", person.city)
        .plain("state", person.region)
        .plain("country", person.country)
        .hashed("zip_code", person.postal_code);
    user.any(&["ttclid", "ttp", "external_id", "ip"]).then(|| user.into_value())
}

/// What a code means (ad-platforms 3.5, 14). Throttling comes with HTTP 401, so the status is looked at last.
fn outcome(code: u64, body: &Value, answer: &Answer) -> Outcome {
    match code {
        0 | PARTIAL if answer.status < 500 => Outcome::Delivered,
        0 | PARTIAL => Outcome::Retry,
        40_000 | 40_002 | 40_061..=40_063 => Outcome::Payload,
        40_006 | 40_051 | 40_400 | 41_001 | 41_002 => Outcome::Config,
        40_001 | 40_003 | 40_101..=40_110 | 40_113..=40_119 | 40_124 | 40_125 | 40_130 => Outcome::Auth,
        40_100 | 40_132 | 61_000 | 40_016 | 41_000 | 60_001 => {
            Outcome::Slow(answer.retry_after().or_else(|| until_tomorrow(body, answer)))
        }
        40_201 | 40_202 | 50_000..=59_999 => Outcome::Retry,
        _ if answer.status >= 500 => Outcome::Retry,
        _ => Outcome::Unclear,
    }
}

/// A day's limit ends at 00:00 UTC, a minute's after five minutes (ad-platforms 3.5); both have the same code, so its sentence is
/// asked.
fn until_tomorrow(body: &Value, answer: &Answer) -> Option<Duration> {
    let sentence = body.get("message").and_then(Value::as_str)?.to_ascii_lowercase();
    let is_of_a_day =
        sentence.split(|char: char| !char.is_alphanumeric()).any(|word| matches!(word, "day" | "daily"));
    let now = answer.date().filter(|_| is_of_a_day)?;
    Some(now.day().plus(Duration::from_secs(24 * HOUR)).since(now))
}

fn words(code: u64, body: &Value) -> String {
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    format!("code {code}; message {}; request_id {}", text("message"), text("request_id"))
}
