//! Whose transactions are read when, and how far back. The platform is in memory, and the clock of the process is tokio's.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use sl_core::{
    catalog::Account,
    conversion::{FanProfile, Transaction},
    ids::{AccountId, FanId, PoolLinkId},
    money::Cents,
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

#[derive(Default)]
struct Statements {
    /// On the first page of every account.
    rows: Mutex<Vec<Transaction>>,
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
        let rows = if page == 1 { self.rows.lock().clone() } else { Vec::new() };
        Ok(TransactionPage { rows, unreadable: 0, next })
    }

    async fn accounts(&self, _: Priority) -> Result<AccountList> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn me(&self, _: &AccountId, _: Priority) -> Result<ProfileSeen> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn create(&self, _: &AccountId, _: &LinkWish, _: Priority) -> Result<LinkSeen> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn links(&self, _: &AccountId, _: LinkPage, _: Priority) -> Result<Page<LinkSeen>> {
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
}

/// Two accounts; ten seconds after its start the role reads both.
async fn two(platform: &Arc<Statements>, settings: ReconcileSettings) -> (World, Reconcile) {
    let world = World::start().await;
    world.store.catalog.put_account(Account { id: "acct_2".into(), ..account() }).await.unwrap();
    let (log, clock) = (Arc::new(world.tape.clone()), Arc::new(Tokio(Instant::now())));
    let role = Reconcile::new(settings, platform.clone(), world.store.clone(), log, clock);
    (world, role)
}

fn payment() -> Transaction {
    Transaction {
        id: "tx-1".into(),
        kind: "tip".to_owned(),
        fan: "77".into(),
        profile: FanProfile::default(),
        gross: Cents(2000),
        net: Cents(1600),
        status: "done".to_owned(),
        description: String::new(),
        at: START,
        reconciled: true,
    }
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

#[tokio::test(start_paused = true)]
async fn a_role_that_comes_back_reads_on_from_its_last_reading_and_not_the_week_again() {
    const DAY: Duration = Duration::from_secs(86_400);
    let platform = Arc::new(Statements::default());
    platform.rows.lock().push(payment());
    let (world, role) = two(&platform, ReconcileSettings::default()).await;
    // The process has the role for a minute, and is without it for so long.
    for away in [SECOND * 3, DAY * 3, SECOND] {
        let end = world.stop.child_token();
        let run = tokio::spawn(role.clone().run(end.clone()));
        tokio::time::sleep(SECOND * 60).await;
        end.cancel();
        run.await.unwrap();
        tokio::time::sleep(away).await;
    }
    let asked = platform.asked.lock();
    let of_one: Vec<_> = asked.iter().filter(|(of, ..)| of == "acct_1").map(|(_, since, _)| *since).collect();
    // Read at 10, 73 seconds, and three days later.
    let whole = |since: &Timestamp| since.seconds() - START.seconds();
    let days = |count: i64| count * 86_400;
    assert_eq!(of_one.iter().map(whole).collect::<Vec<_>>(), [10 - days(7), 10 - days(2), 73 - days(2)]);
    // Nobody else can have told anything within three seconds.
    assert_eq!(world.tape.times().len(), 4, "once of each account, and again after three days");
}
