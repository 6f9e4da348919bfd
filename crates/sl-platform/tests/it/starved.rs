//! An account that lets every call time out, beside one that answers. The clock of the process is tokio's, and stands while the
//! platform does.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use sl_core::{
    catalog::Account,
    ids::{AccountId, FanId, LinkKind, PoolLinkId},
    pool::{PoolState, StockKey},
    time::{Clock, Timestamp},
};
use sl_platform::{
    CreatorPlatform, Keeper, KeeperSettings, PlatformError, Priority,
    platform::{
        AccountList, LinkPage, LinkSeen, LinkWish, Page, ProfileSeen, SubscriberRow, TransactionPage,
    },
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::world::{RULES, START, World, account};

type Result<T> = std::result::Result<T, PlatformError>;

const HOUR: Duration = Duration::from_secs(3600);
/// A creation; a page, which is asked for four times.
const MUTE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(127));
const ANSWER: Duration = Duration::from_millis(500);

struct Tokio(Instant);

impl Clock for Tokio {
    fn now(&self) -> Timestamp {
        START.plus(self.0.elapsed())
    }
}

/// What `acct_1` does.
#[derive(Default)]
struct Mood {
    is_mute: bool,
    makes_links: bool,
}

#[derive(Default)]
struct Slow {
    mood: Mutex<Mood>,
    made: Mutex<Vec<(AccountId, LinkSeen)>>,
    /// Time that `acct_1` took for nothing, and up to when that is known.
    lost: Mutex<(Duration, Option<Instant>)>,
}

impl Slow {
    async fn answer(&self, is_mute: bool, after: Duration) -> Result<()> {
        tokio::time::sleep(if is_mute { after } else { ANSWER }).await;
        if is_mute { Err(PlatformError::Unsure) } else { Ok(()) }
    }

    /// Calls under way at the same time count once.
    fn lose(&self, begun: Instant) {
        let (mut lost, now) = (self.lost.lock(), Instant::now());
        let from = lost.1.map_or(begun, |until| until.max(begun));
        *lost = (lost.0 + (now - from), Some(now));
    }

    fn count(&self, account: &str) -> usize {
        self.made.lock().iter().filter(|(of, _)| of.as_str() == account).count()
    }
}

#[async_trait]
impl CreatorPlatform for Slow {
    async fn create(&self, account: &AccountId, wish: &LinkWish, _: Priority) -> Result<LinkSeen> {
        let begun = Instant::now();
        let is_mute = account.as_str() == "acct_1" && {
            let mood = self.mood.lock();
            mood.is_mute && !mood.makes_links
        };
        if let Err(error) = self.answer(is_mute, MUTE.0).await {
            self.lose(begun);
            return Err(error);
        }
        let mut made = self.made.lock();
        let number = made.len() as u64 + 1;
        let link = LinkSeen {
            id: PoolLinkId { kind: LinkKind::TrackingLink, number },
            name: Some(wish.name.clone()),
            url: Some(format!("https://onlyfans.com/creator/c{number}")),
            code: None,
            trial_days: None,
            subscribers: 0,
            end: sl_core::ended::LinkEnd::default(),
            created_at: None,
        };
        made.push((account.clone(), link.clone()));
        Ok(link)
    }

    async fn links(&self, account: &AccountId, _: LinkPage, _: Priority) -> Result<Page<LinkSeen>> {
        let begun = Instant::now();
        let is_mute = account.as_str() == "acct_1" && self.mood.lock().is_mute;
        if let Err(error) = self.answer(is_mute, MUTE.1).await {
            self.lose(begun);
            return Err(error);
        }
        let made = self.made.lock();
        let rows = made.iter().rev().filter(|(of, _)| of == account).map(|(_, link)| link.clone());
        Ok(Page { rows: rows.take(100).collect(), unreadable: 0, has_more: false })
    }

    async fn accounts(&self, _: Priority) -> Result<AccountList> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn me(&self, _: &AccountId, _: Priority) -> Result<ProfileSeen> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn has_link(&self, _: &AccountId, _: PoolLinkId, _: Priority) -> Result<bool> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn subscribers(
        &self,
        _: &AccountId,
        _: PoolLinkId,
        _: u32,
        _: Priority,
    ) -> Result<Page<SubscriberRow>> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn add_to_list(&self, _: &AccountId, _: &str, _: &[FanId], _: Priority) -> Result<usize> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn transactions(
        &self,
        _: &AccountId,
        _: Timestamp,
        _: Option<&str>,
        _: Priority,
    ) -> Result<TransactionPage> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }
}

/// Two accounts with a Smart Link each.
async fn two(platform: &Arc<Slow>) -> (World, Keeper) {
    let world = World::start().await;
    world.store.catalog.put_account(Account { id: "acct_2".into(), ..account() }).await.unwrap();
    world.link(1, |_| {}).await;
    world.link(2, |link| link.account = "acct_2".into()).await;
    let settings = KeeperSettings {
        cover: Duration::from_secs(7200),
        min: 20,
        max: 1000,
        requests_per_minute: 900,
        rules: RULES,
        many_edges: false,
    };
    let clock = Arc::new(Tokio(Instant::now()));
    let keeper = Keeper::new(settings, platform.clone(), world.store.clone(), clock, [7; 32]);
    (world, keeper)
}

/// Turns for that long, as the role takes them; how many of them.
async fn turns(keeper: &mut Keeper, span: Duration) -> usize {
    let (begun, stop) = (Instant::now(), CancellationToken::new());
    let mut turns = 0;
    while begun.elapsed() < span {
        keeper.turn(&stop).await.unwrap();
        tokio::time::sleep(ANSWER).await;
        turns += 1;
    }
    turns
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_calls_time_out_leaves_most_of_the_time_to_the_others() {
    let platform = Arc::new(Slow::default());
    platform.mood.lock().is_mute = true;
    let (_world, mut keeper) = two(&platform).await;
    // What it is like is known after its first link.
    turns(&mut keeper, ANSWER).await;
    platform.lost.lock().0 = Duration::ZERO;
    for hour in 0..3 {
        let turns = turns(&mut keeper, HOUR).await;
        let lost = std::mem::take(&mut platform.lost.lock().0);
        assert!(lost * 5 < HOUR * 2, "hour {hour}: {lost:?} lost");
        assert!(turns > 3600, "hour {hour}: {turns} turns for the other account");
    }
    assert_eq!((platform.count("acct_1"), platform.count("acct_2")), (0, 21));
    // It is asked now and then, and served when it answers.
    platform.mood.lock().is_mute = false;
    turns(&mut keeper, HOUR / 2).await;
    assert_eq!((platform.count("acct_1"), platform.count("acct_2")), (21, 21));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_makes_links_and_shows_none_is_refilled_all_the_same() {
    let platform = Arc::new(Slow::default());
    platform.mood.lock().is_mute = true;
    let (world, mut keeper) = two(&platform).await;
    turns(&mut keeper, ANSWER).await;
    platform.mood.lock().makes_links = true;
    turns(&mut keeper, HOUR).await;
    let stock = StockKey { account: "acct_1".into(), kind: LinkKind::TrackingLink, trial_days: None };
    let levels = world.store.pool.levels(START, RULES).await.unwrap();
    let level = levels.into_iter().find(|level| level.stock == stock).unwrap();
    let fresh = level.counts.iter().find(|(state, _)| *state == PoolState::Fresh).unwrap().1;
    assert_eq!(fresh, 20);
}
