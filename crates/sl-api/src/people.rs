//! `whoami` and `accounts`: the two endpoints without an envelope (contract A.11, A.12).

use axum::extract::State;
use serde_json::{Value, json};
use sl_core::catalog::Account;

use crate::{
    access::Caller,
    error::{ApiError, Result},
    parts::App,
    query::Query,
    reply::Reply,
};

pub(crate) async fn whoami(State(app): State<App>, caller: Caller) -> Result<Reply> {
    let teams = app.store.catalog.teams().await?;
    let team = teams.into_iter().find(|team| team.id == caller.team()).ok_or(ApiError::NotFound("team"))?;
    let key = caller.0;
    Ok(Reply::bare(json!({
        "api_key": {
            "name": key.name,
            "created_at": key.created_at.iso(),
            "last_used_at": key.last_used_at.map(|at| at.iso()),
        },
        "team": { "name": team.name, "slug": team.slug },
    })))
}

pub(crate) async fn accounts(State(app): State<App>, caller: Caller, mut query: Query) -> Result<Reply> {
    let email = query.text("onlyfans_email", 255);
    let id = query.text("onlyfans_id", 255);
    let username = query.text("onlyfans_username", 255);
    query.finish()?;
    let rows = app.store.catalog.accounts(caller.team()).await?;
    let rows: Vec<Value> = rows
        .iter()
        .filter(|row| email.is_none() || row.email == email)
        .filter(|row| id.is_none() || row.onlyfans_id.map(|id| id.to_string()) == id)
        .filter(|row| username.is_none() || row.username == username)
        .map(account)
        .collect();
    Ok(Reply::bare(Value::Array(rows)))
}

/// The profile is reduced to four keys, and no secret of upstream's row passes through (contract A.12).
fn account(row: &Account) -> Value {
    let profile = row
        .onlyfans_id
        .map(|id| json!({ "id": id, "name": row.name, "username": row.username, "avatar": row.avatar }));
    json!({
        "id": row.id.as_str(),
        "display_name": row.display_name,
        "onlyfans_id": row.onlyfans_id,
        "onlyfans_username": row.username,
        "onlyfans_email": row.email,
        // The list is asked now and then; a webhook may know better, and who is no longer listed is not asked about.
        "is_authenticated": row.usable.yes,
        "authentication_progress": row.authentication_progress,
        "onlyfans_user_data": profile,
    })
}
