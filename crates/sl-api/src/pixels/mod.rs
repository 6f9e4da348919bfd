//! Pixels of a link (contract A.8): team objects, attached to links. The access token goes in and never comes out.

pub(crate) mod fields;
pub(crate) mod test;

use axum::extract::{Path, State};
use serde_json::{Value, json};
use sl_core::{
    catalog::{EventMap, Pixel, PlatformKind, SmartLink, ValueBasis},
    ids::{PixelId, TeamId},
    seal::{PIXEL_TOKEN, Secret},
};

use crate::{
    access::OwnLink,
    body::{Body, TOKEN_FIELD},
    error::{ApiError, Result},
    parts::App,
    reply::Reply,
};

pub(crate) async fn list(State(app): State<App>, OwnLink(link): OwnLink) -> Result<Reply> {
    let pixels = app.store.catalog.pixels(link.team).await?;
    let attached = pixels.iter().filter(|pixel| link.pixels.contains(&pixel.id));
    Ok(Reply::data(attached.map(object).collect::<Vec<_>>()))
}

pub(crate) async fn create(
    State(app): State<App>,
    OwnLink(mut link): OwnLink,
    mut body: Body,
) -> Result<Reply> {
    let words = "meta, tiktok, snapchat, creatortraffic";
    let platform = body.choice("platform", words, PlatformKind::from_word);
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
        events: platform.map(fields::default_events).unwrap_or_default(),
        value_basis: ValueBasis::Gross,
        limited_data_use: false,
        api_version: None,
        created_at: now,
        updated_at: now,
    };
    fields::optional(&mut body, &mut pixel);
    body.finish()?;
    pixel.sealed_token = seal(&app, token);
    pixel.id = app.store.catalog.next_pixel_id().await?;
    app.store.catalog.put_pixel(pixel.clone()).await?;
    link.pixels.push(pixel.id);
    save_link(&app, link).await?;
    Ok(Reply::data(object(&pixel)))
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
    let token = body.text(TOKEN_FIELD, fields::TOKEN_LIMIT).value();
    fields::optional(&mut body, &mut pixel);
    body.finish()?;
    if token.is_some() {
        pixel.sealed_token = seal(&app, token);
    }
    pixel.updated_at = app.now().newer_than(pixel.updated_at);
    app.store.catalog.put_pixel(pixel.clone()).await?;
    Ok(Reply::data(object(&pixel)))
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
    let id = path.iter().find(|(name, _)| name == "pixel_id").map(|(_, value)| value.as_str());
    let pixel = own_pixel(app, link.team, id.unwrap_or_default()).await?;
    if link.pixels.contains(&pixel.id) { Ok(pixel) } else { Err(ApiError::NotFound("pixel")) }
}

/// A pixel of `team`.
pub(crate) async fn own_pixel(app: &App, team: TeamId, id: &str) -> Result<Pixel> {
    let id = id.parse().map(PixelId).map_err(|_| ApiError::NotFound("pixel"))?;
    let pixel = app.store.catalog.pixel(id).await?;
    pixel.filter(|pixel| pixel.team == team).ok_or(ApiError::NotFound("pixel"))
}

/// The readable keys (contract A.8.2), and our own (decisions 39).
pub(crate) fn object(pixel: &Pixel) -> Value {
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
        "created_at": pixel.created_at.iso(),
        "updated_at": pixel.updated_at.iso(),
    })
}
