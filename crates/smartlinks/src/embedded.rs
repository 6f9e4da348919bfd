//! The service inside another process, with a wall clock of the caller's: how tests set its clock.

use std::{net::SocketAddr, sync::Arc};

use sl_core::time::Clock;

use crate::{
    clock::SteadyClock,
    config::{self, LoadError},
    failure::Failure,
    roles::RoleSet,
    service::{Service, creators::Pace},
};

/// A running service. Dropped without [`Embedded::stop`] it ends as by `kill -9`, as soon as its runtime does.
pub struct Embedded {
    service: Service,
    edge: SocketAddr,
}

impl Embedded {
    /// Starts it as `serve --roles …` does, by variables `SMARTLINKS_…`; when it returns, both listeners answer. `wall` takes
    /// the place of the system's clock, and what it says is doubted as that is. There must be an edge among the roles.
    ///
    /// # Errors
    /// What `serve` would say.
    pub async fn start(
        settings: impl IntoIterator<Item = (String, String)>,
        roles: &str,
        wall: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let (config, _) = config::load(None, settings.into_iter())
            .map_err(|LoadError(problems)| Failure::Usage(crate::lines(&problems)))?;
        let clock: Arc<dyn Clock> = Arc::new(SteadyClock::over(wall));
        let roles = RoleSet::parse(roles, config.storage.backend)?;
        let service = Service::start(&config, &roles, &Pace::default(), clock).await?;
        let edge = service.edge.ok_or_else(|| Failure::Run("there is no edge among the roles".to_owned()))?;
        Ok(Self { service, edge })
    }

    /// Where visitors are redirected.
    #[must_use]
    pub fn edge(&self) -> SocketAddr {
        self.edge
    }

    /// API, webhooks, metrics.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.service.admin
    }

    /// Secret of the first API key; only at the first start.
    #[must_use]
    pub fn owner_key(&self) -> Option<&str> {
        self.service.owner_key.as_ref().map(|secret| secret.expose())
    }

    /// Stops in order.
    ///
    /// # Errors
    /// When the last sync fails.
    pub async fn stop(self) -> Result<(), Failure> {
        self.service.shutdown().await
    }
}
