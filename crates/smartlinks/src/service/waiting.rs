//! What the admin listener says while the store of a cluster has not been reached, or an embedded one is opened anew: that it is
//! waited for, and why.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use sl_core::seal::Secret;
use tokio::sync::watch;

/// What the listener says while the store is waited for.
#[derive(Clone)]
pub(super) struct Waiting {
    /// The last error.
    pub(super) why: watch::Receiver<String>,
    /// Whether the process does all that it is for: an edge and nothing else, with links to answer for.
    pub(super) is_whole: Arc<dyn Fn() -> bool + Send + Sync>,
    pub(super) metrics: PrometheusHandle,
    pub(super) metrics_token: Option<Secret>,
}

/// Health, readiness and metrics; everything else is 503 with the reason.
pub(super) fn router(waiting: Waiting) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(later)
        .with_state(waiting)
}

impl Waiting {
    fn reason(&self) -> String {
        let why = self.why.borrow();
        let why = if why.is_empty() { "scylla.nodes: no answer yet" } else { &why };
        format!("there is no store now, and it is tried again: {why}")
    }
}

async fn readyz(State(waiting): State<Waiting>) -> Response {
    let ready = (waiting.is_whole)();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    closing((status, Json(json!({ "ready": ready, "reason": waiting.reason() }))))
}

async fn metrics(State(waiting): State<Waiting>, headers: HeaderMap) -> Response {
    if !sl_api::may_read_metrics(waiting.metrics_token.as_ref(), &headers) {
        return closing(StatusCode::UNAUTHORIZED);
    }
    closing(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], waiting.metrics.render()))
}

async fn later(State(waiting): State<Waiting>) -> Response {
    let reason = waiting.reason();
    let body = Json(json!({ "error": reason, "message": reason }));
    closing((StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")], body))
}

/// The next request of this client shall meet whatever serves then.
fn closing(answer: impl IntoResponse) -> Response {
    let mut answer = answer.into_response();
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}
