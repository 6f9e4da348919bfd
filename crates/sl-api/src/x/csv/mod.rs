//! Lists and reports as CSV: all rows of what is asked for, with the filters, the permissions and the fields of the JSON.

mod answer;
mod columns;
mod line;
pub(crate) mod lists;
mod pages;

use axum::{extract::State, response::Response};

use crate::{
    access::{Caller, OwnLink},
    error::Result,
    parts::App,
    query::Query,
};

pub(crate) async fn clicks(State(app): State<App>, OwnLink(link): OwnLink, query: Query) -> Result<Response> {
    lists::clicks(app, link.id, query).await
}

pub(crate) async fn conversions(
    State(app): State<App>,
    OwnLink(link): OwnLink,
    query: Query,
) -> Result<Response> {
    lists::conversions(app, link.id, query).await
}

pub(crate) async fn breakdown(
    State(app): State<App>,
    OwnLink(link): OwnLink,
    query: Query,
) -> Result<Response> {
    lists::breakdown(app, link.id, query).await
}

pub(crate) async fn fans(
    State(app): State<App>,
    caller: Caller,
    OwnLink(link): OwnLink,
    query: Query,
) -> Result<Response> {
    lists::fans(app, caller.team(), link.id, query).await
}

pub(crate) async fn stats(State(app): State<App>, OwnLink(link): OwnLink, query: Query) -> Result<Response> {
    lists::stats(app, link.id, query).await
}

pub(crate) async fn deliveries(State(app): State<App>, caller: Caller, query: Query) -> Result<Response> {
    lists::deliveries(app, caller.team(), query).await
}
