//! What the API needs from outside, and the application state made of it.

use std::{ops::Deref, sync::Arc, time::Duration};

use async_trait::async_trait;
use sl_core::{
    catalog::{Pixel, PlatformKind},
    event::Position,
    ids::{AccountId, SmartLinkId},
    platforms::TestRefused,
    pool::StockKey,
    retry::Limits,
    seal::{NONCE_BYTES, SealKeys, Secret},
    time::{Clock, Timestamp},
};
use sl_journal::ClickLog;
use sl_store::{Store, pool::PoolRules};

use crate::{dashboard::Pages, intake::Recent, teams::Teams, unproven::Unproven};

/// Fills a slice with random bytes fit for secrets.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Says why a destination may not be used, in words for the person who entered it.
pub type EgressCheck = Arc<dyn Fn(&url::Url) -> Result<(), String> + Send + Sync>;

/// Says what keeps an installation from sending to a platform.
pub type PlatformNotice = Arc<dyn Fn(PlatformKind) -> Option<&'static str> + Send + Sync>;

/// Speculative requests of a Smart Link that this process has answered since its start; `None` when it answers no ads.
pub type Speculative = Arc<dyn Fn(SmartLinkId) -> Option<u64> + Send + Sync>;

/// How long the receiver of a pixel's platform, or with `None` of a postback, takes an event.
pub type Acceptance = Arc<dyn Fn(Option<PlatformKind>) -> Limits + Send + Sync>;

/// Everything the API works with.
#[derive(Clone)]
pub struct ApiParts {
    /// The store.
    pub store: Store,
    /// Which team owns which creator account, as far as it was read.
    pub teams: Arc<Teams>,
    /// Where webhooks are kept before they are answered.
    pub log: Arc<dyn ClickLog>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where the queues of the other roles stand.
    pub progress: Arc<dyn ProgressSource>,
    /// What the pool keeper knows beyond the store.
    pub pool_status: Arc<dyn PoolStatus>,
    /// How often a link was only fetched ahead or previewed.
    pub speculative: Speculative,
    /// Told of webhooks and account changes: reconciliation.
    pub upstream: Arc<dyn Upstream>,
    /// Sends test events; without one the endpoint answers 503.
    pub pixel_tester: Option<Arc<dyn PixelTester>>,
    /// This start of this process, where others change the same rows; `None` where there is only one.
    pub process: Option<String>,
    /// Seals tokens of others and dashboard sessions.
    pub seal_keys: SealKeys,
    /// Where random bytes come from.
    pub random: Random,
    /// The API's part of the configuration.
    pub settings: ApiSettings,
    /// The Prometheus text of `/metrics`.
    pub metrics_text: Arc<dyn Fn() -> String + Send + Sync>,
    /// `/readyz`: `Err` says what is missing.
    pub ready: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// The API's part of the configuration (surface 3).
#[derive(Clone)]
pub struct ApiSettings {
    /// `edge.public_url`, without a slash at its end.
    pub edge_public_url: String,
    /// `platform.webhook_secrets`: any of them signs.
    pub webhook_secrets: Vec<Secret>,
    /// `platform.accept_unsigned`: a webhook without a signature is taken. A wrong signature never is.
    pub accept_unsigned: bool,
    /// `admin.metrics_token`: bearer token of `/metrics`, none needed when absent.
    pub metrics_token: Option<Secret>,
    /// Times that turn facts of pool links into states.
    pub pool_rules: PoolRules,
    /// `attribution.window`: shown for links without a window of their own.
    pub attribution_window: Duration,
    /// Longest time for a body: whoever sends it more slowly keeps a connection that others need, and gets a 408.
    pub body_time: Duration,
    /// Refuses URLs of destinations whose literal address is private (decisions 18, 44); says why.
    pub egress_check: EgressCheck,
    /// What keeps this installation from sending to a platform, and what to do about it (decisions 38).
    pub platform_notice: PlatformNotice,
    /// Up to which age receivers still take an event that is replayed.
    pub acceptance: Acceptance,
}

/// Where every queue stands, as far as the store does not know it (decisions 24).
pub trait ProgressSource: Send + Sync + 'static {
    /// The figures as they are now.
    fn facts(&self) -> ProgressFacts;
}

/// Figures of the running roles.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProgressFacts {
    /// Records handed to the journal.
    pub journal_head: u64,
    /// Records on disk.
    pub journal_synced: u64,
    /// Figures of all journals; `None` where there is only one process.
    pub journals: Option<JournalsFacts>,
    /// Next record attribution will read; in a cluster with the positions of all partitions added up.
    pub attribution: Position,
    /// Records that attribution has still before it.
    pub attribution_behind: u64,
    /// Age of the oldest record that attribution has not applied, seconds; 0 when there is none.
    pub attribution_lag_seconds: f64,
    /// Looks and searches of the matcher that are due now; of half a second ago where it runs in another process.
    pub matcher_backlog: u64,
}

/// Journals of all processes; of half a second ago where they are another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalsFacts {
    /// Records that attribution can't read yet, because Kafka does not have them.
    pub unforwarded: u64,
    /// Processes whose journals have clicks, webhooks or subscribers, and that have not been heard of for 45 s: what has come to
    /// them since then is not counted.
    pub silent: u64,
    /// Kafka has got some since it was last looked whether attribution has read everything.
    pub is_unread: bool,
}

impl ProgressFacts {
    /// Nothing is under way before the outbox: all is on disk, applied and looked up.
    pub(crate) fn is_quiet(&self) -> bool {
        let forwarded = self.journals.is_none_or(|journals| journals.unforwarded == 0 && !journals.is_unread);
        let read = forwarded && self.attribution_behind == 0;
        self.journal_synced >= self.journal_head && read && self.matcher_backlog == 0
    }
}

/// What the keeper knows of a stock beyond its counts.
pub trait PoolStatus: Send + Sync + 'static {
    /// Of one stock; the default for a stock that the keeper has not looked at.
    fn status(&self, stock: &StockKey) -> StockStatus;
}

/// Forecast and refills of one stock.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StockStatus {
    /// Links expected to be handed out in the next hour.
    pub forecast_per_hour: Option<f64>,
    /// When the stock will be gone at that rate; `None` when it will not.
    pub time_to_empty: Option<Duration>,
    /// When links were last made.
    pub last_refill_at: Option<Timestamp>,
    /// Why the last refill failed, if it did.
    pub last_error: Option<String>,
}

/// Who follows the creator platform, and is told what its webhooks mean beyond their content.
pub trait Upstream: Send + Sync + 'static {
    /// A webhook of the account is in the journal.
    fn webhook_came(&self, account: &AccountId);

    /// A webhook could not be kept; upstream gives up after a few tries (contract D.2).
    fn webhook_refused(&self);

    /// An account was connected, lost or came back.
    fn accounts_changed(&self);
}

/// Nobody does: without a platform key.
impl Upstream for () {
    fn webhook_came(&self, _: &AccountId) {}

    fn webhook_refused(&self) {}

    fn accounts_changed(&self) {}
}

/// Sends one test event to an ad platform (contract A.8.3).
#[async_trait]
pub trait PixelTester: Send + Sync + 'static {
    /// Sends it now, once.
    ///
    /// # Errors
    /// [`TestRefused`] with words that may be shown to the caller.
    async fn test(&self, pixel: &Pixel, event: TestEvent) -> Result<(), TestRefused>;
}

/// A test event that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestEvent {
    /// One of the eight words of contract A.8.3.
    pub event_type: String,
    /// Present for Meta and TikTok.
    pub test_event_code: Option<String>,
}

/// State of the router: the parts and what is made once of them.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) parts: ApiParts,
    pub(crate) recent: Recent,
    pub(crate) unproven: Unproven,
    /// Management calls of this process that change something go one at a time: rows are read, changed and written whole.
    pub(crate) writes: Arc<tokio::sync::Mutex<()>>,
    pub(crate) pages: Pages,
}

impl App {
    pub(crate) fn new(parts: ApiParts) -> Self {
        Self(Arc::new(Inner {
            parts,
            recent: Recent::default(),
            unproven: Unproven::default(),
            writes: Arc::default(),
            pages: Pages::compile(),
        }))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    pub(crate) fn nonce(&self) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        (self.parts.random)(&mut nonce);
        nonce
    }

    /// A ULID of now: 48 bits of time, 80 of chance.
    pub(crate) fn ulid(&self) -> ulid::Ulid {
        let mut random = [0; 16];
        (self.parts.random)(&mut random);
        let millis = u64::try_from(self.now().0).unwrap_or(0);
        ulid::Ulid::from_parts(millis, u128::from_be_bytes(random))
    }
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Deref for Inner {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.parts
    }
}
