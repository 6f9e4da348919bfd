//! Numbers that are given once.

use std::sync::Arc;

use sl_store::Result;

use crate::{
    cql::Cql,
    statements::{Tries, statements},
};

statements!(Statements {
    read: SerialRead "SELECT value FROM numbers WHERE name = ?";
    take: Compare "UPDATE numbers SET value = ? WHERE name = ? IF value = ?";
});

/// Draws numbers.
pub(crate) struct Numbers {
    cql: Arc<Cql>,
    statements: Statements,
    /// One at a time in this process.
    drawing: tokio::sync::Mutex<()>,
}

// === impl Numbers ===

impl Numbers {
    pub(crate) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        Ok(Self { cql, statements, drawing: tokio::sync::Mutex::default() })
    }

    /// The next number of this name, from 1. One that was drawn and not answered (a time-out) is left out.
    pub(crate) async fn next(&self, name: &str) -> Result<u64> {
        let _turn = self.drawing.lock().await;
        let mut tries = Tries::of("numbers");
        loop {
            if let Some(number) = tries.settled(self.next_once(name).await).await? {
                return Ok(number.cast_unsigned());
            }
        }
    }

    /// The next number will be above `last`.
    pub(crate) async fn go_on_behind(&self, name: &str, last: u64) -> Result<()> {
        let _turn = self.drawing.lock().await;
        let mut tries = Tries::of("numbers");
        let last = last.cast_signed();
        loop {
            let once = async {
                let known: Option<(Option<i64>,)> = self.cql.row(&self.statements.read, (name,)).await?;
                let known = known.and_then(|(value,)| value);
                if known.unwrap_or(0) >= last {
                    return Ok(Some(()));
                }
                Ok(self.cql.compare(&self.statements.take, (last, name, known)).await?.then_some(()))
            };
            if let Some(()) = tries.settled(once.await).await? {
                return Ok(());
            }
        }
    }

    async fn next_once(&self, name: &str) -> Result<Option<i64>> {
        let last: Option<(Option<i64>,)> = self.cql.row(&self.statements.read, (name,)).await?;
        let last = last.and_then(|(value,)| value);
        let next = last.unwrap_or(0) + 1;
        Ok(self.cql.compare(&self.statements.take, (next, name, last)).await?.then_some(next))
    }
}
