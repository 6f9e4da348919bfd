//! What processes tell each other of themselves.

use std::time::Duration;

use async_trait::async_trait;

use crate::Result;

/// Words by subject and sender. Who falls silent is forgotten, so nobody has to take back what it said.
#[async_trait]
pub trait Heartbeats: Send + Sync + 'static {
    /// Says how `sender` stands in `subject`, in the place of what it said before; forgotten after `lasting`, which counts in
    /// whole seconds, at least one.
    async fn beat(&self, subject: &str, sender: &str, words: &str, lasting: Duration) -> Result<()>;

    /// What was said of a subject and is not forgotten: senders, ascending, with their words.
    async fn beats(&self, subject: &str) -> Result<Vec<(String, String)>>;
}
