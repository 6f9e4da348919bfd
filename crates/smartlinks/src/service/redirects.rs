//! The edge with everything it answers from: links, visitors of the last hours, places.

use std::{net::SocketAddr, sync::Arc};

use sl_core::time::Clock;
use sl_edge::{Edge, EdgeConfig, EdgeParts, Geo, GeoFiles, LinkTable, Stock, Window};
use sl_journal::Journal;

use super::{
    DRAIN, Stops, Tasks,
    base::Base,
    feed::{self, Feed},
    lessee::Lessee,
    pool_rules,
    supervisor::Supervisor,
};
use crate::{config::Config, failure::Failure};

/// Starts it, and what feeds it; says where it listens.
///
/// # Errors
/// [`Failure::Run`] when it can't be filled, or its address is taken.
pub(super) async fn start(
    config: &Config,
    base: &Base,
    clock: &Arc<dyn Clock>,
    supervisor: &Supervisor,
    stops: &Stops,
    tasks: &mut Tasks,
) -> Result<SocketAddr, Failure> {
    let (edge, feed, lessee) = open(config, base, clock).await?;
    let address = edge.local_addr();
    let run = edge.run(stops.edge.clone(), DRAIN);
    let ended = stops.edge_ended.clone().drop_guard();
    let run = async move {
        let outcome = run.await;
        drop(ended);
        outcome
    };
    let lessee = lessee.run(stops.edge.clone(), stops.edge_ended.clone());
    tasks.edge.extend([
        supervisor.start_fallible("the edge", &stops.edge, run),
        supervisor.start("leasing of pool links", &stops.edge, lessee),
    ]);
    let feed = feed.run(stops.helpers.clone());
    tasks.helpers.push(supervisor.start("catalog changes for the edge", &stops.helpers, feed));
    Ok(address)
}

async fn open(config: &Config, base: &Base, clock: &Arc<dyn Clock>) -> Result<(Edge, Feed, Lessee), Failure> {
    let stock = Stock::default();
    let mut lessee =
        Lessee::new(stock.clone(), Arc::clone(&base.store.pool), Arc::clone(clock), pool_rules(config));
    let addresses = feed::addresses(&base.store).await.map_err(Failure::run)?;
    lessee.settle_earlier().await.map_err(Failure::run)?;
    let window = Window::new(config.edge.visitor_window, config.edge.window_entries);
    let (filled, journal, now) = (window.clone(), Arc::clone(&base.journal), clock.now());
    // Both are long with a million rows; the one goes on a thread of its own meanwhile.
    let past = tokio::task::spawn_blocking(move || feed::rebuild(&filled, &journal, &addresses, now));
    let links = LinkTable::new(stock.clone());
    let feed = Feed::start(Arc::clone(&base.store.catalog), links.clone(), config.attribution.window);
    let feed = feed.await.map_err(Failure::run)?;
    let past = past.await.map_err(Failure::run)?.map_err(Failure::run)?;
    tracing::info!(remembered = past.remembered, "visitors of the last hours are known again");
    past.expect(&stock, window.span());
    // The first visitors find links in stock.
    lessee.lease_wanted(1).await.map_err(Failure::run)?;
    let (geo, warnings) = Geo::open(GeoFiles {
        country: config.geo.country_db.clone(),
        city: config.geo.city_db.clone(),
        asn: config.geo.asn_db.clone(),
    });
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let mut seed = [0; 32];
    rand::fill(&mut seed);
    let parts = EdgeParts {
        log: Arc::<Journal>::clone(&base.journal),
        links,
        geo,
        window,
        clock: Arc::clone(clock),
        secret: base.secrets.visitors.clone(),
        seed,
    };
    let edge = Edge::bind(edge_config(config), parts).map_err(Failure::run)?;
    Ok((edge, feed, lessee))
}

fn edge_config(config: &Config) -> EdgeConfig {
    let (edge, default) = (&config.edge, EdgeConfig::default());
    EdgeConfig {
        listen: edge.listen,
        threads: edge.threads.unwrap_or(default.threads),
        max_connections: edge.max_connections,
        header_timeout: edge.header_timeout,
        max_header_bytes: usize::try_from(edge.max_header_bytes.as_u64()).unwrap_or(usize::MAX),
        durable_wait: edge.durable_wait,
        trusted_proxies: edge.trusted_proxies.clone(),
        client_ip_header: edge.client_ip_header.clone(),
        cookie: edge.cookie,
    }
}
