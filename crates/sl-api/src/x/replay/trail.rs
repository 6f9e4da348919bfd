//! Who had what sent again: each replay leaves one row, however many pages it has.

use axum::extract::State;
use serde_json::{Value, json};
use sl_core::{
    ids::{ReplayId, TeamId},
    replay::{Trail, What},
};
use ulid::Ulid;

use crate::{access::Caller, body::Body, error::Result, parts::App, query::Query, reply::Reply, x::paging};

/// Between a page's own cursor and the replay it belongs to.
const MARK: char = '~';

/// The replays of a team, newest first.
pub(crate) async fn list(State(app): State<App>, caller: Caller, mut query: Query) -> Result<Reply> {
    let (limit, after) = paging(&mut query);
    query.finish()?;
    let (rows, next) = page(&app, caller.team(), limit, after).await?;
    Ok(Reply::page(rows, next.map(|id| id.to_string())))
}

/// One page, and the cursor of the next when there is more.
pub(crate) async fn page(
    app: &App,
    team: TeamId,
    limit: usize,
    after: Option<ReplayId>,
) -> Result<(Vec<Value>, Option<ReplayId>)> {
    let mut rows = app.store.replays.trails(team, limit + 1, after).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(|row| row.id) } else { None };
    let keys = app.store.catalog.keys(team).await?;
    let name = |row: &Trail| keys.iter().find(|key| key.id == row.key).map(|key| key.name.clone());
    Ok((rows.iter().map(|row| object(row, name(row))).collect(), next))
}

fn object(row: &Trail, key_name: Option<String>) -> Value {
    json!({
        "id": row.id.to_string(),
        "key": { "id": row.key.0, "name": key_name },
        "what": row.what.as_str(),
        "filter": serde_json::from_str::<Value>(&row.filter).unwrap_or_default(),
        "asked_at": row.asked_at.iso(),
        "last_page_at": row.last_at.iso(),
        "pages": row.pages,
        "examined": row.examined,
        "replayed": row.replayed,
    })
}

/// What a replay was asked, as it is kept: what says which rows.
pub(super) fn filter(body: &Body) -> String {
    let known =
        ["destination", "into", "states", "kinds", "smart_link_id", "date_start", "date_end", "again"];
    let fields = known.into_iter().filter_map(|key| Some((key.to_owned(), body.raw(key)?.clone())));
    Value::Object(fields.collect()).to_string()
}

/// Takes the replay's own part off the cursor of a page.
pub(super) fn split(cursor: &str) -> (&str, Option<ReplayId>) {
    match cursor.split_once(MARK) {
        Some((cursor, id)) => (cursor, id.parse().ok()),
        None => (cursor, None),
    }
}

/// The cursor of the next page of this replay.
pub(super) fn join(cursor: String, id: Option<ReplayId>) -> String {
    match id {
        Some(id) => format!("{cursor}{MARK}{id}"),
        None => cursor,
    }
}

/// The row of a replay, with one page more: that of the pages before, when the same key goes on with the same filter.
pub(super) async fn with_page(
    app: &App,
    caller: &Caller,
    (what, filter): (What, String),
    id: Option<ReplayId>,
    examined: usize,
) -> Result<Trail> {
    let team = caller.team();
    let known = match id {
        Some(id) => app.store.replays.trail(team, id).await?,
        None => None,
    };
    let same = |row: &Trail| row.key == caller.0.id && row.what == what && row.filter == filter;
    let mut trail = match known.filter(same) {
        Some(known) => known,
        None => begun(app, caller, what, filter),
    };
    trail.pages = trail.pages.saturating_add(1);
    trail.examined = trail.examined.saturating_add(u64::try_from(examined).unwrap_or(u64::MAX));
    trail.last_at = app.now();
    Ok(trail)
}

/// The row of a replay that begins now.
pub(crate) fn begun(app: &App, caller: &Caller, what: What, filter: String) -> Trail {
    let (now, nonce) = (app.now(), app.nonce());
    let random = nonce.first_chunk::<16>().map_or(0, |bytes| u128::from_be_bytes(*bytes));
    Trail {
        id: ReplayId(Ulid::from_parts(u64::try_from(now.0).unwrap_or_default(), random)),
        team: caller.team(),
        key: caller.0.id,
        what,
        filter,
        asked_at: now,
        last_at: now,
        pages: 0,
        examined: 0,
        replayed: 0,
    }
}
