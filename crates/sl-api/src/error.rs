//! Refusals and faults, as contract A.3 puts them on the wire.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use sl_store::StoreError;

use crate::reply::add_headers;

/// Shorthand of handlers.
pub(crate) type Result<T> = std::result::Result<T, ApiError>;

/// Why a request is not answered as asked.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// 400: no JSON, or not an object.
    BadRequest(String),
    /// 401.
    Unauthorized,
    /// 401 of a webhook.
    BadSignature,
    /// 403: the key lacks this permission.
    Forbidden(&'static str),
    /// 404: nothing of this name under this path, or another team's.
    NotFound(&'static str),
    /// 405.
    WrongMethod,
    /// 408: the body did not come in time.
    TooSlow,
    /// 413: larger than so many bytes.
    TooLarge(usize),
    /// 422.
    Invalid(Problems),
    /// 503: may work later.
    Unavailable(String),
    /// 500: the details are in the log.
    Fault,
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound("row"),
            error if error.is_temporary() => {
                Self::Unavailable("The store can't be reached; try again in a moment.".to_owned())
            }
            error => {
                tracing::error!(%error, "a request failed in the store");
                Self::Fault
            }
        }
    }
}

impl ApiError {
    /// Status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized | Self::BadSignature => StatusCode::UNAUTHORIZED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::BadRequest(sentence) | Self::Unavailable(sentence) => sentence.clone(),
            Self::Unauthorized => "A valid API key is needed: send `Authorization: Bearer slk_…`; \
                                   make one with `smartlinks keys create --name NAME`."
                .to_owned(),
            Self::BadSignature => {
                "The `Signature` header is missing or was not made of this body with one of \
                                   platform.webhook_secrets; compare them with the webhook's secret."
                    .to_owned()
            }
            Self::TooSlow => "The body did not come in time; send it again.".to_owned(),
            Self::Forbidden(permission) => format!(
                "This API key lacks the permission `{permission}`; use a key that has it or make one with \
                 `smartlinks keys create`."
            ),
            Self::NotFound(what) => format!("There is no such {what}."),
            Self::WrongMethod => "This path does not know this method; see the Allow header.".to_owned(),
            Self::TooLarge(limit) => format!("The body is larger than {limit} bytes; send less."),
            Self::Invalid(problems) => problems.sentence(),
            Self::Fault => "Something failed on our side; the log says what.".to_owned(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let sentence = self.sentence();
        let body = match &self {
            Self::Invalid(problems) => json!({ "message": sentence, "errors": problems.by_field() }),
            _ => json!({ "error": sentence, "message": sentence }),
        };
        let mut response = (self.status(), Json(body)).into_response();
        add_headers(response.headers_mut());
        match self {
            Self::Unavailable(_) => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            Self::Unauthorized => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

/// Everything that is wrong with a request, each with its field.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<(String, String)>);

impl Problems {
    /// Notes one. `what` goes on after "The … field".
    pub(crate) fn add(&mut self, field: impl Into<String>, what: impl AsRef<str>) {
        let field = field.into();
        let message = format!("The {field} field {}", what.as_ref());
        self.0.push((field, message));
    }

    /// One problem as an error.
    pub(crate) fn one(field: &str, what: impl AsRef<str>) -> ApiError {
        let mut problems = Self::default();
        problems.add(field, what);
        ApiError::Invalid(problems)
    }

    /// An error if there are any.
    pub(crate) fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::Invalid(self)) }
    }

    fn sentence(&self) -> String {
        let first = self.0.first().map(|(_, message)| message.as_str()).unwrap_or_default();
        match self.0.len() {
            0 | 1 => first.to_owned(),
            2 => format!("{first} (and 1 more error)"),
            n => format!("{first} (and {} more errors)", n - 1),
        }
    }

    fn by_field(&self) -> Value {
        let mut fields: Map<String, Value> = Map::new();
        for (field, message) in &self.0 {
            let list = fields.entry(field.clone()).or_insert_with(|| Value::Array(Vec::new()));
            if let Some(list) = list.as_array_mut() {
                list.push(Value::from(message.clone()));
            }
        }
        Value::Object(fields)
    }
}

/// A value as it may be repeated in an error: quoted and short.
pub(crate) fn shown(value: &str) -> String {
    let short: String = value.chars().take(64).collect();
    format!("{short:?}")
}
