//! What is told to whom: jobs, progress, bodies, attempts.

mod books;
mod forget;
mod lists;
mod replays;
pub(crate) mod write;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use sl_core::{
    breaker::Resting,
    delivery::{Delivery, Destination, RenderedRequest},
    ids::{AccountId, DeliveryId, FanId},
    time::Timestamp,
};
use sl_store::{
    Result, StoreError,
    outbox::{Change, Outbox, Sending, Waiting},
};

pub(crate) use self::books::Books;
use crate::{
    db::{Db, blocking, commit, failed, put, read},
    layout::{Key, Reader},
};

/// Only the last attempts are shown, so only they are kept.
const KEPT_ATTEMPTS: u32 = 50;

/// The outbox on fjall.
pub(crate) struct FjallOutbox {
    db: Arc<Db>,
    /// Counters that follow every batch. Held over a commit, so that disk and memory change in the same order.
    books: Arc<Mutex<Books>>,
}

// === impl FjallOutbox ===

impl FjallOutbox {
    pub(crate) fn open(db: Arc<Db>) -> Result<Self> {
        let books = Arc::new(Mutex::new(Books::load(&db)?));
        Ok(Self { db, books })
    }

    /// Locks the counters for a step of the ledger: held until the step is committed.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock()
    }

    /// Retention: see [`forget::old`]. Waits for the disk.
    pub(crate) fn forget(&self, before: Timestamp, limit: usize) -> Result<u64> {
        forget::old(&self.db, &mut self.books.lock(), before, limit)
    }

    /// Runs `work` under the lock, on a thread where it may wait for the disk.
    async fn locked<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Db, &mut Books) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (db, books) = (Arc::clone(&self.db), Arc::clone(&self.books));
        blocking(move || work(&db, &mut books.lock())).await
    }
}

#[async_trait]
impl Outbox for FjallOutbox {
    /// `None` also when what comes of it could not be written.
    fn sending(&self, _: Destination) -> Option<Sending> {
        (!self.db.is_known_to_be_poisoned()).then(Sending::default)
    }

    /// An error when nothing is written any more, though it could be read: whoever asks wants to send, and could not record it.
    async fn due_destinations(&self, now: Timestamp) -> Result<Vec<(Destination, Timestamp)>> {
        self.locked(move |db, books| {
            db.writes()?;
            let mut due = books.earliest(db)?;
            due.retain(|(to, at)| *at <= now && !books.rests(*to, now));
            Ok(due)
        })
        .await
    }

    async fn rest(&self, destination: Destination, resting: Option<Resting>) -> Result<()> {
        self.locked(move |db, books| {
            let mut batch = db.batch();
            books.rest(db, &mut batch, destination, resting)?;
            commit(batch)
        })
        .await
    }

    async fn resting(&self) -> Result<Vec<(Destination, Resting)>> {
        Ok(self.books.lock().resting())
    }

    /// An error when nothing is written any more, as above.
    async fn due(&self, destination: Destination, now: Timestamp, limit: usize) -> Result<Vec<Delivery>> {
        let (db, books) = (Arc::clone(&self.db), Arc::clone(&self.books));
        blocking(move || {
            db.writes()?;
            let from = books.lock().floor(destination);
            lists::due(&db, destination, from, now, limit)
        })
        .await
    }

    async fn ahead(&self, after: Timestamp, behind: Option<Waiting>, limit: usize) -> Result<Vec<Delivery>> {
        let (db, books) = (Arc::clone(&self.db), Arc::clone(&self.books));
        blocking(move || {
            let queues = books.lock().destinations();
            lists::ahead(&db, &queues, after, behind, limit)
        })
        .await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.locked(|db, books| {
            let due = books.earliest(db)?;
            Ok(due.into_iter().map(|(to, at)| at.max(books.rested_at(to))).min())
        })
        .await
    }

    async fn store_bodies(&self, bodies: Vec<(DeliveryId, RenderedRequest)>) -> Result<Vec<RenderedRequest>> {
        // Under the lock, so that of two callers one is first.
        let stored = self.locked(move |db, _| first_bodies(db, bodies)).await?;
        // Also when they were there already: whoever wrote them may still be waiting for the disk.
        self.db.synced().await?;
        Ok(stored)
    }

    async fn rewrite(&self, id: DeliveryId, old: RenderedRequest, new: RenderedRequest) -> Result<bool> {
        let key = Key::bare().id(id.to_bytes());
        let is_written = self
            .locked(move |db, _| {
                if read::<RenderedRequest>(&db.bodies, &key)? != Some(old) {
                    return Ok(false);
                }
                let mut batch = db.batch();
                put(&mut batch, &db.bodies, key, &new)?;
                commit(batch)?;
                Ok(true)
            })
            .await?;
        self.db.synced().await?;
        Ok(is_written)
    }

    async fn bodies(&self, ids: Vec<DeliveryId>) -> Result<Vec<Option<RenderedRequest>>> {
        ids.into_iter().map(|id| read(&self.db.bodies, &Key::bare().id(id.to_bytes()))).collect()
    }

    async fn advance_all(&self, changes: Vec<Change>) -> Result<Vec<bool>> {
        let went = self
            .locked(move |db, books| {
                // Asked again and again by whoever has sent something, and the counters would count each time.
                db.writes()?;
                let mut batch = db.batch();
                let went = write::advance(db, books, &mut batch, &changes)?;
                if went.contains(&true) {
                    commit(batch)?;
                }
                Ok(went)
            })
            .await?;
        if self.db.may_trim() {
            // Nobody else's work waits for it.
            let db = Arc::clone(&self.db);
            blocking(move || db.trim_log()).await?;
        }
        Ok(went)
    }

    async fn first_of_fan(
        &self,
        destination: Destination,
        account: &AccountId,
        fan: &FanId,
    ) -> Result<Option<(DeliveryId, Timestamp)>> {
        let first = self.db.outbox.prefix(write::fan_prefix(destination, account, fan)).next();
        let Some((key, due)) = first.map(|row| row.into_inner().map_err(failed)).transpose()? else {
            return Ok(None);
        };
        let due = Reader(&due).at().ok_or_else(|| crate::db::damaged("outbox index of fans"))?;
        Ok(Some((write::id_of(&key)?, due)))
    }
}

fn first_bodies(db: &Db, mut bodies: Vec<(DeliveryId, RenderedRequest)>) -> Result<Vec<RenderedRequest>> {
    let (mut batch, mut new) = (db.batch(), HashMap::new());
    for (nth, (id, request)) in bodies.iter().enumerate() {
        let key = Key::bare().id(id.to_bytes());
        if !new.contains_key(id) && !db.bodies.contains_key(&key).map_err(failed)? {
            put(&mut batch, &db.bodies, key, request)?;
            new.insert(*id, nth);
        }
    }
    commit(batch)?;
    for (nth, (id, request)) in bodies.iter_mut().enumerate() {
        if new.get(id) != Some(&nth) {
            *request = read(&db.bodies, &Key::bare().id(id.to_bytes()))?.ok_or_else(missing)?;
        }
    }
    Ok(bodies.into_iter().map(|(_, request)| request).collect())
}

fn missing() -> StoreError {
    StoreError::NotFound
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sl_core::ids::PostbackId;
    use tempfile::TempDir;

    use super::*;
    use crate::handle::FjallOptions;

    const TO: Destination = Destination::Postback(PostbackId(1));

    /// A store that can't write: its directory is gone, as its thread finds out.
    async fn poisoned() -> FjallOutbox {
        let dir = TempDir::new().unwrap();
        let db = Arc::new(Db::open(dir.path(), &FjallOptions::default()).unwrap());
        let outbox = FjallOutbox::open(Arc::clone(&db)).unwrap();
        outbox.store_body(DeliveryId::from_bytes([1; 16]), RenderedRequest::default()).await.unwrap();
        assert_eq!(outbox.due_destinations(Timestamp(1)).await, Ok(Vec::new()));
        assert!(outbox.sending(TO).is_some());
        dir.close().unwrap();
        let _ = db.bodies.rotate_memtable();
        let found_out = async {
            while !db.is_poisoned() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), found_out).await.unwrap();
        outbox
    }

    #[tokio::test]
    async fn nothing_is_handed_out_to_be_sent_when_what_comes_of_it_could_not_be_written() {
        let outbox = poisoned().await;
        let refused = Err(failed(fjall::Error::Poisoned));
        assert_eq!(outbox.due_destinations(Timestamp(1)).await, refused);
        assert_eq!(outbox.due(TO, Timestamp(1), 10).await.map(drop), refused.map(drop));
        assert!(outbox.sending(TO).is_none());
        let body = outbox.body(DeliveryId::from_bytes([1; 16])).await;
        assert!(body.unwrap().is_some(), "people may read on");
    }
}
