//! The journal as an [`EventStream`]: one partition, read from the segments as far as they are synced.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use sl_core::event::{Position, Recorded};

use super::{consumers, reader::Reader, shared::Shared};
use crate::{Batch, EventStream, StreamError, codec};

/// Most bytes of payload in one batch, so that a run of large webhooks does not fill the memory.
const BATCH_BYTES: usize = 4 << 20;

/// One consumer's view. Its name is registered with the journal for good: segments it has not passed are kept.
pub struct JournalStream {
    shared: Arc<Shared>,
    name: String,
    reader: Arc<Mutex<Reader>>,
    position: Position,
    /// The first record that is left, if some were removed between the place that was sought and it.
    gap: Option<Position>,
}

impl JournalStream {
    /// Registers `name`, durably, and starts where it last said to have passed, or at the oldest record there is.
    pub(super) fn new(shared: Arc<Shared>, name: &str) -> Self {
        let position = {
            let mut shelf = shared.shelf.lock();
            let oldest = Position { epoch: 0, offset: shelf.oldest() };
            let known = shelf.consumers.get(name).copied();
            if known.is_none() {
                shelf.consumers.insert(name.to_owned(), oldest);
                shelf.consumers_changed = true;
            }
            known.unwrap_or(oldest)
        };
        if let Err(error) = consumers::store(&shared) {
            tracing::warn!(consumer = name, %error, "a consumer of the journal can't be registered on disk yet");
        }
        let reader = Arc::new(Mutex::new(Reader::new(Arc::clone(&shared), position.offset)));
        Self { shared, name: name.to_owned(), reader, position, gap: None }
    }

    async fn read(&mut self, max: usize) -> Result<Batch, StreamError> {
        let (reader, from) = (Arc::clone(&self.reader), self.position.offset);
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || read_batch(&shared, &mut reader.lock(), from, max));
        let (records, next) = read.await.map_err(|error| StreamError::Io(error.to_string()))??;
        self.position = Position { epoch: self.head().epoch, offset: next };
        Ok(Batch { records, next: self.position })
    }
}

#[async_trait]
impl EventStream for JournalStream {
    fn partition(&self) -> u32 {
        0
    }

    /// A position behind the head means that the journal lost its end or was replaced: a new epoch begins behind it, so
    /// that no number is ever used twice. Reading goes on with what was appended since the journal was opened; seek
    /// before the first append and that is nothing. A position before the oldest record is kept, and [`EventStream::next`] says
    /// that there is a gap, until what is left is sought; a consumer that knows nothing yet misses nothing.
    async fn seek(&mut self, position: Position) -> Result<Position, StreamError> {
        let head = self.head();
        self.gap = None;
        let offset = if position.offset > head.offset || position.epoch > head.epoch {
            tracing::error!(
                ?position,
                ?head,
                "the journal is shorter than its consumer's state: a new epoch begins"
            );
            self.shared.queue.new_epoch(position);
            position.offset.min(self.shared.opened_at)
        } else {
            let oldest = self.shared.shelf.lock().oldest();
            if position.offset < oldest && position != Position::default() {
                self.gap = Some(Position { epoch: head.epoch, offset: oldest });
                self.position = position;
                return Ok(position);
            }
            position.offset.max(oldest)
        };
        self.position = Position { epoch: self.head().epoch, offset };
        Ok(self.position)
    }

    async fn next(&mut self, max: usize, wait: Duration) -> Result<Batch, StreamError> {
        if let Some(first) = self.gap {
            return Err(StreamError::Gap(first));
        }
        let shared = Arc::clone(&self.shared);
        let timeout = tokio::time::sleep(wait);
        tokio::pin!(timeout);
        loop {
            let grown = shared.grown.notified();
            tokio::pin!(grown);
            grown.as_mut().enable();
            if shared.synced() > self.position.offset {
                let batch = self.read(max).await?;
                if !batch.records.is_empty() {
                    return Ok(batch);
                }
            }
            tokio::select! {
                () = grown => {}
                () = &mut timeout => return Ok(Batch { records: Vec::new(), next: self.position }),
            }
        }
    }

    async fn passed(&mut self, position: Position) -> Result<(), StreamError> {
        let mut shelf = self.shared.shelf.lock();
        let known = shelf.consumers.entry(self.name.clone()).or_default();
        if position > *known {
            *known = position;
            shelf.consumers_changed = true;
        }
        Ok(())
    }

    fn head(&self) -> Position {
        self.shared.queue.head()
    }
}

/// Up to `max` records from `from` on, and where to read on. A record that can't be decoded is skipped, counted, and
/// stays on disk.
fn read_batch(
    shared: &Shared,
    reader: &mut Reader,
    from: u64,
    max: usize,
) -> Result<(Vec<Recorded>, u64), StreamError> {
    // A read whose answer was never fetched left the reader ahead.
    if reader.position() != from {
        reader.seek(from);
    }
    let (mut records, mut bytes) = (Vec::new(), 0);
    while records.len() < max && bytes < BATCH_BYTES {
        let Some(sequence) = reader.step().map_err(|error| StreamError::Io(error.to_string()))? else {
            break;
        };
        bytes += reader.payload().len();
        let before = records.last().map(|record: &Recorded| &record.event.account);
        match codec::decode_after(reader.payload(), before) {
            Ok(event) => records.push(Recorded { journal: shared.id, sequence, event }),
            Err(error) => {
                metrics::counter!("smartlinks_journal_undecodable_total").increment(1);
                tracing::error!(sequence, %error, "a journal record is skipped; it stays on disk");
            }
        }
    }
    Ok((records, reader.position()))
}
