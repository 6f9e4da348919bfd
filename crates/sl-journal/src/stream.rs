//! The consuming side: records in order, from a position the consumer stores with its own state.

use std::time::Duration;

use async_trait::async_trait;
use sl_core::{
    applied::Applied,
    event::{JournalId, Position, Recorded},
};

/// One partition of the stream, in order. The consumer keeps its position together with its state; the stream only
/// hears of it to know what may be thrown away.
#[async_trait]
pub trait EventStream: Send {
    /// Which partition this is; embedded storage has one, 0.
    fn partition(&self) -> u32;

    /// Reads on from `position` from now on. A position the stream no longer understands (it was replaced, or is
    /// shorter) starts a new epoch: the answer is where reading really goes on. A stream that many write to says
    /// [`StreamError::Gap`] with [`Position::lost`] first when it is shorter, and begins anew when that is sought. A position
    /// before the oldest record stays as it is: [`EventStream::next`] says [`StreamError::Gap`]. [`Position::default`] is the
    /// oldest record there is.
    ///
    /// # Errors
    /// [`StreamError`] when the stream can't be read.
    async fn seek(&mut self, position: Position) -> Result<Position, StreamError>;

    /// [`EventStream::seek`] for a state that comes back: `applied` is what it has applied up to `position`. A stream that may
    /// have lost its end and grown again in the meantime makes sure that the last record before the position is among it.
    ///
    /// # Errors
    /// As [`EventStream::seek`].
    async fn resume(&mut self, position: Position, applied: &Applied) -> Result<Position, StreamError> {
        let _ = applied;
        self.seek(position).await
    }

    /// Whether the partition was given to somebody else: [`EventStream::next`] will say so, too.
    fn is_fenced(&self) -> bool {
        false
    }

    /// The next records, at most `max`, waiting up to `wait` for the first. Only synced records are seen. An empty
    /// batch means that nothing came.
    ///
    /// # Errors
    /// [`StreamError`]; the same call may be made again.
    async fn next(&mut self, max: usize, wait: Duration) -> Result<Batch, StreamError>;

    /// The consumer's state up to `position` is on disk: what lies before it may be thrown away.
    ///
    /// # Errors
    /// [`StreamError`]; nothing is lost but space.
    async fn passed(&mut self, position: Position) -> Result<(), StreamError>;

    /// Where the next record will go: the distance to a consumer's position is its lag in records.
    fn head(&self) -> Position;
}

/// Records and where to read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Records in the order of the partition.
    pub records: Vec<Recorded>,
    /// The position behind the last of them.
    pub next: Position,
}

/// The stream can't be read.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The records before this one are gone although somebody still needed them. The consumer stores the position with its
    /// state before it seeks it: what was found out must not be forgotten in between.
    #[error("records before {0:?} were removed before they were read")]
    Gap(Position),
    /// A record that passed its checksum can't be decoded.
    #[error("the record at {offset} can't be decoded: {reason}")]
    Undecodable {
        /// Its place in the partition: reading goes on one behind it.
        offset: u64,
        /// Its journal and number there, if that much can be read: a version that reads the rest must know that it was left out.
        record: Option<(JournalId, u64)>,
        /// What the decoder says.
        reason: String,
    },
    /// Another consumer has the partition now: this one decides nothing any more and lets go of it.
    #[error("the partition belongs to another consumer now")]
    Fenced,
    /// The disk, or the broker.
    #[error("the stream can't be read: {0}")]
    Io(String),
}
