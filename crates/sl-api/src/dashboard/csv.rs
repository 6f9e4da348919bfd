//! Lists of a link as CSV, for who is signed in.

use std::future::Future;

use axum::{
    extract::{Path, State},
    response::Response,
};
use sl_core::ids::SmartLinkId;

use crate::{
    access::own_link,
    dashboard::{failed, session::Session},
    error::Result,
    parts::App,
    query::Query,
    x::csv::lists,
};

pub(crate) async fn clicks(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    query: Query,
) -> Response {
    file(app, session, &id, query, lists::clicks).await
}

pub(crate) async fn conversions(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    query: Query,
) -> Response {
    file(app, session, &id, query, lists::conversions).await
}

pub(crate) async fn breakdown(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    query: Query,
) -> Response {
    file(app, session, &id, query, lists::breakdown).await
}

/// The file, or a page that says why there is none.
async fn file<F: Future<Output = Result<Response>>>(
    app: App,
    session: Session,
    id: &str,
    query: Query,
    list: fn(App, SmartLinkId, Query) -> F,
) -> Response {
    let made = async {
        session.must("smart-links.view")?;
        let link = own_link(&app, session.caller.team(), id).await?;
        list(app.clone(), link.id, query).await
    };
    match made.await {
        Ok(response) => response,
        Err(error) => failed(&app, Some(&session), &error),
    }
}
