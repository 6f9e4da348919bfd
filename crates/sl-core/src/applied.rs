//! What a stream partition has applied of each journal (decisions 47), and when a journal may be forgotten.
//!
//! A record is applied when its number is above the highest one applied of its journal. Every `data_dir` that ever was has a
//! journal of its own, and the list is written with each step, so it must not grow for ever: a journal of which nothing came
//! for longer than the stream can hold a record is forgotten. Whoever has its disk may still send its records again, all of
//! them older than the moment it was last heard of. So of a journal that is not known, records that old are refused: they
//! may have been applied, and counting them twice is worse than leaving out what waited so long on a disk.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    event::{JournalId, Position, Recorded},
    time::Timestamp,
};

/// More journals than this are too many to be written with each step (20 bytes each): those not heard of for [`SHORT`] then
/// go, too.
const MOST: usize = 4096;
/// How long journals are remembered at least, however many there are.
const SHORT: Duration = Duration::from_secs(72 * 3600);

/// Highest sequences applied, per journal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "Written", from = "Written")]
pub struct Applied {
    journals: BTreeMap<JournalId, Last>,
    /// When the journals that were forgotten were last heard of: the latest of them; 0 before the first.
    forgotten: Timestamp,
}

/// The last of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Last {
    sequence: u64,
    /// When a record of it last came, not before that record was made; 0 when that is not known.
    seen: Timestamp,
}

/// What is to be done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was not applied yet.
    Fresh,
    /// It was applied before.
    Known,
    /// It is so old that nobody knows any more whether it was applied.
    TooOld,
}

/// As stores keep it: in rows of earlier versions the first field is all there is.
#[derive(Serialize, Deserialize)]
struct Written {
    journals: Vec<(JournalId, u64)>,
    /// When each of `journals` was last seen, in the same order.
    seen: Vec<Timestamp>,
    forgotten: Timestamp,
}

// === impl Applied ===

impl Applied {
    /// Journals and their highest sequences, in order.
    pub fn iter(&self) -> impl Iterator<Item = (JournalId, u64)> {
        self.journals.iter().map(|(journal, last)| (*journal, last.sequence))
    }

    /// Whether this record is to be applied.
    #[must_use]
    pub fn verdict(&self, record: &Recorded) -> Verdict {
        match self.journals.get(&record.journal) {
            Some(last) if record.sequence <= last.sequence => Verdict::Known,
            None if record.event.at <= self.forgotten => Verdict::TooOld,
            _ => Verdict::Fresh,
        }
    }

    /// Notes that a record was applied, at `now`.
    pub fn note(&mut self, record: &Recorded, now: Timestamp) {
        self.leave_out(record.journal, record.sequence, now.max(record.event.at));
    }

    /// Notes that a record which can't be decoded was passed over, at `now`: a later version that can is not to take it for one
    /// that never came.
    pub fn leave_out(&mut self, journal: JournalId, sequence: u64, now: Timestamp) {
        let last = self.journals.entry(journal).or_insert(Last { sequence, seen: now });
        last.sequence = last.sequence.max(sequence);
        last.seen = last.seen.max(now);
    }

    /// Notes that a record has come, also one that was applied before: its stream holds it for as long as any new one.
    pub fn hear(&mut self, record: &Recorded, now: Timestamp) {
        if let Some(last) = self.journals.get_mut(&record.journal) {
            last.seen = last.seen.max(now.max(record.event.at));
        }
    }

    /// Forgets journals of which nothing came for `keep`, which is longer than the stream may hold a record. `now` is the
    /// clock's and `newest` the newest record's: one of them alone may have leapt. Returns how many went.
    pub fn forget(&mut self, now: Timestamp, newest: Timestamp, keep: Duration) -> usize {
        let keep = if self.journals.len() > MOST { keep.min(SHORT) } else { keep };
        let (sure, before) = (now.min(newest), self.journals.len());
        let forgotten = &mut self.forgotten;
        self.journals.retain(|_, last| {
            if last.seen == Timestamp::default() {
                last.seen = now.max(newest);
            }
            let stays = sure.since(last.seen) <= keep;
            if !stays {
                *forgotten = (*forgotten).max(last.seen);
            }
            stays
        });
        before - self.journals.len()
    }
}

impl FromIterator<(JournalId, u64)> for Applied {
    /// When they were last heard of is not known: from the next [`Applied::forget`] on.
    fn from_iter<I: IntoIterator<Item = (JournalId, u64)>>(journals: I) -> Self {
        let last = |(journal, sequence)| (journal, Last { sequence, seen: Timestamp::default() });
        Self { journals: journals.into_iter().map(last).collect(), forgotten: Timestamp::default() }
    }
}

impl From<Applied> for Written {
    fn from(applied: Applied) -> Self {
        let seen = applied.journals.values().map(|last| last.seen).collect();
        Self { journals: applied.iter().collect(), seen, forgotten: applied.forgotten }
    }
}

impl From<Written> for Applied {
    fn from(written: Written) -> Self {
        let seen = written.seen.into_iter().chain(std::iter::repeat(Timestamp::default()));
        let last = |((journal, sequence), seen)| (journal, Last { sequence, seen });
        let journals = written.journals.into_iter().zip(seen).map(last).collect();
        Self { journals, forgotten: written.forgotten }
    }
}

/// Reads a row of a store: a position, then [`Applied`], in postcard. In a row of an earlier version nothing follows the
/// sequences.
///
/// # Errors
/// Postcard's, when it is neither.
pub fn read(bytes: &[u8]) -> postcard::Result<(Position, Applied)> {
    let (old, rest) = postcard::take_from_bytes::<(Position, Vec<(JournalId, u64)>)>(bytes)?;
    if rest.is_empty() {
        return Ok((old.0, old.1.into_iter().collect()));
    }
    postcard::from_bytes(bytes)
}

#[cfg(test)]
mod tests;
