//! Rows of the ledger that come from another store: written as a step writes them, without being one. Nobody has opened a
//! partition yet, so there is nothing to be fenced from, and nothing to be done again: the mover comes with the same rows.

use std::sync::Arc;

use scylla::statement::prepared::PreparedStatement;
use sl_core::{
    applied::Applied,
    conversion::FanProfile,
    event::Position,
    ids::{AccountId, FanId},
    step::Step,
};
use sl_store::{Result, StoreError, moving::Piece};
use tokio::sync::Mutex;

use super::{
    Ttls, begin,
    head::{Head, Heads, Progress},
    memory::Pieces,
    parts::{LAST, Parts},
    raw::Raw,
    redo::Redo,
    stream,
    sums::Sums,
};
use crate::{cql::Cql, profiles::Kind};

/// Whose step the first owner of a partition finds.
const OWNER: &str = "moved";

/// Writes them.
pub(crate) struct Absolute {
    cql: Arc<Cql>,
    pieces: Pieces,
    raw: Raw,
    sums: Sums,
    heads: Heads,
    ask: PreparedStatement,
    parts: Mutex<Parts>,
}

// === impl Absolute ===

impl Absolute {
    pub(crate) async fn new(cql: Arc<Cql>, ttls: Ttls) -> Result<Self> {
        Ok(Self {
            pieces: Pieces::new(&cql, ttls.visitors).await?,
            raw: Raw::new(&cql, ttls.clicks).await?,
            sums: Sums::new(&cql).await?,
            heads: Heads::prepare(&cql).await?,
            ask: cql.prepare(Kind::Read, LAST).await?,
            parts: Mutex::default(),
            cql,
        })
    }

    /// What a step has for reports: clicks, conversions, fans, sums, dead letters.
    pub(crate) async fn reports(&self, mut step: Step, number: i64) -> Result<()> {
        let (clicks, mut redo) = {
            let mut parts = self.parts.lock().await;
            parts.ask(&self.cql, &self.ask, begin::spans(&step)).await?;
            let clicks = begin::placed(&mut parts, std::mem::take(&mut step.clicks));
            (clicks, begin::reports(&mut parts, &mut step))
        };
        redo.dead_letters = step.dead_letters;
        let mut writes = self.raw.writes(&clicks, number)?;
        for (link, sort, span, part) in &redo.parts {
            writes.push(self.raw.list_part(&link.to_bytes(), *sort, *span, *part, number));
        }
        self.sums.writes(0, &redo, number, &mut writes)?;
        self.cql.write_all(writes).await
    }

    /// What is known of fans: newer than what their rows under single links say.
    pub(crate) async fn profiles(&self, rows: &[(AccountId, FanId, FanProfile)], number: i64) -> Result<()> {
        let write = |(account, fan, profile): &(AccountId, FanId, FanProfile)| {
            self.sums.profile(account, fan, profile, number + 1)
        };
        self.cql.write_all(rows.iter().map(write).collect::<Result<_>>()?).await
    }

    /// Pieces of memory, each in its partition.
    pub(crate) async fn memory(&self, pieces: &[Piece], number: i64) -> Result<()> {
        let write = |piece: &Piece| {
            Ok(self.pieces.put(stream(piece.partition)?, &piece.key.0, &piece.value.0, number))
        };
        self.cql.write_all(pieces.iter().map(write).collect::<Result<_>>()?).await
    }

    /// Every partition begins before its first record, with these sequences applied; dead letters are counted as the first
    /// one's.
    ///
    /// # Errors
    /// `Fenced` when somebody has opened a partition already.
    pub(crate) async fn begin(
        &self,
        partitions: u32,
        applied: &Applied,
        dead_letters: u64,
        number: i64,
    ) -> Result<()> {
        let count = i64::try_from(dead_letters).unwrap_or(i64::MAX);
        let counted = Redo { dead_letter_count: Some(count), ..Redo::default() };
        let mut writes = Vec::new();
        self.sums.writes(0, &counted, number, &mut writes)?;
        self.cql.write_all(writes).await?;
        let progress = Progress { position: Position::default(), applied: applied.clone() };
        for partition in 0..partitions {
            let stream = stream(partition)?;
            let before = self.heads.read(&self.cql, stream).await?;
            let is_ours = before.as_ref().is_none_or(|head| head.owner == OWNER);
            let from = before.map(|head| head.number);
            // Above what every row has: whoever comes next goes on from there, whatever its clock says.
            let number = (number + 2).max(from.unwrap_or(0) + 1);
            let to = Head { number, owner: OWNER.to_owned(), redo: false, progress: progress.clone() };
            if !is_ours || !self.heads.commit(&self.cql, stream, from, &to).await? {
                return Err(StoreError::Fenced(format!("stream partition {partition} has an owner already")));
            }
        }
        Ok(())
    }
}
