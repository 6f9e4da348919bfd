//! Transactions that no webhook brought (decisions 54).
//!
//! Each is written as `TransactionSeen` under the platform's id; attribution knows the repetitions. What this process has
//! written is not written again until its status or amount changes. A reading that was cut off, by a failure or because the
//! other accounts had to have their turn, goes on where it was.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use sl_core::{
    catalog::Account,
    conversion::Transaction,
    event::{Event, EventBody},
    ids::{AccountId, TransactionId},
    money::Cents,
    time::{Clock, Timestamp},
};
use sl_journal::{ClickLog, log::append_synced};
use sl_store::Store;
use tokio::time::Instant;

use super::{Next, ReconcileSettings, Round, RoundError, turns::Turns};
use crate::{error::Result as Answer, pacer::Priority, platform::CreatorPlatform};

/// Reads them.
pub(super) struct Money {
    settings: ReconcileSettings,
    platform: Arc<dyn CreatorPlatform>,
    store: Store,
    log: Arc<dyn ClickLog>,
    clock: Arc<dyn Clock>,
    turns: Turns,
    /// When the last run ended.
    ended_at: Option<Instant>,
    /// Start of the last complete reading.
    read_at: HashMap<AccountId, Timestamp>,
    /// Readings that were cut off.
    begun: HashMap<AccountId, Reading>,
    told: HashMap<(AccountId, TransactionId), Known>,
    /// Transactions that could not be credited, at the last reading.
    left_out: HashMap<AccountId, usize>,
}

/// A reading of one account.
#[derive(Debug, Clone)]
struct Reading {
    start: Timestamp,
    since: Timestamp,
    /// Of the next page; `None` for the first.
    marker: Option<String>,
}

/// What came of a page.
struct Told {
    new: u64,
    unreadable: usize,
}

/// What was written of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    at: Timestamp,
    status: String,
    gross: Cents,
    net: Cents,
}

#[async_trait]
impl Round for Money {
    const WHAT: &'static str = "transactions";

    async fn round(&mut self, is_told: bool) -> Result<Next, RoundError> {
        if is_told {
            self.turns.all(Instant::now());
        }
        self.read().await?;
        Ok(self.turns.next_in(Instant::now()).map_or(Next::Later, Next::In))
    }
}

// === impl Money ===

impl Money {
    pub(super) fn new(
        settings: ReconcileSettings,
        platform: Arc<dyn CreatorPlatform>,
        store: Store,
        log: Arc<dyn ClickLog>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            settings,
            platform,
            store,
            log,
            clock,
            turns: Turns::new(settings.every),
            ended_at: None,
            read_at: HashMap::new(),
            begun: HashMap::new(),
            told: HashMap::new(),
            left_out: HashMap::new(),
        }
    }

    /// A run begins: everybody is read, from the last reading on. Other processes may have had the role in between and told other
    /// things, but hardly within the time that they too wait after their start.
    pub(super) fn begin_run(&mut self, now: Instant) {
        self.turns = Turns::new(self.settings.every);
        let is_short = |ended: Instant| now.saturating_duration_since(ended) < self.settings.first_after;
        if !self.ended_at.take().is_some_and(is_short) {
            self.told.clear();
            self.begun.clear();
        }
    }

    /// A run has ended.
    pub(super) fn end_run(&mut self, now: Instant) {
        self.ended_at = Some(now);
    }

    /// Reads the accounts whose turn it is; one that fails does not keep the others from being read.
    async fn read(&mut self) -> Result<(), RoundError> {
        let accounts = self.usable().await?;
        let usable: HashSet<&AccountId> = accounts.iter().map(|account| &account.id).collect();
        self.turns.retain(|known| usable.contains(known));
        for account in accounts {
            if !self.turns.is_due(&account.id, Instant::now()) {
                continue;
            }
            let read = self.read_account(&account).await;
            let now = Instant::now();
            match read {
                Ok(false) => self.turns.read(&account.id, now),
                Ok(true) => self.turns.cut_off(&account.id, now),
                Err(error) => {
                    let again_in = self.turns.failed(&account.id, now);
                    tracing::warn!(account = %account.id, %error, ?again_in, "transactions could not be read");
                }
            }
        }
        Ok(())
    }

    /// One that is logged out is read when it is back.
    async fn usable(&self) -> Result<Vec<Account>, RoundError> {
        let mut usable = Vec::new();
        for team in self.store.catalog.teams().await? {
            let accounts = self.store.catalog.accounts(team.id).await?;
            usable.extend(accounts.into_iter().filter(|account| account.usable.yes));
        }
        Ok(usable)
    }

    /// Goes on with the reading of an account, or begins one; `true` when it has more pages than it may read now.
    async fn read_account(&mut self, account: &Account) -> Result<bool, RoundError> {
        let mut reading = self.begun.remove(&account.id).unwrap_or_else(|| self.begin(account));
        let (mut new, mut unreadable, mut pages) = (0_u64, 0, 0);
        let read = loop {
            let read = self.read_page(account, &mut reading).await;
            let Ok(page) = read else { break read.map(|_| true) };
            (new, unreadable, pages) = (new + page.new, unreadable + page.unreadable, pages + 1);
            if reading.marker.is_none() || pages == self.settings.pages_at_once {
                break Ok(reading.marker.is_some());
            }
        };
        self.note_left_out(account, unreadable);
        tracing::debug!(account = %account.id, new, "transactions were read");
        match &read {
            Ok(false) => {
                self.told.retain(|(of, _), told| *of != account.id || told.at >= reading.since);
                self.read_at.insert(account.id.clone(), reading.start);
            }
            // A marker that the platform no longer takes leads nowhere: from the first page again.
            Err(RoundError::Platform(error)) if error.is_about_what_was_asked() => {}
            Ok(true) | Err(_) => drop(self.begun.insert(account.id.clone(), reading)),
        }
        read
    }

    /// Says it once, and again when there are others: each reading shows those of the last days anew.
    fn note_left_out(&mut self, account: &Account, unreadable: usize) {
        let before = self.left_out.insert(account.id.clone(), unreadable).unwrap_or(0);
        if unreadable > 0 && unreadable != before {
            tracing::warn!(
                account = %account.id,
                unreadable,
                "transactions are left out: without an id, type, fan, status or date, not in USD, or above ten million dollars"
            );
        }
    }

    fn begin(&self, account: &Account) -> Reading {
        let start = self.clock.now();
        let since = match self.read_at.get(&account.id) {
            // The clock may have been set back since.
            Some(at) => start.min(*at).minus(self.settings.overlap),
            None => start.minus(self.settings.first_span),
        };
        Reading { start, since, marker: None }
    }

    /// Reads the next page and writes it down.
    async fn read_page(&mut self, account: &Account, reading: &mut Reading) -> Result<Told, RoundError> {
        // What a webhook says from now on is newer than the page.
        let asked = self.clock.now();
        let page = self.page(account, reading.since, reading.marker.as_deref()).await?;
        let mut told = Told { new: 0, unreadable: page.unreadable };
        for row in page.rows {
            told.new += u64::from(self.tell(account, row, asked).await?);
        }
        let leads_to_itself = page.next.is_some() && page.next == reading.marker;
        if leads_to_itself {
            tracing::warn!(account = %account.id, "a page of transactions names itself as the next one; the reading ends there");
        }
        reading.marker = page.next.filter(|_| !leads_to_itself);
        Ok(told)
    }

    async fn page(
        &self,
        account: &Account,
        since: Timestamp,
        marker: Option<&str>,
    ) -> Answer<crate::platform::TransactionPage> {
        self.platform.transactions(&account.id, since, marker, Priority::Rest).await
    }

    /// Writes down what was true when the page was `asked` for; `false` when nothing about it is new.
    async fn tell(
        &mut self,
        account: &Account,
        row: Transaction,
        asked: Timestamp,
    ) -> Result<bool, RoundError> {
        let key = (account.id.clone(), row.id.clone());
        let known = Known { at: row.at, status: row.status.clone(), gross: row.gross, net: row.net };
        if self.told.get(&key) == Some(&known) {
            return Ok(false);
        }
        let event = Event {
            team: account.team,
            account: account.id.clone(),
            at: asked,
            body: EventBody::TransactionSeen(row),
        };
        append_synced(&*self.log, event).await?;
        self.told.insert(key, known);
        Ok(true)
    }
}
