//! The edge with everything it answers from: links, visitors of the last hours, places.

use std::{net::SocketAddr, sync::Arc};

use sl_core::time::Clock;
use sl_edge::{Edge, EdgeConfig, EdgeParts, Geo, GeoFiles, LinkTable, Stock, Window};
use sl_journal::{Journal, JournalError};
use tokio::task::JoinHandle;

use super::{
    DRAIN, Stops, Tasks,
    base::{Base, Ground},
    cluster::visitors,
    feed::{Feed, Lately},
    lessee::Lessee,
    pool_rules,
    supervisor::Supervisor,
};
use crate::{config::Config, failure::Failure};

/// Visitors of the last hours, as they are being read.
pub(super) struct Remembering {
    window: Window,
    lately: JoinHandle<Result<Lately, JournalError>>,
}

/// Starts reading them: the journal is enough, and the store is opened meanwhile.
pub(super) fn remember(config: &Config, ground: &Ground, clock: &dyn Clock) -> Remembering {
    let window = Window::new(config.edge.visitor_window, config.edge.window_entries);
    let (filled, journal, now) = (window.clone(), Arc::clone(&ground.journal), clock.now());
    let lately = tokio::task::spawn_blocking(move || Lately::read(&filled, &journal, now));
    Remembering { window, lately }
}

/// Starts it, and what feeds it; says where it listens.
///
/// # Errors
/// [`Failure::Run`] when it can't be filled, or its address is taken.
pub(super) async fn start(
    config: &Config,
    base: &Base,
    past: Remembering,
    clock: &Arc<dyn Clock>,
    supervisor: &Supervisor,
    stops: &Stops,
    tasks: &mut Tasks,
) -> Result<SocketAddr, Failure> {
    let window = past.window.clone();
    let (edge, feed, lessee) = open(config, base, past, clock).await?;
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
    if let Some(cluster) = base.cluster() {
        let stop = stops.helpers.clone();
        let follow = visitors::follow(cluster.clone(), base.journal.id(), window, Arc::clone(clock), stop);
        tasks.helpers.push(supervisor.start("visitors of other edges", &stops.helpers, follow));
    }
    let feed = feed.run(stops.helpers.clone());
    tasks.helpers.push(supervisor.start("catalog changes for the edge", &stops.helpers, feed));
    Ok(address)
}

async fn open(
    config: &Config,
    base: &Base,
    past: Remembering,
    clock: &Arc<dyn Clock>,
) -> Result<(Edge, Feed, Lessee), Failure> {
    let stock = Stock::default();
    let pool = Arc::clone(&base.store.pool);
    let mut lessee = Lessee::new(owner(base), stock.clone(), pool, Arc::clone(clock), pool_rules(config));
    lessee.settle_earlier().await.map_err(Failure::run)?;
    let links = LinkTable::new(stock.clone());
    let feed = Feed::start(Arc::clone(&base.store.catalog), links.clone(), config.attribution.window);
    let feed = feed.await.map_err(Failure::run)?;
    let Remembering { window, lately } = past;
    let lately = lately.await.map_err(Failure::run)?.map_err(Failure::run)?;
    tracing::info!(remembered = lately.remembered, "visitors of the last hours are known again");
    lately.expect(&links, &stock, window.span());
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

/// Whose blocks of pool links are: on embedded storage there is one edge, in a cluster one per journal.
fn owner(base: &Base) -> String {
    base.cluster().map_or_else(|| "edge".to_owned(), |_| format!("edge-{:016x}", base.journal.id().0))
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
