//! The fields of a pixel and their rules (contract A.8.1, G.2).

use sl_core::{
    catalog::{Pixel, PlatformKind},
    delivery::EventName,
};

use crate::body::{Body, Given, TOKEN_FIELD};

/// Access tokens of today have up to some 500 characters.
pub(crate) const TOKEN_LIMIT: usize = 4000;

/// Required, where the platform has one (contract G.1).
pub(crate) fn pixel_id(body: &mut Body, platform: Option<PlatformKind>) -> Option<String> {
    if platform.is_some_and(|platform| !platform.facts().has_pixel_id) {
        return Some(body.text("pixel_id", 255).value().unwrap_or_default());
    }
    let id = body.required("pixel_id", 255)?;
    // It becomes a part of an address.
    if !id.chars().all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one)) {
        body.wrong("pixel_id", "must hold letters, digits, -, _ and . only, as the platform shows it.");
    }
    Some(id)
}

/// In an update: omitted keeps the one there is (contract A.8.1). An empty one, or `null`, would look like a changed or a cleared token
/// and be neither.
pub(crate) fn new_token(body: &mut Body) -> Option<String> {
    match body.text(TOKEN_FIELD, TOKEN_LIMIT) {
        Given::Absent => None,
        Given::Null => {
            body.wrong(TOKEN_FIELD, "must not be empty; leave it out to keep the present token.");
            None
        }
        Given::Value(token) => Some(token),
    }
}

/// Label, URL and the seven events: omitted keeps, `null` clears.
pub(crate) fn optional(body: &mut Body, pixel: &mut Pixel) {
    body.text("label", 100).apply(&mut pixel.label);
    let page = body.text("event_source_url", 2048);
    if let Given::Value(text) = &page
        && !url::Url::parse(text).is_ok_and(|url| ["http", "https"].contains(&url.scheme()))
    {
        body.wrong("event_source_url", "must be an absolute http or https URL.");
    }
    page.apply(&mut pixel.event_source_url);
    let events = &mut pixel.events;
    for (key, slot) in [
        ("event_click", &mut events.event_click),
        ("event_new_subscriber", &mut events.event_new_subscriber),
        ("event_first_transaction", &mut events.event_first_transaction),
        ("event_new_transaction", &mut events.event_new_transaction),
        ("event_message_received_from_fan", &mut events.event_message_received_from_fan),
        ("event_fan_sent_1_message", &mut events.event_fan_sent_1_message),
        ("event_fan_sent_3_messages", &mut events.event_fan_sent_3_messages),
    ] {
        match body.text(key, 100) {
            Given::Absent => {}
            Given::Null => *slot = None,
            Given::Value(name) => *slot = Some(EventName(name)),
        }
    }
}
