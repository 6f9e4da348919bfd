//! The loop around [`sl_core::attribution`]: reads the stream, loads memory, lets the state machine decide, applies one
//! atomic step, tells the stream what it has passed.
//!
//! Time inside the machine is the records' own (decisions 51). So that holds end without traffic, this loop appends a
//! `Tick` to the journal for an account whose wait is over or whose clock stayed behind: what decides stays in the stream,
//! and a replay sees the same ticks at the same places.
//!
//! This crate never decides anything itself, never talks to the network, and never lets one bad record stop the rest.

mod catalog;
mod progress;
mod run;
mod steps;
mod ticks;

use std::{sync::Arc, time::Duration};

use sl_core::{attribution::Rules, time::Clock};
use sl_journal::{ClickLog, EventStream, StreamError};
use sl_store::{Store, StoreError};
use tokio::sync::watch;

pub use catalog::SharedView;
pub use progress::Progress;

/// How the loop works; what decides is in [`Rules`].
#[derive(Debug, Clone)]
pub struct AttributionSettings {
    /// Settings that decide, the same on every machine.
    pub rules: Rules,
    /// Records asked for at once.
    pub batch: usize,
    /// Records decided at once, as far as [`Rules::step_bytes`] lets them. What the clicks of a step share is written once:
    /// its sums, its commit. 1,024 × about 1 KB of effects = 1 MB, which stays close to the processor.
    pub slice: usize,
    /// How long to wait for the first of them; also how soon a stop or a due hold is noticed.
    pub wait: Duration,
    /// Shortest time from one read to the next as long as less than a slice comes: a step has costs that do not depend on its
    /// size, so what comes meanwhile shares them. Zero where they are small.
    pub gather: Duration,
    /// How often applied steps are made safe against a power cut.
    pub sync_every: Duration,
    /// Pixels and postbacks are read again at least this often; links whenever the catalog's revision moves.
    pub refresh_every: Duration,
    /// How long a journal is remembered of which nothing comes ([`sl_core::applied`]): longer than the stream may hold a record.
    pub journals_kept: Duration,
    /// Records of memory kept in the cache, those of single visitors aside: 200,000 × about 300 B = 60 MB.
    pub cache: usize,
}

impl Default for AttributionSettings {
    fn default() -> Self {
        Self {
            // An embedded store has no redo record to keep small (decisions 45): `slice` ends a step before this does.
            rules: Rules { step_bytes: 4 << 20, ..Rules::default() },
            batch: 4096,
            slice: 1024,
            wait: Duration::from_millis(200),
            gather: Duration::ZERO,
            sync_every: Duration::from_secs(1),
            refresh_every: Duration::from_secs(1),
            journals_kept: Duration::from_secs(24 * 30 * 3600),
            cache: 200_000,
        }
    }
}

impl AttributionSettings {
    /// For one of many partitions in a store with a redo record: steps of 256 KiB at most (decisions 45), which is what
    /// [`Rules`] says by default, and a smaller cache, since a process has many loops. A step there is a conditional write, some
    /// reads and about twenty rows for each of its links, whether it has one click or a hundred.
    #[must_use]
    pub fn shared() -> Self {
        let gather = Duration::from_millis(200);
        Self { rules: Rules::default(), batch: 2048, slice: 256, gather, cache: 20_000, ..Self::default() }
    }
}

/// Why the loop ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum AttributionError {
    /// The store refused for good: somebody else owns the partition, or it is damaged.
    #[error("attribution: {0}")]
    Store(#[from] StoreError),
    /// The stream refused for good.
    #[error("attribution: {0}")]
    Stream(#[from] StreamError),
}

/// The attribution role of one stream partition.
pub struct Attribution {
    stream: Box<dyn EventStream>,
    store: Store,
    log: Arc<dyn ClickLog>,
    settings: AttributionSettings,
    clock: Arc<dyn Clock>,
    progress: watch::Sender<Progress>,
    view: SharedView,
}

impl Attribution {
    /// `log` takes the ticks; `clock` says when they are due and what the lag is.
    #[must_use]
    pub fn new(
        stream: Box<dyn EventStream>,
        store: Store,
        log: Arc<dyn ClickLog>,
        settings: AttributionSettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let progress = watch::Sender::new(Progress::default());
        Self { stream, store, log, settings, clock, progress, view: SharedView::default() }
    }

    /// Lets loops of one process see the catalog together, instead of each reading all of it.
    #[must_use]
    pub fn with_view(self, view: SharedView) -> Self {
        Self { view, ..self }
    }

    /// Where the loop stands, now and later; may be cloned, and outlives the loop.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }
}
