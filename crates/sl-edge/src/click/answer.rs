//! Every answer the edge gives. Header values are made once; nothing of a request reaches one.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE},
};
use sl_core::click::{Rung, VisitorId};

use crate::{links::Prepared, window::Remembered};

/// Body of every answer: empty, or a short constant text.
pub(crate) type Body = Bytes;
/// An answer.
pub(crate) type Answer = Response<Body>;

/// Name of the visitor cookie.
pub(crate) const COOKIE: &str = "sl_v";
/// `Max-Age` is 400 days, the longest life browsers grant a cookie: a visitor stays known to a fan for life (decisions 25).
const ATTRIBUTES: &str = "; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax";

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const REFERRER: HeaderValue = HeaderValue::from_static("no-referrer-when-downgrade");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");
const SOON: HeaderValue = HeaderValue::from_static("1");
const ADVICE_TYPE: HeaderValue = HeaderValue::from_static("application/trafficadvice+json");
const ADVICE: &str = r#"[{"user_agent":"prefetch-proxy","disallow":true}]"#;

/// What is answered, before it becomes hyper's or bytes.
pub(crate) enum Reply {
    /// A redirect, which is the rule.
    Found(Found),
    /// Anything else. In a box: it is large, and hardly ever there.
    Other(Box<Answer>),
}

/// 302 to a place of ours, never stored (contract I.21), with the visitor's cookie if it gets one.
pub(crate) struct Found {
    pub(super) link: Arc<Prepared>,
    pub(super) rung: Rung,
    /// The visitor's click, with its own link if it has one, and its cookie; `None` for whom nobody remembers.
    pub(super) click: Option<Arc<Remembered>>,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Other(Box::new(answer))
    }
}

impl Reply {
    /// The answer as hyper takes it.
    pub(crate) fn into_answer(self) -> Answer {
        match self {
            Self::Found(found) => found.into_answer(),
            Self::Other(answer) => *answer,
        }
    }

    /// As it goes over the wire, to a client that keeps the connection unless this is the `last` answer. `date` is that
    /// of the header.
    pub(crate) fn write(&self, into: &mut Vec<u8>, date: &[u8], last: bool) {
        match self {
            Self::Found(found) => found.write(into),
            Self::Other(answer) => write_head(answer, into),
        }
        into.extend_from_slice(b"\r\ndate: ");
        into.extend_from_slice(date);
        into.extend_from_slice(if last { b"\r\nconnection: close\r\n\r\n" } else { b"\r\n\r\n" });
        if let Self::Other(answer) = self {
            into.extend_from_slice(answer.body());
        }
    }
}

impl Found {
    fn place(&self) -> &HeaderValue {
        // Who comes again while the link is paused stays on the creator's page.
        let click = self.click.as_ref().filter(|_| self.rung != Rung::Profile);
        click.and_then(|click| click.own.as_ref()).unwrap_or_else(|| self.link.place(self.rung))
    }

    fn cookie(&self) -> Option<VisitorId> {
        self.click.as_ref().and_then(|click| click.given)
    }

    fn into_answer(self) -> Answer {
        let mut answer = Response::new(Body::new());
        *answer.status_mut() = StatusCode::FOUND;
        let headers = answer.headers_mut();
        headers.insert(LOCATION, self.place().clone());
        headers.insert(CACHE_CONTROL, NO_STORE);
        headers.insert(REFERRER_POLICY, REFERRER);
        if let Some(cookie) = self.cookie().and_then(set_cookie) {
            headers.insert(SET_COOKIE, cookie);
        }
        answer
    }

    /// All but the headers that every answer has.
    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(b"HTTP/1.1 302 Found\r\nlocation: ");
        into.extend_from_slice(self.place().as_bytes());
        into.extend_from_slice(b"\r\ncache-control: no-store\r\nreferrer-policy: no-referrer-when-downgrade");
        if let Some(cookie) = self.cookie() {
            into.extend_from_slice(b"\r\nset-cookie: ");
            write_cookie(cookie, into);
        }
        into.extend_from_slice(b"\r\ncontent-length: 0");
    }
}

fn write_head(answer: &Answer, into: &mut Vec<u8>) {
    let status = answer.status();
    into.extend_from_slice(b"HTTP/1.1 ");
    into.extend_from_slice(status.as_str().as_bytes());
    into.push(b' ');
    into.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    for (name, value) in answer.headers() {
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(name.as_str().as_bytes());
        into.extend_from_slice(b": ");
        into.extend_from_slice(value.as_bytes());
    }
    into.extend_from_slice(b"\r\ncontent-length: ");
    into.extend_from_slice(answer.body().len().to_string().as_bytes());
}

fn set_cookie(id: VisitorId) -> Option<HeaderValue> {
    let mut text = Vec::with_capacity(128);
    write_cookie(id, &mut text);
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}

fn write_cookie(id: VisitorId, into: &mut Vec<u8>) {
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(id.0.to_be_bytes()) {
        if let [high, low] = pair {
            (*high, *low) = (hex(byte >> 4), hex(byte & 15));
        }
    }
    into.extend_from_slice(COOKIE.as_bytes());
    into.push(b'=');
    into.extend_from_slice(&digits);
    into.extend_from_slice(ATTRIBUTES.as_bytes());
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Body::from_static(text.as_bytes()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, TEXT);
    headers.insert(CACHE_CONTROL, NO_STORE);
    answer
}

/// Unknown or malformed id, or a path that is none of ours.
pub(crate) fn not_found() -> Answer {
    plain(StatusCode::NOT_FOUND, "There is nothing at this address.\n")
}

/// The link was deleted.
pub(crate) fn gone() -> Answer {
    plain(StatusCode::GONE, "This link is no longer in use.\n")
}

/// Another method than the ones there are.
pub(crate) fn wrong_method() -> Answer {
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "Use GET or HEAD.\n");
    answer.headers_mut().insert(ALLOW, METHODS);
    answer
}

/// A prefetch: refused, so that the browser asks again when the person really goes (decisions 1).
pub(crate) fn no_prefetch() -> Answer {
    let mut answer = Response::new(Body::default());
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    answer
}

/// Not ready to answer: no catalog yet (decisions 53), or draining.
pub(crate) fn unavailable() -> Answer {
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, "Not ready; ask again in a moment.\n");
    answer.headers_mut().insert(RETRY_AFTER, SOON);
    answer
}

/// `/healthz` while accepting.
pub(crate) fn healthy() -> Answer {
    plain(StatusCode::OK, "ok\n")
}

/// `/.well-known/traffic-advice`: prefetch proxies stay away.
pub(crate) fn traffic_advice() -> Answer {
    let mut answer = Response::new(Body::from_static(ADVICE.as_bytes()));
    answer.headers_mut().insert(CONTENT_TYPE, ADVICE_TYPE);
    answer
}

/// Sent without hyper, when there are too many connections to give this one to it.
pub(crate) const TOO_MANY_CONNECTIONS: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
    Cache-Control: no-store\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Sent without hyper, which only reports that the header did not come.
pub(crate) const HEADER_TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
