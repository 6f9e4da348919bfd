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
    x::deliveries::{self, objects, replayed},
};

pub(crate) async fn list(State(app): State<App>, session: Session, query: Query) -> Response {
    match content(&app, &session, query).await {
        Ok(content) => page(&app, "deliveries.html", &session, content),
        Err(error) => failed(&app, Some(&session), &error),
    }
}

async fn content(app: &App, session: &Session, mut query: Query) -> Result<Value> {
    session.must("postbacks.view")?;
    let filter = deliveries::filter(&mut query);
    query.finish()?;
    let state = filter.state.map(DeliveryState::as_str);
    let counts = app.store.outbox.counts(app.now()).await?;
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
        "next": next.map(|id| id.to_string()),
        "may_replay": session.caller.may("postbacks.manage"),
    }))
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
