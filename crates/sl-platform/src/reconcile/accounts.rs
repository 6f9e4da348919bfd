//! The accounts of the key (contract A.12, E.3).

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use sl_core::{
    catalog::{Account, Usable},
    ids::{AccountId, TeamId},
    step::AccountSignal,
    time::{Clock, Timestamp},
};
use sl_store::Store;
use tokio::{sync::Notify, time::Instant};

use super::{Next, Round, RoundError};
use crate::{
    pacer::Priority,
    platform::{AccountList, AccountSeen, CreatorPlatform, ProfileSeen},
};

/// Brings them into the catalog.
pub(super) struct Accounts {
    team: TeamId,
    platform: Arc<dyn CreatorPlatform>,
    store: Store,
    clock: Arc<dyn Clock>,
    /// Told when an account can be read again: what it earned meanwhile came by no webhook.
    back: Arc<Notify>,
    absent_after: Duration,
    /// Usable accounts that the last reading did not show, and since when: an answer may be cut short, and then everything would
    /// stand still until the next one.
    absent: HashMap<AccountId, Instant>,
}

#[async_trait]
impl Round for Accounts {
    const WHAT: &'static str = "accounts";

    async fn round(&mut self, _: bool) -> Result<Next, RoundError> {
        self.read().await?;
        Ok(if self.absent.is_empty() { Next::Later } else { Next::In(self.absent_after) })
    }
}

// === impl Accounts ===

impl Accounts {
    pub(super) fn new(
        team: TeamId,
        absent_after: Duration,
        platform: Arc<dyn CreatorPlatform>,
        store: Store,
        clock: Arc<dyn Clock>,
        back: Arc<Notify>,
    ) -> Self {
        Self { team, platform, store, clock, back, absent_after, absent: HashMap::new() }
    }

    /// One round. An account that the list no longer has stays, unusable: clicks and money hang on it.
    async fn read(&mut self) -> Result<(), RoundError> {
        // What a webhook says that happened after the question was asked is newer than the answer.
        let (as_of, asked) = (self.clock.now(), Instant::now());
        let listed = self.platform.accounts(Priority::Rest).await?;
        for seen in &listed.rows {
            let profile = self.profile(seen).await;
            let known = self.store.catalog.account(&seen.id).await?;
            let before = known.clone();
            let usable = Usable { yes: seen.is_authenticated, as_of };
            let row = merge(known, seen, profile, self.team, usable);
            let is_usable = row.usable.yes;
            let was_usable = before.as_ref().is_some_and(|before| before.usable.yes);
            if before.as_ref().is_none_or(|before| *before != row) {
                let row = Account { updated_at: as_of, ..row };
                self.store.catalog.put_account(row).await?;
            }
            if is_usable != seen.is_authenticated {
                let known_as_of = before.as_ref().map_or(as_of, |before| before.usable.as_of);
                // What is known was dated by a clock that was set back since: it would be newer for as long.
                let is_ahead = as_of.is_set_back_since(known_as_of);
                let as_of = if is_ahead { as_of.newer_than(known_as_of) } else { as_of };
                self.signal(&seen.id, seen.is_authenticated, as_of).await?;
            }
            if seen.is_authenticated && !was_usable {
                self.back.notify_one();
            }
        }
        self.note_absent(&listed, as_of, asked).await
    }

    /// Accounts that are not listed. That is believed when two readings some time apart say so, and never of a list that can't be
    /// read as a whole.
    async fn note_absent(
        &mut self,
        listed: &AccountList,
        as_of: Timestamp,
        asked: Instant,
    ) -> Result<(), RoundError> {
        let before = std::mem::take(&mut self.absent);
        if listed.unreadable > 0 {
            tracing::warn!(
                rows = listed.unreadable,
                "accounts in the platform's list can't be read; none that is missing from it is taken as gone"
            );
            return Ok(());
        }
        for account in self.store.catalog.accounts(self.team).await? {
            if !account.usable.yes || listed.rows.iter().any(|seen| seen.id == account.id) {
                continue;
            }
            let since = before.get(&account.id).copied();
            if since.is_some_and(|since| asked.saturating_duration_since(since) >= self.absent_after) {
                tracing::warn!(account = %account.id, "the platform no longer lists the account; no links are made for it");
                self.signal(&account.id, false, as_of).await?;
                continue;
            }
            if since.is_none() {
                let again_in = self.absent_after;
                tracing::warn!(account = %account.id, listed = listed.rows.len(), ?again_in, "the platform does not list the account; the list is read again before that is believed");
            }
            self.absent.insert(account.id, since.unwrap_or_else(Instant::now));
        }
        Ok(())
    }

    async fn signal(&self, account: &AccountId, usable: bool, as_of: Timestamp) -> Result<(), RoundError> {
        self.store.catalog.signal(AccountSignal { account: account.clone(), usable, as_of }).await?;
        Ok(())
    }

    /// The live profile: the handle for addresses of tracking links, and whether trials are possible. It may fail.
    async fn profile(&self, seen: &AccountSeen) -> ProfileSeen {
        if !seen.is_authenticated {
            return ProfileSeen::default();
        }
        match self.platform.me(&seen.id, Priority::Rest).await {
            Ok(profile) => profile,
            Err(error) => {
                tracing::warn!(account = %seen.id, %error, "the profile could not be read");
                ProfileSeen::default()
            }
        }
    }
}

/// The row with what was seen; what was not seen stays. `usable` is for a new row.
fn merge(
    known: Option<Account>,
    seen: &AccountSeen,
    profile: ProfileSeen,
    team: TeamId,
    usable: Usable,
) -> Account {
    let mut row = known.unwrap_or_else(|| Account {
        id: seen.id.clone(),
        team,
        display_name: String::new(),
        onlyfans_id: None,
        username: None,
        email: None,
        name: None,
        avatar: None,
        is_authenticated: false,
        authentication_progress: String::new(),
        can_create_trial: None,
        usable,
        updated_at: usable.as_of,
    });
    row.display_name.clone_from(&seen.display_name);
    row.is_authenticated = seen.is_authenticated;
    row.authentication_progress.clone_from(&seen.authentication_progress);
    row.onlyfans_id = profile.onlyfans_id.or(seen.onlyfans_id).or(row.onlyfans_id);
    row.username = profile.username.or_else(|| seen.username.clone()).or(row.username);
    row.email = seen.email.clone().or(row.email);
    row.name = profile.name.or_else(|| seen.name.clone()).or(row.name);
    row.avatar = profile.avatar.or_else(|| seen.avatar.clone()).or(row.avatar);
    row.can_create_trial = profile.can_create_trial.or(row.can_create_trial);
    row
}
