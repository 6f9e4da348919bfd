//! The store, the journal and the client around the roles.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use sl_attribution::{Attribution, AttributionSettings};
use sl_core::{
    catalog::{Account, SmartLink, Team, Usable},
    event::{Event, EventBody, JournalId, Position, Recorded, SubscriberSeen},
    ids::{LinkKind, SmartLinkId, TeamId},
    pool::PoolState,
    seal::Secret,
    time::{Clock, ManualClock, Timestamp},
};
use sl_fjall::{FjallHandle, FjallOptions};
use sl_journal::{Batch, ClickLog, EventStream, Fate, LostReason, StreamError, Ticket};
use sl_platform::{CreatorPlatform, Keeper, KeeperSettings, OfApi, OfApiConfig};
use sl_store::{Store, pool::PoolRules};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::upstream::{KEY, Upstream};

pub(crate) const START: Timestamp = Timestamp(1_772_625_600_000);
pub(crate) const TEAM: TeamId = TeamId(1);
pub(crate) const RULES: PoolRules =
    PoolRules { window: Duration::from_secs(6 * 3600), quarantine: Duration::from_secs(24 * 3600) };

pub(crate) struct World {
    pub(crate) upstream: Upstream,
    pub(crate) store: Store,
    pub(crate) tape: Tape,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) stop: CancellationToken,
    /// How far attribution has come.
    pub(crate) applied: Arc<AtomicU64>,
    _handle: FjallHandle,
    _dir: TempDir,
}

impl World {
    /// A team with one account.
    pub(crate) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let handle = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap();
        let store = handle.store();
        let team = Team { id: TEAM, name: "Team".into(), slug: "team".into(), created_at: START };
        store.catalog.put_team(team).await.unwrap();
        store.catalog.put_account(account()).await.unwrap();
        store.ledger.open(0).await.unwrap();
        Self {
            upstream: Upstream::start().await,
            store,
            tape: Tape::default(),
            clock: Arc::new(ManualClock::at(START)),
            stop: CancellationToken::new(),
            applied: Arc::default(),
            _handle: handle,
            _dir: dir,
        }
    }

    pub(crate) fn client(&self) -> Arc<dyn CreatorPlatform> {
        Arc::new(self.of_api())
    }

    pub(crate) fn of_api(&self) -> OfApi {
        OfApi::new(OfApiConfig {
            base_url: format!("http://{}", self.upstream.address).parse().unwrap(),
            api_key: Secret::new(KEY),
            requests_per_minute: 60_000,
            timeout: Duration::from_millis(400),
        })
        .unwrap()
    }

    pub(crate) fn keeper(&self) -> Keeper {
        self.keeper_with(Self::keeper_settings())
    }

    pub(crate) fn keeper_settings() -> KeeperSettings {
        KeeperSettings {
            cover: Duration::from_secs(7200),
            min: 20,
            max: 1000,
            requests_per_minute: 60_000,
            rules: RULES,
            many_edges: false,
        }
    }

    pub(crate) fn keeper_with(&self, settings: KeeperSettings) -> Keeper {
        let clock: Arc<dyn Clock> = self.clock.clone();
        Keeper::new(settings, self.client(), self.store.clone(), clock, [7; 32])
    }

    /// Runs attribution on the tape until the world ends.
    pub(crate) fn attribute(&self) {
        let settings =
            AttributionSettings { wait: Duration::from_millis(20), ..AttributionSettings::default() };
        let log: Arc<dyn ClickLog> = Arc::new(self.tape.clone());
        let role =
            Attribution::new(self.tape.stream(), self.store.clone(), log, settings, self.clock.clone());
        let stop = self.stop.clone();
        tokio::spawn(async move { role.run(stop).await.unwrap() });
    }

    pub(crate) async fn link(&self, number: u128, change: impl FnOnce(&mut SmartLink)) -> SmartLinkId {
        let mut link = smart_link(number);
        change(&mut link);
        let id = link.id;
        self.store.catalog.put_link(link).await.unwrap();
        id
    }

    pub(crate) async fn count(&self, states: &[PoolState]) -> u64 {
        let levels = self.store.pool.levels(self.clock.now(), RULES).await.unwrap();
        let counts = levels.iter().flat_map(|level| &level.counts);
        counts.filter(|(state, _)| states.contains(state)).map(|(_, count)| count).sum()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn account() -> Account {
    Account {
        id: "acct_1".into(),
        team: TEAM,
        display_name: "Creator".into(),
        onlyfans_id: Some(1),
        username: Some("creator".into()),
        email: None,
        name: None,
        avatar: None,
        is_authenticated: true,
        authentication_progress: "authenticated".into(),
        can_create_trial: Some(true),
        usable: Usable { yes: true, as_of: START },
        updated_at: START,
    }
}

pub(crate) fn smart_link(number: u128) -> SmartLink {
    SmartLink {
        id: SmartLinkId(ulid::Ulid(number)),
        team: TEAM,
        account: "acct_1".into(),
        name: format!("Ad {number}"),
        kind: LinkKind::TrackingLink,
        trial_days: None,
        window: None,
        user_list_id: None,
        paused: false,
        deleted_at: None,
        overflow: None,
        pixels: Vec::new(),
        tags: Vec::new(),
        created_at: START,
        updated_at: START,
    }
}

/// A journal in memory.
#[derive(Clone, Default)]
pub(crate) struct Tape {
    records: Arc<Mutex<Vec<Recorded>>>,
    /// Refuses records, as a full disk does.
    pub(crate) is_full: Arc<std::sync::atomic::AtomicBool>,
}

impl Tape {
    pub(crate) fn push(&self, at: Timestamp, body: EventBody) {
        let event = Event { team: TEAM, account: "acct_1".into(), at, body };
        let _ticket = self.append(event).unwrap();
    }

    /// When its records say that they happened.
    pub(crate) fn times(&self) -> Vec<Timestamp> {
        self.records.lock().iter().map(|record| record.event.at).collect()
    }

    pub(crate) fn bodies(&self) -> Vec<EventBody> {
        self.records.lock().iter().map(|record| record.event.body.clone()).collect()
    }

    pub(crate) fn seen(&self) -> Vec<SubscriberSeen> {
        let seen = |body| match body {
            EventBody::SubscriberSeen(seen) => Some(seen),
            _ => None,
        };
        self.bodies().into_iter().filter_map(seen).collect()
    }

    pub(crate) fn stream(&self) -> Box<dyn EventStream> {
        Box::new(TapeStream { tape: self.clone(), offset: 0 })
    }
}

impl ClickLog for Tape {
    fn append(&self, event: Event) -> Result<Ticket, LostReason> {
        if self.is_full.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(LostReason::DiskFull);
        }
        let mut records = self.records.lock();
        let sequence = records.len() as u64;
        records.push(Recorded { journal: JournalId(1), sequence, event });
        Ok(Ticket(sequence))
    }

    fn fate(&self, _: Ticket) -> Pin<Box<dyn Future<Output = Fate> + Send>> {
        Box::pin(std::future::ready(Fate::Stored))
    }
}

struct TapeStream {
    tape: Tape,
    offset: u64,
}

#[async_trait]
impl EventStream for TapeStream {
    fn partition(&self) -> u32 {
        0
    }

    async fn seek(&mut self, position: Position) -> Result<Position, StreamError> {
        self.offset = position.offset;
        Ok(position)
    }

    async fn next(&mut self, max: usize, wait: Duration) -> Result<Batch, StreamError> {
        let from = usize::try_from(self.offset).unwrap();
        let records: Vec<_> = self.tape.records.lock().iter().skip(from).take(max).cloned().collect();
        if records.is_empty() {
            tokio::time::sleep(wait).await;
        }
        self.offset += records.len() as u64;
        Ok(Batch { records, next: Position { epoch: 0, offset: self.offset } })
    }

    async fn passed(&mut self, _: Position) -> Result<(), StreamError> {
        Ok(())
    }

    fn head(&self) -> Position {
        Position { epoch: 0, offset: self.tape.records.lock().len() as u64 }
    }
}
