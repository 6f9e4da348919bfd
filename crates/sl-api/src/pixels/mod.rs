//! Pixels of a link (contract A.8): team objects, attached to links. The access token goes in and never comes out.

pub(crate) mod coverage;
pub(crate) mod fields;
pub(crate) mod test;

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use serde_json::{Value, json};
use sl_core::{
    catalog::{EventMap, ExternalIdSource, Pixel, PlatformKind, SmartLink, ValueBasis},
    ids::{PixelId, TeamId},
    lint,
    pace::Pace,
    seal::{PIXEL_TOKEN, Secret},
};

use crate::{
    access::{Caller, OwnLink, PathId},
    body::{Body, TOKEN_FIELD},
    error::{ApiError, Result},
    parts::App,
    reply::Reply,
};

pub(crate) async fn list(State(app): State<App>, OwnLink(link): OwnLink) -> Result<Reply> {
    let pixels = app.store.catalog.pixels(link.team).await?;
    let attached = pixels.iter().filter(|pixel| link.pixels.contains(&pixel.id));
    Ok(Reply::data(attached.map(|pixel| object(&app, pixel)).collect::<Vec<_>>()))
}

pub(crate) async fn create(
    State(app): State<App>,
    OwnLink(mut link): OwnLink,
    mut body: Body,
) -> Result<Reply> {
    let platform = body.choice("platform", &PlatformKind::words(), PlatformKind::from_word);
    let pixel_id = fields::pixel_id(&mut body, platform);
    let token = body.required(TOKEN_FIELD, fields::TOKEN_LIMIT);
    let now = app.now();
    let mut pixel = Pixel {
        id: PixelId(0),
        team: link.team,
        platform: platform.unwrap_or(PlatformKind::Meta),
        pixel_id: pixel_id.unwrap_or_default(),
        sealed_token: Vec::new(),
        label: None,
        event_source_url: None,
        events: platform.map(EventMap::usual).unwrap_or_default(),
        value_basis: ValueBasis::Gross,
        limited_data_use: false,
        api_version: None,
        external_id_source: ExternalIdSource::Ecid,
        in_order: false,
        pace: None,
        created_at: now,
        updated_at: now,
        is_deleted: false,
    };
    fields::optional(&mut body, &mut pixel);
    body.finish()?;
    pixel.sealed_token = seal(&app, token);
    pixel.id = app.store.catalog.next_pixel_id().await?;
    app.store.catalog.put_pixel(pixel.clone()).await?;
    link.pixels.push(pixel.id);
    save_link(&app, link).await?;
    Ok(Reply::data(object(&app, &pixel)))
}

/// Changes the team's pixel, hence every link that uses it; only the keys that are sent (contract A.8.1).
pub(crate) async fn update(
    State(app): State<App>,
    OwnLink(link): OwnLink,
    Path(path): Path<Vec<(String, String)>>,
    mut body: Body,
) -> Result<Reply> {
    let mut pixel = attached(&app, &link, &path).await?;
    if body.raw("platform").is_some_and(|value| value.as_str() != Some(pixel.platform.as_str())) {
        body.wrong("platform", "cannot be changed; create another pixel instead.");
    }
    if body.raw("pixel_id").is_some()
        && let Some(id) = fields::pixel_id(&mut body, Some(pixel.platform))
    {
        pixel.pixel_id = id;
    }
    let token = fields::new_token(&mut body);
    fields::optional(&mut body, &mut pixel);
    body.finish()?;
    if token.is_some() {
        pixel.sealed_token = seal(&app, token);
    }
    pixel.updated_at = app.now().newer_than(pixel.updated_at);
    app.store.catalog.put_pixel(pixel.clone()).await?;
    Ok(Reply::data(object(&app, &pixel)))
}

/// From this link only; the team's pixel stays (contract A.8).
pub(crate) async fn disconnect(
    State(app): State<App>,
    OwnLink(mut link): OwnLink,
    Path(path): Path<Vec<(String, String)>>,
) -> Result<Reply> {
    let pixel = attached(&app, &link, &path).await?;
    link.pixels.retain(|id| *id != pixel.id);
    save_link(&app, link).await?;
    Ok(Reply::data(json!({ "success": true })))
}

/// For good, with its token. What it was told stays readable; what waits for it is parked. Links come first: one that is cut
/// short can be asked for again.
pub(crate) async fn delete(State(app): State<App>, caller: Caller, PathId(id): PathId) -> Result<Reply> {
    let pixel = own_pixel(&app, caller.team(), &id).await?;
    let links = app.store.catalog.links(pixel.team).await?;
    for mut link in links.into_iter().filter(|link| link.pixels.contains(&pixel.id)) {
        link.pixels.retain(|id| *id != pixel.id);
        save_link(&app, link).await?;
    }
    app.store.catalog.delete_pixel(pixel.id).await?;
    Ok(Reply::data(json!({ "success": true })))
}

/// Every pixel of the team, with the links it hangs on (surface 2).
pub(crate) async fn of_team(State(app): State<App>, caller: Caller) -> Result<Reply> {
    let links = live_links(&app, caller.team()).await?;
    let pixels = app.store.catalog.pixels(caller.team()).await?;
    Ok(Reply::data(pixels.iter().map(|pixel| with_links(&app, pixel, &links)).collect::<Vec<_>>()))
}

/// One of them.
pub(crate) async fn show(State(app): State<App>, caller: Caller, PathId(id): PathId) -> Result<Reply> {
    let pixel = own_pixel(&app, caller.team(), &id).await?;
    Ok(Reply::data(with_links(&app, &pixel, &live_links(&app, caller.team()).await?)))
}

/// Attaches a pixel that the team has to one more link. Attaching it twice changes nothing.
pub(crate) async fn attach(
    State(app): State<App>,
    OwnLink(mut link): OwnLink,
    Path(path): Path<Vec<(String, String)>>,
) -> Result<Reply> {
    let pixel = own_pixel(&app, link.team, in_path(&path, "pixel_id")).await?;
    if !link.pixels.contains(&pixel.id) {
        link.pixels.push(pixel.id);
        save_link(&app, link.clone()).await?;
    }
    Ok(Reply::data(with_links(&app, &pixel, &live_links(&app, link.team).await?)))
}

async fn live_links(app: &App, team: TeamId) -> Result<Vec<SmartLink>> {
    let links = app.store.catalog.links(team).await?;
    Ok(links.into_iter().filter(|link| link.deleted_at.is_none()).collect())
}

fn with_links(app: &App, pixel: &Pixel, links: &[SmartLink]) -> Value {
    let on = links.iter().filter(|link| link.pixels.contains(&pixel.id));
    let mut on: Vec<String> = on.map(|link| link.id.to_string()).collect();
    on.sort_unstable();
    let mut shown = object(app, pixel);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("smart_link_ids".to_owned(), Value::from(on));
    }
    shown
}

fn in_path<'a>(path: &'a [(String, String)], name: &str) -> &'a str {
    path.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default()
}

async fn save_link(app: &App, mut link: SmartLink) -> Result<()> {
    link.pixels.sort_unstable();
    link.pixels.dedup();
    link.updated_at = app.now();
    Ok(app.store.catalog.put_link(link).await?)
}

fn seal(app: &App, token: Option<String>) -> Vec<u8> {
    token.map(|token| app.seal_keys.seal(PIXEL_TOKEN, &Secret::new(token), app.nonce())).unwrap_or_default()
}

/// The pixel of the path, if it hangs on this link.
pub(crate) async fn attached(app: &App, link: &SmartLink, path: &[(String, String)]) -> Result<Pixel> {
    let pixel = own_pixel(app, link.team, in_path(path, "pixel_id")).await?;
    if link.pixels.contains(&pixel.id) { Ok(pixel) } else { Err(ApiError::NotFound("pixel")) }
}

/// A pixel of `team`.
pub(crate) async fn own_pixel(app: &App, team: TeamId, id: &str) -> Result<Pixel> {
    let id = id.parse().map(PixelId).map_err(|_| ApiError::NotFound("pixel"))?;
    let pixel = app.store.catalog.pixel(id).await?;
    pixel.filter(|pixel| pixel.team == team).ok_or(ApiError::NotFound("pixel"))
}

/// An id that can't be the platform's, and names that it may not know, each once.
fn warnings(pixel: &Pixel) -> BTreeSet<String> {
    let names = pixel.events.names().filter_map(|name| lint::event_name(pixel.platform, name));
    let odd = lint::pixel_id(pixel.platform, &pixel.pixel_id).into_iter().chain(names);
    odd.map(|warning| warning.to_string()).collect()
}

/// Said of a token that was sealed with a key which is gone.
const CLOSED: &str = "the access token can't be opened: secrets/seal.key was replaced. Put it back from a backup and start the service \
                      again, or send pixel_access_token once more; what is for this pixel is parked meanwhile (token_missing)";

/// What keeps events from being sent: first what is this pixel's own.
fn notice(app: &App, pixel: &Pixel) -> Option<&'static str> {
    if pixel.is_closed_to(&app.seal_keys) {
        Some(CLOSED)
    } else {
        (app.settings.platform_notice)(pixel.platform)
    }
}

/// The readable keys (contract A.8.2), and our own (decisions 39).
pub(crate) fn object(app: &App, pixel: &Pixel) -> Value {
    let EventMap {
        event_click,
        event_new_subscriber,
        event_first_transaction,
        event_new_transaction,
        event_message_received_from_fan,
        event_fan_sent_1_message,
        event_fan_sent_3_messages,
    } = &pixel.events;
    json!({
        "id": pixel.id.0,
        "platform": pixel.platform.as_str(),
        "pixel_id": pixel.pixel_id,
        "label": pixel.label,
        "event_source_url": pixel.event_source_url,
        "event_click": event_click,
        "event_new_subscriber": event_new_subscriber,
        "event_first_transaction": event_first_transaction,
        "event_new_transaction": event_new_transaction,
        "event_message_received_from_fan": event_message_received_from_fan,
        "event_fan_sent_1_message": event_fan_sent_1_message,
        "event_fan_sent_3_messages": event_fan_sent_3_messages,
        "has_access_token": !pixel.sealed_token.is_empty(),
        "value_basis": match pixel.value_basis { ValueBasis::Gross => "gross", ValueBasis::Net => "net" },
        "limited_data_use": pixel.limited_data_use,
        "api_version": pixel.api_version,
        "warnings": warnings(pixel),
        "notice": notice(app, pixel),
        "external_id_source": pixel.external_id_source.as_str(),
        "in_order": pixel.in_order,
        "max_per_minute": pixel.pace.map(Pace::requests),
        "created_at": pixel.created_at.iso(),
        "updated_at": pixel.updated_at.iso(),
    })
}
