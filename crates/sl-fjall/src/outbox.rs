//! What is told to whom: jobs, progress, bodies, attempts.

mod books;
mod lists;
pub(crate) mod write;

use std::{cmp::Reverse, sync::Arc};

use async_trait::async_trait;
use fjall::Readable as _;
use parking_lot::{Mutex, MutexGuard};
use sl_core::{
    delivery::{Attempt, Delivery, Destination, Progress, RenderedRequest},
    ids::{ClickId, DeliveryId, TeamId},
    time::Timestamp,
};
use sl_store::{
    Result, StoreError,
    outbox::{Counts, DeliveryFilter, Outbox},
};

pub(crate) use self::books::Books;
use crate::{
    db::{Db, blocking, commit, failed, put, read},
    layout::{ATTEMPT, Key, LATEST},
};

/// Only the last attempts are shown, so only they are kept.
const KEPT_ATTEMPTS: u32 = 50;

/// The outbox on fjall.
pub(crate) struct FjallOutbox {
    db: Arc<Db>,
    /// Counters that follow every batch. Held over a commit, so that disk and memory change in the same order.
    books: Mutex<Books>,
}

// === impl FjallOutbox ===

impl FjallOutbox {
    pub(crate) fn open(db: Arc<Db>) -> Result<Self> {
        let books = Books::load(&db)?;
        Ok(Self { db, books: Mutex::new(books) })
    }

    /// Locks the counters for a step of the ledger: held until the step is committed.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock()
    }

    fn store_first_body(&self, id: DeliveryId, request: RenderedRequest) -> Result<RenderedRequest> {
        // Under the lock, so that of two callers one is first.
        let books = self.books.lock();
        let key = Key::bare().id(id.to_bytes());
        if let Some(stored) = read(&self.db.bodies, &key)? {
            return Ok(stored);
        }
        let mut batch = self.db.batch();
        put(&mut batch, &self.db.bodies, key, &request)?;
        commit(batch)?;
        drop(books);
        Ok(request)
    }
}

#[async_trait]
impl Outbox for FjallOutbox {
    async fn due_destinations(&self, now: Timestamp) -> Result<Vec<(Destination, Timestamp)>> {
        let mut books = self.books.lock();
        let mut due = books.earliest(&self.db)?;
        due.retain(|(_, at)| *at <= now);
        Ok(due)
    }

    async fn due(&self, destination: Destination, now: Timestamp, limit: usize) -> Result<Vec<Delivery>> {
        let from = self.books.lock().floor(destination);
        lists::due(&self.db, destination, from, now, limit)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        let mut books = self.books.lock();
        Ok(books.earliest(&self.db)?.into_iter().map(|(_, at)| at).min())
    }

    async fn store_body(&self, id: DeliveryId, request: RenderedRequest) -> Result<RenderedRequest> {
        let stored = self.store_first_body(id, request)?;
        // Also when it was there already: whoever wrote it may still be waiting for the disk.
        self.db.synced().await?;
        Ok(stored)
    }

    async fn body(&self, id: DeliveryId) -> Result<Option<RenderedRequest>> {
        read(&self.db.bodies, &Key::bare().id(id.to_bytes()))
    }

    async fn record(&self, id: DeliveryId, attempt: Option<Attempt>, progress: Progress) -> Result<()> {
        let mut books = self.books.lock();
        let mut batch = self.db.batch();
        write::record(&self.db, &mut books, &mut batch, id, attempt.as_ref(), &progress)?;
        commit(batch)
    }

    async fn delivery(&self, team: TeamId, id: DeliveryId) -> Result<Option<Delivery>> {
        Ok(lists::delivery(&self.db.snapshot(), &self.db, id)?.filter(|found| found.job.team == team))
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>> {
        crate::db::scan(&self.db.snapshot(), &self.db.outbox, &Key::table(ATTEMPT).id(id.to_bytes()))
    }

    async fn list(&self, team: TeamId, filter: DeliveryFilter) -> Result<Vec<Delivery>> {
        let db = Arc::clone(&self.db);
        blocking(move || lists::newest(&db, team, &filter)).await
    }

    async fn of_click(&self, team: TeamId, click: ClickId) -> Result<Vec<Delivery>> {
        lists::of_click(&self.db, team, click)
    }

    async fn counts(&self, now: Timestamp) -> Result<Counts> {
        let books = self.books.lock();
        books.counts(&self.db, now)
    }

    async fn latest(&self, destination: Destination) -> Result<Option<(Delivery, RenderedRequest)>> {
        let snapshot = self.db.snapshot();
        let key = Key::table(LATEST).destination(destination);
        let Some(id) = snapshot.get(&self.db.outbox, key).map_err(failed)? else { return Ok(None) };
        let id = <[u8; 16]>::try_from(&*id).map_err(|_| crate::db::damaged("outbox index `latest`"))?;
        let delivery = lists::delivery(&snapshot, &self.db, DeliveryId::from_bytes(id))?;
        let body = crate::db::read_at(&snapshot, &self.db.bodies, &Key::bare().id(id))?;
        Ok(delivery.zip(body))
    }
}

/// Sorts newest first.
fn by_creation(delivery: &Delivery) -> Reverse<(Timestamp, DeliveryId)> {
    Reverse((delivery.job.created_at, delivery.job.id))
}

fn missing() -> StoreError {
    StoreError::NotFound
}
