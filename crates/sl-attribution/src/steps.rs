//! From records to applied steps: load, decide, apply, remember.

use std::{future::Future, sync::Arc, time::Duration};

use sl_core::{
    applied::{Applied, Verdict},
    attribution::{self, Changes, Counts, Decision, Destinations, Key, Memory, Names, Rules},
    event::{Position, Recorded},
    ids::{AccountId, TeamId},
    step::Step,
    time::{Clock, Timestamp},
};
use sl_store::{Ledger, Result, StoreError, upkeep};
use tokio_util::sync::CancellationToken;

use crate::{
    progress::{self, Standing},
    ticks::Ticks,
};

/// First and longest wait before the store is asked again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The applied state of one partition, with its cache.
pub(crate) struct Steps {
    pub(crate) partition: u32,
    pub(crate) position: Position,
    pub(crate) applied: Applied,
    /// How long a journal that sends nothing is remembered.
    pub(crate) journals_kept: Duration,
    pub(crate) memory: Memory,
    /// Most records that one step decides.
    pub(crate) slice: usize,
    pub(crate) rules: Rules,
    /// Says what is too old to be stored whole.
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) poisoned: u64,
    pub(crate) token: CancellationToken,
    pub(crate) standing: Standing,
}

/// What is left of a decision once its step is in the store.
struct Done {
    changes: Changes,
    taken: usize,
    counts: Counts,
    due: Option<Vec<(TeamId, AccountId, Timestamp)>>,
    lagging: Vec<(TeamId, AccountId)>,
}

/// How long the next pause is.
pub(crate) struct Wait(Duration);

impl Default for Wait {
    fn default() -> Self {
        Self(BACKOFF.0)
    }
}

impl Steps {
    /// Applies a batch that was read at `now`. Records at or below the highest applied sequence of their journal are skipped
    /// (decisions 47). Returns accounts whose clock stayed behind.
    pub(crate) async fn batch(
        &mut self,
        ledger: &dyn Ledger,
        records: Vec<Recorded>,
        next: Position,
        now: Timestamp,
        view: &Destinations,
        ticks: &mut Ticks,
    ) -> Result<Vec<(TeamId, AccountId)>> {
        let records = self.fresh(records, now);
        let mut rest = records.as_slice();
        let mut lagging = Vec::new();
        loop {
            let (slice, behind) = rest.split_at(self.slice.min(rest.len()));
            // In the middle of a batch the stream has no position to name: it is read again from the start of the
            // batch after a crash, and what was applied is skipped by its sequence.
            let after = if behind.is_empty() { next } else { self.position };
            // Most of what the slice needs, at once; decisions ask for the rest.
            self.load(ledger, attribution::needs(slice, &self.memory)).await?;
            self.load(ledger, attribution::needs_behind(slice, &self.memory)).await?;
            let done = self.step(ledger, slice, after, now, view).await?;
            self.memory.absorb(done.changes);
            progress::count(&done.counts);
            if let Some(due) = done.due {
                ticks.set(due);
            }
            lagging.extend(done.lagging);
            rest = rest.get(done.taken..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(lagging);
            }
        }
    }

    /// A step that does nothing but note where reading goes on.
    pub(crate) async fn move_to(&mut self, ledger: &dyn Ledger, position: Position) -> Result<()> {
        let (partition, applied) = (self.partition, self.applied.clone());
        let step = Step { partition, position, applied, ..Step::default() };
        self.again(|| ledger.apply(step.clone())).await?;
        self.position = position;
        Ok(())
    }

    /// Decides about the first of `records` and applies the step. While the store does not answer it is decided again:
    /// from the same memory the same step follows, so none has to be copied.
    async fn step(
        &mut self,
        ledger: &dyn Ledger,
        records: &[Recorded],
        next: Position,
        now: Timestamp,
        view: &Destinations,
    ) -> Result<Done> {
        let mut wait = Wait::default();
        loop {
            let decision = self.decide(ledger, records, view).await?;
            let (done, left) = records.split_at(decision.taken.min(records.len()));
            for record in done {
                self.applied.note(record, now);
            }
            let position = if left.is_empty() { next } else { self.position };
            let mut step = decision.step;
            (step.partition, step.position) = (self.partition, position);
            step.applied = self.applied.clone();
            upkeep::cut_late(&mut step.clicks, self.clock.now(), self.rules.erase_prints_after);
            match ledger.apply(step).await {
                Ok(()) => {
                    self.position = position;
                    let Decision { changes, taken, counts, due, lagging, .. } = decision;
                    return Ok(Done { changes, taken, counts, due, lagging });
                }
                Err(error) => self.pause(error, &mut wait).await?,
            }
        }
    }

    /// Those that were not applied yet; journals of which nothing came for long are forgotten.
    fn fresh(&mut self, records: Vec<Recorded>, now: Timestamp) -> Vec<Recorded> {
        let Some(newest) = records.iter().map(|record| record.event.at).max() else { return records };
        let mut then = self.applied.clone();
        let (mut fresh, mut too_old) = (Vec::with_capacity(records.len()), Vec::new());
        for record in records {
            self.applied.hear(&record, now);
            match then.verdict(&record) {
                Verdict::Fresh => {
                    then.note(&record, now);
                    fresh.push(record);
                }
                Verdict::Known => {}
                Verdict::TooOld => too_old.push(record),
            }
        }
        self.leave_out(&too_old);
        let forgotten = self.applied.forget(now, newest, self.journals_kept);
        if forgotten > 0 {
            tracing::info!(
                partition = self.partition,
                forgotten,
                "nothing came of journals for long: they are forgotten"
            );
        }
        fresh
    }

    /// Notes records of journals that were forgotten, of which nobody knows whether they were applied.
    fn leave_out(&mut self, records: &[Recorded]) {
        let Some(first) = records.first() else { return };
        let (partition, count) = (self.partition, records.len());
        let (journal, sequence, at) = (format!("{:016x}", first.journal.0), first.sequence, first.event.at);
        tracing::error!(partition, count, journal, sequence, %at, "records older than what is remembered of their journals are left out");
        records.iter().for_each(|_| progress::left_out("record_too_old"));
        self.poisoned += u64::try_from(count).unwrap_or(u64::MAX);
    }

    async fn decide(
        &mut self,
        ledger: &dyn Ledger,
        records: &[Recorded],
        view: &Destinations,
    ) -> Result<Decision> {
        loop {
            let guess = attribution::guess(records, &self.memory, &self.rules, view);
            if self.load(ledger, guess.missing).await? == 0 {
                return Ok(guess.decision);
            }
        }
    }

    /// Asks the store for pieces of memory and says how many of them are there.
    async fn load(&mut self, ledger: &dyn Ledger, keys: Vec<Key>) -> Result<usize> {
        if keys.is_empty() {
            return Ok(0);
        }
        let names = || {
            let mut names = Names::default();
            keys.iter().map(|key| names.of(key)).collect()
        };
        let values = self.again(|| ledger.load(self.partition, names())).await?;
        if values.len() != keys.len() {
            return Err(StoreError::Damaged(format!("{} values for {} keys", values.len(), keys.len())));
        }
        let present = values.iter().flatten().count();
        for (key, value) in keys.into_iter().zip(values) {
            if let Err(error) = self.memory.insert(key, value.as_ref()) {
                // Standing still would stop every account; this one piece starts anew, loudly.
                tracing::error!(%error, "a piece of memory can't be read and starts anew");
                progress::left_out("memory_unreadable");
                self.poisoned += 1;
            }
        }
        Ok(present)
    }

    /// Asks the store until it answers, or says that it never will, or the loop is told to stop.
    pub(crate) async fn again<T, F, Fut>(&self, ask: F) -> Result<T>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let mut wait = Wait::default();
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.pause(error, &mut wait).await?,
            }
        }
    }

    /// Waits before the store is asked again; an error that stays, or a stop, ends the asking.
    pub(crate) async fn pause(&self, error: StoreError, wait: &mut Wait) -> Result<()> {
        if !error.is_temporary() || self.token.is_cancelled() {
            return Err(error);
        }
        tracing::warn!(%error, wait_ms = wait.0.as_millis(), "the store does not answer; asking again");
        self.standing.tell();
        tokio::select! {
            () = tokio::time::sleep(wait.0) => {}
            () = self.token.cancelled() => {}
        }
        wait.0 = (wait.0 * 2).min(BACKOFF.1);
        Ok(())
    }
}
