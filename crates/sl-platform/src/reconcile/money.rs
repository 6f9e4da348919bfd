//! Transactions that no webhook brought (decisions 54).
//!
//! Each is written as `TransactionSeen` under the platform's id; attribution knows the repetitions. What this process has
//! written is not written again until its status or amount changes.

use std::{collections::HashMap, sync::Arc};

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

use super::{ReconcileSettings, Round, RoundError};
use crate::{error::Result as Answer, pacer::Priority, platform::CreatorPlatform};

/// Pages read in one round of one account: 200,000 transactions.
const PAGES: usize = 2000;

/// Reads them.
pub(super) struct Money {
    settings: ReconcileSettings,
    platform: Arc<dyn CreatorPlatform>,
    store: Store,
    log: Arc<dyn ClickLog>,
    clock: Arc<dyn Clock>,
    /// Start of the last complete reading.
    read_at: HashMap<AccountId, Timestamp>,
    told: HashMap<(AccountId, TransactionId), Told>,
}

/// What was written of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    at: Timestamp,
    status: String,
    gross: Cents,
    net: Cents,
}

#[async_trait]
impl Round for Money {
    const WHAT: &'static str = "transactions";

    async fn round(&mut self) -> Result<(), RoundError> {
        self.read().await
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
        Self { settings, platform, store, log, clock, read_at: HashMap::new(), told: HashMap::new() }
    }

    /// One round over all accounts; one that fails does not keep the others from being read.
    async fn read(&mut self) -> Result<(), RoundError> {
        let mut failed = None;
        for team in self.store.catalog.teams().await? {
            for account in self.store.catalog.accounts(team.id).await? {
                // One that is logged out is read when it is back.
                if account.usable.yes
                    && let Err(error) = self.read_account(&account).await
                {
                    tracing::warn!(account = %account.id, %error, "transactions could not be read");
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn read_account(&mut self, account: &Account) -> Result<(), RoundError> {
        let start = self.clock.now();
        let since = match self.read_at.get(&account.id) {
            Some(at) => at.minus(self.settings.overlap),
            None => start.minus(self.settings.first_span),
        };
        let mut marker = None;
        let (mut new, mut unreadable) = (0_u64, 0);
        for _ in 0..PAGES {
            let page = self.page(account, since, marker.as_deref()).await?;
            unreadable += page.unreadable;
            for row in page.rows {
                new += u64::from(self.tell(account, row).await?);
            }
            marker = page.next;
            if marker.is_none() {
                break;
            }
        }
        if unreadable > 0 {
            tracing::warn!(account = %account.id, unreadable, "transactions without an id, fan, amount or date are left out");
        }
        if marker.is_some() {
            tracing::warn!(account = %account.id, "more transactions than one round reads; the rest is read in the next");
        } else {
            self.read_at.insert(account.id.clone(), start);
        }
        tracing::debug!(account = %account.id, new, "transactions were read");
        self.told.retain(|(of, _), told| *of != account.id || told.at >= since);
        Ok(())
    }

    async fn page(
        &self,
        account: &Account,
        since: Timestamp,
        marker: Option<&str>,
    ) -> Answer<crate::platform::TransactionPage> {
        self.platform.transactions(&account.id, since, marker, Priority::Rest).await
    }

    /// Writes it down; `false` when nothing about it is new.
    async fn tell(&mut self, account: &Account, row: Transaction) -> Result<bool, RoundError> {
        let key = (account.id.clone(), row.id.clone());
        let told = Told { at: row.at, status: row.status.clone(), gross: row.gross, net: row.net };
        if self.told.get(&key) == Some(&told) {
            return Ok(false);
        }
        let event = Event {
            team: account.team,
            account: account.id.clone(),
            at: self.clock.now(),
            body: EventBody::TransactionSeen(row),
        };
        append_synced(&*self.log, event).await?;
        self.told.insert(key, told);
        Ok(true)
    }
}
