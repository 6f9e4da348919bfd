//! Stock per account and link type.

use axum::{extract::State, response::Response};
use serde_json::{Value, json};

use crate::{
    dashboard::{page, session::Session},
    error::Result,
    parts::App,
    x::pool::{levels, row},
};

pub(crate) async fn pool(State(app): State<App>, session: Session) -> Response {
    page(&app, "pool.html", &session, content(&app, &session).await)
}

async fn content(app: &App, session: &Session) -> Result<Value> {
    session.must("tracking-links.view")?;
    let levels = levels(app, session.caller.team()).await?;
    let rows: Vec<Value> = levels.iter().map(|(level, status)| row(level, status)).collect();
    Ok(json!({ "title": "Pool", "rows": rows }))
}
