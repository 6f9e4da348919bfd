//! Build rules that platforms share (ad-platforms 1).

use std::{borrow::Cow, time::Duration};

use serde_json::{Value, json};

use super::{Event, Skip};
use crate::{
    delivery::RenderedRequest,
    retry::Limits,
    template::{Encoding, render},
};

/// Seconds.
pub(super) const HOUR: u64 = 3600;

/// Of a platform that takes events up to an age (the last hour of which is never used) and knows an event again for 48 hours
/// (ad-platforms 14, rules 1 and 2).
pub(super) const fn limits(oldest: Duration) -> Limits {
    Limits {
        age: oldest.saturating_sub(Duration::from_secs(HOUR)),
        ambiguous: Some(Duration::from_secs(47 * HOUR)),
    }
}

/// A purchase needs an amount, and no platform takes one below zero (ad-platforms 1.7).
pub(super) fn check_amount(event: &Event<'_>, purchases: &[&str]) -> Result<(), Skip> {
    match event.value {
        None if purchases.contains(&event.name) => Err(Skip::MISSING_VALUE),
        Some(value) if value.0 < 0 => Err(Skip::NEGATIVE_VALUE),
        _ => Ok(()),
    }
}

/// Amount with its currency, and the order; `None` without an amount: a currency never goes alone (ad-platforms 1.5).
pub(super) fn money(event: &Event<'_>) -> Option<Value> {
    let mut money = json!({ "value": event.value?.to_json(), "currency": "USD" });
    if let Some(order) = event.order_id {
        set(&mut money, "order_id", json!(order));
    }
    Some(money)
}

/// A JSON request.
pub(super) fn post(url: String, body: &Value) -> RenderedRequest {
    RenderedRequest {
        method: "POST".to_owned(),
        url,
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: body.to_string().into_bytes(),
        ..RenderedRequest::default()
    }
}

/// The click URL without fragment, keeping only campaign parameters and the platform's own click id, in their order and
/// encoding (ad-platforms 1.6).
pub(super) fn source_url(click_url: &str, is_click_id: impl Fn(&str) -> bool) -> String {
    const CAMPAIGN: [&str; 6] =
        ["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id"];
    let url = click_url.split('#').next().unwrap_or_default();
    let Some((base, query)) = url.split_once('?') else { return url.to_owned() };
    let keep = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        CAMPAIGN.contains(&name) || is_click_id(name)
    };
    let kept: Vec<&str> = query.split('&').filter(keep).collect();
    if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }
}

/// A value inside an address.
pub(super) fn encoded(value: &str) -> String {
    render("{value}", Encoding::Percent, |_| Some(Cow::Borrowed(value)))
}

pub(super) fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}
