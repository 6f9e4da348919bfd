//! One outbound request: caps on time and size, no redirects, no proxies of the environment, and words for what went
//! wrong that hold neither address nor token (promise 9).

use std::{error::Error, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header::CONTENT_LENGTH};
use sl_core::{delivery::RenderedRequest, platforms::Answer, retry::Outcome};
use url::Url;

use crate::egress::{Egress, Guarded, ResolveError};

/// Most that is read of an answer (ad-platforms 6).
pub(crate) const ANSWER_MAX: usize = 64 * 1024;

/// Who entered the address that a request goes to (decisions 18).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The operator, in the configuration: trusted.
    Operator,
    /// A user of the API: behind the guard.
    User,
}

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub(crate) struct NoAnswer {
    /// `timeout`, `connection`, `dns`, `tls`, `egress` or `config`.
    pub(crate) kind: &'static str,
    /// What happened, in words for people.
    pub(crate) words: String,
    /// What it means for the delivery.
    pub(crate) outcome: Outcome,
}

/// The HTTP clients of this crate.
pub(crate) struct Sender {
    guarded: reqwest::Client,
    trusted: reqwest::Client,
    egress: Arc<Egress>,
}

impl Sender {
    /// `timeout` bounds a whole request, connecting and reading included.
    ///
    /// # Errors
    /// When the system's certificates can't be read.
    pub(crate) fn new(egress: Egress, timeout: Duration) -> reqwest::Result<Self> {
        // Somebody may have installed it already: it is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let egress = Arc::new(egress);
        let client = || {
            reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .timeout(timeout)
                .connect_timeout(timeout / 2)
                .pool_max_idle_per_host(8)
                .pool_idle_timeout(Duration::from_secs(30))
                .user_agent(concat!("smartlinks/", env!("CARGO_PKG_VERSION")))
        };
        let guarded = client().dns_resolver(Guarded(Arc::clone(&egress))).build()?;
        Ok(Self { guarded, trusted: client().build()?, egress })
    }

    /// Sends it once.
    pub(crate) async fn send(&self, request: &RenderedRequest, origin: Origin) -> Result<Answer, NoAnswer> {
        let url = Url::parse(&request.url)
            .map_err(|error| refused(format!("the rendered address is unusable: {error}")))?;
        let client = match origin {
            Origin::Operator => &self.trusted,
            Origin::User => {
                self.egress.check(&url).map_err(|error| NoAnswer {
                    kind: "egress",
                    words: error.to_string(),
                    outcome: Outcome::Config,
                })?;
                if self.egress.names(&url) { &self.trusted } else { &self.guarded }
            }
        };
        let method =
            Method::from_bytes(request.method.as_bytes()).map_err(|error| refused(error.to_string()))?;
        let mut builder = client.request(method, url).headers(headers(&request.headers)?);
        if !request.body.is_empty() {
            builder = builder.body(request.body.clone());
        } else if request.method != "GET" {
            // Nobody adds it, and receivers wait for a body or answer 411 (RFC 9110, 8.6).
            builder = builder.header(CONTENT_LENGTH, 0);
        }
        let mut response = builder.send().await.map_err(|error| no_answer(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let (mut body, mut whole) = (Vec::new(), true);
        while body.len() < ANSWER_MAX {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend(chunk.iter().take(ANSWER_MAX.saturating_sub(body.len()))),
                Ok(None) => break,
                // Words that stop half way are words all the same.
                Err(_) => {
                    whole = false;
                    break;
                }
            }
        }
        Ok(Answer { status, headers, body, whole })
    }
}

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, NoAnswer> {
    let mut map = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let unusable = || refused(format!("the header {name:?} has no value that can be sent"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
        map.append(key, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| unusable())?);
    }
    Ok(map)
}

/// A request that could not be made: the destination must be changed.
fn refused(words: String) -> NoAnswer {
    NoAnswer { kind: "config", words, outcome: Outcome::Config }
}

/// A failure of TLS, however often it is wrapped. An I/O error hides what it wraps: its `source` is that of the wrapped one.
fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut error = error;
    while let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        error = inner;
    }
    error.downcast_ref()
}

/// Classifies by cause; the client's own text is not used, since it holds the address.
fn no_answer(error: &reqwest::Error) -> NoAnswer {
    let before = |kind, words: &str, outcome| NoAnswer { kind, words: words.to_owned(), outcome };
    let mut cause = error.source();
    while let Some(inner) = cause {
        match inner.downcast_ref::<ResolveError>() {
            Some(ResolveError::Private) => return before("egress", &inner.to_string(), Outcome::Config),
            Some(ResolveError::Unknown) => return before("dns", &inner.to_string(), Outcome::Retry),
            None => {}
        }
        if let Some(tls) = tls(inner) {
            return before("tls", &tls.to_string(), Outcome::Retry);
        }
        cause = inner.source();
    }
    match (error.is_timeout(), error.is_connect()) {
        (true, true) => before("timeout", "no connection in time", Outcome::Retry),
        (true, false) => before("timeout", "no answer in time", Outcome::Ambiguous),
        (false, true) => before("connection", "the connection was refused", Outcome::Retry),
        (false, false) => before("connection", "the connection broke before an answer", Outcome::Ambiguous),
    }
}
