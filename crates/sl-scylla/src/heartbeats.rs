//! Heartbeats: a row per subject and sender, which leaves by itself.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sl_store::{Heartbeats, Result};

use crate::{cql::Cql, statements::statements};

statements! { Statements {
    beat: Write "INSERT INTO heartbeats (subject, sender, words) VALUES (?, ?, ?) USING TTL ?";
    beats: Read "SELECT sender, words FROM heartbeats WHERE subject = ?";
} }

/// Heartbeats over CQL.
pub(crate) struct CqlHeartbeats {
    cql: Arc<Cql>,
    statements: Statements,
}

// === impl CqlHeartbeats ===

impl CqlHeartbeats {
    pub(crate) async fn new(cql: &Arc<Cql>) -> Result<Self> {
        Ok(Self { statements: Statements::prepare(cql).await?, cql: Arc::clone(cql) })
    }
}

#[async_trait]
impl Heartbeats for CqlHeartbeats {
    async fn beat(&self, subject: &str, sender: &str, words: &str, lasting: Duration) -> Result<()> {
        let seconds = i32::try_from(lasting.as_secs()).unwrap_or(i32::MAX).max(1);
        self.cql.run(&self.statements.beat, (subject, sender, words, seconds)).await
    }

    async fn beats(&self, subject: &str) -> Result<Vec<(String, String)>> {
        self.cql.rows(&self.statements.beats, (subject,)).await
    }
}
