//! What one edge thread works with: the process's shared parts, and caches of its own that need no lock.

use std::{
    cell::{Cell, RefCell},
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sl_core::{
    ids::{ClickId, SmartLinkId},
    time::{Clock, Timestamp},
    visitor::{DayKeys, InstallationSecret},
};
use sl_journal::ClickLog;
use tokio_util::task::TaskTracker;
use ulid::Ulid;

use super::{client::Proxies, commits::Commits};
use crate::{
    agents::Agents,
    geo::Geo,
    links::{LinkCache, LinkTable, Prepared},
    meters::Meters,
    window::Window,
};

/// What all threads share.
pub(crate) struct Shared {
    pub(crate) log: Arc<dyn ClickLog>,
    pub(crate) links: LinkTable,
    pub(crate) geo: Geo,
    pub(crate) window: Window,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) secret: InstallationSecret,
    pub(crate) proxies: Proxies,
    pub(crate) cookie: bool,
    pub(crate) durable_wait: Duration,
    pub(crate) draining: AtomicBool,
}

/// One thread's own.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) meters: Meters,
    /// Set when nobody will wait for a fate any more.
    pub(crate) over: Cell<bool>,
    /// Answers that wait for the disk.
    pub(crate) commits: Commits,
    /// Clicks answered before their fate was known.
    pub(crate) late: TaskTracker,
    pub(crate) agents: RefCell<Agents>,
    links: RefCell<LinkCache>,
    now: Cell<Timestamp>,
    /// When the clock said so.
    read_at: Cell<Instant>,
    began: Cell<Instant>,
    keys: RefCell<DayKeys>,
    dice: RefCell<StdRng>,
}

/// What the snapshot of the catalog says of a Smart Link's id.
pub(crate) enum Known<'a> {
    /// The Smart Link.
    Link(&'a Arc<Prepared>),
    /// There is no such Smart Link.
    Unknown,
    /// Nobody knows: there is no catalog yet.
    NotLoaded,
}

impl Worker {
    /// The worker of thread `number`; `seed` is the process's.
    pub(crate) fn new(shared: Arc<Shared>, mut seed: [u8; 32], number: usize) -> Self {
        seed.iter_mut().zip(number.to_le_bytes()).for_each(|(byte, of_thread)| *byte ^= of_thread);
        let (read_at, now) = (Instant::now(), shared.clock.now());
        Self {
            meters: Meters::new(),
            over: Cell::new(false),
            commits: Commits::default(),
            late: TaskTracker::new(),
            agents: RefCell::default(),
            links: RefCell::new(shared.links.cache()),
            now: Cell::new(now),
            read_at: Cell::new(read_at),
            began: Cell::new(read_at),
            keys: RefCell::new(DayKeys::at(&shared.secret, now)),
            dice: RefCell::new(StdRng::from_seed(seed)),
            shared,
        }
    }

    /// Requests begin: reads the stop-watch, and the clock unless it was read a moment ago.
    pub(crate) fn read_clock(&self) {
        let began = Instant::now();
        self.began.set(began);
        let now = self.shared.clock.now_after(self.now.get(), began.duration_since(self.read_at.get()));
        if now != self.now.get() {
            self.now.set(now);
            self.read_at.set(began);
        }
    }

    /// By the stop-watch, when the last request came.
    pub(super) fn began(&self) -> Instant {
        self.began.get()
    }

    /// When the last request came.
    pub(crate) fn now(&self) -> Timestamp {
        self.now.get()
    }

    /// The name of the header that lists visitors' addresses.
    pub(crate) fn forwarded(&self) -> &str {
        self.shared.proxies.header()
    }

    /// Looks an id up, once per request.
    pub(crate) fn link<R>(&self, id: SmartLinkId, with: impl FnOnce(Known<'_>) -> R) -> R {
        let mut cache = self.links.borrow_mut();
        let snapshot = cache.load();
        with(match snapshot.get(id) {
            Some(link) => Known::Link(link),
            None if snapshot.loaded => Known::Unknown,
            None => Known::NotLoaded,
        })
    }

    /// The keys of the day of `now`, derived anew at midnight.
    pub(crate) fn keys<R>(&self, now: Timestamp, with: impl FnOnce(&DayKeys) -> R) -> R {
        let mut keys = self.keys.borrow_mut();
        if !keys.covers(now) {
            *keys = DayKeys::at(&self.shared.secret, now);
        }
        with(&keys)
    }

    /// Mints a click id: the time, and 80 bits of chance.
    pub(crate) fn mint(&self, now: Timestamp) -> ClickId {
        let millis = u64::try_from(now.0).unwrap_or(0);
        ClickId(Ulid::from_parts(millis, self.dice.borrow_mut().random()))
    }
}
