//! What people configure: rows in memory, every write in one synced batch.

mod rows;
mod table;

use std::sync::Arc;

use async_trait::async_trait;
use fjall::OwnedWriteBatch;
use parking_lot::{Mutex, MutexGuard};
use sl_core::{
    catalog::{Account, ApiKey, OverflowLink, Pixel, Postback, SmartLink, Team},
    ids::{AccountId, ApiKeyId, PixelId, PostbackId, SmartLinkId, TeamId},
    step::AccountSignal,
    time::Timestamp,
};
use sl_store::{Result, StoreError, catalog::Catalog, catalog::Changes};
use tokio::sync::watch;

pub(crate) use self::{
    rows::{Rows, Versioned},
    table::Table,
};
use crate::db::{Db, commit, put};

/// The catalog on fjall.
pub(crate) struct FjallCatalog {
    db: Arc<Db>,
    /// Held over a commit, so that disk and memory change in the same order.
    rows: Mutex<Rows>,
    revisions: watch::Sender<u64>,
}

// === impl FjallCatalog ===

impl FjallCatalog {
    pub(crate) fn open(db: Arc<Db>) -> Result<Self> {
        let rows = Rows::load(&db)?;
        let revisions = watch::Sender::new(rows.revision);
        Ok(Self { db, rows: Mutex::new(rows), revisions })
    }

    /// Draws a number that was never drawn before, also by an earlier process.
    async fn next(&self, counter: &'static str) -> Result<u64> {
        let number = {
            let rows = self.rows.lock();
            let number = self.db.counter(counter)? + 1;
            let mut batch = self.db.batch();
            self.db.set_counter(&mut batch, counter, number)?;
            commit(batch)?;
            drop(rows);
            number
        };
        self.db.synced().await?;
        Ok(number)
    }

    /// Changes a link under the lock, gives it a new revision and waits for the disk.
    async fn change_link(
        &self,
        id: SmartLinkId,
        change: impl FnOnce(Option<&SmartLink>) -> Option<SmartLink> + Send,
    ) -> Result<()> {
        {
            let mut rows = self.rows.lock();
            let Some(row) = change(rows.link(id)) else {
                return Err(StoreError::NotFound);
            };
            let link = Versioned { revision: rows.revision + 1, row };
            let mut batch = self.db.batch();
            put(&mut batch, &self.db.catalog, Table::Link.ulid(id.to_bytes()), &link)?;
            commit(batch)?;
            rows.set_link(link);
            self.announce(&rows);
        }
        self.db.synced().await
    }

    fn write_account(&self, rows: &mut Rows, row: Account) -> Result<()> {
        let mut batch = self.db.batch();
        self.stage_account(rows, &mut batch, row)?;
        commit(batch)?;
        self.announce(rows);
        Ok(())
    }

    fn stage_account(&self, rows: &mut Rows, batch: &mut OwnedWriteBatch, row: Account) -> Result<()> {
        let account = Versioned { revision: rows.revision + 1, row };
        put(batch, &self.db.catalog, Table::Account.text(account.row.id.as_str()), &account)?;
        rows.set_account(account);
        Ok(())
    }

    /// Locks the rows for a step of the ledger: held until the step is committed.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock()
    }

    /// Adds a signal to a batch if it is newer than what is known; `true` if it was.
    pub(crate) fn stage_signal(
        &self,
        rows: &mut Rows,
        batch: &mut OwnedWriteBatch,
        signal: &AccountSignal,
    ) -> Result<bool> {
        let Some(account) = rows.accounts.get(&signal.account) else { return Ok(false) };
        if signal.as_of <= account.row.usable.as_of {
            return Ok(false);
        }
        let mut row = account.row.clone();
        row.usable.yes = signal.usable;
        row.usable.as_of = signal.as_of;
        self.stage_account(rows, batch, row)?;
        Ok(true)
    }

    /// Tells everybody who waits for a new revision.
    pub(crate) fn announce(&self, rows: &Rows) {
        self.revisions.send_if_modified(|known| {
            let newer = *known != rows.revision;
            *known = rows.revision;
            newer
        });
    }

    /// Writes one row of a table without revisions, in memory by `set`.
    async fn write<T: serde::Serialize + Sync>(
        &self,
        key: crate::layout::Key,
        row: &T,
        set: impl FnOnce(&mut Rows) + Send,
    ) -> Result<()> {
        {
            let mut rows = self.rows.lock();
            let mut batch = self.db.batch();
            put(&mut batch, &self.db.catalog, key, row)?;
            commit(batch)?;
            set(&mut rows);
        }
        self.db.synced().await
    }

    /// Removes one row of a table without revisions, in memory by `forget`.
    async fn remove(&self, key: crate::layout::Key, forget: impl FnOnce(&mut Rows) + Send) -> Result<()> {
        {
            let mut rows = self.rows.lock();
            let mut batch = self.db.batch();
            batch.remove(&self.db.catalog, key);
            commit(batch)?;
            forget(&mut rows);
        }
        self.db.synced().await
    }
}

#[async_trait]
impl Catalog for FjallCatalog {
    async fn put_team(&self, team: Team) -> Result<()> {
        let row = team.clone();
        self.write(Table::Team.number(team.id.0), &row, |rows| {
            rows.teams.insert(team.id, team);
        })
        .await
    }

    async fn teams(&self) -> Result<Vec<Team>> {
        Ok(self.rows.lock().teams.values().cloned().collect())
    }

    async fn next_key_id(&self) -> Result<ApiKeyId> {
        self.next("key").await.map(ApiKeyId)
    }

    async fn put_key(&self, key: ApiKey) -> Result<()> {
        let row = key.clone();
        self.write(Table::ApiKey.number(key.id.0), &row, |rows| rows.set_key(key)).await
    }

    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKey>> {
        Ok(self.rows.lock().key_by_hash(&hash))
    }

    async fn keys(&self, team: TeamId) -> Result<Vec<ApiKey>> {
        Ok(self.rows.lock().keys.values().filter(|key| key.team == team).cloned().collect())
    }

    async fn put_account(&self, mut account: Account) -> Result<()> {
        {
            let mut rows = self.rows.lock();
            if let Some(known) = rows.accounts.get(&account.id) {
                account.usable = known.row.usable;
            }
            self.write_account(&mut rows, account)?;
        }
        self.db.synced().await
    }

    async fn account(&self, id: &AccountId) -> Result<Option<Account>> {
        Ok(self.rows.lock().accounts.get(id).map(|account| account.row.clone()))
    }

    async fn accounts(&self, team: TeamId) -> Result<Vec<Account>> {
        let rows = self.rows.lock();
        Ok(rows
            .accounts
            .values()
            .map(|account| &account.row)
            .filter(|row| row.team == team)
            .cloned()
            .collect())
    }

    async fn signal(&self, signal: AccountSignal) -> Result<bool> {
        let taken = {
            let mut rows = self.rows.lock();
            let mut batch = self.db.batch();
            let taken = self.stage_signal(&mut rows, &mut batch, &signal)?;
            commit(batch)?;
            self.announce(&rows);
            taken
        };
        if taken {
            self.db.synced().await?;
        }
        Ok(taken)
    }

    async fn put_link(&self, mut link: SmartLink) -> Result<()> {
        self.change_link(link.id, move |known| {
            if let Some(known) = known {
                link.overflow.clone_from(&known.overflow);
            }
            Some(link)
        })
        .await
    }

    async fn link(&self, id: SmartLinkId) -> Result<Option<SmartLink>> {
        Ok(self.rows.lock().link(id).cloned())
    }

    async fn links(&self, team: TeamId) -> Result<Vec<SmartLink>> {
        Ok(self.rows.lock().live_links(team))
    }

    async fn set_overflow(&self, id: SmartLinkId, overflow: OverflowLink) -> Result<()> {
        self.change_link(id, move |known| {
            known.map(|known| SmartLink { overflow: Some(overflow), ..known.clone() })
        })
        .await
    }

    async fn changes_since(&self, revision: u64) -> Result<Changes> {
        Ok(self.rows.lock().changes_since(revision))
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.revisions.subscribe()
    }

    async fn next_pixel_id(&self) -> Result<PixelId> {
        self.next("pixel").await.map(PixelId)
    }

    async fn put_pixel(&self, pixel: Pixel) -> Result<()> {
        let row = pixel.clone();
        self.write(Table::Pixel.number(pixel.id.0), &row, |rows| {
            rows.pixels.insert(pixel.id, pixel);
        })
        .await
    }

    async fn pixel(&self, id: PixelId) -> Result<Option<Pixel>> {
        Ok(self.rows.lock().pixels.get(&id).filter(|pixel| !pixel.is_deleted).cloned())
    }

    async fn pixels(&self, team: TeamId) -> Result<Vec<Pixel>> {
        let rows = self.rows.lock();
        let own = rows.pixels.values().filter(|pixel| pixel.team == team && !pixel.is_deleted);
        Ok(own.cloned().collect())
    }

    async fn delete_pixel(&self, id: PixelId) -> Result<()> {
        match self.pixel(id).await? {
            Some(pixel) => self.put_pixel(pixel.remains()).await,
            None => Ok(()),
        }
    }

    async fn deleted_pixel(&self, id: PixelId) -> Result<Option<Pixel>> {
        Ok(self.rows.lock().pixels.get(&id).filter(|pixel| pixel.is_deleted).cloned())
    }

    async fn next_postback_id(&self) -> Result<PostbackId> {
        self.next("postback").await.map(PostbackId)
    }

    async fn put_postback(&self, postback: Postback) -> Result<()> {
        let row = postback.clone();
        self.write(Table::Postback.number(postback.id.0), &row, |rows| {
            rows.postbacks.insert(postback.id, postback);
        })
        .await
    }

    async fn postback(&self, id: PostbackId) -> Result<Option<Postback>> {
        Ok(self.rows.lock().postbacks.get(&id).cloned())
    }

    async fn postbacks(&self, team: TeamId) -> Result<Vec<Postback>> {
        Ok(self.rows.lock().postbacks.values().filter(|postback| postback.team == team).cloned().collect())
    }

    async fn delete_postback(&self, id: PostbackId) -> Result<()> {
        self.remove(Table::Postback.number(id.0), |rows| {
            rows.postbacks.remove(&id);
        })
        .await
    }

    /// Not synced: a lost minute of `last_used_at` is no loss.
    async fn touch_key(&self, id: ApiKeyId, at: Timestamp) -> Result<()> {
        let mut rows = self.rows.lock();
        let Some(key) = rows.keys.get_mut(&id) else { return Err(StoreError::NotFound) };
        if key.last_used_at.is_none_or(|known| known < at) {
            key.last_used_at = Some(at);
            let mut batch = self.db.batch();
            put(&mut batch, &self.db.catalog, Table::ApiKey.number(id.0), &*key)?;
            commit(batch)?;
        }
        Ok(())
    }
}
