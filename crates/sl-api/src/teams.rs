//! Whose a creator account is, for webhooks: they must be kept while the store is away, because upstream delivers each of
//! them a few times and then never again (contract D.2).

use std::{collections::HashMap, future::Future, time::Duration};

use parking_lot::Mutex;
use sl_core::ids::{AccountId, TeamId};
use sl_store::{Catalog, Result, StoreError};

/// Longest wait for a catalog that has changed since it was asked; then its last word counts.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which team owns which account, as the catalog has said so far.
#[derive(Debug, Default)]
pub struct Teams(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Owner of an account, and the revision of the catalog at which it was asked for.
    accounts: HashMap<AccountId, (TeamId, u64)>,
    /// The revision of which every account is there: as long as it is the newest, another one is nobody's.
    whole_at: Option<u64>,
}

// === impl Teams ===

impl Teams {
    /// Reads all accounts, so that webhooks can be kept from now on whatever the store does.
    ///
    /// # Errors
    /// The store's: webhooks of accounts that were not asked for need it then.
    pub async fn read(&self, catalog: &dyn Catalog) -> Result<()> {
        let revision = *catalog.revisions().borrow();
        for team in catalog.teams().await? {
            let accounts = catalog.accounts(team.id).await?;
            let known = &mut self.0.lock().accounts;
            known.extend(accounts.into_iter().map(|account| (account.id, (account.team, revision))));
        }
        self.0.lock().whole_at = Some(revision);
        Ok(())
    }

    /// The team of an account; `None` when nobody has it.
    ///
    /// # Errors
    /// The store's, when it was never asked for the account.
    pub(crate) async fn of(&self, catalog: &dyn Catalog, account: &AccountId) -> Result<Option<TeamId>> {
        // Not at the start, then now: the store may go away at any time.
        if self.0.lock().whole_at.is_none() {
            let read = tokio::time::timeout(PATIENCE, self.read(catalog)).await;
            tracing::debug!(?read, "whose accounts are was to be read");
        }
        let revision = *catalog.revisions().borrow();
        let asked = async { Ok(catalog.account(account).await?.map(|account| account.team)) };
        self.find(account, revision, asked).await
    }

    async fn find(
        &self,
        account: &AccountId,
        revision: u64,
        asked: impl Future<Output = Result<Option<TeamId>>>,
    ) -> Result<Option<TeamId>> {
        let (known, is_whole) = {
            let known = self.0.lock();
            (known.accounts.get(account).copied(), known.whole_at == Some(revision))
        };
        if let Some((team, at)) = known
            && at == revision
        {
            return Ok(Some(team));
        }
        let late = || Err(StoreError::Unavailable("the catalog does not answer".to_owned()));
        match tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| late()) {
            Ok(Some(team)) => {
                self.0.lock().accounts.insert(account.clone(), (team, revision));
                Ok(Some(team))
            }
            Err(error) if error.is_temporary() && (known.is_some() || is_whole) => {
                Ok(known.map(|(team, _)| team))
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const OURS: TeamId = TeamId(7);

    fn account() -> AccountId {
        "acct_1".into()
    }

    fn away() -> Result<Option<TeamId>> {
        Err(StoreError::Unavailable("no node answers".to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_said_once_holds_while_the_store_is_away_and_is_asked_anew_after_a_change() {
        let teams = Teams::default();
        assert_eq!(teams.find(&account(), 1, ready(Ok(Some(OURS)))).await, Ok(Some(OURS)));
        assert_eq!(teams.find(&account(), 1, pending()).await, Ok(Some(OURS)), "nobody is asked");
        assert_eq!(teams.find(&account(), 2, ready(away())).await, Ok(Some(OURS)));
        assert_eq!(teams.find(&account(), 2, pending()).await, Ok(Some(OURS)), "nobody waits for ever");
        assert_eq!(teams.find(&account(), 2, ready(Ok(Some(TeamId(8))))).await, Ok(Some(TeamId(8))));
        assert_eq!(teams.find(&account(), 2, ready(away())).await, Ok(Some(TeamId(8))));
    }

    #[tokio::test]
    async fn an_account_that_nobody_knows_is_nobodys_only_when_all_are_known() {
        let teams = Teams::default();
        assert_eq!(teams.find(&account(), 1, ready(away())).await, away());
        assert_eq!(teams.find(&account(), 1, ready(Ok(None))).await, Ok(None));
        assert_eq!(teams.find(&account(), 1, ready(away())).await, away(), "it may be somebody's meanwhile");
        teams.0.lock().whole_at = Some(1);
        assert_eq!(teams.find(&account(), 1, ready(away())).await, Ok(None));
        assert_eq!(
            teams.find(&account(), 2, ready(away())).await,
            away(),
            "another team may have got it since"
        );
    }
}
