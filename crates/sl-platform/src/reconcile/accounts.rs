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

use super::{Next, ReconcileSettings, Round, RoundError};
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
    /// Between two readings of everything, profiles included.
    every: Duration,
    whole_at: Option<Instant>,
    absent_after: Duration,
    /// A listed account can't be used now. The platform logs accounts in again by itself (contract E.6), and tells nobody.
    is_one_out: bool,
    /// Usable accounts that the last reading did not show, and since when: an answer may be cut short, and then everything would
    /// stand still until the next one.
    absent: HashMap<AccountId, Instant>,
}

#[async_trait]
impl Round for Accounts {
    const WHAT: &'static str = "accounts";

    async fn round(&mut self, is_told: bool) -> Result<Next, RoundError> {
        let begun = Instant::now();
        let is_whole = is_told || self.whole_at.is_none_or(|at| begun - at >= self.every);
        self.read(is_whole).await?;
        if is_whole {
            self.whole_at = Some(begun);
        }
        let is_settled = self.absent.is_empty() && !self.is_one_out;
        Ok(if is_settled { Next::Later } else { Next::In(self.absent_after) })
    }
}

// === impl Accounts ===

impl Accounts {
    pub(super) fn new(
        settings: &ReconcileSettings,
        platform: Arc<dyn CreatorPlatform>,
        store: Store,
        clock: Arc<dyn Clock>,
        back: Arc<Notify>,
    ) -> Self {
        let ReconcileSettings { team, accounts_every: every, absent_after, .. } = *settings;
        let (whole_at, is_one_out, absent) = (None, false, HashMap::new());
        Self { team, platform, store, clock, back, every, whole_at, absent_after, is_one_out, absent }
    }

    /// One round. An account that the list no longer has stays, unusable: clicks and money hang on it.
    async fn read(&mut self, is_whole: bool) -> Result<(), RoundError> {
        // What a webhook says that happened after the question was asked is newer than the answer.
        let (as_of, asked) = (self.clock.now(), Instant::now());
        let listed = self.platform.accounts(Priority::Rest).await?;
        let mut is_one_out = false;
        for seen in &listed.rows {
            is_one_out |= !self.see(seen, as_of, is_whole).await?;
        }
        self.is_one_out = is_one_out;
        self.note_absent(&listed, as_of, asked).await
    }

    /// Brings a listed account into the catalog; says whether it can be used now.
    async fn see(&self, seen: &AccountSeen, as_of: Timestamp, is_whole: bool) -> Result<bool, RoundError> {
        let before = self.store.catalog.account(&seen.id).await?;
        let was_usable = before.as_ref().is_some_and(|before| before.usable.yes);
        let is_in = seen.is_authenticated.unwrap_or(was_usable);
        // A second look is for who is out, and costs one request.
        let profile = if is_in && (is_whole || !was_usable) {
            self.profile(&seen.id).await
        } else {
            ProfileSeen::default()
        };
        let row = merge(before.clone(), seen, profile, self.team, Usable { yes: is_in, as_of });
        let mut is_usable = row.usable.yes;
        if before.as_ref().is_none_or(|before| *before != row) {
            let row = Account { updated_at: as_of, ..row };
            self.store.catalog.put_account(row).await?;
        }
        if is_usable != is_in {
            let known_as_of = before.as_ref().map_or(as_of, |before| before.usable.as_of);
            // What is known was dated by a clock that was set back since: it would be newer for as long.
            let is_ahead = as_of.is_set_back_since(known_as_of);
            let as_of = if is_ahead { as_of.newer_than(known_as_of) } else { as_of };
            let is_taken = self.signal(&seen.id, is_in, as_of).await?;
            is_usable = is_usable != is_taken;
        }
        if is_in && !was_usable {
            self.back.notify_one();
        }
        Ok(is_usable)
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

    /// `false` when something newer is known.
    async fn signal(&self, account: &AccountId, usable: bool, as_of: Timestamp) -> Result<bool, RoundError> {
        Ok(self.store.catalog.signal(AccountSignal { account: account.clone(), usable, as_of }).await?)
    }

    /// The live profile: the handle for addresses of tracking links, and whether trials are possible. It may fail.
    async fn profile(&self, account: &AccountId) -> ProfileSeen {
        match self.platform.me(account, Priority::Rest).await {
            Ok(profile) => profile,
            Err(error) => {
                tracing::warn!(%account, %error, "the profile could not be read");
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
    row.is_authenticated = seen.is_authenticated.unwrap_or(row.is_authenticated);
    row.authentication_progress.clone_from(&seen.authentication_progress);
    row.onlyfans_id = profile.onlyfans_id.or(seen.onlyfans_id).or(row.onlyfans_id);
    row.username = profile.username.or_else(|| seen.username.clone()).or(row.username);
    row.email = seen.email.clone().or(row.email);
    row.name = profile.name.or_else(|| seen.name.clone()).or(row.name);
    row.avatar = profile.avatar.or_else(|| seen.avatar.clone()).or(row.avatar);
    row.can_create_trial = profile.can_create_trial.or(row.can_create_trial);
    row
}
