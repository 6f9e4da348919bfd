//! The loop itself: read, apply, sync, tell, until told to stop.

use std::{sync::Arc, time::Duration};

use sl_core::{
    applied::Applied,
    attribution::{self, Destinations, Key, Memory},
    event::Position,
    time::Timestamp,
};
use sl_journal::{Batch, StreamError};
use sl_store::StoreError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Attribution, AttributionError,
    progress::{self, Standing},
    steps::{Steps, Wait},
    ticks::Ticks,
};

/// Wait before a stream that can't be read is asked again.
const STREAM_BACKOFF: Duration = Duration::from_millis(500);

impl Attribution {
    /// Runs until `token` is cancelled; then everything applied is synced.
    ///
    /// # Errors
    /// [`AttributionError`] when the store or the stream refuse for good.
    pub async fn run(mut self, token: CancellationToken) -> Result<(), AttributionError> {
        let mut steps = self.start(&token).await?;
        let mut ticks = self.waiting(&steps).await?;
        let mut synced_at = self.clock.now();
        let mut next_at = Instant::now();
        while !token.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep_until(next_at) => {}
                () = token.cancelled() => break,
            }
            let began = Instant::now();
            let Some(batch) = self.read(&mut steps).await? else { continue };
            let few = batch.records.len() < self.settings.slice;
            next_at = if few { began + self.settings.gather } else { began };
            let now = self.clock.now();
            let newest = batch.records.last().map(|record| record.event.at);
            let mut lagging = Vec::new();
            if !batch.records.is_empty() || batch.next != steps.position {
                steps.standing.is_behind = true;
                // Of many loops that wait for one reading none keeps the stop waiting.
                let view = tokio::select! {
                    view = self.view(&steps, now) => view?,
                    () = token.cancelled() => break,
                };
                let ledger = self.store.ledger.clone();
                lagging = match steps.batch(&*ledger, batch.records, batch.next, now, &view, &mut ticks).await
                {
                    Err(StoreError::Unavailable(_)) if token.is_cancelled() => break,
                    applied => applied?,
                };
            }
            ticks.send(&*self.log, now, &lagging);
            self.tell(&mut steps, newest);
            let unsynced = self.progress.borrow().synced != steps.position;
            if unsynced && (newest.is_none() || now.is_past(synced_at, self.settings.sync_every)) {
                self.sync(&steps).await?;
                synced_at = now;
            }
        }
        self.sync(&steps).await
    }

    /// Takes the partition over.
    async fn start(&mut self, token: &CancellationToken) -> Result<Steps, AttributionError> {
        let mut steps = Steps {
            partition: self.stream.partition(),
            position: Position::default(),
            applied: Applied::default(),
            journals_kept: self.settings.journals_kept,
            memory: Memory::new(self.settings.cache),
            slice: self.settings.slice.max(1),
            rules: self.settings.rules.clone(),
            clock: Arc::clone(&self.clock),
            poisoned: 0,
            token: token.clone(),
            standing: Standing::new(self.progress.clone()),
        };
        let mut wait = Wait::default();
        let opened = loop {
            // While the store did not answer, somebody else may have become its owner, and would be thrown out.
            if self.stream.is_fenced() {
                return Err(StreamError::Fenced.into());
            }
            match self.store.ledger.open(steps.partition).await {
                Ok(opened) => break opened,
                Err(error) => steps.pause(error, &mut wait).await?,
            }
        };
        steps.position = self.go(opened.position, Some(&opened.applied), &steps).await?;
        steps.applied = opened.applied;
        self.progress.send_modify(|progress| {
            progress.position = steps.position;
            progress.synced = opened.position;
        });
        Ok(steps)
    }

    async fn waiting(&mut self, steps: &Steps) -> Result<Ticks, AttributionError> {
        let names = vec![Key::Due.to_state_key()];
        let values = steps.again(|| self.store.ledger.load(steps.partition, names.clone())).await?;
        let due = attribution::due(values.first().and_then(Option::as_ref));
        let mut ticks = Ticks::default();
        ticks.set(due.map_err(|error| StoreError::Damaged(error.to_string()))?);
        Ok(ticks)
    }

    /// The next records; `None` after a record that had to be left out.
    async fn read(&mut self, steps: &mut Steps) -> Result<Option<Batch>, AttributionError> {
        match self.stream.next(self.settings.batch, self.settings.wait).await {
            Ok(batch) => return Ok(Some(batch)),
            Err(StreamError::Undecodable { offset, record, reason }) => {
                let partition = steps.partition;
                if let Some((journal, sequence)) = record {
                    steps.applied.leave_out(journal, sequence, self.clock.now());
                }
                tracing::error!(partition, offset, reason, "a record can't be decoded and is left out");
                progress::left_out("record_undecodable");
                let behind = Position { epoch: steps.position.epoch, offset: offset.saturating_add(1) };
                self.seek(behind, steps).await?;
                steps.poisoned += 1;
            }
            Err(StreamError::Gap(first)) => {
                tracing::error!(?first, "records are gone before they were applied");
                progress::left_out("records_gone");
                let ledger = self.store.ledger.clone();
                steps.move_to(&*ledger, first).await?;
                self.seek(first, steps).await?;
                steps.poisoned += 1;
            }
            Err(StreamError::Fenced) => return Err(StreamError::Fenced.into()),
            Err(error @ StreamError::Io(_)) => {
                tracing::warn!(%error, "the stream can't be read; trying again");
                steps.standing.is_behind |= steps.position < self.stream.head();
                steps.standing.tell();
                tokio::select! {
                    () = tokio::time::sleep(STREAM_BACKOFF) => {}
                    () = steps.token.cancelled() => {}
                }
            }
        }
        Ok(None)
    }

    async fn seek(&mut self, to: Position, steps: &Steps) -> Result<Position, AttributionError> {
        self.go(to, None, steps).await
    }

    /// Goes to a place of the stream, perhaps to the one where a state with all that it has `applied` stopped. A partition
    /// that can't be read now is waited for: only its own accounts wait with it.
    async fn go(
        &mut self,
        to: Position,
        applied: Option<&Applied>,
        steps: &Steps,
    ) -> Result<Position, AttributionError> {
        loop {
            let sought = match applied {
                Some(applied) => self.stream.resume(to, applied).await,
                None => self.stream.seek(to).await,
            };
            match sought {
                Err(error @ StreamError::Io(_)) if !steps.token.is_cancelled() => {
                    let partition = self.stream.partition();
                    tracing::warn!(partition, %error, "the stream can't be read; trying again");
                    steps.standing.tell();
                    tokio::select! {
                        () = tokio::time::sleep(STREAM_BACKOFF) => {}
                        () = steps.token.cancelled() => {}
                    }
                }
                sought => return Ok(sought?),
            }
        }
    }

    async fn view(&mut self, steps: &Steps, now: Timestamp) -> Result<Arc<Destinations>, AttributionError> {
        let mut wait = Wait::default();
        loop {
            match self.view.at(&*self.store.catalog, now, self.settings.refresh_every).await {
                Ok(view) => return Ok(view),
                Err(error) => steps.pause(error, &mut wait).await?,
            }
        }
    }

    fn tell(&self, steps: &mut Steps, newest: Option<Timestamp>) {
        let caught_up = steps.position >= self.stream.head() && !steps.position.is_lost();
        let lag = newest.filter(|_| !caught_up).map_or(0.0, |at| self.clock.now().since(at).as_secs_f64());
        steps.standing.moved(lag, !caught_up);
        self.progress.send_if_modified(|progress| {
            let before = progress.clone();
            progress.position = steps.position;
            progress.lag_seconds = lag;
            progress.behind =
                self.stream.head().offset.saturating_sub(steps.position.offset).max(u64::from(!caught_up));
            progress.caught_up = caught_up;
            progress.poisoned = steps.poisoned;
            *progress != before
        });
    }

    /// Makes what was applied safe, then lets the stream throw it away.
    async fn sync(&mut self, steps: &Steps) -> Result<(), AttributionError> {
        let safe = steps.again(|| self.store.ledger.sync(steps.partition)).await?;
        self.progress.send_modify(|progress| progress.synced = safe);
        if let Err(error) = self.stream.passed(safe).await {
            tracing::warn!(%error, "the stream did not take the position; it keeps more than it needs to");
        }
        Ok(())
    }
}
