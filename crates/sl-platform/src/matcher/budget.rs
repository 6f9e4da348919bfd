//! What matching costs in requests: the role's own turns against a platform that only counts, on a clock that leaps from
//! one due look to the next.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use sl_core::{
    event::{Event, Position},
    ids::{AccountId, ClickId, FanId, LinkKind, PoolLinkId, TeamId},
    matching::Looks,
    pool::{Given, StockKey},
    step::Step,
    time::{Clock, ManualClock, Timestamp},
};
use sl_fjall::FjallOptions;
use sl_journal::{ClickLog, Fate, LostReason, Ticket};
use sl_store::pool::NewPoolLink;
use tokio::sync::watch as channel;

use super::{MatcherSettings, account::AccountMatcher, search::Searches, watch::Watch};
use crate::{
    error::{PlatformError, Result},
    pacer::Priority,
    platform::{
        AccountSeen, CreatorPlatform, LinkPage, LinkSeen, LinkWish, PAGE, Page, ProfileSeen, SubscriberRow,
        TransactionPage,
    },
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: u64 = 86_400_000;
/// Between two readings of the pool.
const STEP: Duration = Duration::from_secs(30);

/// A link list to which nobody subscribes.
struct Counting {
    links: u64,
    requests: AtomicU64,
}

#[async_trait]
impl CreatorPlatform for Counting {
    async fn links(&self, _: &AccountId, ask: LinkPage, _: Priority) -> Result<Page<LinkSeen>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let from = u64::from(ask.offset);
        let rows = (from..self.links.min(from + u64::from(PAGE))).map(|number| LinkSeen {
            id: id(number),
            name: None,
            url: None,
            code: None,
            trial_days: None,
            subscribers: 0,
            created_at: None,
        });
        Ok(Page { rows: rows.collect(), has_more: from + u64::from(PAGE) < self.links })
    }

    async fn accounts(&self, _: Priority) -> Result<Vec<AccountSeen>> {
        Err(PlatformError::Unreachable)
    }

    async fn me(&self, _: &AccountId, _: Priority) -> Result<ProfileSeen> {
        Err(PlatformError::Unreachable)
    }

    async fn create(&self, _: &AccountId, _: &LinkWish, _: Priority) -> Result<LinkSeen> {
        Err(PlatformError::Unreachable)
    }

    async fn subscribers(
        &self,
        _: &AccountId,
        _: PoolLinkId,
        _: u32,
        _: Priority,
    ) -> Result<Page<SubscriberRow>> {
        Err(PlatformError::Unreachable)
    }

    async fn add_to_list(&self, _: &AccountId, _: &str, _: &[FanId], _: Priority) -> Result<usize> {
        Err(PlatformError::Unreachable)
    }

    async fn transactions(
        &self,
        _: &AccountId,
        _: Timestamp,
        _: Option<&str>,
        _: Priority,
    ) -> Result<TransactionPage> {
        Err(PlatformError::Unreachable)
    }
}

struct NoLog;

impl ClickLog for NoLog {
    fn append(&self, _: Event) -> std::result::Result<Ticket, LostReason> {
        Err(LostReason::Closed)
    }

    fn fate(&self, _: Ticket) -> std::pin::Pin<Box<dyn Future<Output = Fate> + Send>> {
        Box::pin(std::future::ready(Fate::Lost(LostReason::Closed)))
    }
}

fn id(number: u64) -> PoolLinkId {
    PoolLinkId { kind: LinkKind::TrackingLink, number }
}

/// Requests for one click at that many a day, from the hand-outs of `span` to the last look after their quarantine.
async fn requests_per_click(per_day: u64, span: Duration) -> f64 {
    let gap = DAY / per_day;
    let clicks = u64::try_from(span.as_millis()).unwrap() / gap;
    let dir = tempfile::TempDir::new().unwrap();
    let handle = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap();
    let store = handle.store();
    store.ledger.open(0).await.unwrap();
    let stock = StockKey { account: "acct_1".into(), kind: LinkKind::TrackingLink, trial_days: None };
    let new = (0..clicks).map(|number| NewPoolLink {
        team: TeamId(1),
        stock: stock.clone(),
        id: id(number),
        url: String::new(),
        created_at: Timestamp(0),
    });
    store.pool.add(new.collect()).await.unwrap();
    let clock = Arc::new(ManualClock::default());
    let platform = Arc::new(Counting { links: clicks, requests: AtomicU64::new(0) });
    let (_inbox, inbox) = channel::channel(Vec::new());
    let looks = Looks::new(HOUR * 6, HOUR * 24);
    let mut role = AccountMatcher {
        account: "acct_1".into(),
        team: TeamId(1),
        platform: Arc::<Counting>::clone(&platform),
        store: store.clone(),
        log: Arc::new(NoLog),
        clock: Arc::<ManualClock>::clone(&clock),
        lag: Arc::new(|| Duration::ZERO),
        settings: Arc::new(MatcherSettings { poll: STEP * 2, debounce: Duration::from_secs(2), looks }),
        inbox,
        backlog: Arc::new(AtomicUsize::new(0)),
        watch: Watch::default(),
        searches: Searches::default(),
        told: HashMap::new(),
        short: HashMap::new(),
        read_at: HashMap::new(),
        refreshed_at: None,
        shared_at: None,
    };
    let mut given = 0;
    let mut step = 0;
    while given < clicks {
        clock.advance(STEP);
        let due = (u64::try_from(clock.now().0).unwrap() / gap).min(clicks);
        let hand_outs = (given..due).map(|number| {
            let at = Timestamp(i64::try_from(number * gap).unwrap());
            let click = ClickId::from_bytes(u128::from(number + 1).to_be_bytes());
            ("acct_1".into(), id(number), Given { click, at, last_hit_at: at, window: HOUR * 6 })
        });
        step += 1;
        let position = Position { epoch: 0, offset: step };
        store.ledger.apply(Step { position, given: hand_outs.collect(), ..Step::default() }).await.unwrap();
        given = due;
        while role.turn().await.unwrap() {}
    }
    clock.advance(STEP);
    while role.turn().await.unwrap() {}
    while let Some(at) = role.watch.next_due() {
        clock.set(clock.now().plus(Duration::from_secs(1)).max(at));
        while role.turn().await.unwrap() {}
    }
    assert_eq!(store.pool.live(&"acct_1".into()).await.unwrap().len(), 0, "every link had its last look");
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let figure = platform.requests.load(Ordering::SeqCst) as f64 / clicks as f64;
    figure
}

#[tokio::test]
async fn looks_cost_about_a_tenth_of_a_request_for_each_click() {
    for (per_day, span, most) in [(10_000, HOUR * 6 / 5, 0.2), (100_000, HOUR / 6, 0.13)] {
        let figure = requests_per_click(per_day, span).await;
        // One more makes the link. Beside that overflow links cost one request a minute for each page they are on.
        let sustained = 900.0 * 1440.0 / (1.0 + figure);
        println!(
            "{per_day} clicks a day: {figure:.3} requests for a click; 900 a minute sustain {sustained:.0} clicks a day"
        );
        assert!(figure < most, "{figure} at {per_day} clicks a day");
    }
}
