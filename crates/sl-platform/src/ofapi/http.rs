//! One request: its turn in the pace, its retries, its answer or refusal (contract A.2, A.3, E.6).

use std::{fmt::Display, time::Duration};

use reqwest::{
    Client, Method, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::Value;
use tracing::Instrument;

use super::{
    ConfigError, OfApiConfig,
    key::Key,
    unreached::{SystemNames, unmade, unreached},
};
use crate::{
    error::{PlatformError, Result},
    pacer::{Pacer, Priority},
};

/// Largest answer that is read: a page of 100 links is some 100 KiB.
const BODY_MAX: usize = 8 << 20;
/// Longest time until a connection stands; as upstream's own SDK.
const CONNECT: Duration = Duration::from_secs(5);
/// Waits between attempts of one call (contract E.6: 1 s, 2 s, 4 s).
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// Longest `retry-after` that is obeyed to the letter.
const HOLD_MAX: Duration = Duration::from_secs(120);
/// The one path that belongs to the key; all others begin with an account.
const ACCOUNTS: [&str; 1] = ["accounts"];
/// Characters kept of the platform's words.
const WORDS: usize = 200;

/// Sends calls with one key.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    base: Url,
    pacer: Pacer,
    key: Key,
}

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    endpoint: &'static str,
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    priority: Priority,
    /// Sending it twice does no harm, and is worth it.
    repeatable: bool,
}

// === impl Call ===

impl Call {
    pub(super) fn get(endpoint: &'static str, path: &[&str], priority: Priority) -> Self {
        Self::new(endpoint, Method::GET, path, None, priority)
    }

    /// Not repeatable unless said.
    pub(super) fn post(endpoint: &'static str, path: &[&str], body: Value, priority: Priority) -> Self {
        Self::new(endpoint, Method::POST, path, Some(body), priority)
    }

    fn new(
        endpoint: &'static str,
        method: Method,
        path: &[&str],
        body: Option<Value>,
        priority: Priority,
    ) -> Self {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        let repeatable = method == Method::GET;
        Self { endpoint, method, path, query: Vec::new(), body, priority, repeatable }
    }

    pub(super) fn repeatable(self) -> Self {
        Self { repeatable: true, ..self }
    }

    /// Not sent again where no answer came, although that would do no harm: nobody waits for it.
    pub(super) fn once(self) -> Self {
        Self { repeatable: false, ..self }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Display) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    fn is_of_the_key(&self) -> bool {
        self.path == ACCOUNTS
    }

    /// 429 and a connection that never stood had no effect, so that every call may be tried again; other failures only
    /// where sending twice does no harm. 503 is for the caller: the account is away for minutes.
    fn may_repeat(&self, error: &PlatformError) -> bool {
        match error {
            PlatformError::Limited { .. } | PlatformError::Unreachable(_) => true,
            PlatformError::Unsure | PlatformError::Faulty { .. } => self.repeatable,
            _ => false,
        }
    }
}

// === impl Http ===

impl Http {
    pub(super) fn new(config: OfApiConfig) -> std::result::Result<Self, ConfigError> {
        // An error means that another part of the process has installed one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut key = HeaderValue::from_str(&format!("Bearer {}", config.api_key.expose()))
            .map_err(|_| ConfigError::Key)?;
        key.set_sensitive(true);
        if config.base_url.cannot_be_a_base() || !config.base_url.has_host() {
            return Err(ConfigError::BaseUrl);
        }
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, key),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        let client = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("smartlinks/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(Policy::none())
            .dns_resolver(SystemNames)
            .connect_timeout(CONNECT.min(config.timeout))
            .timeout(config.timeout)
            .pool_max_idle_per_host(16)
            .build()?;
        let pacer = Pacer::per_minute(config.requests_per_minute);
        Ok(Self { client, base: config.base_url, pacer, key: Key::default() })
    }

    pub(super) fn is_refused(&self) -> bool {
        self.key.is_refused()
    }

    /// Sends a call, again if that does no harm, and gives the JSON of a 2xx.
    pub(super) async fn send(&self, call: Call) -> Result<Value> {
        let mut waits = WAITS.iter();
        loop {
            self.admit(call.priority).await?;
            let error = match self.attempt(&call).await {
                Ok(body) => return Ok(body),
                // The account, or the key that stands before it?
                Err(error) if is_401(&error) && self.is_key_refused(call.priority).await => {
                    return Err(PlatformError::KeyRefused);
                }
                Err(error) => error,
            };
            let Some(wait) = waits.next().filter(|_| call.may_repeat(&error)) else { return Err(error) };
            match error {
                PlatformError::Limited { after } => {
                    self.pacer.hold(after.unwrap_or(*wait).min(HOLD_MAX));
                }
                _ => tokio::time::sleep(*wait).await,
            }
        }
    }

    /// While the key is refused nothing goes out, but for a question now and then.
    async fn admit(&self, priority: Priority) -> Result<()> {
        if self.key.is_refused() && self.is_key_refused(priority).await {
            return Err(PlatformError::KeyRefused);
        }
        Ok(())
    }

    /// Whether the platform refuses the key; it is asked unless that was done a moment ago.
    async fn is_key_refused(&self, priority: Priority) -> bool {
        if self.key.may_ask() {
            let _ = self.attempt(&Call::get("accounts", &ACCOUNTS, priority)).await;
        }
        self.key.is_refused()
    }

    /// One attempt, in its turn. A refusal of what belongs to the key is one of the key.
    async fn attempt(&self, call: &Call) -> Result<Value> {
        self.pacer.turn(call.priority).await;
        let span = tracing::trace_span!(target: "otel", "platform.request", endpoint = call.endpoint);
        let answer = self.once(call).instrument(span).await;
        if !call.is_of_the_key() {
            return answer;
        }
        let answer = answer.map_err(|error| if is_401(&error) { PlatformError::KeyRefused } else { error });
        self.key.note(&answer);
        answer
    }

    async fn once(&self, call: &Call) -> Result<Value> {
        let url = self.url(call)?;
        let mut request = self.client.request(call.method.clone(), url);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let answer = request.send().await;
        let answer = answer.map_err(|error| (unreached(&error), error));
        let label = match &answer {
            Ok(answer) => answer.status().as_u16().to_string(),
            Err((Some(why), _)) => why.label().to_owned(),
            Err((None, error)) => if error.is_timeout() { "timeout" } else { "broken" }.to_owned(),
        };
        metrics::counter!("smartlinks_platform_requests_total", "endpoint" => call.endpoint, "status" => label)
            .increment(1);
        match answer {
            Ok(answer) => read(answer).await,
            Err((Some(why), _)) => Err(PlatformError::Unreachable(why)),
            Err((None, _)) => Err(PlatformError::Unsure),
        }
    }

    fn url(&self, call: &Call) -> Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| PlatformError::Unreachable(unmade()))?
            .pop_if_empty()
            .push("api")
            .extend(&call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        Ok(url)
    }
}

fn is_401(error: &PlatformError) -> bool {
    matches!(error, PlatformError::Refused { status: 401, .. })
}

async fn read(answer: Response) -> Result<Value> {
    let status = answer.status();
    let after = retry_after(answer.headers());
    if status.is_success() {
        let body = bytes(answer).await?;
        return serde_json::from_slice(&body).map_err(|_| PlatformError::Unreadable("it is not JSON"));
    }
    Err(match status {
        StatusCode::SERVICE_UNAVAILABLE => PlatformError::AccountBusy,
        StatusCode::TOO_MANY_REQUESTS => PlatformError::Limited { after },
        status if status.is_server_error() => PlatformError::Faulty { status: status.as_u16() },
        status => {
            let message = bytes(answer).await.map(|body| words(&body)).unwrap_or_default();
            PlatformError::Refused { status: status.as_u16(), message }
        }
    })
}

async fn bytes(mut answer: Response) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|_| PlatformError::Unsure)? {
        if body.len() + chunk.len() > BODY_MAX {
            return Err(PlatformError::Unreadable("it is longer than 8 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The platform's sentence (contract A.3), cut.
fn words(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let said = ["message", "error"].iter().find_map(|key| body.get(*key)?.as_str());
    said.unwrap_or("without a reason").chars().filter(|letter| !letter.is_control()).take(WORDS).collect()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
