//! The listener: one thread per core, each with a runtime, a socket on the shared port and connections of its own.

mod accept;
mod answers;
mod connection;
mod date;
mod drain;
mod line;
mod plain;
mod prefixed;
mod requests;
mod roster;
mod socket;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool, atomic::AtomicUsize},
    time::Duration,
};

use sl_core::{time::Clock, visitor::InstallationSecret};
use sl_journal::ClickLog;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    click::{Proxies, Shared},
    config::{EdgeConfig, EdgeError},
    geo::Geo,
    links::LinkTable,
    window::Window,
};

/// What the edge works with. Everything but the journal is memory that others feed.
pub struct EdgeParts {
    /// Where clicks go.
    pub log: Arc<dyn ClickLog>,
    /// Smart Links, and through them the stock of leased pool links.
    pub links: LinkTable,
    /// Places and networks.
    pub geo: Geo,
    /// Visitors of the last hours: rebuilt from the journal before [`Edge::bind`].
    pub window: Window,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// All visitor keys are derived from it; the same on every edge.
    pub secret: InstallationSecret,
    /// Seeds the chance in click ids: 32 bytes of the system's randomness, other ones in every process.
    pub seed: [u8; 32],
}

/// A bound edge: the port is taken and connections queue up; [`Edge::run`] answers them.
pub struct Edge {
    address: SocketAddr,
    listeners: Vec<std::net::TcpListener>,
    config: EdgeConfig,
    shared: Arc<Shared>,
    seed: [u8; 32],
}

/// Replaced database files are noticed, and old catalogs freed, within this time.
const LOOK: Duration = Duration::from_secs(10);

impl Edge {
    /// Checks the settings and takes the port.
    ///
    /// # Errors
    /// [`EdgeError::Config`] or [`EdgeError::Listen`].
    pub fn bind(config: EdgeConfig, parts: EdgeParts) -> Result<Self, EdgeError> {
        config.check()?;
        let (address, listeners) = socket::listen(config.listen, config.threads)
            .map_err(|source| EdgeError::Listen { address: config.listen, source })?;
        let header = http::HeaderName::from_bytes(config.client_ip_header.as_bytes());
        let header = header.unwrap_or(http::HeaderName::from_static("x-forwarded-for"));
        let shared = Shared {
            log: parts.log,
            links: parts.links,
            geo: parts.geo,
            window: parts.window,
            clock: parts.clock,
            secret: parts.secret,
            proxies: Proxies::new(config.trusted_proxies.clone(), header),
            cookie: config.cookie,
            durable_wait: config.durable_wait,
            draining: AtomicBool::new(false),
        };
        Ok(Self { address, listeners, config, shared: Arc::new(shared), seed: parts.seed })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`. Then: unready, no new connections, and what is under way is finished, for at most
    /// `drain_budget`. Leased links that nobody got stay in the stock: [`crate::Stock::drain_unused`].
    ///
    /// # Errors
    /// [`EdgeError::Thread`] when a thread can't start, [`EdgeError::Died`] when one ends too early.
    pub async fn run(self, stop: CancellationToken, drain_budget: Duration) -> Result<(), EdgeError> {
        let open = Arc::new(AtomicUsize::new(0));
        let (ended, mut all_ended) = mpsc::channel::<()>(1);
        let end = stop.child_token();
        let mut threads = Vec::new();
        for (number, listener) in self.listeners.into_iter().enumerate() {
            let lane = accept::Lane {
                listener,
                number,
                config: self.config.clone(),
                shared: Arc::clone(&self.shared),
                seed: self.seed,
                open: Arc::clone(&open),
                stop: end.clone(),
                drain_budget,
            };
            let (ended, end_all) = (ended.clone(), end.clone().drop_guard());
            let body = move || {
                // Dropped when this thread ends, by panic too: the others then stop as well.
                let _ended = (ended, end_all);
                lane.run()
            };
            let thread = std::thread::Builder::new().name(format!("edge-{number}")).spawn(body);
            threads.push(thread.map_err(|error| {
                end.cancel();
                EdgeError::Thread(error)
            })?);
        }
        drop(ended);
        tokio::select! {
            _ = all_ended.recv() => {}
            () = look_after(&self.shared) => {}
        }
        let early = !stop.is_cancelled();
        let mut outcome: Result<(), EdgeError> = if early { Err(EdgeError::Died) } else { Ok(()) };
        for thread in threads {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => outcome = Err(error),
                Err(_panic) => outcome = Err(EdgeError::Died),
            }
        }
        outcome
    }
}

/// Notices replaced databases and visitors pushed out of the window, and frees old catalogs, off the threads that answer.
async fn look_after(shared: &Shared) {
    let pushed_out = metrics::counter!("smartlinks_window_evicted_total");
    loop {
        tokio::time::sleep(LOOK).await;
        pushed_out.absolute(shared.window.evicted());
        let (geo, links) = (shared.geo.clone(), shared.links.clone());
        let look = move || {
            links.let_go_of_old();
            geo.refresh()
        };
        if let Ok(warnings) = tokio::task::spawn_blocking(look).await {
            for warning in warnings {
                tracing::warn!("{warning}");
            }
        }
    }
}
