//! Webhooks that could not be used, and a button to try again.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use serde_json::{Value, json};

use crate::{
    dashboard::{
        failed, page,
        session::{Form, Session},
    },
    error::Result,
    parts::App,
    query::Query,
    x::{
        dead_letters::{self, retried},
        paging,
    },
};

pub(crate) async fn list(State(app): State<App>, session: Session, query: Query) -> Response {
    page(&app, "dead_letters.html", &session, content(&app, &session, query).await)
}

async fn content(app: &App, session: &Session, mut query: Query) -> Result<Value> {
    session.must("webhooks.view")?;
    let (limit, after) = paging(&mut query);
    let others = query.without("cursor");
    query.finish()?;
    let (rows, next) = dead_letters::page(app, session.caller.team(), limit, after).await?;
    Ok(json!({
        "title": "Dead letters",
        "rows": rows.iter().map(dead_letters::object).collect::<Vec<_>>(),
        "next": next.map(|id| format!("{others}cursor={id}")),
        "may_retry": session.caller.may("webhooks.manage"),
    }))
}

pub(crate) async fn retry(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    form: Form,
) -> Response {
    let done = async {
        session.check_form(&form)?;
        session.must("webhooks.manage")?;
        retried(&app, session.caller.team(), &id).await
    };
    match done.await {
        Ok(()) => Redirect::to("/dead-letters").into_response(),
        Err(error) => failed(&app, Some(&session), &error),
    }
}
