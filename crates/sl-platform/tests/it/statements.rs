//! Whose transactions are read when, and how far back. The platform is in memory, and the clock of the process is tokio's.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use sl_core::{
    catalog::Account,
    ids::{AccountId, FanId, PoolLinkId},
    time::{Clock, Timestamp},
};
use sl_platform::{
    CreatorPlatform, PlatformError, Priority, Reconcile, ReconcileHandle, ReconcileSettings,
    platform::{
        AccountList, LinkPage, LinkSeen, LinkWish, Page, ProfileSeen, SubscriberRow, TransactionPage,
    },
};
use tokio::time::Instant;

use crate::world::{START, World, account};

type Result<T> = std::result::Result<T, PlatformError>;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

struct Tokio(Instant);

impl Clock for Tokio {
    fn now(&self) -> Timestamp {
        START.plus(self.0.elapsed())
    }
}

/// Answers with pages without rows.
#[derive(Default)]
struct Statements {
    /// Accounts whose transactions can't be read.
    failing: Mutex<Vec<&'static str>>,
    /// An account with so many pages; others have one.
    long: Mutex<Option<(&'static str, usize)>>,
    /// Account, `startDate` and marker of each page.
    asked: Mutex<Vec<(String, Timestamp, Option<String>)>>,
}

impl Statements {
    fn count(&self, account: &str) -> usize {
        self.asked.lock().iter().filter(|(of, ..)| of == account).count()
    }
}

#[async_trait]
impl CreatorPlatform for Statements {
    async fn transactions(
        &self,
        account: &AccountId,
        since: Timestamp,
        marker: Option<&str>,
        _: Priority,
    ) -> Result<TransactionPage> {
        self.asked.lock().push((account.as_str().to_owned(), since, marker.map(str::to_owned)));
        if self.failing.lock().contains(&account.as_str()) {
            return Err(PlatformError::Faulty { status: 500 });
        }
        let page: usize = marker.map_or(1, |marker| marker.parse().unwrap());
        let pages = self.long.lock().filter(|(of, _)| *of == account.as_str()).map_or(1, |(_, pages)| pages);
        let next = (page < pages).then(|| (page + 1).to_string());
        Ok(TransactionPage { rows: Vec::new(), unreadable: 0, next })
    }

    async fn accounts(&self, _: Priority) -> Result<AccountList> {
        Err(PlatformError::Unreachable)
    }

    async fn me(&self, _: &AccountId, _: Priority) -> Result<ProfileSeen> {
        Err(PlatformError::Unreachable)
    }

    async fn create(&self, _: &AccountId, _: &LinkWish, _: Priority) -> Result<LinkSeen> {
        Err(PlatformError::Unreachable)
    }

    async fn links(&self, _: &AccountId, _: LinkPage, _: Priority) -> Result<Page<LinkSeen>> {
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
}

/// Two accounts; ten seconds after its start the role reads both.
async fn two(platform: &Arc<Statements>, settings: ReconcileSettings) -> (World, Reconcile) {
    let world = World::start().await;
    world.store.catalog.put_account(Account { id: "acct_2".into(), ..account() }).await.unwrap();
    let (log, clock) = (Arc::new(world.tape.clone()), Arc::new(Tokio(Instant::now())));
    let role = Reconcile::new(settings, platform.clone(), world.store.clone(), log, clock);
    (world, role)
}

fn start(world: &World, role: Reconcile) -> ReconcileHandle {
    let handle = role.handle();
    tokio::spawn(role.run(world.stop.clone()));
    handle
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_be_read_has_no_other_read_again_with_it() {
    let platform = Arc::new(Statements::default());
    platform.failing.lock().push("acct_2");
    let (world, role) = two(&platform, ReconcileSettings::default()).await;
    let handle = start(&world, role);
    // At 10 s, and again 5, 10 and 20 s after that.
    tokio::time::sleep(SECOND * 46).await;
    assert_eq!((platform.count("acct_1"), platform.count("acct_2")), (1, 4));
    // The hour of the one is none of the other's.
    tokio::time::sleep(HOUR).await;
    assert_eq!(platform.count("acct_1"), 2);
    handle.webhooks_missed();
    tokio::time::sleep(SECOND).await;
    assert_eq!(platform.count("acct_1"), 3, "a gap");
    // It is asked now and then, and every hour again once it answers.
    platform.failing.lock().clear();
    tokio::time::sleep(SECOND * 301).await;
    let count = platform.count("acct_2");
    tokio::time::sleep(HOUR).await;
    assert_eq!(platform.count("acct_2"), count + 1);
}

#[tokio::test(start_paused = true)]
async fn an_account_with_many_pages_has_no_other_read_again_with_it() {
    let platform = Arc::new(Statements::default());
    *platform.long.lock() = Some(("acct_2", 40));
    let settings = ReconcileSettings { pages_at_once: 3, ..ReconcileSettings::default() };
    let (world, role) = two(&platform, settings).await;
    let _handle = start(&world, role);
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!((platform.count("acct_1"), platform.count("acct_2")), (1, 40));
}
