//! The deliveries themselves: attribution's cause, the workers' progress.
//!
//! Progress is compared and set by a conditional write on the delivery. The fence of a shard would not do: an API that
//! replays and a worker that sends change the same delivery, and only one of them has a shard. It costs four
//! exchanges between servers, beside an attempt that has gone over the internet.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scylla::{DeserializeRow, value::CqlValue};
use sl_core::{
    delivery::{Attempt, Delivery, Job, Progress, RenderedRequest},
    ids::DeliveryId,
};
use sl_store::{Result, moving::WholeDelivery};

use crate::{
    codec::{decode, encode},
    cql::Cql,
    statements::{Tries, statements},
    writes::{Write, blob},
};

/// Only the last attempts are shown, so only they are kept.
const KEPT_ATTEMPTS: usize = 50;
/// Deliveries read at once.
const AT_ONCE: usize = 32;

statements!(Statements {
    put_job: Write "UPDATE deliveries USING TIMESTAMP ? SET job = ? WHERE id = ?";
    put_progress: Write "UPDATE deliveries USING TIMESTAMP ? SET change = 1, progress = ?, attempts = ? WHERE id = ?";
    put_first_body: Write "UPDATE deliveries USING TIMESTAMP ? SET body = ? WHERE id = ?";
    job_time: Read "SELECT WRITETIME(job) FROM deliveries WHERE id = ?";
    read: Read "SELECT job, WRITETIME(job) AS made, change, progress FROM deliveries WHERE id = ?";
    read_serial: SerialRead "SELECT job, WRITETIME(job) AS made, change, progress FROM deliveries WHERE id = ?";
    advance: Compare "UPDATE deliveries SET change = ?, progress = ?, attempts = ? WHERE id = ? IF change = ?";
    advance_and_forget_body: Compare "UPDATE deliveries SET change = ?, progress = ?, attempts = ?, body = null
        WHERE id = ? IF change = ?";
    take_number: Compare "UPDATE deliveries SET change = ? WHERE id = ? IF change = ?";
    attempts: Read "SELECT attempts FROM deliveries WHERE id = ?";
    put_body: Compare "UPDATE deliveries SET body = ? WHERE id = ? IF body = null";
    rewrite: Compare "UPDATE deliveries SET body = ? WHERE id = ? IF body = ?";
    body: Read "SELECT body FROM deliveries WHERE id = ?";
    body_serial: SerialRead "SELECT body FROM deliveries WHERE id = ?";
    remove: Compare "DELETE FROM deliveries WHERE id = ? IF change = ?";
    give_up: Compare "DELETE change, progress, attempts FROM deliveries WHERE id = ? IF change = ? AND job = null";
});

#[derive(DeserializeRow)]
struct Columns {
    job: Option<Vec<u8>>,
    made: Option<i64>,
    change: Option<i64>,
    progress: Option<Vec<u8>>,
}

/// A delivery as it was read.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) delivery: Delivery,
    /// The time its job was written with.
    pub(super) made: i64,
    /// Number of its last change; `None` for an untouched job.
    pub(super) change: Option<i64>,
}

/// What the table has under a delivery's id.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Is(Box<Found>),
    /// A renewal has taken the id, by the change of that number, and is about to write the job.
    Begun(i64),
    Empty,
}

/// The table.
pub(super) struct Deliveries {
    cql: Arc<Cql>,
    statements: Statements,
}

// === impl Found ===

impl Found {
    /// The time of index rows that the last change has added.
    pub(super) fn added(&self) -> i64 {
        self.made + 2 * self.change.unwrap_or(0) + 1
    }

    /// The time of index rows that the last change has removed or altered.
    pub(super) fn altered(&self) -> i64 {
        self.made + 2 * self.change.unwrap_or(0)
    }

    /// The delivery after its next change, to progress `to`.
    pub(super) fn changed(&self, to: Progress) -> Self {
        let delivery = Delivery { progress: to, ..self.delivery.clone() };
        Self { delivery, made: self.made, change: Some(self.change.unwrap_or(0) + 1) }
    }
}

// === impl Deliveries ===

impl Deliveries {
    pub(super) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { cql, statements })
    }

    pub(super) fn put_job(&self, job: &Job, time: i64) -> Result<Write> {
        let values = [CqlValue::BigInt(time), blob(encode(job)?), blob(job.id.to_bytes())];
        Ok(Write::new(&self.statements.put_job, values))
    }

    /// Progress, attempts and body of a delivery that nobody works at yet. These are cells of conditional writes, which the
    /// servers give their own times: `time` is far before any of those.
    pub(super) fn put_whole(&self, whole: &WholeDelivery, time: i64) -> Result<Vec<Write>> {
        let mut writes = Vec::new();
        let (id, first) = (blob(whole.delivery.job.id.to_bytes()), CqlValue::BigInt(time));
        if whole.is_touched {
            let values =
                [blob(encode(&whole.delivery.progress)?), blob(encode(&whole.attempts)?), id.clone()];
            let values = std::iter::once(first.clone()).chain(values);
            writes.push(Write::new(&self.statements.put_progress, values));
        }
        if let Some(body) = &whole.body {
            writes.push(Write::new(&self.statements.put_first_body, [first, blob(encode(body)?), id]));
        }
        Ok(writes)
    }

    /// Whether a job is there.
    pub(super) async fn is_known(&self, id: DeliveryId) -> Result<bool> {
        let found: Option<(Option<i64>,)> = self.cql.row(&self.statements.job_time, (key(id),)).await?;
        Ok(found.is_some_and(|(time,)| time.is_some()))
    }

    pub(super) async fn slot(&self, id: DeliveryId, serial: bool) -> Result<Slot> {
        let statement = if serial { &self.statements.read_serial } else { &self.statements.read };
        let found: Option<Columns> = self.cql.row(statement, (key(id),)).await?;
        let Some(Columns { job, made, change, progress }) = found else { return Ok(Slot::Empty) };
        let (Some(job), Some(made)) = (job, made) else {
            return Ok(change.map_or(Slot::Empty, Slot::Begun));
        };
        let job: Job = decode(&job)?;
        let progress = match progress {
            Some(progress) => decode(&progress)?,
            None => Progress::of(&job),
        };
        Ok(Slot::Is(Box::new(Found { delivery: Delivery { job, progress }, made, change })))
    }

    pub(super) async fn get(&self, id: DeliveryId) -> Result<Option<Found>> {
        match self.slot(id, false).await? {
            Slot::Is(found) => Ok(Some(*found)),
            Slot::Begun(_) | Slot::Empty => Ok(None),
        }
    }

    /// Several, in the order asked for.
    pub(super) async fn slots(&self, ids: Vec<DeliveryId>) -> Result<Vec<Slot>> {
        stream::iter(ids).map(|id| self.slot(id, false)).buffered(AT_ONCE).try_collect().await
    }

    /// Sets the progress of a delivery whose last change is still `from`; `false` otherwise.
    pub(super) async fn advance(
        &self,
        id: DeliveryId,
        from: Option<i64>,
        to: &Progress,
        attempts: Option<&[Attempt]>,
        forget_body: bool,
    ) -> Result<bool> {
        let statement = match forget_body {
            true => &self.statements.advance_and_forget_body,
            false => &self.statements.advance,
        };
        let attempts = attempts.map(|attempts| encode(&attempts)).transpose()?;
        let values = (from.unwrap_or(0) + 1, encode(to)?, attempts, key(id), from);
        self.cql.compare(statement, values).await
    }

    /// Takes the number of the next change without changing anything, if that is still free: whoever was about to make that
    /// change is refused, and reads again.
    pub(super) async fn take_number(&self, id: DeliveryId, from: Option<i64>) -> Result<bool> {
        self.cql.compare(&self.statements.take_number, (from.unwrap_or(0) + 1, key(id), from)).await
    }

    pub(super) async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>> {
        let found: Option<(Option<Vec<u8>>,)> = self.cql.row(&self.statements.attempts, (key(id),)).await?;
        found.and_then(|(attempts,)| attempts).map_or_else(|| Ok(Vec::new()), |attempts| decode(&attempts))
    }

    /// The attempts with one more.
    pub(super) async fn attempts_with(&self, id: DeliveryId, new: Option<&Attempt>) -> Result<Vec<Attempt>> {
        let mut attempts = self.attempts(id).await?;
        attempts.extend(new.cloned());
        attempts.drain(..attempts.len().saturating_sub(KEPT_ATTEMPTS));
        Ok(attempts)
    }

    /// Keeps the first body there is, and returns it.
    pub(super) async fn first_body(
        &self,
        id: DeliveryId,
        request: RenderedRequest,
    ) -> Result<RenderedRequest> {
        let (mut tries, bytes) = (Tries::of("the body of a delivery"), encode(&request)?);
        loop {
            let once = async {
                if self.cql.compare(&self.statements.put_body, (&bytes, key(id))).await? {
                    return Ok(Some(request.clone()));
                }
                // Somebody's, or our own when a try before was applied after all.
                self.read_body(id, true).await
            };
            if let Some(stored) = tries.settled(once.await).await? {
                return Ok(stored);
            }
        }
    }

    /// Writes `new` in the place of `old`, if that is what is stored.
    pub(super) async fn rewrite(
        &self,
        id: DeliveryId,
        old: &RenderedRequest,
        new: &RenderedRequest,
    ) -> Result<bool> {
        let mut tries = Tries::of("a request written anew");
        let (old, bytes) = (encode(old)?, encode(new)?);
        loop {
            let once = async {
                if self.cql.compare(&self.statements.rewrite, (&bytes, key(id), &old)).await? {
                    return Ok(Some(true));
                }
                // Somebody's, or our own when a try before was applied after all.
                Ok(Some(self.read_body(id, true).await?.as_ref() == Some(new)))
            };
            if let Some(is_written) = tries.settled(once.await).await? {
                return Ok(is_written);
            }
        }
    }

    pub(super) async fn body(&self, id: DeliveryId) -> Result<Option<RenderedRequest>> {
        self.read_body(id, false).await
    }

    async fn read_body(&self, id: DeliveryId, serial: bool) -> Result<Option<RenderedRequest>> {
        let statement = if serial { &self.statements.body_serial } else { &self.statements.body };
        let found: Option<(Option<Vec<u8>>,)> = self.cql.row(statement, (key(id),)).await?;
        found.and_then(|(body,)| body).map(|body| decode(&body)).transpose()
    }

    /// Removes a delivery whose last change is still `change`, with body and attempts.
    pub(super) async fn remove(&self, id: DeliveryId, change: Option<i64>) -> Result<bool> {
        self.cql.compare(&self.statements.remove, (key(id), change)).await
    }

    /// Gives an id back that was taken by that change and has no job to this day.
    pub(super) async fn give_up(&self, id: DeliveryId, change: i64) -> Result<bool> {
        self.cql.compare(&self.statements.give_up, (key(id), change)).await
    }
}

fn key(id: DeliveryId) -> Vec<u8> {
    id.to_bytes().to_vec()
}
