//! The edge with everything it answers from: links, visitors of the last hours, places. In a cluster it starts without the
//! store too, from what an earlier start wrote down (decisions 53), and goes over to the store once there is one.

use std::{net::SocketAddr, sync::Arc};

use sl_core::time::Clock;
use sl_edge::{Edge, EdgeConfig, EdgeParts, Geo, GeoFiles, LinkTable, Stock, Window};
use sl_journal::{Journal, JournalError};
use sl_store::{Result as Stored, Store};
use tokio::task::JoinHandle;

use super::{
    DRAIN, Stops, Tasks,
    base::Ground,
    cluster::visitors,
    feed::{self, CatalogCopy, Feed},
    lately::Lately,
    lessee::Lessee,
    pool_rules,
    remembered::{Head, VisitorsFile},
    reserve::{self, Reserve},
    snapshots::Snapshots,
    supervisor::Supervisor,
};
use crate::{config::Config, failure::Failure};

/// Visitors of the last hours, as they are being read.
pub(super) struct Remembering {
    window: Window,
    lately: JoinHandle<Result<Lately, JournalError>>,
    file: VisitorsFile,
}

/// Starts reading them: the journal is enough, and the store is opened meanwhile.
pub(super) fn remember(config: &Config, ground: &Ground, clock: &dyn Clock) -> Remembering {
    let window = Window::new(config.edge.visitor_window, config.edge.window_entries);
    let (filled, journal, now) = (window.clone(), Arc::clone(&ground.journal), clock.now());
    let file = VisitorsFile::of(&config.data_dir);
    let from = (file.clone(), head(config, &journal));
    let lately =
        tokio::task::spawn_blocking(move || Lately::read(&filled, (&from.0, &from.1), &journal, now));
    Remembering { window, lately, file }
}

/// The head of a file of visitors that is written now.
fn head(config: &Config, journal: &Journal) -> Head {
    Head {
        journal: journal.id(),
        span: config.edge.visitor_window,
        entries: config.edge.window_entries,
        until: journal.status().synced,
        keys: 0,
    }
}

/// Writes down whom the window remembers, for the next start.
async fn keep(file: VisitorsFile, head: Head, window: Window) {
    let written = tokio::task::spawn_blocking(move || file.write(&head, &window)).await;
    match written.map_err(std::io::Error::other).flatten() {
        Ok(true) => {}
        Ok(false) => {
            tracing::info!("clicks were under way: the next start reads its visitors from the journal")
        }
        Err(error) => {
            tracing::warn!(%error, "visitors can't be written down; the next start reads them from the journal");
        }
    }
}

/// What the edge stands on, whether there is a store or not.
pub(super) struct Footing<'a> {
    pub(super) config: &'a Config,
    pub(super) ground: &'a Ground,
    /// The Kafka cluster by which other edges tell of their visitors.
    pub(super) kafka: Option<&'a sl_kafka::Cluster>,
    pub(super) clock: &'a Arc<dyn Clock>,
}

/// A running edge, and what it answers from.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) links: LinkTable,
    stock: Stock,
    reserve: Option<Arc<Reserve>>,
    maker: Maker,
    /// The feed and the lessee, made when there was a store.
    begun: Option<(Feed, Lessee)>,
}

/// Starts it with what the store says. Without a store, or when it goes away meanwhile, with what an earlier start wrote down;
/// without that either it answers 503 until there is one.
///
/// # Errors
/// [`Failure::Run`] when its address is taken, or an embedded store can't be read.
pub(super) async fn start(
    footing: &Footing<'_>,
    past: Remembering,
    store: Option<&Store>,
    supervisor: &Supervisor,
    stops: &Stops,
    tasks: &mut Tasks,
) -> Result<Running, Failure> {
    let Remembering { window, lately, file } = past;
    let mut running = Running::of(footing).await;
    let lately = lately.await.map_err(Failure::run)?.map_err(Failure::run)?;
    tracing::info!(remembered = lately.remembered, "visitors of the last hours are known again");
    running.fill(footing, store, &lately, &window).await?;
    let parts = parts(footing, running.links.clone(), window.clone());
    let edge = Edge::bind(edge_config(footing.config), parts).map_err(Failure::run)?;
    running.address = edge.local_addr();
    let run = edge.run(stops.edge.clone(), DRAIN);
    let ended = stops.edge_ended.clone().drop_guard();
    let (config, journal) = (footing.config.clone(), Arc::clone(&footing.ground.journal));
    let remembered = window.clone();
    let run = async move {
        let outcome = run.await;
        drop(ended);
        // Nobody clicks any more.
        keep(file, head(&config, &journal), remembered).await;
        outcome
    };
    tasks.edge.push(supervisor.start_fallible("the edge", &stops.edge, run));
    if let Some(reserve) = &running.reserve {
        let run = Arc::clone(reserve).run(stops.edge_ended.clone());
        tasks.edge.push(supervisor.start("opening of pool links", &stops.edge_ended, run));
    }
    if let Some(kafka) = footing.kafka {
        let (own, clock) = (footing.ground.journal.id(), Arc::clone(footing.clock));
        let follow = visitors::follow(kafka.clone(), own, window, clock, stops.helpers.clone());
        tasks.helpers.push(supervisor.start("visitors of other edges", &stops.helpers, follow));
    }
    Ok(running)
}

// === impl Running ===

impl Running {
    /// Nothing but pool links that an earlier process had set aside.
    async fn of(footing: &Footing<'_>) -> Self {
        let Footing { config, ground, kafka, clock } = footing;
        let journal = ground.journal.id();
        let copy = kafka.map(|_| Snapshots::new(&config.data_dir, &config.scylla.keyspace, journal));
        let stock = match &copy {
            // Half of what a quiet stock has: the keeper leaves the other half to the next edge.
            Some(_) => Stock::of_many(reserve::LINKS, config.pool.min as usize / 2),
            None => Stock::default(),
        };
        let links = LinkTable::new(stock.clone());
        let reserve = match &copy {
            Some(file) => Some(Reserve::load(stock.clone(), file.clone()).await),
            None => None,
        };
        // On embedded storage there is one edge, in a cluster one per journal.
        let owner = kafka.map_or_else(|| "edge".to_owned(), |_| format!("edge-{:016x}", journal.0));
        let maker = Maker {
            config: (*config).clone(),
            owner,
            clock: Arc::clone(clock),
            stock: stock.clone(),
            links: links.clone(),
            reserve: reserve.clone(),
            copy,
        };
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { address, links, stock, reserve, maker, begun: None }
    }

    async fn fill(
        &mut self,
        footing: &Footing<'_>,
        store: Option<&Store>,
        lately: &Lately,
        window: &Window,
    ) -> Result<(), Failure> {
        let mut missing = None;
        if let Some(store) = store {
            let (mut feed, mut lessee) = self.maker.make(store);
            match self.fill_from(&mut feed, &mut lessee, lately, window).await {
                Ok(()) => {}
                Err(error) if error.is_temporary() && footing.kafka.is_some() => missing = Some(error),
                Err(error) => return Err(Failure::run(error)),
            }
            self.begun = Some((feed, lessee));
        }
        if let Some(file) = self.maker.copy.clone().filter(|_| store.is_none() || missing.is_some()) {
            if let Some(error) = missing {
                tracing::warn!(%error, "the store has gone away; the edge starts without it");
            }
            feed::remember(file, &self.links, footing.clock.now()).await;
            lately.expect(&self.links, &self.stock, window.span());
        }
        Ok(())
    }

    async fn fill_from(
        &self,
        feed: &mut Feed,
        lessee: &mut Lessee,
        lately: &Lately,
        window: &Window,
    ) -> Stored<()> {
        lessee.settle_earlier().await?;
        feed.fill().await?;
        lately.expect(&self.links, &self.stock, window.span());
        // The first visitors find links in stock.
        lessee.lease_wanted(1).await.map(drop)
    }

    /// The store was opened anew: what is in stock is this edge's still, and the next visitors find links.
    pub(super) async fn take_over(&mut self, store: &Store) {
        let (mut feed, mut lessee) = self.maker.make(store);
        let taken_over = async {
            lessee.settle_earlier().await?;
            feed.fill().await?;
            lessee.lease_wanted(1).await
        };
        if let Err(error) = taken_over.await {
            tracing::warn!(%error, "the edge goes on with what it had; trying again");
        }
        self.begun = Some((feed, lessee));
    }

    /// Starts to feed the edge with what the store says.
    pub(super) fn supply(
        &mut self,
        store: &Store,
        supervisor: &Supervisor,
        stops: &Stops,
        tasks: &mut Tasks,
    ) {
        let (feed, lessee) = self.begun.take().unwrap_or_else(|| self.maker.make(store));
        let lessee = lessee.run(stops.supply.clone(), stops.edge.clone(), stops.edge_ended.clone());
        tasks.supply.push(supervisor.start("leasing of pool links", &stops.supply, lessee));
        let feed = feed.run(stops.helpers.clone());
        tasks.helpers.push(supervisor.start("catalog changes for the edge", &stops.helpers, feed));
    }

    /// Nothing was supplied and the edge has ended: what is left is written down for the next start.
    pub(super) async fn close(&self) {
        if let Some(reserve) = &self.reserve
            && let Err(error) = reserve.close().await
        {
            tracing::warn!(%error, "leased pool links can't be written down; they pass quarantine");
        }
    }
}

/// Makes what feeds the edge, once there is a store.
struct Maker {
    config: Config,
    /// The name under which blocks of pool links are leased.
    owner: String,
    clock: Arc<dyn Clock>,
    stock: Stock,
    links: LinkTable,
    reserve: Option<Arc<Reserve>>,
    copy: Option<Snapshots>,
}

impl Maker {
    fn make(&self, store: &Store) -> (Feed, Lessee) {
        let copy = CatalogCopy::new(self.copy.clone(), Arc::clone(&self.clock));
        let window = self.config.attribution.window;
        let feed = Feed::new(Arc::clone(&store.catalog), self.links.clone(), window, copy);
        let lessee = Lessee::new(
            self.owner.clone(),
            self.stock.clone(),
            Arc::clone(&store.pool),
            Arc::clone(&self.clock),
            pool_rules(&self.config),
            self.reserve.clone(),
        );
        (feed, lessee)
    }
}

fn parts(footing: &Footing<'_>, links: LinkTable, window: Window) -> EdgeParts {
    let Footing { config, ground, clock, .. } = footing;
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
    EdgeParts {
        log: Arc::<Journal>::clone(&ground.journal),
        links,
        geo,
        window,
        clock: Arc::clone(clock),
        secret: ground.secrets.visitors.clone(),
        seed,
    }
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
