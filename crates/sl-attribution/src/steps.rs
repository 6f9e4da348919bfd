//! From records to applied steps: load, decide, apply, remember.

use std::{collections::HashMap, future::Future, time::Duration};

use sl_core::{
    attribution::{self, Decision, Key, Memory, Missing, Rules},
    event::{JournalId, Position, Recorded},
    ids::{AccountId, TeamId},
};
use sl_store::{Ledger, Result, StoreError};
use tokio_util::sync::CancellationToken;

use crate::{catalog::Snapshot, progress, ticks::Ticks};

/// First and longest wait before the store is asked again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The applied state of one partition, with its cache.
pub(crate) struct Steps {
    pub(crate) partition: u32,
    pub(crate) position: Position,
    pub(crate) applied: HashMap<JournalId, u64>,
    pub(crate) memory: Memory,
    pub(crate) rules: Rules,
    pub(crate) poisoned: u64,
    pub(crate) token: CancellationToken,
}

impl Steps {
    /// Applies a batch. Records at or below the highest applied sequence of their journal are skipped (decisions 47).
    /// Returns accounts whose clock stayed behind.
    pub(crate) async fn batch(
        &mut self,
        ledger: &dyn Ledger,
        records: Vec<Recorded>,
        next: Position,
        snapshot: &Snapshot,
        ticks: &mut Ticks,
    ) -> Result<Vec<(TeamId, AccountId)>> {
        let records = self.fresh(records);
        let mut rest = records.as_slice();
        let mut lagging = Vec::new();
        loop {
            let mut decision = self.decide(ledger, rest, snapshot).await?;
            let (done, left) = rest.split_at(decision.taken.min(rest.len()));
            for record in done {
                self.applied.insert(record.journal, record.sequence);
            }
            // In the middle of a batch the stream has no position to name: it is read again from the start of the
            // batch after a crash, and what was applied is skipped by its sequence.
            let position = if left.is_empty() { next } else { self.position };
            decision.step.partition = self.partition;
            decision.step.position = position;
            decision.step.applied =
                self.applied.iter().map(|(journal, sequence)| (*journal, *sequence)).collect();
            decision.step.applied.sort_unstable();
            let step = decision.step;
            self.again(|| ledger.apply(step.clone())).await?;
            self.position = position;
            self.memory.absorb(decision.changes);
            progress::count(&decision.counts);
            if let Some(due) = decision.due {
                ticks.set(due);
            }
            lagging.extend(decision.lagging);
            rest = left;
            if rest.is_empty() {
                return Ok(lagging);
            }
        }
    }

    fn fresh(&self, records: Vec<Recorded>) -> Vec<Recorded> {
        let mut highest = self.applied.clone();
        let mut fresh = Vec::with_capacity(records.len());
        for record in records {
            if highest.get(&record.journal).is_none_or(|applied| record.sequence > *applied) {
                highest.insert(record.journal, record.sequence);
                fresh.push(record);
            }
        }
        fresh
    }

    async fn decide(
        &mut self,
        ledger: &dyn Ledger,
        records: &[Recorded],
        snapshot: &Snapshot,
    ) -> Result<Decision> {
        let wanted = attribution::needs(records, &self.memory);
        self.load(ledger, wanted).await?;
        loop {
            match attribution::decide(records, &self.memory, &self.rules, snapshot.view()) {
                Ok(decision) => return Ok(decision),
                Err(Missing(keys)) => self.load(ledger, keys).await?,
            }
        }
    }

    async fn load(&mut self, ledger: &dyn Ledger, keys: Vec<Key>) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = keys.iter().map(Key::to_state_key).collect();
        let values = self.again(|| ledger.load(self.partition, names.clone())).await?;
        if values.len() != keys.len() {
            return Err(StoreError::Damaged(format!("{} values for {} keys", values.len(), keys.len())));
        }
        for (key, value) in keys.into_iter().zip(values) {
            if let Err(error) = self.memory.insert(key.clone(), value.as_ref()) {
                // Standing still would stop every account; this one piece starts anew, loudly.
                tracing::error!(%error, "a piece of memory can't be read and starts anew");
                self.poisoned += 1;
                self.memory.forget(key);
            }
        }
        Ok(())
    }

    /// Asks the store until it answers, or says that it never will, or the loop is told to stop.
    pub(crate) async fn again<T, F, Fut>(&self, ask: F) -> Result<T>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let mut wait = BACKOFF.0;
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_temporary() && !self.token.is_cancelled() => error,
                Err(error) => return Err(error),
            };
            tracing::warn!(%error, wait_ms = wait.as_millis(), "the store does not answer; asking again");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.token.cancelled() => {}
            }
            wait = (wait * 2).min(BACKOFF.1);
        }
    }
}
