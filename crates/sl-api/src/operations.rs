//! What operators and their machines ask: health, readiness, metrics, the OpenAPI document (decisions 16).

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;
use sl_core::seal::Secret;
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

/// Whether a request with these headers may read `/metrics`: it needs `admin.metrics_token`, if there is one.
#[must_use]
pub fn may_read_metrics(token: Option<&Secret>, headers: &HeaderMap) -> bool {
    token.is_none_or(|token| {
        let given = bearer(headers).unwrap_or_default();
        given.as_bytes().ct_eq(token.expose().as_bytes()).into()
    })
}

pub(crate) async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    if !may_read_metrics(app.settings.metrics_token.as_ref(), &headers) {
        return ApiError::Unauthorized.into_response();
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], (app.metrics_text)()).into_response()
}

pub(crate) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}
