//! A listener with an ordered stop, and whole requests instead of streams.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde::de::DeserializeOwned;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Largest body that is read; over it the answer is 413. A call of 1,000 ad events is about 1 MiB.
const BODY_MAX: usize = 4 << 20;

/// A request with its body.
#[derive(Debug, Clone)]
pub struct Whole {
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, at most 4 MiB.
    pub body: Bytes,
}

impl Whole {
    /// Value of a header; empty when absent or no text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Parts of the path, without empty ones.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.uri.path().split('/').filter(|part| !part.is_empty()).collect()
    }

    /// Pairs of the query, decoded, in order.
    #[must_use]
    pub fn query(&self) -> Vec<(String, String)> {
        let text = self.uri.query().unwrap_or_default().as_bytes();
        form_urlencoded::parse(text).into_owned().collect()
    }

    /// A parameter of the query, the first of that name; empty when absent.
    #[must_use]
    pub fn param(&self, name: &str) -> String {
        let found = self.query().into_iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value).unwrap_or_default()
    }

    /// Its body, read as JSON; or what is wrong with it.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("body: {error}"))
    }
}

/// A running listener.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on `listen` (port 0: any) and answers every request with `answer`.
    ///
    /// # Errors
    /// When the address can't be taken, naming it.
    pub async fn bind<S, F, A>(listen: SocketAddr, state: Arc<S>, answer: F) -> io::Result<Self>
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, Whole) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        let taken = |error: io::Error| io::Error::new(error.kind(), format!("{listen}: {error}"));
        let listener = TcpListener::bind(listen).await.map_err(taken)?;
        let addr = listener.local_addr()?;
        let app = Router::new().fallback(move |request: Request| {
            let (state, answer) = (Arc::clone(&state), answer.clone());
            async move {
                match whole(request).await {
                    Some(request) => answer(state, request).await,
                    None => too_large(),
                }
            }
        });
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "the simulator's listener ended");
            }
        });
        Ok(Self { addr, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops listening. Requests that are held on purpose are not waited for.
    pub async fn shutdown(self) {
        self.stop.cancel();
        let abort = self.task.abort_handle();
        if tokio::time::timeout(std::time::Duration::from_millis(500), self.task).await.is_err() {
            abort.abort();
        }
    }
}

async fn whole(request: Request) -> Option<Whole> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_MAX).await.ok()?;
    Some(Whole { method: parts.method, uri: parts.uri, headers: parts.headers, body })
}

fn too_large() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    response
}
