//! What people configure.
//!
//! A row is written before its entry in the log, whose numbers are given by conditional writes: who has read the log up
//! to a revision has missed nothing. Rows themselves are ordinary writes whose times the servers give, so that no role's
//! clock decides which of two is the newer.

mod log;
mod numbers;
mod rows;
mod sort;
mod whole;

use std::{cmp::Reverse, sync::Arc};

use async_trait::async_trait;
use sl_core::{
    catalog::{Account, ApiKey, OverflowLink, Pixel, Postback, SmartLink, Team, Usable},
    ids::{AccountId, ApiKeyId, PixelId, PostbackId, SmartLinkId, TeamId},
    step::AccountSignal,
    time::Timestamp,
};
use sl_store::{Result, StoreError, catalog::Catalog, catalog::Changes};
use tokio::sync::watch;

use self::{
    log::Log,
    rows::{Rows, Stored, plain, with_own},
    sort::{NO_TEAM, Sort},
};
pub(crate) use self::{numbers::Numbers, sort::stamp};
use crate::cql::Cql;

/// The catalog on CQL.
pub(crate) struct CqlCatalog {
    rows: Rows,
    log: Arc<Log>,
    numbers: Numbers,
}

// === impl CqlCatalog ===

impl CqlCatalog {
    pub(crate) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let rows = Rows::new(Arc::clone(&cql)).await?;
        let log = Log::open(Arc::clone(&cql)).await?;
        Ok(Self { rows, log, numbers: Numbers::new(cql).await? })
    }

    /// A signal of a step, which may come again after a crash: entered in the log unless a newer one is known, since the
    /// first time may have ended before that.
    pub(crate) async fn signal_again(&self, signal: &AccountSignal) -> Result<()> {
        self.take_signal(signal, |known| signal.as_of >= known).await.map(drop)
    }

    async fn take_signal(
        &self,
        signal: &AccountSignal,
        is_news: impl FnOnce(Timestamp) -> bool + Send,
    ) -> Result<bool> {
        let id = sort::account(&signal.account);
        let Some((team, stored)) = self.rows.get(Sort::Account, &id).await? else { return Ok(false) };
        if !is_news(account(&stored)?.usable.as_of) {
            return Ok(false);
        }
        let usable = Usable { yes: signal.usable, as_of: signal.as_of };
        self.rows.put_own(Sort::Account, team, &id, &usable, Some(stamp(signal.as_of))).await?;
        self.log.enter(Sort::Account, &id).await?;
        Ok(true)
    }

    async fn list<T>(&self, sort: Sort, team: TeamId, read: impl Fn(&Stored) -> Result<T>) -> Result<Vec<T>> {
        self.rows.list(sort, team).await?.iter().map(read).collect()
    }

    async fn one<T>(&self, sort: Sort, id: &[u8], read: impl Fn(&Stored) -> Result<T>) -> Result<Option<T>> {
        self.rows.get(sort, id).await?.map(|(_, stored)| read(&stored)).transpose()
    }

    /// Everything there is. The end of the log is read first: what is written meanwhile comes again.
    async fn everything(&self) -> Result<Changes> {
        let mut changes = Changes { revision: self.log.last(false).await?, ..Changes::default() };
        for (kind, stored) in self.rows.all().await? {
            if stored.0.is_none() {
                continue;
            }
            if kind == Sort::Link.code() {
                changes.links.push(Arc::new(link(&stored)?));
            } else if kind == Sort::Account.code() {
                changes.accounts.push(account(&stored)?);
            }
        }
        Ok(changes)
    }
}

#[async_trait]
impl Catalog for CqlCatalog {
    async fn put_team(&self, team: Team) -> Result<()> {
        self.rows.put(Sort::Team, NO_TEAM, &sort::number(team.id.0), &team).await
    }

    async fn teams(&self) -> Result<Vec<Team>> {
        self.list(Sort::Team, NO_TEAM, plain).await
    }

    async fn next_key_id(&self) -> Result<ApiKeyId> {
        self.numbers.next("key").await.map(ApiKeyId)
    }

    async fn put_key(&self, key: ApiKey) -> Result<()> {
        let id = sort::number(key.id.0);
        self.rows.note_owner(Sort::KeyHash, key.team, &key.hash, Some(&id)).await?;
        self.rows.put(Sort::Key, key.team, &id, &key).await
    }

    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKey>> {
        let Some((team, Some(id))) = self.rows.owner(Sort::KeyHash, &hash).await? else { return Ok(None) };
        let found = self.rows.of_team(Sort::Key, team, &id).await?;
        // A key whose secret was changed is no longer found by the old one.
        Ok(found.as_ref().map(key).transpose()?.filter(|key| key.hash == hash))
    }

    async fn keys(&self, team: TeamId) -> Result<Vec<ApiKey>> {
        self.list(Sort::Key, team, key).await
    }

    async fn put_account(&self, row: Account) -> Result<()> {
        let id = sort::account(&row.id);
        if self.rows.of_team(Sort::Account, row.team, &id).await?.is_none() {
            let as_of = Some(stamp(row.usable.as_of));
            self.rows.put_own(Sort::Account, row.team, &id, &row.usable, as_of).await?;
        }
        self.rows.put(Sort::Account, row.team, &id, &row).await?;
        self.log.enter(Sort::Account, &id).await
    }

    async fn account(&self, id: &AccountId) -> Result<Option<Account>> {
        self.one(Sort::Account, &sort::account(id), account).await
    }

    async fn accounts(&self, team: TeamId) -> Result<Vec<Account>> {
        self.list(Sort::Account, team, account).await
    }

    async fn signal(&self, signal: AccountSignal) -> Result<bool> {
        self.take_signal(&signal, |known| signal.as_of > known).await
    }

    async fn put_link(&self, row: SmartLink) -> Result<()> {
        let id = sort::link(row.id);
        self.rows.put(Sort::Link, row.team, &id, &row).await?;
        self.log.enter(Sort::Link, &id).await
    }

    async fn link(&self, id: SmartLinkId) -> Result<Option<SmartLink>> {
        self.one(Sort::Link, &sort::link(id), link).await
    }

    async fn links(&self, team: TeamId) -> Result<Vec<SmartLink>> {
        let mut links = self.list(Sort::Link, team, link).await?;
        links.retain(|link| link.deleted_at.is_none());
        links.sort_unstable_by_key(|link| Reverse((link.created_at, link.id)));
        Ok(links)
    }

    async fn set_overflow(&self, id: SmartLinkId, overflow: OverflowLink) -> Result<()> {
        let id = sort::link(id);
        let Some((team, _)) = self.rows.get(Sort::Link, &id).await? else { return Err(StoreError::NotFound) };
        self.rows.put_own(Sort::Link, team, &id, &overflow, None).await?;
        self.log.enter(Sort::Link, &id).await
    }

    async fn changes_since(&self, revision: u64) -> Result<Changes> {
        if revision == 0 {
            return self.everything().await;
        }
        let (entries, revision) = self.log.since(revision).await?;
        let mut changes = Changes { revision, ..Changes::default() };
        for entry in entries {
            if entry.kind == Sort::Link.code() {
                changes.links.extend(self.one(Sort::Link, &entry.id, link).await?.map(Arc::new));
            } else if entry.kind == Sort::Account.code() {
                changes.accounts.extend(self.one(Sort::Account, &entry.id, account).await?);
            }
        }
        Ok(changes)
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.log.revisions()
    }

    async fn next_pixel_id(&self) -> Result<PixelId> {
        self.numbers.next("pixel").await.map(PixelId)
    }

    async fn put_pixel(&self, pixel: Pixel) -> Result<()> {
        self.rows.put(Sort::Pixel, pixel.team, &sort::number(pixel.id.0), &pixel).await
    }

    async fn pixel(&self, id: PixelId) -> Result<Option<Pixel>> {
        let stored: Option<Pixel> = self.one(Sort::Pixel, &sort::number(id.0), plain).await?;
        Ok(stored.filter(|pixel| !pixel.is_deleted))
    }

    async fn pixels(&self, team: TeamId) -> Result<Vec<Pixel>> {
        let mut pixels: Vec<Pixel> = self.list(Sort::Pixel, team, plain).await?;
        pixels.retain(|pixel| !pixel.is_deleted);
        Ok(pixels)
    }

    async fn delete_pixel(&self, id: PixelId) -> Result<()> {
        match self.pixel(id).await? {
            Some(pixel) => self.put_pixel(pixel.remains()).await,
            None => Ok(()),
        }
    }

    async fn deleted_pixel(&self, id: PixelId) -> Result<Option<Pixel>> {
        let stored: Option<Pixel> = self.one(Sort::Pixel, &sort::number(id.0), plain).await?;
        Ok(stored.filter(|pixel| pixel.is_deleted))
    }

    async fn next_postback_id(&self) -> Result<PostbackId> {
        self.numbers.next("postback").await.map(PostbackId)
    }

    async fn put_postback(&self, postback: Postback) -> Result<()> {
        self.rows.put(Sort::Postback, postback.team, &sort::number(postback.id.0), &postback).await
    }

    async fn postback(&self, id: PostbackId) -> Result<Option<Postback>> {
        self.one(Sort::Postback, &sort::number(id.0), plain).await
    }

    async fn postbacks(&self, team: TeamId) -> Result<Vec<Postback>> {
        self.list(Sort::Postback, team, plain).await
    }

    async fn delete_postback(&self, id: PostbackId) -> Result<()> {
        self.rows.remove(Sort::Postback, &sort::number(id.0)).await
    }

    async fn touch_key(&self, id: ApiKeyId, at: Timestamp) -> Result<()> {
        let id = sort::number(id.0);
        let Some((team, _)) = self.rows.get(Sort::Key, &id).await? else { return Err(StoreError::NotFound) };
        self.rows.put_own(Sort::Key, team, &id, &at, Some(stamp(at))).await
    }
}

fn key(stored: &Stored) -> Result<ApiKey> {
    let (mut key, used): (ApiKey, Option<Timestamp>) = with_own(stored)?;
    key.last_used_at = key.last_used_at.max(used);
    Ok(key)
}

fn account(stored: &Stored) -> Result<Account> {
    let (mut account, usable): (Account, Option<Usable>) = with_own(stored)?;
    account.usable = usable.unwrap_or(account.usable);
    Ok(account)
}

fn link(stored: &Stored) -> Result<SmartLink> {
    let (mut link, overflow): (SmartLink, Option<OverflowLink>) = with_own(stored)?;
    link.overflow = overflow.or(link.overflow);
    Ok(link)
}
