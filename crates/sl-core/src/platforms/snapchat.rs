//! Snapchat Conversions API v3 (ad-platforms 4). `status` of the body decides, never HTTP 200 alone.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    AdPlatform, Answer, Event, Facts, Person, Settings, Skip, Tests, Usual, Verdict, Worth,
    members::Members,
    shared::{check_amount, encoded, limits, money, post, set, source_url},
};
use crate::{
    batch::Batching,
    catalog::{Pixel, PlatformKind},
    click::Click,
    delivery::RenderedRequest,
    identity::Identity,
    pace::Pace,
    retry::{Limits, Outcome},
    seal::Secret,
};

pub(super) static FACTS: Facts = Facts {
    word: "snapchat",
    name: "Snapchat",
    usual: Usual {
        click: Some("VIEW_CONTENT"),
        subscriber: Some("SIGN_UP"),
        purchase: Some("PURCHASE"),
        third_message: Some("LEVEL_COMPLETE"),
    },
    subscribers_only: false,
    has_pixel_id: true,
    odd_pixel_id: |id| (!is_uuid(id)).then_some(" is no UUID: Snapchat's Ads Manager shows the pixel's"),
    without_click: "insufficient_user_data",
    person: Some(Person {
        click_id: |person| person.sc_click_id.is_some(),
        browser_id: |person| person.sc_cookie1.is_some(),
        worth: Worth {
            click_id: 30,
            browser_id: 15,
            ip_and_user_agent: 14,
            ipv6: 0,
            external_id: 7,
            place: 1,
        },
    }),
    // As long as TikTok's.
    credits_days: Some(28),
    odd: |_, _| {},
    odd_name: |name| {
        let is_odd = !NAMES.contains(&name);
        is_odd.then_some(" is none of Snapchat's; own events are CUSTOM_EVENT_1 to _5")
    },
    // Numbered ones only (ad-platforms 4.4).
    any_name: "CUSTOM_EVENT_1",
    tests: Tests::Apart,
    has_version: false,
    // By some of its pages (ad-platforms 4.5).
    most_days: Some(37),
    has_public_address: true,
};

/// Five groups of hexadecimal digits, as RFC 9562 writes them.
fn is_uuid(id: &str) -> bool {
    let is_hex = |group: &str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    id.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && id.split('-').all(is_hex)
}

/// Names that Snapchat takes (ad-platforms 4.4).
const NAMES: [&str; 31] = [
    "PURCHASE",
    "SAVE",
    "START_CHECKOUT",
    "ADD_CART",
    "VIEW_CONTENT",
    "ADD_BILLING",
    "SIGN_UP",
    "SEARCH",
    "PAGE_VIEW",
    "SUBSCRIBE",
    "AD_CLICK",
    "AD_VIEW",
    "COMPLETE_TUTORIAL",
    "INVITE",
    "LOGIN",
    "SHARE",
    "RESERVE",
    "ACHIEVEMENT_UNLOCKED",
    "ADD_TO_WISHLIST",
    "SPENT_CREDITS",
    "RATE",
    "START_TRIAL",
    "LIST_VIEW",
    "LEVEL_COMPLETE",
    "APP_INSTALL",
    "APP_OPEN",
    "CUSTOM_EVENT_1",
    "CUSTOM_EVENT_2",
    "CUSTOM_EVENT_3",
    "CUSTOM_EVENT_4",
    "CUSTOM_EVENT_5",
];

/// The platform at its address.
#[derive(Debug, Clone)]
pub struct Snapchat {
    base_url: String,
    limits: Limits,
}

impl Snapchat {
    /// Snapchat as the operator has configured it.
    #[must_use]
    pub fn configured(settings: &Settings) -> Self {
        Self::new(&settings.base_url, settings.max_age.unwrap_or_default())
    }

    /// `base_url` is an origin; `oldest` is the age up to which events are sent: 7 days by some of Snapchat's pages, 37 by
    /// others (ad-platforms 4.5).
    #[must_use]
    pub fn new(base_url: &str, oldest: Duration) -> Self {
        Self { base_url: base_url.trim_end_matches('/').to_owned(), limits: limits(oldest) }
    }

    fn address(&self, pixel: &Pixel) -> String {
        let version = pixel.api_version.as_deref().unwrap_or("v3");
        format!("{}/{version}/{}/events", self.base_url, encoded(&pixel.pixel_id))
    }
}

impl AdPlatform for Snapchat {
    fn kind(&self) -> PlatformKind {
        PlatformKind::Snapchat
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
        check_amount(event, &["PURCHASE"])?;
        // The name in any case, the value untouched (ad-platforms 1.2).
        let own = || source_url(click_url, |name| name.eq_ignore_ascii_case("ScCid"));
        let mut data = json!({
            "event_name": event.name,
            "event_time": event.occurred_at.seconds(),
            "event_id": event.event_id,
            "action_source": "WEB",
            "event_source_url": pixel.event_source_url.clone().unwrap_or_else(own),
            "user_data": user_data(pixel, click).ok_or(Skip::INSUFFICIENT_USER_DATA)?,
        });
        // A purchase counts once per order for a month, so each transaction is an order of its own (ad-platforms 4.5).
        if let Some(money) = money(event) {
            set(&mut data, "custom_data", money);
        }
        if pixel.limited_data_use {
            set(&mut data, "data_processing_options", json!(["LMU"]));
        }
        // The test channel is a path, and keeps nothing (ad-platforms 4.5).
        let path = if event.channel.is_test() { "/validate" } else { "" };
        Ok(post(self.address(pixel) + path, &json!({ "data": [data] })))
    }

    fn is_addressed(&self, pixel: &Pixel, url: &str) -> bool {
        url == self.address(pixel)
    }

    /// Ten in any second, unless Snapchat has allowed more (ad-platforms 4.5): five at once, and five that come after them.
    fn pace(&self) -> Option<Pace> {
        Pace::per_minute(5 * 60)
    }

    fn batching(&self) -> Option<Batching> {
        Some(Batching { most: 2_000, list: "data" })
    }

    /// The token stands in the query, so no line and no error may hold this address (ad-platforms 4.1).
    fn authorise(&self, mut request: RenderedRequest, token: &Secret) -> RenderedRequest {
        let token = encoded(token.expose());
        request.url = format!("{}?access_token={token}", request.url);
        request
    }

    fn verdict(&self, _: &Pixel, answer: &Answer, events: usize) -> Verdict {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let status = body.get("status").and_then(Value::as_str);
        let words = if body.is_object() { words(&body) } else { answer.words(500) };
        let by_status = Outcome::of_status(answer.status, answer.retry_after());
        let outcome = match (by_status, status) {
            // Said by the status alone, whatever the body (ad-platforms 4.5).
            (Outcome::Auth | Outcome::Config | Outcome::Slow(_) | Outcome::Retry, _) => by_status,
            (Outcome::Delivered, Some("VALID")) => Outcome::Delivered,
            // It judges each event for itself: the others may have been taken (ad-platforms 0).
            (Outcome::Delivered | Outcome::Payload, Some("INVALID")) if events > 1 => Outcome::Unclear,
            (_, Some("INVALID")) | (Outcome::Payload, None) if body.is_object() => Outcome::Payload,
            (Outcome::Delivered, _) if !body.is_object() => Outcome::Retry,
            _ => Outcome::Unclear,
        };
        Verdict { outcome, words: Some(words) }
    }
}

/// Members by which Snapchat may recognise the person; `None` without address and browser: a click id alone is refused
/// (ad-platforms 4.2).
fn user_data(pixel: &Pixel, click: &Click) -> Option<Value> {
    let (person, mut user) = (Identity::of(click, pixel.external_id_source), Members::default());
    user.plain("sc_click_id", person.sc_click_id)
        .plain("sc_cookie1", person.sc_cookie1)
        .plain("client_ip_address", person.ip)
        .plain("client_user_agent", person.user_agent)
        .hashed_list("external_id", person.external_id)
        .hashed_list("ct", person.city)
        .hashed_list("st", person.region)
        .hashed_list("zp", person.postal_code)
        .hashed_list("country", person.country);
    user.all(&["client_ip_address", "client_user_agent"]).then(|| user.into_value())
}

/// Status, reason, and the codes and sentences of single events. The codes have no published list: they are kept.
fn words(body: &Value) -> String {
    let mut parts: Vec<String> = ["status", "reason"]
        .iter()
        .filter_map(|key| body.get(*key)?.as_str().map(|text| format!("{key} {text}")))
        .collect();
    let logs = body.get("event_logs").and_then(Value::as_array).into_iter().flatten();
    for event in std::iter::once(body).chain(logs) {
        for key in ["/errors/codes", "/errors/error_msgs", "/warnings"] {
            let texts = event.pointer(key).and_then(Value::as_array).into_iter().flatten();
            let texts: Vec<String> =
                texts.map(|text| text.as_str().map_or_else(|| text.to_string(), str::to_owned)).collect();
            if !texts.is_empty() {
                let name = key.rsplit('/').next().unwrap_or_default();
                parts.push(format!("{name} {}", texts.join(", ")));
            }
        }
    }
    parts.join("; ")
}
