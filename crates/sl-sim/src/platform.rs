//! A simulated creator platform with its API provider in front: contract D and E, and the pages fans visit.
//!
//! * [`routes`]: every path it answers, on one screen · [`gate`]: key, rate limit, faults on demand
//! * [`world`]: accounts, links, fans and money, without any HTTP · [`wire`]: their JSON, quirks included
//! * [`calls`]: one function per endpoint · [`pages`]: what a fan's browser sees · [`hooks`]: `/_sim/…`
//! * [`webhooks`]: signed events, sent twice, out of order and again until they are taken
//!
//! It knows what a real platform knows: the link somebody came through, never a click. A fan comes into being when a
//! person visits a link's page and subscribes (`POST /_sim/subscribe`).

mod calls;
mod config;
mod gate;
mod hooks;
mod pages;
mod reply;
mod routes;
mod state;
mod webhooks;
mod wire;
mod world;

use std::{io, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use sl_core::time::Timestamp;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use config::{AccountSetup, Faults, PlatformConfig};
pub use state::{AccountState, PlatformState, WebhookState};

use crate::{knobs::Knobs, server::Server};
use state::Meters;
use webhooks::Outbox;
use world::World;

/// A running platform.
pub struct PlatformSim {
    server: Server,
    shared: Arc<Shared>,
    stop: CancellationToken,
    sender: tokio::task::JoinHandle<()>,
}

/// What every request sees.
pub(crate) struct Shared {
    config: PlatformConfig,
    world: Mutex<World>,
    knobs: Mutex<Knobs>,
    meters: Mutex<Meters>,
    outbox: Outbox,
}

impl Shared {
    fn now(&self) -> Timestamp {
        self.config.clock.now()
    }
}

impl std::fmt::Debug for PlatformSim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PlatformSim({})", self.addr())
    }
}

// === impl PlatformSim ===

impl PlatformSim {
    /// Starts it: the listener, and the sender of webhooks.
    ///
    /// # Errors
    /// When the address can't be taken or the HTTP client of the webhooks can't be made.
    pub async fn bind(config: PlatformConfig) -> io::Result<Self> {
        let listen = config.listen;
        let outbox = Outbox::new(&config).map_err(io::Error::other)?;
        let world = World::new(config.seed, &config.accounts, config.clock.now());
        let shared = Arc::new(Shared {
            config,
            world: Mutex::new(world),
            knobs: Mutex::new(Knobs::default()),
            meters: Mutex::new(Meters::default()),
            outbox,
        });
        let server = Server::bind(listen, Arc::clone(&shared), routes::answer).await?;
        let stop = CancellationToken::new();
        let sender = tokio::spawn(webhooks::run(Arc::clone(&shared), stop.clone()));
        Ok(Self { server, shared, stop, sender })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// Its origin, as `platform.base_url` wants it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Tells it where webhooks go; until then they wait.
    pub fn set_webhook(&self, url: Url) {
        self.shared.outbox.set_url(Some(url));
    }

    /// The same figures as `GET /_sim/state`.
    #[must_use]
    pub fn state(&self) -> PlatformState {
        state::read(&self.shared)
    }

    /// Stops the listener and the sender. Webhooks that still wait are not sent.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.server.shutdown().await;
        if self.sender.await.is_err() {
            tracing::error!("the sender of webhooks ended by itself");
        }
    }
}
