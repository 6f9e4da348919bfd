//! What a fan's browser sees: a link's page, the trial's page, the profile.

use axum::{body::Body, response::Response};
use http::{HeaderValue, Method, StatusCode, header};

use super::{Shared, world::Place};
use crate::server::Whole;

pub(super) fn answer(shared: &Shared, request: &Whole) -> Response {
    if request.method != Method::GET && request.method != Method::HEAD {
        return page(StatusCode::METHOD_NOT_ALLOWED, "Only GET.");
    }
    let now = shared.now();
    let mut world = shared.world.lock();
    let Some(place) = world.place(request.uri.path()) else {
        return page(StatusCode::NOT_FOUND, "This page is not available.");
    };
    let stands = world.visit(&place, now);
    let (Place::Profile { account } | Place::Link { account, .. }) = &place;
    let name = world.accounts.get(account).map(|account| account.setup.display_name.clone());
    let name = name.unwrap_or_default();
    match stands {
        true => page(StatusCode::OK, &format!("{name}: subscribe")),
        false => page(StatusCode::OK, &format!("{name}: this offer is over")),
    }
}

fn page(status: StatusCode, text: &str) -> Response {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let mut response =
        Response::new(Body::from(format!("<!doctype html><title>{text}</title><h1>{text}</h1>\n")));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
