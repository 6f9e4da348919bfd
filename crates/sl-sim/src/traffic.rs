//! Simulated people, and what else follows links: crawlers, previews, prefetches.
//!
//! * [`agents`], [`addresses`], [`browser`]: what a request looks like · [`plan`]: what somebody will do, from the seed
//! * [`person`]: doing it over real HTTP · [`creators`]: the platform as a fan's browser sees it
//! * [`discover()`]: which Smart Links there are · [`Timer`]: how people wait
//! * [`book`]: what was done, and who should be credited for it
//!
//! A person clicks, reads where it is sent, waits, visits that page on the platform simulator, subscribes, spends,
//! writes, comes back. One fan per person; decisive moments lie at least [`Pace::margin`] apart, so that the whole second
//! of a time never decides anything.

mod addresses;
mod agents;
pub mod book;
mod browser;
mod config;
mod creators;
mod discover;
mod person;
mod plan;
mod timer;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use rand::RngExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use book::{Book, Figures};
pub use config::{Mix, Pace, Target, TrafficConfig, TrafficError};
pub use discover::discover;
pub use timer::{Present, RealTime, Timer};

use crate::chance::dice;

/// Traffic that can be run.
pub struct Traffic {
    inner: Arc<Inner>,
}

/// What every person sees.
pub(crate) struct Inner {
    config: TrafficConfig,
    book: Arc<Book>,
    http: reqwest::Client,
    /// Microseconds from sending a request to its answer's header.
    redirects: Mutex<Histogram<u64>>,
    arrived: AtomicU64,
    turned_away: AtomicU64,
}

/// How long redirects took, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Latency {
    /// Answers measured.
    pub count: u64,
    /// Half were faster.
    pub p50: f64,
    /// 99 of 100 were faster.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

impl std::fmt::Debug for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Traffic({} arrived)", self.arrived())
    }
}

// === impl Traffic ===

impl Traffic {
    /// Prepares it.
    ///
    /// # Errors
    /// [`TrafficError`] naming the setting that can't be.
    pub fn new(config: TrafficConfig) -> Result<Self, TrafficError> {
        config.check()?;
        let http = crate::client::build(Duration::from_secs(5), Duration::from_secs(30), 256)?;
        // Three digits up to a minute; longer times count as a minute.
        let redirects = Histogram::new_with_bounds(1, 60_000_000, 3).map_err(|_| TrafficError::Histogram)?;
        let book = Arc::new(Book::new(&config.targets, config.visitor_window));
        let inner = Inner {
            config,
            book,
            http,
            redirects: Mutex::new(redirects),
            arrived: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// People come at [`TrafficConfig::rate`] until `shutdown`; whoever is there then finishes the step at hand and
    /// leaves. Without a shutdown it ends when [`TrafficConfig::visitors`] have come and gone. Afterwards the book is
    /// complete.
    pub async fn run(&self, shutdown: CancellationToken) {
        let timer = &self.inner.config.timer;
        let present = Present::enter(timer);
        person::look_ahead(&self.inner).await;
        let mut people = JoinSet::new();
        let mut arrivals = dice(self.inner.config.seed, &["arrivals"]);
        let mut next = timer.elapsed();
        let most = self.inner.config.visitors.unwrap_or(u64::MAX);
        for number in 0..most {
            // Open loop: gaps are exponential, whatever the answers do.
            let gap = -(1.0 - arrivals.random::<f64>()).ln() / self.inner.config.rate;
            next += Duration::from_secs_f64(gap);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = timer.sleep(next.saturating_sub(timer.elapsed())) => {}
            }
            while people.try_join_next().is_some() {}
            if people.len() >= self.inner.config.most_at_once {
                self.inner.turned_away.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.inner.arrived.fetch_add(1, Ordering::Relaxed);
            let (inner, shutdown, here) = (Arc::clone(&self.inner), shutdown.clone(), Present::enter(timer));
            people.spawn(async move {
                let _here = here;
                person::arrive(inner, number, shutdown).await;
            });
        }
        drop(present);
        while people.join_next().await.is_some() {}
        person::look_ahead(&self.inner).await;
    }

    /// The book, growing while people do things.
    #[must_use]
    pub fn book(&self) -> Arc<Book> {
        Arc::clone(&self.inner.book)
    }

    /// Visitors so far, bots included.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.inner.arrived.load(Ordering::Relaxed)
    }

    /// Visitors that were left out because [`TrafficConfig::most_at_once`] were there already.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.inner.turned_away.load(Ordering::Relaxed)
    }

    /// How long redirects took so far.
    #[must_use]
    pub fn latency(&self) -> Latency {
        let redirects = self.inner.redirects.lock();
        #[expect(clippy::cast_precision_loss, reason = "below a minute of microseconds")]
        let milliseconds = |micros: u64| micros as f64 / 1000.0;
        Latency {
            count: redirects.len(),
            p50: milliseconds(redirects.value_at_quantile(0.5)),
            p99: milliseconds(redirects.value_at_quantile(0.99)),
            max: milliseconds(redirects.max()),
        }
    }
}
