//! How the roles that live off the creator platform stand, wherever they run, and what the intake has to tell them.

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, RwLock};
use sl_api::{PoolStatus, StockStatus, Upstream};
use sl_core::{ids::AccountId, pool::StockKey};
use sl_platform::{MatcherHandle, PoolSnapshot, ReconcileHandle, StockReport};
use tokio::time::Instant;

/// Accounts whose webhooks are counted for another process; one is about 100 bytes.
const ACCOUNTS: usize = 10_000;

/// What the API shows of these roles, and what they are told of webhooks. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Standing(Arc<Shared>);

#[derive(Default)]
struct Shared {
    here: RwLock<Here>,
    elsewhere: RwLock<Elsewhere>,
    /// What came in while reconciliation was not here; `None` where there is nobody else to tell.
    hooks: Option<Mutex<Hooks>>,
}

/// The roles that this process has now.
#[derive(Default)]
pub(super) struct Here {
    pub(super) pool: Option<PoolSnapshot>,
    pub(super) matcher: Option<MatcherHandle>,
    pub(super) reconcile: Option<ReconcileHandle>,
}

/// What other processes say.
#[derive(Default)]
pub(super) struct Elsewhere {
    /// Records in their journals that Kafka does not have.
    pub(super) unforwarded: u64,
    /// When some of them were last heard to have got there.
    pub(super) forwarded_at: Option<Instant>,
    /// Journals that have not been heard of lately.
    pub(super) silent: u64,
    /// Work of the matcher that is due.
    pub(super) backlog: u64,
    /// The keeper's reports, by the stock's name.
    pub(super) reports: HashMap<String, StockReport>,
}

/// Webhooks since the start of this process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Hooks {
    pub(super) came: HashMap<AccountId, u64>,
    pub(super) refused: u64,
    /// Webhooks that say that accounts are to be read anew.
    pub(super) accounts: u64,
}

// === impl Standing ===

impl Standing {
    /// The standing in one of several processes: it also notes webhooks for the others.
    pub(super) fn of_many() -> Self {
        Self(Arc::new(Shared { hooks: Some(Mutex::default()), ..Shared::default() }))
    }

    /// Changes what runs here.
    pub(super) fn here<T>(&self, change: impl FnOnce(&mut Here) -> T) -> T {
        change(&mut self.0.here.write())
    }

    /// Takes over what others say.
    pub(super) fn elsewhere(&self, change: impl FnOnce(&mut Elsewhere)) {
        change(&mut self.0.elsewhere.write());
    }

    /// Work of the matcher that is due now.
    pub(crate) fn backlog(&self) -> u64 {
        self.own_backlog().unwrap_or_else(|| self.0.elsewhere.read().backlog)
    }

    /// [`Self::backlog`], if the matcher runs here.
    pub(super) fn own_backlog(&self) -> Option<u64> {
        self.0.here.read().matcher.as_ref().map(MatcherHandle::backlog)
    }

    /// Records of other processes that Kafka does not have, and how many processes have not been heard of lately.
    pub(crate) fn journals_elsewhere(&self) -> (u64, u64) {
        let elsewhere = self.0.elsewhere.read();
        (elsewhere.unforwarded, elsewhere.silent)
    }

    /// When Kafka was last heard to have got some of them.
    pub(crate) fn forwarded_at(&self) -> Option<Instant> {
        self.0.elsewhere.read().forwarded_at
    }

    /// The keeper's reports, if it runs here.
    pub(super) fn own_reports(&self) -> Vec<(StockKey, StockReport)> {
        self.0.here.read().pool.as_ref().map(PoolSnapshot::all).unwrap_or_default()
    }

    /// Reconciliation, if it runs here.
    pub(super) fn reconcile(&self) -> Option<ReconcileHandle> {
        self.0.here.read().reconcile.clone()
    }

    /// Webhooks that came in here and that reconciliation elsewhere has to know of.
    pub(super) fn hooks(&self) -> Hooks {
        self.0.hooks.as_ref().map(|hooks| hooks.lock().clone()).unwrap_or_default()
    }

    /// Tells reconciliation if it is here, or notes it down for the process where it is. Without a platform key nobody is told.
    fn tell(&self, here: impl FnOnce(&ReconcileHandle), elsewhere: impl FnOnce(&mut Hooks)) {
        if let Some(reconcile) = &self.0.here.read().reconcile {
            here(reconcile);
        } else if let Some(hooks) = &self.0.hooks {
            elsewhere(&mut hooks.lock());
        }
    }
}

impl PoolStatus for Standing {
    fn status(&self, stock: &StockKey) -> StockStatus {
        let here = self.0.here.read().pool.as_ref().map(|pool| pool.status(stock));
        let elsewhere = || self.0.elsewhere.read().reports.get(&stock.to_string()).cloned();
        let StockReport { forecast_per_hour, time_to_empty, last_refill_at, last_error } =
            here.or_else(elsewhere).unwrap_or_default();
        StockStatus { forecast_per_hour, time_to_empty, last_refill_at, last_error }
    }
}

impl Upstream for Standing {
    fn webhook_came(&self, account: &AccountId) {
        self.tell(|reconcile| reconcile.webhook_came(account), |hooks| hooks.came(account));
    }

    fn webhook_refused(&self) {
        self.tell(ReconcileHandle::webhook_refused, |hooks| hooks.refused += 1);
    }

    fn accounts_changed(&self) {
        self.tell(ReconcileHandle::accounts_changed, |hooks| hooks.accounts += 1);
    }
}

// === impl Hooks ===

impl Hooks {
    fn came(&mut self, account: &AccountId) {
        if let Some(count) = self.came.get_mut(account) {
            *count += 1;
        } else if self.came.len() < ACCOUNTS {
            self.came.insert(account.clone(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_are_noted_for_another_process_and_for_nobody_else() {
        let (many, alone) = (Standing::of_many(), Standing::default());
        for standing in [&many, &alone] {
            for account in ["acct_1", "acct_2", "acct_1"] {
                standing.webhook_came(&account.into());
            }
            standing.webhook_refused();
            standing.accounts_changed();
        }
        let came = HashMap::from([("acct_1".into(), 2), ("acct_2".into(), 1)]);
        assert_eq!(many.hooks(), Hooks { came, refused: 1, accounts: 1 });
        assert_eq!(alone.hooks(), Hooks::default());
    }
}
