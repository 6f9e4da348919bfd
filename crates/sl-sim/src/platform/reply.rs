//! Answers of the API: envelope, errors, headers (contract A.2, A.3).

use axum::{body::Body, response::Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::world::Refusal;
use crate::knobs::Rate;

/// An answer before it has its envelope.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// `{data, _meta}`.
    Data(Value),
    /// `{data, _pagination, _meta}`; the query of the next page.
    Page(Value, Option<String>),
    /// A body without envelope: whoami, accounts.
    Bare(Value),
    /// A refusal.
    Refused(Refusal),
    /// 422 with the field (contract A.3).
    Invalid(String, String),
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A field breaks a rule.
pub(super) fn invalid(field: &str, rule: impl std::fmt::Display) -> Reply {
    Reply::Invalid(field.to_owned(), format!("The {field} field {rule}."))
}

pub(super) fn refused(status: u16, why: &str) -> Reply {
    Reply::Refused(Refusal::new(status, why))
}

/// What the envelope of an answer says besides the data.
#[derive(Debug, Clone)]
pub(super) struct Around {
    /// The limit and what is left of it this minute, if this request counts.
    pub(super) rate: Rate,
    /// Answered from upstream's own store: costs nothing.
    pub(super) free: bool,
    /// The request's address without query, for the next page.
    pub(super) address: String,
}

impl Reply {
    /// The call was carried out.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Data(_) | Self::Page(..) | Self::Bare(_))
    }

    /// Puts it on the wire.
    pub(super) fn send(self, around: &Around) -> Response {
        let (status, body) = match self {
            Self::Data(data) => (200, json!({"data": data, "_meta": meta(around)})),
            Self::Page(data, next) => {
                let next = next.map(|query| format!("{}?{query}", around.address));
                (200, json!({"data": data, "_pagination": {"next_page": next}, "_meta": meta(around)}))
            }
            Self::Bare(body) => (200, body),
            Self::Refused(Refusal { status, why }) => (status, json!({"error": why, "message": why})),
            Self::Invalid(field, message) => (422, json!({"message": message, "errors": {field: [message]}})),
        };
        let mut response = respond(status, &body);
        let headers = response.headers_mut();
        let used = i64::from(!around.free);
        let mut put = |name: &'static str, value: i64| {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        };
        put("x-rate-limit-limit-minute", i64::from(around.rate.limit));
        put("x-rate-limit-remaining-minute", i64::from(around.rate.remaining));
        put("x-ofapi-credits-used", used);
        put("x-ofapi-credits-balance", BALANCE);
        if status == 429 {
            put("retry-after", around.rate.retry_after);
        }
        headers.insert(
            HeaderName::from_static("x-ofapi-is-cached"),
            HeaderValue::from_static(if around.free { "true" } else { "false" }),
        );
        response
    }
}

const BALANCE: i64 = 48_210;

fn meta(around: &Around) -> Value {
    json!({
        "_credits": {
            "used": i64::from(!around.free),
            "balance": BALANCE,
            "note": if around.free { "Free endpoint" } else { "Always" },
        },
        "_cache": {"is_cached": around.free, "note": "Cache disabled for this endpoint"},
        "_rate_limits": {
            "limit_minute": around.rate.limit,
            "limit_day": null,
            "remaining_minute": around.rate.remaining,
            "remaining_day": null,
        },
    })
}

/// A JSON answer.
pub(super) fn respond(status: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
