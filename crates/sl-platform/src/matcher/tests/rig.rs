//! A platform in memory, a journal that only remembers, and the pool on disk.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sl_core::{
    catalog::{OverflowLink, SmartLink},
    conversion::FanProfile,
    ended::LinkEnd,
    event::{Event, EventBody, Position},
    ids::{AccountId, ClickId, FanId, LinkKind, PoolLinkId, TeamId},
    matching::Looks,
    pool::{Given, StockKey},
    step::{Step, Unmatched},
    time::{Clock, ManualClock, Timestamp},
};
use sl_fjall::{FjallHandle, FjallOptions};
use sl_journal::{ClickLog, Fate, LostReason, Ticket};
use sl_store::{Store, pool::NewPoolLink, suite::sample};
use tokio::sync::watch as channel;

use super::super::{
    MatcherSettings, account::AccountMatcher, missing::Missing, search::Searches, watch::Watch,
};
use crate::{
    error::{PlatformError, Result},
    pacer::Priority,
    platform::{
        AccountList, CreatorPlatform, LinkPage, LinkSeen, LinkWish, PAGE, Page, ProfileSeen, SubscriberRow,
        TransactionPage,
    },
    replaced::EndedOverflows,
};

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const ACCOUNT: &str = "acct_1";

/// What the platform is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    /// A page of links.
    Page(u32),
    /// The subscribers of a link.
    List(u64),
    /// Whether a link is there.
    Link(u64),
}

/// A link list in memory.
pub(super) struct Fake {
    links: u64,
    /// Fans by link.
    pub(super) fans: Mutex<BTreeMap<u64, Vec<u64>>>,
    /// When fans subscribed, of whom that is shown.
    pub(super) dates: Mutex<BTreeMap<u64, Timestamp>>,
    pub(super) requests: AtomicU64,
    pub(super) asked: Mutex<Vec<Asked>>,
    /// What is answered with an error.
    pub(super) broken: Mutex<HashMap<Asked, PlatformError>>,
    /// What counters show that do not count the fans.
    pub(super) counters: Mutex<BTreeMap<u64, u32>>,
    /// Links that have left the list.
    pub(super) gone: Mutex<BTreeSet<u64>>,
    /// Links that were deleted: nobody finds them on their own, nor their list.
    pub(super) deleted: Mutex<BTreeSet<u64>>,
    /// Links that were ended.
    pub(super) ended: Mutex<BTreeMap<u64, LinkEnd>>,
    /// Links that are listed without an id.
    pub(super) nameless: Mutex<BTreeSet<u64>>,
    /// So much time passes with each call.
    pub(super) pace: Mutex<Option<(Arc<ManualClock>, Duration)>>,
    /// Decides which calls fail, one in ten.
    pub(super) unruly: Mutex<Option<StdRng>>,
}

impl Fake {
    fn answer(&self, asked: Asked) -> Result<()> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.asked.lock().push(asked);
        if let Some((clock, span)) = &*self.pace.lock() {
            clock.advance(*span);
        }
        if let Some(error) = self.broken.lock().get(&asked) {
            return Err(error.clone());
        }
        let fails = self.unruly.lock().as_mut().is_some_and(|rng| rng.random_ratio(1, 10));
        if fails { Err(PlatformError::AccountBusy) } else { Ok(()) }
    }
}

#[async_trait]
impl CreatorPlatform for Fake {
    async fn links(&self, _: &AccountId, ask: LinkPage, _: Priority) -> Result<Page<LinkSeen>> {
        self.answer(Asked::Page(ask.offset / PAGE))?;
        let (fans, counters) = (self.fans.lock(), self.counters.lock());
        let (gone, nameless, ended) = (self.gone.lock(), self.nameless.lock(), self.ended.lock());
        let count = |number: u64| fans.get(&number).map_or(0, |fans| u32::try_from(fans.len()).unwrap());
        let listed: Vec<u64> = (0..self.links).filter(|number| !gone.contains(number)).collect();
        let from = listed.len().min(ask.offset as usize);
        let all = &listed[from..listed.len().min(from + PAGE as usize)];
        let named = all.iter().copied().filter(|number| !nameless.contains(number));
        let rows: Vec<LinkSeen> = named
            .map(|number| LinkSeen {
                id: id(number),
                name: None,
                url: None,
                code: None,
                trial_days: None,
                subscribers: counters.get(&number).copied().unwrap_or_else(|| count(number)),
                created_at: None,
                end: ended.get(&number).copied().unwrap_or_default(),
            })
            .collect();
        let unreadable = all.len() - rows.len();
        Ok(Page { rows, unreadable, has_more: from + all.len() < listed.len() })
    }

    async fn has_link(&self, _: &AccountId, link: PoolLinkId, _: Priority) -> Result<bool> {
        self.answer(Asked::Link(link.number))?;
        Ok(!self.deleted.lock().contains(&link.number))
    }

    /// The newest first.
    async fn subscribers(
        &self,
        _: &AccountId,
        link: PoolLinkId,
        offset: u32,
        _: Priority,
    ) -> Result<Page<SubscriberRow>> {
        self.answer(Asked::List(link.number))?;
        let fans = self.fans.lock().get(&link.number).cloned().unwrap_or_default();
        let dates = self.dates.lock();
        let row = |fan: u64| SubscriberRow {
            fan: FanId::from(fan.to_string()),
            profile: FanProfile::default(),
            subscribed_at: dates.get(&fan).copied(),
            price: None,
        };
        let rest = fans.iter().rev().skip(offset as usize).copied();
        let rows: Vec<_> = rest.take(PAGE as usize).map(row).collect();
        let has_more = offset as usize + rows.len() < fans.len();
        Ok(Page { rows, unreadable: 0, has_more })
    }

    async fn accounts(&self, _: Priority) -> Result<AccountList> {
        Err(PlatformError::Unreachable(crate::error::Unreached::Refused))
    }

    async fn me(&self, _: &AccountId, _: Priority) -> Result<ProfileSeen> {
        Err(PlatformError::Unreachable(crate::error::Unreached::Refused))
    }

    async fn create(&self, _: &AccountId, _: &LinkWish, _: Priority) -> Result<LinkSeen> {
        Err(PlatformError::Unreachable(crate::error::Unreached::Refused))
    }

    async fn add_to_list(&self, _: &AccountId, _: &str, _: &[FanId], _: Priority) -> Result<usize> {
        Err(PlatformError::Unreachable(crate::error::Unreached::Refused))
    }

    async fn transactions(
        &self,
        _: &AccountId,
        _: Timestamp,
        _: Option<&str>,
        _: Priority,
    ) -> Result<TransactionPage> {
        Err(PlatformError::Unreachable(crate::error::Unreached::Refused))
    }
}

/// What was appended.
#[derive(Default)]
pub(super) struct Log(Mutex<Vec<Event>>);

impl Log {
    /// Link and fan of each subscriber told.
    pub(super) fn told(&self) -> Vec<(u64, u64)> {
        let told = |event: &Event| match &event.body {
            EventBody::SubscriberSeen(seen) => {
                Some((seen.pool_link.number, seen.fan.as_str().parse().unwrap()))
            }
            _ => None,
        };
        self.0.lock().iter().filter_map(told).collect()
    }
}

impl ClickLog for Log {
    fn append(&self, event: Event) -> std::result::Result<Ticket, LostReason> {
        self.0.lock().push(event);
        Ok(Ticket(0))
    }

    fn fate(&self, _: Ticket) -> Pin<Box<dyn Future<Output = Fate> + Send>> {
        Box::pin(std::future::ready(Fate::Stored))
    }
}

/// Everything around the role.
pub(super) struct Rig {
    pub(super) platform: Arc<Fake>,
    pub(super) store: Store,
    pub(super) log: Arc<Log>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) inbox: channel::Sender<Vec<Unmatched>>,
    pub(super) ended_overflows: EndedOverflows,
    step: u64,
    _handle: FjallHandle,
    _dir: tempfile::TempDir,
}

impl Rig {
    /// A stock of that many tracking links, numbered from 0.
    pub(super) async fn new(links: u64) -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        let handle = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap();
        let store = handle.store();
        store.ledger.open(0).await.unwrap();
        let platform = Fake {
            links,
            fans: Mutex::default(),
            dates: Mutex::default(),
            requests: AtomicU64::new(0),
            asked: Mutex::default(),
            broken: Mutex::default(),
            counters: Mutex::default(),
            gone: Mutex::default(),
            deleted: Mutex::default(),
            ended: Mutex::default(),
            nameless: Mutex::default(),
            pace: Mutex::default(),
            unruly: Mutex::new(None),
        };
        let rig = Self {
            platform: Arc::new(platform),
            store,
            log: Arc::default(),
            clock: Arc::default(),
            inbox: channel::channel(Vec::new()).0,
            ended_overflows: EndedOverflows::default(),
            step: 0,
            _handle: handle,
            _dir: dir,
        };
        rig.stock(&(0..links).map(id).collect::<Vec<_>>()).await;
        rig
    }

    /// One call in ten fails from now on.
    pub(super) fn be_unruly(&self, seed: u64) {
        *self.platform.unruly.lock() = Some(StdRng::seed_from_u64(seed));
    }

    /// What the platform was asked for since this was last called.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.platform.asked.lock())
    }

    /// From now on these are answered with an error.
    pub(super) fn break_off(&self, what: &[Asked], error: &PlatformError) {
        self.platform.broken.lock().extend(what.iter().map(|asked| (*asked, error.clone())));
    }

    /// Everything is answered again.
    pub(super) fn mend(&self) {
        self.platform.broken.lock().clear();
    }

    /// Somebody subscribes through a link.
    pub(super) fn subscribe(&self, link: u64, fan: u64) {
        self.platform.fans.lock().entry(link).or_default().push(fan);
    }

    /// A Smart Link for each of these, which is its overflow link.
    pub(super) async fn share(&self, links: impl Iterator<Item = u64>) {
        for number in links {
            let overflow = OverflowLink { id: id(number), url: String::new() };
            let link = SmartLink {
                account: ACCOUNT.into(),
                overflow: Some(overflow),
                ..sample::smart_link(number, TeamId(1))
            };
            self.store.catalog.put_link(link).await.unwrap();
        }
    }

    /// Visitors hold these links since now.
    pub(super) async fn give_now(&mut self, links: impl Iterator<Item = u64>) {
        let at = self.clock.now();
        let given = |number: u64| {
            let click = ClickId::from_bytes(u128::from(number + 1).to_be_bytes());
            (id(number), Given { click, at, last_hit_at: at, window: HOUR * 6 })
        };
        self.give(links.map(given).collect()).await;
    }

    /// Attribution says that the link of a fan is unknown.
    pub(super) fn seek(&self, fan: u64) {
        let now = self.clock.now();
        let row = Unmatched {
            team: TeamId(1),
            account: ACCOUNT.into(),
            fan: fan.to_string().into(),
            subscribed_at: now,
            known_at: now,
        };
        self.inbox.send_replace(vec![row]);
    }

    /// Links of the platform join the stock.
    pub(super) async fn stock(&self, ids: &[PoolLinkId]) {
        let stock = StockKey { account: ACCOUNT.into(), kind: LinkKind::TrackingLink, trial_days: None };
        let new = ids.iter().map(|id| NewPoolLink {
            team: TeamId(1),
            stock: stock.clone(),
            id: *id,
            url: String::new(),
            created_at: Timestamp(0),
        });
        self.store.pool.add(new.collect()).await.unwrap();
    }

    /// A role that has just started.
    pub(super) fn role(&self) -> AccountMatcher {
        self.role_at(self.platform.clone())
    }

    /// The same for another platform.
    pub(super) fn role_at(&self, platform: Arc<dyn CreatorPlatform>) -> AccountMatcher {
        let looks = Looks::new(HOUR * 6, HOUR * 24);
        let (poll, debounce) = (Duration::from_secs(60), Duration::from_secs(2));
        AccountMatcher {
            account: ACCOUNT.into(),
            platform,
            store: self.store.clone(),
            log: Arc::<Log>::clone(&self.log),
            clock: Arc::<ManualClock>::clone(&self.clock),
            lag: Arc::new(|| Duration::ZERO),
            settings: Arc::new(MatcherSettings { poll, debounce, looks }),
            inbox: self.inbox.subscribe(),
            backlog: Arc::default(),
            inbox_read: 0,
            watch: Watch::default(),
            searches: Searches::default(),
            told: HashMap::new(),
            unread: HashSet::new(),
            read_at: HashMap::new(),
            asked: 0,
            turned_at: None,
            refreshed_at: None,
            shared_at: None,
            pass: None,
            overflows: Arc::default(),
            shared_as_of: None,
            ended: HashSet::new(),
            settled: HashSet::new(),
            missing: Missing::default(),
            ended_overflows: self.ended_overflows.clone(),
        }
    }

    /// Attribution says who holds what.
    pub(super) async fn give(&mut self, given: Vec<(PoolLinkId, Given)>) {
        self.step += 1;
        let given = given.into_iter().map(|(link, given)| (ACCOUNT.into(), link, given));
        let position = Position { epoch: 0, offset: self.step };
        let step = Step { position, given: given.collect(), ..Step::default() };
        self.store.ledger.apply(step).await.unwrap();
    }

    /// Links that wait for a look.
    pub(super) async fn live(&self) -> usize {
        self.store.pool.live(&ACCOUNT.into()).await.unwrap().len()
    }
}

pub(super) fn id(number: u64) -> PoolLinkId {
    PoolLinkId { kind: LinkKind::TrackingLink, number }
}

/// Turns until nothing is due; they are few.
pub(super) async fn work(role: &mut AccountMatcher) {
    for _ in 0..50 {
        if !role.turn().await.unwrap() {
            return;
        }
    }
    panic!("it never ends");
}

/// Fans told so far.
pub(super) fn fans(rig: &Rig) -> Vec<u64> {
    let mut fans: Vec<u64> = rig.log.told().into_iter().map(|(_, fan)| fan).collect();
    fans.sort_unstable();
    fans
}
