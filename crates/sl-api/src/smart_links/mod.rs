//! Smart Links and everything read below them (contract A.5 to A.7).

pub(crate) mod clicks;
pub(crate) mod cohort;
pub(crate) mod conversions;
pub(crate) mod create;
pub(crate) mod fan_days;
pub(crate) mod fans;
pub(crate) mod list;
pub(crate) mod object;
pub(crate) mod stats;
pub(crate) mod tags;

use axum::extract::State;
use serde_json::json;

use crate::{access::OwnLink, error::Result, parts::App, reply::Reply};

/// Get (contract A.6.3).
pub(crate) async fn show(State(app): State<App>, OwnLink(link): OwnLink) -> Result<Reply> {
    object::reply(&app, &link).await
}

/// Delete (contract A.6.4): the row stays, so that clicks and conversions keep their link and the edge answers 410.
pub(crate) async fn delete(State(app): State<App>, OwnLink(mut link): OwnLink) -> Result<Reply> {
    let now = app.now();
    link.deleted_at = Some(now);
    link.updated_at = now;
    app.store.catalog.put_link(link).await?;
    Ok(Reply::data(json!({ "success": true })))
}
