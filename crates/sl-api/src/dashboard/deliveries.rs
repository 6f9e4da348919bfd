//! What was told to whom, and a button to tell it again.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use serde_json::{Value, json};
use sl_core::delivery::DeliveryState;

use crate::{
    dashboard::{
        failed, page,
        session::{Form, Session},
    },
    error::Result,
    parts::App,
    query::Query,
    x::{
        deliveries::{self, objects, replayed},
        paging,
        replay::trail,
    },
};

/// Replays of the team, the newest, among which those of one delivery are looked for.
const LOOKED_AT: usize = 500;

pub(crate) async fn list(State(app): State<App>, session: Session, query: Query) -> Response {
    page(&app, "deliveries.html", &session, content(&app, &session, query).await)
}

async fn content(app: &App, session: &Session, mut query: Query) -> Result<Value> {
    session.must("postbacks.view")?;
    let filter = deliveries::filter(&mut query);
    let others = query.without("cursor");
    query.finish()?;
    let state = filter.state.map(DeliveryState::as_str);
    let counts = app.store.deliveries.counts(app.now()).await?;
    let (rows, next) = deliveries::page(app, session.caller.team(), filter).await?;
    Ok(json!({
        "title": "Deliveries",
        "state": state,
        "states": [
            { "word": "waiting", "count": counts.waiting },
            { "word": "delivered", "count": counts.delivered },
            { "word": "parked", "count": counts.parked },
            { "word": "expired", "count": counts.expired },
            { "word": "skipped", "count": counts.skipped },
        ],
        "rows": objects(app, session.caller.team(), &rows).await?,
        "next": next.map(|id| format!("{others}cursor={id}")),
        "may_replay": session.caller.may("postbacks.manage"),
    }))
}

/// One delivery: what was answered each time, and who had it sent again.
pub(crate) async fn show(State(app): State<App>, session: Session, Path(id): Path<String>) -> Response {
    page(&app, "delivery.html", &session, one(&app, &session, &id).await)
}

async fn one(app: &App, session: &Session, id: &str) -> Result<Value> {
    session.must("postbacks.view")?;
    let team = session.caller.team();
    let delivery = deliveries::own(app, team, id).await?;
    let (rows, more) = trail::page(app, team, LOOKED_AT, None).await?;
    let id = delivery.job.id.to_string();
    let of_it = |row: &Value| row.pointer("/filter/delivery_id").and_then(Value::as_str) == Some(&*id);
    let asked: Vec<Value> = rows.into_iter().filter(of_it).collect();
    Ok(json!({
        "title": "Delivery",
        "row": deliveries::detail(app, &delivery).await?,
        "replays": asked,
        "looked_at": more.map(|_| LOOKED_AT),
        "may_replay": session.caller.may("postbacks.manage"),
    }))
}

/// Who had what sent again.
pub(crate) async fn replays(State(app): State<App>, session: Session, query: Query) -> Response {
    page(&app, "replays.html", &session, asked(&app, &session, query).await)
}

async fn asked(app: &App, session: &Session, mut query: Query) -> Result<Value> {
    session.must("postbacks.view")?;
    let (limit, after) = paging(&mut query);
    let others = query.without("cursor");
    query.finish()?;
    let (rows, next) = trail::page(app, session.caller.team(), limit, after).await?;
    let next = next.map(|id| format!("{others}cursor={id}"));
    Ok(json!({ "title": "Replays", "rows": rows, "next": next }))
}

pub(crate) async fn replay(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    form: Form,
) -> Response {
    let done = async {
        session.check_form(&form)?;
        session.must("postbacks.manage")?;
        replayed(&app, &session.caller, &id).await
    };
    match done.await {
        Ok(_) => Redirect::to("/deliveries?state=waiting").into_response(),
        Err(error) => failed(&app, Some(&session), &error),
    }
}
