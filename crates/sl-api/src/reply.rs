//! The envelope and the headers of every answer (contract A.2).

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

/// Credits mean nothing here; clients that watch a balance see one that never ends.
const CREDITS: u64 = 1_000_000;
/// Shown as the allowance: upstream's Pro plan. Nothing is limited.
const PER_MINUTE: u64 = 5000;

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    body: Value,
}

impl Reply {
    /// `{"data": …, "_meta": …}`.
    pub(crate) fn data(data: impl Into<Value>) -> Self {
        let data: Value = data.into();
        Self { status: StatusCode::OK, body: json!({ "data": data, "_meta": meta() }) }
    }

    /// The exceptions of contract A.2: the value alone.
    pub(crate) fn bare(body: Value) -> Self {
        Self { status: StatusCode::OK, body }
    }

    /// Adds a key beside `data`.
    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        if let Some(root) = self.body.as_object_mut() {
            root.insert(key.to_owned(), value);
        }
        self
    }

    /// Adds a key inside `data`.
    pub(crate) fn with_data(mut self, key: &str, value: Value) -> Self {
        if let Some(data) = self.body.get_mut("data").and_then(Value::as_object_mut) {
            data.insert(key.to_owned(), value);
        }
        self
    }

    /// A list that goes on at `next_cursor` (decisions 24).
    pub(crate) fn page(rows: Vec<Value>, next_cursor: Option<String>) -> Self {
        Self::data(rows).with("_pagination", json!({ "next_page": null, "next_cursor": next_cursor }))
    }

    /// Another status than 200.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        add_headers(response.headers_mut());
        response
    }
}

fn meta() -> Value {
    json!({
        "_credits": { "used": 0, "balance": CREDITS, "note": "Free endpoint" },
        "_cache": { "is_cached": false, "note": "Cache disabled for this endpoint" },
        "_rate_limits": {
            "limit_minute": PER_MINUTE, "limit_day": null,
            "remaining_minute": PER_MINUTE, "remaining_day": null,
        },
    })
}

/// The headers of contract A.2.1, on errors too; nothing of the API may be cached on the way.
pub(crate) fn add_headers(headers: &mut HeaderMap) {
    for (name, value) in [
        ("x-ofapi-credits-balance", "1000000"),
        ("x-ofapi-credits-used", "0"),
        ("x-ofapi-is-cached", "false"),
        ("x-rate-limit-limit-minute", "5000"),
        ("x-rate-limit-remaining-minute", "5000"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_envelope_say_the_same() {
        let mut headers = HeaderMap::new();
        add_headers(&mut headers);
        let meta = meta();
        let said = |name: &str| headers[name].to_str().unwrap().parse::<u64>().unwrap();
        assert_eq!(meta["_credits"]["balance"], said("x-ofapi-credits-balance"));
        assert_eq!(meta["_rate_limits"]["limit_minute"], said("x-rate-limit-limit-minute"));
        assert_eq!(meta["_rate_limits"]["remaining_minute"], said("x-rate-limit-remaining-minute"));
    }
}
