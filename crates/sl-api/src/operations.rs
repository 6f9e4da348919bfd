//! What operators and their machines ask: health, readiness, metrics, the OpenAPI document (decisions 16).

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::{access::bearer, error::ApiError, parts::App};

/// Everything served, as OpenAPI 3.1; a test holds it against the routes.
pub(crate) const OPENAPI: &str = include_str!("../../../schemas/openapi.json");

pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

pub(crate) async fn readyz(State(app): State<App>) -> Response {
    match (app.ready)() {
        Ok(()) => Json(json!({ "ready": true })).into_response(),
        Err(reason) => {
            let body = Json(json!({ "ready": false, "reason": reason }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

pub(crate) async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Some(token) = &app.settings.metrics_token {
        let given = bearer(&headers).unwrap_or_default();
        if !bool::from(given.as_bytes().ct_eq(token.expose().as_bytes())) {
            return ApiError::Unauthorized.into_response();
        }
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], (app.metrics_text)()).into_response()
}

pub(crate) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}
