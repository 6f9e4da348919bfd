//! What an ad platform is to this simulator.

use std::time::Duration;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use sl_core::time::Timestamp;

use crate::server::Whole;

/// One ad platform. It has no state of its own: the ledger remembers.
pub(crate) trait Receiver: Send + Sync + 'static {
    /// Name in figures, and what `only` of `POST /_sim/fail` looks in.
    fn name(&self) -> &'static str;

    /// Whether a request is meant for it. Asked in order; the first one gets it.
    fn claims(&self, request: &Whole) -> bool;

    /// The events a request speaks of, as far as it can be read, valid or not: so that attempts can be compared.
    fn sight(&self, request: &Whole) -> Vec<Sighted>;

    /// What the real platform would answer to a request at `now`.
    fn judge(&self, request: &Whole, now: Timestamp) -> Judged;

    /// What the real one answers when it fails or limits: a tracker's, unless the platform has its own.
    fn trouble(&self, trouble: Trouble) -> Answer {
        match trouble {
            Trouble::Failed(status) => Answer::json(status, json!({"status": "error"})),
            Trouble::Limited { retry_after } => Answer::empty(429).with("retry-after", retry_after),
        }
    }

    /// How long the same event counts once, by its key.
    fn remembers(&self) -> Duration;
}

/// An event of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sighted {
    /// What the platform calls it.
    pub(crate) name: String,
    /// The sender's id for it.
    pub(crate) id: String,
    /// Key under which it counts once: name, id and destination, or less.
    pub(crate) key: String,
    /// Another key under which it counts once, and for how long.
    pub(crate) also: Option<(String, Duration)>,
    /// What must be the same at every attempt: method, target, whatever of the body is not another event, and the event as
    /// it came.
    pub(crate) wire: Bytes,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) answer: Answer,
    /// Which of its events were taken.
    pub(crate) taken: Taken,
    /// Why it was refused; a few words of the platform's own.
    pub(crate) reason: Option<String>,
    /// It came through the platform's test channel.
    pub(crate) is_test: bool,
    /// What the platform takes no notice of though it accepts the request: members it does not know.
    pub(crate) read_over: Vec<String>,
}

/// Which events of a request were taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    Nothing,
    Everything,
    /// All but these, counted from 0.
    AllBut(Vec<usize>),
}

impl Taken {
    /// Whether the event at this place was.
    pub(crate) fn has(&self, nth: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::AllBut(refused) => !refused.contains(&nth),
        }
    }
}

/// A failure or limit, as `POST /_sim/fail` and `/_sim/rate` ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Failed(u16),
    Limited { retry_after: i64 },
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Option<Value>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

// === impl Answer ===

impl Answer {
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, body: None, headers: Vec::new() }
    }

    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), headers: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn send(self) -> Response {
        let is_json = self.body.is_some();
        let body = self.body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if is_json {
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}
