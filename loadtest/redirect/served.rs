//! The child process: the real edge on the real journal, as the service runs them.
//!
//! It speaks in lines with its parent: it says `listening ADDRESS`; `stock N` gives it that many pool links; `stop` ends
//! it in order, and it says what the journal then holds.

use std::{
    collections::HashSet,
    error::Error,
    io::BufRead,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use metrics_exporter_prometheus::PrometheusBuilder;
use serde::{Deserialize, Serialize};
use sl_core::{
    catalog::EdgeLink,
    event::{Event, EventBody},
    ids::{LinkKind, PoolLinkId, SmartLinkId, TeamId},
    pool::{PoolLink, StockKey},
    time::{Clock, MOMENT, Timestamp},
};
use sl_edge::{Edge, EdgeConfig, EdgeParts, Geo, InstallationSecret, LinkTable, Stock, StockBlock, Window};
use sl_journal::{ClickLog, ClickView, Durability, Fate, Journal, JournalConfig, LostReason, Ticket};
use tokio_util::sync::CancellationToken;

use crate::Log;

/// The Smart Link of all visits.
pub(crate) fn link_id() -> SmartLinkId {
    SmartLinkId::from_bytes([7; 16])
}

/// Visitors in the window at the start, and the most it holds.
const REMEMBERED: usize = 1_000_000;

/// What the journal holds after the end, read back from disk.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Books {
    /// Rows of people.
    pub(crate) clicks: u64,
    /// Different click ids among them.
    pub(crate) distinct: u64,
    /// Different pool links among them.
    pub(crate) links: u64,
    /// Repeats: there should be none.
    pub(crate) repeats: u64,
    /// Clicks answered before the disk had them, or not kept at all.
    pub(crate) unjournaled: u64,
    /// Times the disk was asked to make records durable.
    pub(crate) commits: u64,
}

/// Of the histograms.
const SECONDS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0];

/// The system's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "a program of its own, which owns its clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn now_after(&self, last: Timestamp, ago: Duration) -> Timestamp {
        // As the service's clock.
        if ago < MOMENT { last } else { self.now() }
    }
}

/// Keeps nothing.
struct Nowhere;

impl ClickLog for Nowhere {
    fn append(&self, _: Event) -> Result<Ticket, LostReason> {
        Ok(Ticket(0))
    }

    fn append_click_held(&self, _: &ClickView<'_>) -> Result<Ticket, LostReason> {
        Ok(Ticket(0))
    }

    fn fate_now(&self, _: Ticket) -> Option<Fate> {
        Some(Fate::Stored)
    }

    fn fate(&self, _: Ticket) -> Pin<Box<dyn Future<Output = Fate> + Send>> {
        Box::pin(std::future::ready(Fate::Stored))
    }
}

pub(crate) fn run(directory: &Path, log: Log) -> Result<(), Box<dyn Error>> {
    // Buckets, as the service has.
    let metrics = PrometheusBuilder::new().set_buckets(SECONDS)?.install_recorder()?;
    let kept = metrics.clone();
    std::thread::spawn(move || {
        // As the service does.
        loop {
            std::thread::sleep(Duration::from_secs(5));
            kept.run_upkeep();
        }
    });
    let config = JournalConfig {
        dir: directory.to_owned(),
        durability: if log == Log::Buffered { Durability::Buffered } else { Durability::Synced },
        max_disk: 32 << 30,
        ..JournalConfig::default()
    };
    let journal = Journal::open(config.clone(), Arc::new(SystemClock))?;
    let stock = Stock::default();
    let links = LinkTable::new(stock.clone());
    links.replace(vec![link()]);
    let window = Window::new(Duration::from_secs(6 * 3600), REMEMBERED);
    // A service that has been up for a while: for everybody who comes, the one who came first is forgotten.
    for visitor in 0..REMEMBERED as u128 {
        window.probe(visitor << 64 | 1 << 63, SystemClock.now());
    }
    let edge = Edge::bind(
        EdgeConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            threads: 1,
            trusted_proxies: vec!["127.0.0.0/8".parse()?],
            ..EdgeConfig::default()
        },
        EdgeParts {
            log: if log == Log::None {
                Arc::new(Nowhere)
            } else {
                Arc::<Journal>::clone(&journal) as Arc<dyn ClickLog>
            },
            links,
            geo: Geo::shipped(),
            window,
            clock: Arc::new(SystemClock),
            secret: InstallationSecret::new(&[9; 32]),
            seed: [5; 32],
        },
    )?;
    println!("listening {}", edge.local_addr());
    let stop = CancellationToken::new();
    let token = stop.clone();
    let served = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(edge.run(token, Duration::from_secs(5))).map_err(std::io::Error::other)
    });
    obey(&stock)?;
    stop.cancel();
    served.join().map_err(|_| "the edge panicked")??;
    journal.close()?;
    drop(journal);
    let metrics = metrics.render();
    let unjournaled = sum(&metrics, "smartlinks_clicks_unjournaled_total{");
    let commits = sum(&metrics, "smartlinks_journal_sync_seconds_count");
    println!("{}", serde_json::to_string(&Books { unjournaled, commits, ..books(config)? })?);
    Ok(())
}

/// Until `stop`, or until the parent is gone.
fn obey(stock: &Stock) -> Result<(), Box<dyn Error>> {
    let mut fence = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let Some(count) = line.strip_prefix("stock ") else { return Ok(()) };
        for _ in 0..count.parse::<u64>()?.div_ceil(256) {
            stock.put_block(block(fence), Instant::now());
            fence += 1;
        }
        println!("ready");
    }
    Ok(())
}

fn books(config: JournalConfig) -> Result<Books, Box<dyn Error>> {
    let journal = Journal::open(config, Arc::new(SystemClock))?;
    let (mut ids, mut links) = (HashSet::new(), HashSet::new());
    let (mut clicks, mut repeats) = (0, 0);
    journal.recent(Timestamp(0), |record| match record.event.body {
        EventBody::Click(click) => {
            clicks += 1;
            ids.insert(click.id);
            links.extend(click.pool_link);
        }
        EventBody::Repeat(_) => repeats += 1,
        _ => {}
    })?;
    journal.close()?;
    Ok(Books {
        clicks,
        distinct: ids.len() as u64,
        links: links.len() as u64,
        repeats,
        unjournaled: 0,
        commits: 0,
    })
}

/// The sum over all labels of one metric.
fn sum(metrics: &str, name: &str) -> u64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

fn key() -> StockKey {
    StockKey { account: "acct_5f2b8c1d9e".into(), kind: LinkKind::TrackingLink, trial_days: None }
}

fn link() -> EdgeLink {
    EdgeLink {
        id: link_id(),
        team: TeamId(1),
        stock: key(),
        window: Duration::from_secs(6 * 3600),
        deleted: false,
        paused: false,
        overflow: None,
        profile_url: "https://onlyfans.com/nova".into(),
    }
}

fn block(fence: u64) -> StockBlock {
    let links = (fence * 256..(fence + 1) * 256).map(|ordinal| {
        let id = PoolLinkId { kind: LinkKind::TrackingLink, number: ordinal };
        let url = format!("https://onlyfans.com/nova/c{ordinal}");
        (PoolLink { id, team: TeamId(1), stock: key(), url, ordinal, created_at: Timestamp(0) }, false)
    });
    StockBlock { fence, stock: key(), links: links.collect(), good_for: Duration::from_secs(24 * 3600) }
}
