//! What the contract has no endpoint for: settings of links and pixels (surface 2, decisions 39, 43).

use std::time::Duration;

use axum::extract::State;
use serde_json::Value;
use sl_core::{
    catalog::{ExternalIdSource, Pixel, SmartLink, ValueBasis},
    pace::Pace,
    time::parse_duration,
};

use crate::{
    access::{Caller, OwnLink, PathId},
    body::{Body, Given},
    error::{Result, shown},
    parts::App,
    pixels, postbacks,
    reply::Reply,
    smart_links::object,
};

/// Longest attribution window (decisions 52).
const WINDOW_LIMIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// `name`, `window`, `user_list_id`, `paused`; only the keys that are sent.
pub(crate) async fn smart_link(
    State(app): State<App>,
    OwnLink(mut link): OwnLink,
    mut body: Body,
) -> Result<Reply> {
    body.only(&["name", "window", "user_list_id", "paused"]);
    match body.text("name", 255) {
        Given::Absent => {}
        Given::Null => body.wrong("name", "must not be empty."),
        Given::Value(name) => link.name = name,
    }
    window(&mut body).apply(&mut link.window);
    body.text("user_list_id", 64).apply(&mut link.user_list_id);
    link.paused = body.flag("paused").unwrap_or(link.paused);
    body.finish()?;
    link.updated_at = app.now();
    app.store.catalog.put_link(link.clone()).await?;
    with_settings(&app, link).await
}

/// What they are now.
pub(crate) async fn show_smart_link(State(app): State<App>, OwnLink(link): OwnLink) -> Result<Reply> {
    with_settings(&app, link).await
}

async fn with_settings(app: &App, link: SmartLink) -> Result<Reply> {
    let window = link.window.unwrap_or(app.settings.attribution_window);
    let reply = object::reply(app, &link).await?;
    Ok(reply
        .with_data("speculative", Value::from((app.speculative)(link.id)))
        .with_data("window", Value::from(format!("{}s", window.as_secs())))
        .with_data("user_list_id", Value::from(link.user_list_id))
        .with_data("paused", Value::from(link.paused)))
}

/// `"6h"`, or seconds; `null` goes back to the configured one.
fn window(body: &mut Body) -> Given<Duration> {
    let (text, window) = match body.raw("window") {
        None => return Given::Absent,
        Some(Value::Null) => return Given::Null,
        Some(Value::String(text)) => (text.clone(), parse_duration(text).ok()),
        Some(other) => (other.to_string(), other.as_u64().map(Duration::from_secs)),
    };
    match window {
        Some(window) if window >= Duration::from_secs(60) && window <= WINDOW_LIMIT => Given::Value(window),
        _ => {
            body.wrong(
                "window",
                format!("must be a duration from 1m to 30d, such as \"6h\", not {}.", shown(&text)),
            );
            Given::Absent
        }
    }
}

/// `in_order`, `max_per_minute` (`null` for the configured one): how a pixel or a postback is sent to.
pub(crate) fn sending(body: &mut Body, in_order: &mut bool, pace: &mut Option<Pace>) {
    *in_order = body.flag("in_order").unwrap_or(*in_order);
    match body.raw("max_per_minute").cloned() {
        None => {}
        Some(Value::Null) => *pace = None,
        Some(given) => {
            let read =
                given.as_u64().and_then(|number| u32::try_from(number).ok()).and_then(Pace::per_minute);
            if read.is_none() {
                let what = format!(
                    "must be a number from 1 to {}, or null, not {}.",
                    Pace::MOST,
                    shown(&given.to_string())
                );
                body.wrong("max_per_minute", what);
            }
            *pace = read;
        }
    }
}

/// How a postback is sent to; everything else of it is the contract's.
pub(crate) async fn postback(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    mut body: Body,
) -> Result<Reply> {
    let mut postback = postbacks::own(&app, caller.team(), &id).await?;
    body.only(&["in_order", "max_per_minute"]);
    sending(&mut body, &mut postback.in_order, &mut postback.pace);
    body.finish()?;
    postback.updated_at = app.now().newer_than(postback.updated_at);
    postbacks::save(&app, postback).await
}

/// A platform that knows clicks only takes no notice of what an event says beside its click id.
fn without_meaning(pixel: &Pixel, body: &mut Body) {
    let facts = pixel.platform.facts();
    if facts.person.is_some() {
        return;
    }
    for field in ["value_basis", "limited_data_use", "api_version", "external_id_source"] {
        if body.raw(field).is_some_and(|given| !given.is_null()) {
            let what =
                format!("means nothing to {}, which is told a click id only; leave it out.", facts.name);
            body.wrong(field, what);
        }
    }
}

/// `value_basis`, `limited_data_use`, `api_version`, `external_id_source`, `in_order`, `max_per_minute`.
pub(crate) async fn pixel(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    mut body: Body,
) -> Result<Reply> {
    let mut pixel = pixels::own_pixel(&app, caller.team(), &id).await?;
    body.only(&[
        "value_basis",
        "limited_data_use",
        "api_version",
        "external_id_source",
        "in_order",
        "max_per_minute",
    ]);
    if body.raw("value_basis").is_some() {
        let basis = body.choice("value_basis", "gross, net", |word| match word {
            "gross" => Some(ValueBasis::Gross),
            "net" => Some(ValueBasis::Net),
            _ => None,
        });
        pixel.value_basis = basis.unwrap_or_default();
    }
    pixel.limited_data_use = body.flag("limited_data_use").unwrap_or(pixel.limited_data_use);
    if body.raw("external_id_source").is_some() {
        let words = ExternalIdSource::ALL.map(ExternalIdSource::as_str).join(", ");
        let source = body.choice("external_id_source", &words, |word| {
            ExternalIdSource::ALL.into_iter().find(|source| source.as_str() == word)
        });
        pixel.external_id_source = source.unwrap_or_default();
    }
    sending(&mut body, &mut pixel.in_order, &mut pixel.pace);
    without_meaning(&pixel, &mut body);
    body.text("api_version", 16).apply(&mut pixel.api_version);
    if let Some(version) = &pixel.api_version
        && !sl_core::platforms::is_version(version)
    {
        body.wrong("api_version", format!("must be a version such as v21.0, not {}.", shown(version)));
    }
    body.finish()?;
    pixel.updated_at = app.now().newer_than(pixel.updated_at);
    app.store.catalog.put_pixel(pixel.clone()).await?;
    Ok(Reply::data(pixels::object(&app, &pixel)))
}
