//! Attribution's memory and its atomic steps (decisions 45).
//!
//! A step is four things, one after the other: (a) raw click rows and the redo record, which holds everything else as
//! absolute values; (b) the commit, one conditional write; (c) what the redo record says; (d) the end, when all of it is
//! acknowledged. Whoever finds a committed step that may be unfinished does (c) again before anything else: its writes
//! carry the step's number as their time, so that once is the same as often, and a late one loses.

mod absolute;
mod begin;
mod head;
mod memory;
mod parts;
mod raw;
mod redo;
mod sums;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use sl_core::{
    event::Position,
    step::{StateBytes, StateKey, Step},
};
use sl_store::{
    Result, StoreError,
    ledger::{Ledger, Opened},
};
use tokio::sync::Mutex;

pub(crate) use self::{absolute::Absolute, raw::place_key, sums::FAN_SLICES};
use self::{
    begin::Begin,
    head::{Head, Heads, Progress},
    memory::Pieces,
    parts::Parts,
    raw::Raw,
    redo::Redo,
    sums::Sums,
};
use crate::{
    cql::Cql,
    effects::{Effects, Work},
};

/// How long the server keeps what goes by its age: seconds, 0 for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ttls {
    /// Raw click rows.
    pub(crate) clicks: i32,
    /// Memory of visitors who are bound to no fan, since it was last written.
    pub(crate) visitors: i32,
}

/// One owner's ledger.
pub(crate) struct CqlLedger {
    cql: Arc<Cql>,
    /// Differs from every other owner's, of this process or another.
    owner: String,
    heads: Heads,
    pieces: Pieces,
    raw: Raw,
    sums: Sums,
    begin: Begin,
    effects: Effects,
    streams: parking_lot::Mutex<HashMap<u32, Arc<Mutex<Standing>>>>,
}

/// How this owner stands with a stream partition.
#[derive(Default)]
enum Standing {
    /// It is somebody else's, or nobody's.
    #[default]
    Out,
    /// It is ours, and all is written.
    Owned(Box<Owned>),
    /// It was ours when last heard of, but a write got no answer.
    Unsure,
}

/// What an owner remembers between steps.
struct Owned {
    number: i64,
    progress: Progress,
    dead_letters: i64,
    parts: Parts,
}

// === impl CqlLedger ===

impl CqlLedger {
    pub(crate) async fn new(cql: Arc<Cql>, effects: Effects, ttls: Ttls) -> Result<Self> {
        let owner = format!("{}-{}", cql.session().session_id(), cql.micros());
        Ok(Self {
            heads: Heads::prepare(&cql).await?,
            pieces: Pieces::new(&cql, ttls.visitors).await?,
            raw: Raw::new(&cql, ttls.clicks).await?,
            sums: Sums::new(&cql).await?,
            begin: Begin::prepare(&cql).await?,
            effects,
            streams: parking_lot::Mutex::default(),
            cql,
            owner,
        })
    }

    fn standing(&self, partition: u32) -> Arc<Mutex<Standing>> {
        Arc::clone(self.streams.lock().entry(partition).or_default())
    }

    /// A number above `last`, and the time if it is above that: see the crate's page.
    fn number_after(&self, last: i64) -> i64 {
        self.cql.micros().max(last.saturating_add(1))
    }

    /// Takes the partition over, whoever had it.
    async fn take_over(&self, stream: i32) -> Result<Owned> {
        let head = self.heads.read(&self.cql, stream).await?;
        if let Some(head) = &head {
            self.complete(stream, head).await?;
        }
        let from = head.as_ref().map(|head| head.number);
        let progress = head.as_ref().map(|head| head.progress.clone()).unwrap_or_default();
        let number = self.number_after(from.unwrap_or(0));
        let to = Head { number, owner: self.owner.clone(), redo: false, progress };
        if !self.heads.commit(&self.cql, stream, from, &to).await? {
            return Err(StoreError::Unavailable(format!(
                "stream partition {stream} was taken by another owner at the same moment"
            )));
        }
        if let Some(before) = head.filter(|head| head.owner != self.owner) {
            self.heads.drop_redo(&self.cql, stream, &before.owner, number).await?;
        }
        self.owned(stream, to).await
    }

    async fn owned(&self, stream: i32, head: Head) -> Result<Owned> {
        let dead_letters = self.begin.dead_letters(&self.cql, stream).await?;
        let Head { number, progress, .. } = head;
        Ok(Owned { number, progress, dead_letters, parts: Parts::default() })
    }

    /// Writes again what the last committed step writes, if its owner may not have come to the end of that.
    async fn complete(&self, stream: i32, head: &Head) -> Result<()> {
        if !head.redo {
            return Ok(());
        }
        match self.heads.redo(&self.cql, stream, &head.owner).await? {
            Some((number, body)) if number == head.number => {
                self.write(stream, &Redo::decode(&body)?, number).await
            }
            // The next step was begun, which is done only once all of this one is written.
            Some((number, _)) if number > head.number => Ok(()),
            // It was there before the commit: a replica that has it is not among those that answer (a datacentre whose
            // copy lags behind).
            _ => Err(StoreError::Unavailable(format!(
                "the redo record of step {} of stream partition {stream} can't be read yet",
                head.number
            ))),
        }
    }

    /// After a write that did not come back: finds out whether it happened.
    async fn settle(&self, stream: i32) -> Result<Owned> {
        let head = self.heads.read(&self.cql, stream).await?.filter(|head| head.owner == self.owner);
        let head = head.ok_or_else(|| fenced(stream))?;
        self.complete(stream, &head).await?;
        self.owned(stream, head).await
    }

    /// A whole step. On any error what happened is unknown.
    async fn step(&self, stream: i32, owned: &mut Owned, step: Step) -> Result<()> {
        // Whoever lost the partition leaves no rows behind. The commit below is what keeps it out for certain.
        let head = self.heads.glance(&self.cql, stream).await?;
        if head.is_none_or(|head| head.number != owned.number || head.owner != self.owner) {
            return Err(fenced(stream));
        }
        let number = self.number_after(owned.number);
        let progress = Progress::after(&step);
        let (mut redo, rows) = self.begin.redo(&self.cql, &self.effects, owned, step).await?;
        // (a)
        let mut writes = self.raw.writes(&rows, number)?;
        writes.push(self.heads.put_redo(stream, &self.owner, number, redo.encode()?));
        self.cql.write_all(writes).await?;
        // (b)
        let to = Head { number, owner: self.owner.clone(), redo: true, progress };
        if !self.heads.commit(&self.cql, stream, Some(owned.number), &to).await? {
            return Err(fenced(stream));
        }
        // (c)
        self.write(stream, &redo, number).await?;
        // (d)
        (owned.number, owned.progress) = (number, to.progress);
        owned.dead_letters = redo.dead_letter_count.unwrap_or(owned.dead_letters);
        Ok(())
    }

    async fn write(&self, stream: i32, redo: &Redo, number: i64) -> Result<()> {
        let mut writes = Vec::with_capacity(redo.state.0.len() + 64);
        self.pieces.writes(stream, &redo.state.0, number, &mut writes);
        writes.extend(redo.marks.iter().map(|(mark, part)| self.raw.mark(mark, *part, number)));
        for (link, sort, span, part) in &redo.parts {
            writes.push(self.raw.list_part(&link.to_bytes(), *sort, *span, *part, number));
        }
        self.sums.writes(stream, redo, number, &mut writes)?;
        let work = Work {
            jobs: &redo.jobs,
            given: &redo.given,
            unmatched: &redo.unmatched,
            matched: &redo.matched,
            signals: &redo.signals,
            list_adds: &redo.list_adds,
        };
        tokio::try_join!(self.cql.write_all(writes), self.effects.write(work, number))?;
        Ok(())
    }
}

#[async_trait]
impl Ledger for CqlLedger {
    async fn open(&self, partition: u32) -> Result<Opened> {
        let stream = stream(partition)?;
        let standing = self.standing(partition);
        let mut standing = standing.lock().await;
        *standing = Standing::Out;
        let owned = self.take_over(stream).await?;
        let Progress { position, applied } = owned.progress.clone();
        *standing = Standing::Owned(Box::new(owned));
        Ok(Opened { position, applied })
    }

    async fn load(&self, partition: u32, keys: Vec<StateKey>) -> Result<Vec<Option<StateBytes>>> {
        self.pieces.load(&self.cql, stream(partition)?, &keys).await
    }

    async fn apply(&self, step: Step) -> Result<()> {
        let stream = stream(step.partition)?;
        let standing = self.standing(step.partition);
        let mut standing = standing.lock().await;
        // Until the end of this call, and for good when it is broken off.
        let mut owned = match std::mem::replace(&mut *standing, Standing::Unsure) {
            Standing::Out => {
                *standing = Standing::Out;
                return Err(fenced(stream));
            }
            Standing::Unsure => Box::new(self.settle(stream).await.inspect_err(|error| {
                if matches!(error, StoreError::Fenced(_)) {
                    *standing = Standing::Out;
                }
            })?),
            Standing::Owned(owned) => owned,
        };
        let (epoch, present) = (step.position.epoch, owned.progress.position.epoch);
        if epoch < present {
            *standing = Standing::Owned(owned);
            return Err(StoreError::Fenced(format!(
                "stream partition {stream} stands in epoch {present}, and a step of epoch {epoch} came: its maker reads what \
                 the stream was before"
            )));
        }
        // Applied before, by this very stream: a replay changes nothing (promise 5). In the middle of a batch positions
        // stay the same, so one that is equal is a step of its own.
        if step.position >= owned.progress.position
            && let Err(error) = self.step(stream, &mut owned, step).await
        {
            if matches!(error, StoreError::Fenced(_)) {
                *standing = Standing::Out;
            }
            return Err(error);
        }
        *standing = Standing::Owned(owned);
        Ok(())
    }

    /// A write is acknowledged once a quorum of replicas has it in its log, and a step once all its writes are: nothing is
    /// left to be done. (How often a replica syncs its log is the operator's: `commitlog_sync`.)
    async fn sync(&self, partition: u32) -> Result<Position> {
        if let Standing::Owned(owned) = &*self.standing(partition).lock().await {
            return Ok(owned.progress.position);
        }
        // Everybody who shows progress asks, twice a second: a commit under way may count a moment later.
        let head = self.heads.glance(&self.cql, stream(partition)?).await?;
        Ok(head.map(|head| head.progress.position).unwrap_or_default())
    }
}

/// The partition as CQL has it, signed.
fn stream(partition: u32) -> Result<i32> {
    i32::try_from(partition)
        .map_err(|_| StoreError::Damaged(format!("stream partition {partition}: too large")))
}

fn fenced(stream: i32) -> StoreError {
    StoreError::Fenced(format!("stream partition {stream} was opened by another owner"))
}
