//! What a role still knows when it begins again.

use async_trait::async_trait;
use parking_lot::Mutex;
use sl_core::{
    catalog::Team,
    ids::{AccountId, FanId, PoolLinkId},
    time::Timestamp,
};
use sl_journal::JournalConfig;
use sl_platform::{
    PlatformError, Priority,
    platform::{
        AccountList, LinkPage, LinkSeen, LinkWish, Page, ProfileSeen, SubscriberRow, TransactionPage,
    },
};
use sl_store::suite::sample;

use super::*;

type Answer<T> = std::result::Result<T, PlatformError>;

const DAY: Duration = Duration::from_secs(86_400);

/// The `startDate`s that transactions were asked for with; nothing else is answered.
#[derive(Default)]
struct Statements(Mutex<Vec<Timestamp>>);

#[async_trait]
impl CreatorPlatform for Statements {
    async fn transactions(
        &self,
        _: &AccountId,
        since: Timestamp,
        _: Option<&str>,
        _: Priority,
    ) -> Answer<TransactionPage> {
        self.0.lock().push(since);
        Ok(TransactionPage { rows: Vec::new(), unreadable: 0, next: None })
    }

    async fn accounts(&self, _: Priority) -> Answer<AccountList> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn me(&self, _: &AccountId, _: Priority) -> Answer<ProfileSeen> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn create(&self, _: &AccountId, _: &LinkWish, _: Priority) -> Answer<LinkSeen> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn links(&self, _: &AccountId, _: LinkPage, _: Priority) -> Answer<Page<LinkSeen>> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn has_link(&self, _: &AccountId, _: PoolLinkId, _: Priority) -> Answer<bool> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn subscribers(
        &self,
        _: &AccountId,
        _: PoolLinkId,
        _: u32,
        _: Priority,
    ) -> Answer<Page<SubscriberRow>> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }

    async fn add_to_list(&self, _: &AccountId, _: &str, _: &[FanId], _: Priority) -> Answer<usize> {
        Err(PlatformError::Unreachable(sl_platform::Unreached::Refused))
    }
}

fn makers(platform: Arc<dyn CreatorPlatform>, store: Store, journal: Arc<Journal>) -> Makers {
    let clock = crate::clock::system();
    let rules = sl_store::pool::PoolRules { window: DAY, quarantine: DAY };
    let keeper =
        KeeperSettings { cover: DAY, min: 0, max: 0, requests_per_minute: 900, rules, many_edges: true };
    let reconcile = Reconcile::new(
        ReconcileSettings::default(),
        Arc::clone(&platform),
        store.clone(),
        journal.clone(),
        Arc::clone(&clock),
    );
    Makers {
        platform,
        keeper,
        matcher: MatcherSettings {
            poll: Duration::from_secs(60),
            debounce: Duration::from_secs(2),
            looks: Looks::new(DAY, DAY),
        },
        reconcile,
        store,
        journal,
        clock,
        attribution: watch::channel(Progress::default()).1,
        standing: Standing::of_many(),
        ended: EndedOverflows::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_matcher_that_has_its_lease_again_reads_transactions_on_from_its_last_reading() {
    let dir = tempfile::tempdir().unwrap();
    let handle = sl_fjall::open(dir.path(), sl_fjall::FjallOptions::default()).unwrap();
    let store = handle.store();
    let team = Team { id: sample::TEAM, name: "A".into(), slug: "a".into(), created_at: Timestamp(0) };
    store.catalog.put_team(team).await.unwrap();
    store.catalog.put_account(sample::account_row("acct_1", sample::TEAM)).await.unwrap();
    let config = JournalConfig { dir: dir.path().join("journal"), ..JournalConfig::default() };
    let journal = Journal::open(config, crate::clock::system()).unwrap();
    let platform = Arc::new(Statements::default());
    let makers = makers(platform.clone(), store, journal);
    for _ in 0..2 {
        let end = CancellationToken::new();
        let run = tokio::spawn(makers.matcher(end.clone()));
        tokio::time::sleep(Duration::from_secs(30)).await;
        end.cancel();
        run.await.unwrap();
    }
    let asked = platform.0.lock().clone();
    assert_eq!(asked.len(), 2, "{asked:?}");
    // A week back, and two days back from then on.
    let later = asked[1].since(asked[0]);
    assert!(later >= DAY * 5 && later < DAY * 5 + Duration::from_secs(60), "{later:?}");
}
