//! Attribution's memory and its atomic steps.

use async_trait::async_trait;
use sl_core::{
    applied::Applied,
    event::Position,
    step::{StateBytes, StateKey, Step},
};

use crate::Result;

/// State, effects and stream position move together (promise 5, decisions 45).
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Takes a partition over: completes an unfinished step first, then tells where to read on.
    async fn open(&self, partition: u32) -> Result<Opened>;

    /// Reads pieces of state, in the order asked for.
    async fn load(&self, partition: u32, keys: Vec<StateKey>) -> Result<Vec<Option<StateBytes>>>;

    /// Commits a whole step, or nothing of it; nothing as well, without an error, when the partition stands behind the step's
    /// position in the same epoch: it was applied before. When the call returns the step is visible to every reader;
    /// [`Ledger::sync`] makes it survive a power cut.
    ///
    /// # Errors
    /// [`crate::StoreError::Fenced`] when somebody else has opened the partition since, and when the partition stands in a
    /// later epoch than the step: whoever made it reads a stream that is no longer the partition's, and its records were
    /// applied by nobody.
    async fn apply(&self, step: Step) -> Result<()>;

    /// Everything applied so far survives a power cut from now on; returns the position that is safe, the only one that
    /// may be told to `EventStream::passed` (decisions 47). An embedded backend syncs what was written through the
    /// other seams along with it.
    async fn sync(&self, partition: u32) -> Result<Position>;
}

/// Where a partition stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// The position to read on from.
    pub position: Position,
    /// What is applied of each journal (decisions 47).
    pub applied: Applied,
}
