//! Postbacks: a buyer's own URLs (contract A.9).

mod fields;

use std::collections::HashMap;

use axum::extract::State;
use serde_json::{Value, json};
use sl_core::{
    catalog::{Account, AnswerTexts, Postback, PostbackMethod, PostbackScope, SmartLink},
    conversion::ConversionKind,
    delivery::{Delivery, Destination, RenderedRequest},
    ids::{AccountId, PostbackId, SmartLinkId, TeamId},
    lint,
    pace::Pace,
};

use crate::{
    access::{Caller, PathId},
    body::Body,
    error::{ApiError, Result},
    parts::App,
    reply::Reply,
    smart_links::fans::short,
};

pub(crate) async fn create(State(app): State<App>, caller: Caller, mut body: Body) -> Result<Reply> {
    let now = app.now();
    let mut postback = Postback {
        id: PostbackId(0),
        team: caller.team(),
        url: String::new(),
        method: PostbackMethod::Get,
        body: None,
        headers: Vec::new(),
        scope: PostbackScope::Global,
        conversion_types: Vec::new(),
        answers: AnswerTexts::default(),
        in_order: false,
        pace: None,
        created_at: now,
        updated_at: now,
    };
    fields::read(&app, &mut body, &mut postback).await?;
    body.finish()?;
    postback.id = app.store.catalog.next_postback_id().await?;
    save(&app, postback).await
}

/// Not partial for `url`, `smart_link_scope` and `conversion_types` (contract A.9.1).
pub(crate) async fn update(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    mut body: Body,
) -> Result<Reply> {
    let mut postback = own(&app, caller.team(), &id).await?;
    fields::read(&app, &mut body, &mut postback).await?;
    body.finish()?;
    postback.updated_at = app.now().newer_than(postback.updated_at);
    save(&app, postback).await
}

/// Nothing is read once it is written: a client that is told of a failure sends it again, and creates another one (contract A.13).
pub(crate) async fn save(app: &App, postback: Postback) -> Result<Reply> {
    let links = Links::read(app, postback.team).await?;
    let answer = object(app, &postback, &links).await?;
    app.store.catalog.put_postback(postback).await?;
    Ok(Reply::data(answer))
}

pub(crate) async fn list(State(app): State<App>, caller: Caller) -> Result<Reply> {
    let links = Links::read(&app, caller.team()).await?;
    let mut rows = Vec::new();
    for postback in app.store.catalog.postbacks(caller.team()).await? {
        rows.push(object(&app, &postback, &links).await?);
    }
    Ok(Reply::data(rows))
}

pub(crate) async fn show(State(app): State<App>, caller: Caller, PathId(id): PathId) -> Result<Reply> {
    let postback = own(&app, caller.team(), &id).await?;
    let links = Links::read(&app, caller.team()).await?;
    Ok(Reply::data(object(&app, &postback, &links).await?))
}

/// Answers `{}`: it parses everywhere (contract A.9.2).
pub(crate) async fn delete(State(app): State<App>, caller: Caller, PathId(id): PathId) -> Result<Reply> {
    let postback = own(&app, caller.team(), &id).await?;
    app.store.catalog.delete_postback(postback.id).await?;
    Ok(Reply::bare(json!({})))
}

pub(crate) async fn own(app: &App, team: TeamId, id: &str) -> Result<Postback> {
    let id = id.parse().map(PostbackId).map_err(|_| ApiError::NotFound("postback"))?;
    let postback = app.store.catalog.postback(id).await?;
    postback.filter(|postback| postback.team == team).ok_or(ApiError::NotFound("postback"))
}

/// The team's live links, for `smart_links`.
struct Links {
    links: HashMap<SmartLinkId, SmartLink>,
    accounts: HashMap<AccountId, Account>,
}

impl Links {
    async fn read(app: &App, team: TeamId) -> Result<Self> {
        let links = app.store.catalog.links(team).await?;
        let accounts = app.store.catalog.accounts(team).await?;
        Ok(Self {
            links: links.into_iter().map(|link| (link.id, link)).collect(),
            accounts: accounts.into_iter().map(|account| (account.id.clone(), account)).collect(),
        })
    }

    /// `None` for a link that was deleted since.
    fn object(&self, id: SmartLinkId) -> Option<Value> {
        let link = self.links.get(&id)?;
        let account = self.accounts.get(&link.account);
        Some(json!({
            "link_ulid": link.id.to_string(),
            "name": link.name,
            "account_display_name": account.map(|account| account.display_name.as_str()).unwrap_or_default(),
            "account_prefixed_id": link.account.as_str(),
        }))
    }
}

async fn object(app: &App, postback: &Postback, links: &Links) -> Result<Value> {
    let (scope, ids) = match &postback.scope {
        PostbackScope::Global => ("global", &[][..]),
        PostbackScope::Links(ids) => ("campaign_specific", ids.as_slice()),
    };
    let latest = app.store.deliveries.latest(Destination::Postback(postback.id)).await?;
    let headers = postback.headers.iter().map(|header| json!({ "name": header.name, "value": header.value }));
    let types = postback.conversion_types.iter().copied().map(ConversionKind::as_str);
    Ok(json!({
        "id": postback.id.0,
        "url": postback.url,
        "http_method": match postback.method { PostbackMethod::Get => "GET", PostbackMethod::Post => "POST" },
        "body": postback.body,
        "headers": headers.collect::<Vec<_>>(),
        "smart_link_scope": scope,
        "conversion_types": types.collect::<Vec<_>>(),
        "smart_link_ids": ids.iter().map(SmartLinkId::to_string).collect::<Vec<_>>(),
        "smart_links": ids.iter().filter_map(|id| links.object(*id)).collect::<Vec<_>>(),
        "traffic_source_ids": [],
        "traffic_sources": [],
        "success_texts": postback.answers.success,
        "failure_texts": postback.answers.failure,
        "in_order": postback.in_order,
        "max_per_minute": postback.pace.map(Pace::requests),
        "warnings": warnings(postback),
        "latest_response": latest.as_ref().map(|(delivery, request)| latest_response(delivery, request)),
        "created_at": postback.created_at.iso(),
        "updated_at": postback.updated_at.iso(),
    }))
}

/// What is odd about the templates: said whenever they are shown.
fn warnings(postback: &Postback) -> Vec<String> {
    let headers: Vec<&str> = postback.headers.iter().map(|header| header.value.as_str()).collect();
    let warnings = lint::postback::template(&postback.url, postback.body.as_deref(), &headers);
    warnings.iter().map(ToString::to_string).collect()
}

/// The last attempt (decisions 17), also of one that is to go out again.
fn latest_response(delivery: &Delivery, request: &RenderedRequest) -> Value {
    let last = delivery.progress.last.as_ref();
    let succeeded = last.is_some_and(|last| last.status.is_some() && last.error_type.is_none());
    json!({
        "id": short(delivery.job.id.to_bytes()),
        "conversion_type": delivery.job.kind.as_str(),
        "postback_url": request.url,
        "succeeded": succeeded,
        "status_code": last.and_then(|last| last.status),
        "error_type": last.and_then(|last| last.error_type.as_deref()).map(contracted),
        "error_message": last.filter(|_| !succeeded).and_then(|last| last.message.as_deref()),
        "created_at": last.map_or(delivery.job.created_at, |last| last.at).iso(),
    })
}

/// One of the contract's words (contract I.29); `/api/x/deliveries` says ours.
fn contracted(error_type: &str) -> &str {
    match error_type {
        "timeout" | "dns" | "tls" | "http" => error_type,
        _ => "connection",
    }
}
