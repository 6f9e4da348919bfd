//! Tags (contract A.7, A.10): plain strings; the answer carries the list at the root and in `data`.

use axum::extract::State;
use serde_json::json;
use sl_core::catalog::SmartLink;

use crate::{
    access::{Caller, OwnLink},
    body::Body,
    error::{Result, shown},
    parts::App,
    query::Query,
    reply::Reply,
};

/// Longest tag (contract A.7).
const TAG_LIMIT: usize = 50;

pub(crate) async fn show(OwnLink(link): OwnLink) -> Reply {
    reply(&link)
}

pub(crate) async fn add(State(app): State<App>, OwnLink(mut link): OwnLink, mut body: Body) -> Result<Reply> {
    let tags = body.strings("tags", TAG_LIMIT);
    if tags.is_none() && body.is_null("tags") {
        body.missing::<()>("tags");
    }
    body.finish()?;
    for tag in tags.unwrap_or_default() {
        if !link.tags.contains(&tag) {
            link.tags.push(tag);
        }
    }
    save(&app, link).await
}

/// The names come in the body, or in the query from tools that can't send one; either way also as a JSON array in a string
/// (contract A.4.3).
pub(crate) async fn remove(
    State(app): State<App>,
    OwnLink(mut link): OwnLink,
    query: Query,
    mut body: Body,
) -> Result<Reply> {
    let asked = query.list("tags");
    let tags = if asked.is_empty() { body.strings("tags", TAG_LIMIT) } else { Some(asked) };
    if tags.is_none() && body.is_null("tags") {
        body.missing::<()>("tags");
    }
    body.finish()?;
    let tags = tags.unwrap_or_default();
    link.tags.retain(|tag| !tags.contains(tag));
    save(&app, link).await
}

async fn save(app: &App, mut link: SmartLink) -> Result<Reply> {
    link.updated_at = app.now();
    let answer = reply(&link);
    app.store.catalog.put_link(link).await?;
    Ok(answer)
}

fn reply(link: &SmartLink) -> Reply {
    Reply::data(json!({ "tags": link.tags })).with("tags", json!(link.tags))
}

/// Every tag in use in the team, distinct (contract A.10). Only Smart Links carry tags here.
pub(crate) async fn in_use(State(app): State<App>, caller: Caller, mut query: Query) -> Result<Reply> {
    let kind = query.raw("type").map(str::to_owned);
    if let Some(kind) = &kind
        && !["trial_links", "tracking_links", "smart_links"].contains(&kind.as_str())
    {
        let what = format!("must be one of trial_links, tracking_links, smart_links, not {}.", shown(kind));
        query.wrong("type", what);
    }
    query.finish()?;
    let mut tags: Vec<String> = Vec::new();
    if kind.is_none_or(|kind| kind == "smart_links") {
        for link in app.store.catalog.links(caller.team()).await? {
            tags.extend(link.tags);
        }
    }
    tags.sort_unstable();
    tags.dedup();
    Ok(Reply::data(json!({ "tags": tags })))
}
