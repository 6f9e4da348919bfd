//! Webhooks that could not be used, and their second chance (promise 8).

use axum::extract::State;
use serde_json::{Value, json};
use sl_core::{
    event::{Event, EventBody, WebhookReceived},
    ids::{AccountId, DeadLetterId, TeamId},
    step::DeadLetter,
    webhook::parse,
};
use sl_journal::log::append_synced;

use crate::{
    access::{Caller, PathId},
    error::{ApiError, Problems, Result},
    intake::not_kept,
    parts::App,
    query::Query,
    reply::Reply,
    x::paging,
};

pub(crate) async fn list(State(app): State<App>, caller: Caller, mut query: Query) -> Result<Reply> {
    let (limit, after) = paging(&mut query);
    query.finish()?;
    let (rows, next) = page(&app, caller.team(), limit, after).await?;
    Ok(Reply::page(rows.iter().map(object).collect(), next.map(|id| id.to_string())))
}

/// One page, and the cursor of the next when there is more.
pub(crate) async fn page(
    app: &App,
    team: TeamId,
    limit: usize,
    after: Option<DeadLetterId>,
) -> Result<(Vec<DeadLetter>, Option<DeadLetterId>)> {
    let mut rows = app.store.reports.dead_letters(team, limit + 1, after).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(|row| row.id) } else { None };
    Ok((rows, next))
}

pub(crate) async fn retry(State(app): State<App>, caller: Caller, PathId(id): PathId) -> Result<Reply> {
    retried(&app, caller.team(), &id).await?;
    Ok(Reply::data(json!({ "success": true })))
}

/// Appends the webhook again, naming the dead letter it comes from: attribution takes that one off the list. One that still can't
/// be used stays there, with the reason as the answer.
pub(crate) async fn retried(app: &App, team: TeamId, id: &str) -> Result<()> {
    let missing = || ApiError::NotFound("dead letter");
    let id: DeadLetterId = id.parse().map_err(|_| missing())?;
    let letter = app.store.reports.dead_letter(team, id).await?.ok_or_else(missing)?;
    if let Err(reason) = parse(&letter.body) {
        return Err(Problems::one("body", format!("still can't be used: {reason}. It is kept.")));
    }
    let event = Event {
        team,
        account: letter.account.unwrap_or_else(|| AccountId::from("")),
        at: app.now(),
        body: EventBody::Webhook(WebhookReceived {
            event: letter.event,
            key: letter.key,
            received_at: letter.received_at,
            body: letter.body,
            retry_of: Some(id),
        }),
    };
    append_synced(app.log.as_ref(), event).await.map_err(not_kept)
}

pub(crate) fn object(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id.to_string(),
        "received_at": letter.received_at.iso(),
        "event": letter.event,
        "account_id": letter.account.as_ref().map(AccountId::as_str),
        "reason": letter.reason,
        "body": String::from_utf8_lossy(&letter.body),
    })
}
