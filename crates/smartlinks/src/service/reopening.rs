//! A store that could not write is opened anew. The edge and its journal stay: visitors are redirected all the while.

use tokio::{sync::watch, time::Instant};

use super::{
    Service, Stops, Tasks,
    starting::Starting,
    stop::{self, all, within},
};
use crate::{config::Config, failure::Failure, metrics, roles::RoleSet};

impl Service {
    /// Ends every role that works with the store, and lets go of it. What is left can be started anew.
    ///
    /// # Errors
    /// [`Failure`] when the metrics can't be had.
    pub(crate) async fn without_store(self, config: &Config, roles: &RoleSet) -> Result<Starting, Failure> {
        let Self { clock, base, stops, tasks, redirects, control, supervisor, mut failures, .. } = self;
        let Tasks { edge, supply, creators, deliveries, helpers, attribution, .. } = tasks;
        let end = Instant::now() + stop::ALL;
        stops.unready.cancel();
        stops.supply.cancel();
        stops.creators.cancel();
        stops.deliveries.cancel();
        stops.helpers.cancel();
        // Deliveries that are under way for longer keep the store open for so long. What receivers say to them is kept.
        let ending = supply.into_iter().chain(creators).chain(deliveries).chain(helpers);
        within(end, "what the edge is supplied with, creator platform, deliveries, API", all(ending)).await;
        stops.attribution.cancel();
        within(end, "attribution", all(attribution)).await;
        let (ground, backing) = base.apart(&config.data_dir);
        if let Err(error) = backing.close_within(stop::CLOSING).await {
            tracing::warn!("the store's last sync failed: {error}");
        }
        // Of roles that could not go on without a store.
        while let Ok(failure) = failures.try_recv() {
            tracing::warn!("{failure}");
        }
        let mut starting = Starting {
            config: config.clone(),
            roles: roles.clone(),
            metrics: metrics::recorder(&*clock)?,
            clock,
            ground,
            control,
            stops: stops.under_the_same_edge(),
            tasks: Tasks { edge, ..Tasks::default() },
            supervisor,
            failures,
            past: None,
            cluster: None,
            has_topics: watch::Sender::new(true).subscribe(),
            acknowledged: None,
            edge: redirects,
            admin: None,
            reached: None,
        };
        let (_, why) = watch::channel("it could not write, and is opened anew".to_owned());
        if let Err(error) = starting.say_why(why).await {
            tracing::warn!("nobody can ask meanwhile how it stands: {error}");
        }
        Ok(starting)
    }
}

impl Stops {
    /// For roles that start anew while the edge goes on.
    fn under_the_same_edge(self) -> Self {
        let (edge, edge_ended) = (self.edge, self.edge_ended);
        Self { edge, edge_ended, ..Self::default() }
    }
}
