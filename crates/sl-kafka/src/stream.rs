//! One partition of `<prefix>.events` as an [`EventStream`].
//!
//! Positions are (epoch, offset) and live with the consumer's state; Kafka hears of them only so that its tools can show a
//! lag. The epoch is the partition's own: that of the topic when it was made, or to which it was raised when this partition
//! lost its end. Records that were sent in an earlier one do not count. When another partition raises the topic's epoch,
//! reading goes on where it was: everything is still there, and what edges send again is known.
//!
//! A partition that lost its end is given a new epoch in three steps, each of which may be the last of this process: the
//! consumer stores that its position is lost; the topic's epoch is raised; the consumer stores its place in the new one.
//! Were the epoch raised first, whoever comes next would find the partition long enough again, and take it for one of the
//! others. That it lost its end is seen by its length, by the brokers' own epochs while somebody reads, and by the record
//! before the position whenever reading begins in the middle (module `before`).

mod before;
mod begin;
mod take;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};
use sl_core::{
    applied::Applied,
    event::{Position, Recorded},
    time::Clock,
};
use sl_journal::{Batch, EventStream, StreamError};
use tokio::{sync::Notify, time::Instant};

use self::{
    before::Before,
    begin::{Begin, begin, has_lost_its_end},
    take::{Place, Trouble, take},
};
use crate::{
    Cluster, ClusterError, Topic,
    group::Held,
    reader::{Looked, Queue, Reader},
};

/// Most bytes of payload in one batch, so that a run of large webhooks does not fill the memory.
const BATCH_BYTES: usize = 4 << 20;
/// After so long without a record it is made sure that there is none: a client library that lost sight of a partition
/// during an outage must not hold it up for ever.
const SILENCE: Duration = Duration::from_secs(10);
/// So long edges keep what they have sent, whatever their traffic. A partition that lost its end and has grown for longer since is
/// read on where it is: what is missing of it, a few records, is counted as gone.
const HELD: Duration = Duration::from_secs(3600);
/// Between two looks while the topic is in doubt.
const DOUBT: Duration = Duration::from_millis(50);

/// One partition, read from wherever its consumer's state stands. Gives up the partition when it is dropped.
pub struct KafkaStream {
    /// Before the reader: the queue must be gone when the partition is let go.
    queue: Option<Queue>,
    reader: Arc<Reader>,
    cluster: Cluster,
    clock: Arc<dyn Clock>,
    held: Option<Held>,
    topic: Topic,
    partition: u32,
    position: Position,
    /// What is known of the record before it.
    before: Option<Before>,
    /// Reading began one record before the position, which has not come yet: it must be the one that was there.
    checks: bool,
    arrived: Arc<Notify>,
    trouble: Option<Trouble>,
    /// How often the topic had been looked at when this was sought.
    looks: u64,
    /// When a record, or the certainty that there is none, last came.
    heard: Instant,
}

impl KafkaStream {
    /// Without a group: for tools and tests. Begins at the oldest record unless sought.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn open(
        cluster: &Cluster,
        partition: u32,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClusterError> {
        let topic = cluster.events().await?;
        let reader = Reader::start(cluster, &topic)?;
        let mut stream = Self::of(reader, cluster.clone(), topic, partition, None, clock);
        stream.seek(Position::default()).await.map_err(ClusterError::unavailable)?;
        Ok(stream)
    }

    pub(crate) fn of(
        reader: Arc<Reader>,
        cluster: Cluster,
        topic: Topic,
        partition: u32,
        held: Option<Held>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            queue: None,
            reader,
            cluster,
            clock,
            held,
            topic,
            partition,
            position: Position::default(),
            before: None,
            checks: false,
            arrived: Arc::new(Notify::new()),
            trouble: None,
            looks: 0,
            heard: Instant::now(),
        }
    }

    fn number(&self) -> i32 {
        i32::try_from(self.partition).unwrap_or(i32::MAX)
    }

    fn check_fence(&self) -> Result<(), StreamError> {
        match &self.held {
            Some(held) if held.is_fenced() => Err(StreamError::Fenced),
            _ => Ok(()),
        }
    }

    async fn ends(&self) -> Result<(u64, u64), StreamError> {
        let (reader, partition) = (Arc::clone(&self.reader), self.number());
        let ends = tokio::task::spawn_blocking(move || reader.ends(partition)).await;
        ends.map_err(io)?.map_err(io)
    }

    /// Reads from `offset` on, of what begins at `low`; from the record before it, if something is known of that.
    async fn assign(&mut self, offset: u64, low: u64) -> Result<(), StreamError> {
        self.queue = None;
        self.checks = self.before.is_some() && offset > low;
        let offset = if self.checks { offset - 1 } else { offset };
        let (reader, partition) = (Arc::clone(&self.reader), self.number());
        let arrived = Arc::clone(&self.arrived);
        let queue = tokio::task::spawn_blocking(move || reader.assign(partition, offset, arrived)).await;
        self.queue = Some(queue.map_err(io)?.map_err(io)?);
        Ok(())
    }

    /// Reads on where this stands, with a new queue.
    async fn assign_anew(&mut self) -> Result<(), StreamError> {
        let (low, _) = self.ends().await?;
        self.assign(self.position.offset, low).await
    }

    /// A topic that was made anew is read from its oldest record. A partition that lost its end gets a new epoch, so
    /// that edges send again what they still have, when the position sought is [`Position::lost`].
    async fn go(&mut self, position: Position, before: Option<Before>) -> Result<Position, StreamError> {
        self.check_fence()?;
        self.topic = self.cluster.events().await.map_err(io)?;
        if position.epoch > self.topic.epoch && self.topic.is_raised() {
            // Of two who raised it at once the lower one won.
            self.raise(position.epoch).await?;
        }
        let (low, high) = self.ends().await?;
        let (at, trouble) = match begin(position, &self.topic, low, high) {
            Begin::At(at) => (at, None),
            Begin::Gap(first) => (position, Some(Trouble::Gap(first))),
            Begin::Shorter if position.is_lost() => (self.begin_anew(low).await?, None),
            Begin::Shorter => (position, Some(Trouble::Gap(position.lost()))),
            Begin::Older => return Err(older(&self.topic.name, position)),
        };
        self.before = before.filter(|_| at == position && trouble.is_none());
        self.assign(at.offset.clamp(low, high), low).await?;
        (self.position, self.trouble) = (at, trouble);
        self.looks = self.reader.looked().times;
        self.heard = Instant::now();
        Ok(at)
    }

    /// Says what is wrong, as long as it is.
    async fn settle_trouble(&mut self) -> Result<(), StreamError> {
        let looked = self.reader.looked();
        self.compare(&looked).await?;
        if matches!(self.trouble, Some(Trouble::OutOfRange)) {
            let (low, _) = self.ends().await?;
            if self.checks && low == self.position.offset {
                // Retention took the record before it in this moment.
                self.assign(low, low).await?;
                self.trouble = None;
                return Ok(());
            }
            let is_lost = has_lost_its_end(self.position.offset, low);
            let first =
                if is_lost { self.position.lost() } else { Position { offset: low, ..self.position } };
            self.trouble = Some(Trouble::Gap(first));
        }
        match &self.trouble {
            Some(Trouble::Gap(first)) => Err(StreamError::Gap(*first)),
            Some(Trouble::Undecodable { offset, record, reason }) => {
                Err(StreamError::Undecodable { offset: *offset, record: *record, reason: reason.clone() })
            }
            Some(Trouble::Doubt(until)) if looked.times >= *until => {
                // What raised the doubt may have left the queue.
                self.assign_anew().await?;
                self.trouble = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes in what the topic was when it was last looked at.
    async fn compare(&mut self, looked: &Looked) -> Result<(), StreamError> {
        if looked.made > self.topic.made {
            self.trouble = Some(Trouble::Gap(Position { epoch: looked.made, offset: 0 }));
        } else if looked.made == self.topic.made && looked.epoch > self.topic.epoch {
            // For another partition.
            self.topic.epoch = looked.epoch;
        } else if looked.epoch < self.topic.epoch && looked.times >= self.looks + FRESH {
            // Otherwise that look is older than the last seek's. Of two who raised it at once the lower one may have won.
            if looked.made < self.topic.made || !self.topic.is_raised() {
                return Err(older(&self.topic.name, Position { epoch: self.topic.epoch, offset: 0 }));
            }
            self.raise(self.topic.epoch).await?;
        }
        Ok(())
    }

    async fn raise(&mut self, next: u64) -> Result<(), StreamError> {
        self.topic = self.cluster.raise_epoch(next).await.map_err(io)?;
        self.looks = self.reader.looked().times;
        Ok(())
    }

    /// Records that were applied are gone, and others may come in their places: edges send again what they still have.
    async fn begin_anew(&mut self, low: u64) -> Result<Position, StreamError> {
        let partition = self.partition;
        tracing::error!(partition, "a partition lost records that were applied: a new epoch begins");
        self.raise(self.topic.epoch + 1).await?;
        Ok(Position { epoch: self.topic.epoch, offset: low })
    }

    /// Asks whether there is really nothing; reads anew where there is.
    async fn make_sure(&mut self) -> Result<(), StreamError> {
        let ends = self.ends().await;
        self.heard = Instant::now();
        let (low, high) = ends?;
        if high > self.position.offset {
            metrics::counter!("smartlinks_stream_silent_total").increment(1);
            tracing::warn!(partition = self.partition, position = ?self.position, high, "records did not come");
            self.assign(self.position.offset, low).await?;
        }
        Ok(())
    }

    /// What is there now, without waiting.
    fn drain(&mut self, max: usize) -> Result<Vec<Recorded>, StreamError> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let held_since = self.clock.now().minus(HELD);
        let Some(queue) = &self.queue else { return Err(StreamError::Io("not sought yet".to_owned())) };
        while records.len() < max && bytes < BATCH_BYTES {
            let Some(polled) = queue.poll(Duration::ZERO) else { break };
            match polled {
                Ok(message) => {
                    bytes += message.payload_len();
                    let before = self.before.as_ref().filter(|_| self.checks);
                    let place =
                        Place { topic: self.topic.epoch, position: &mut self.position, before, held_since };
                    let Err(trouble) = take(&message, place, &mut records) else { continue };
                    if let Trouble::Doubt(_) = trouble {
                        self.trouble = Some(doubt(&self.reader));
                    } else {
                        self.trouble = Some(trouble);
                    }
                    break;
                }
                Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset)) => {
                    self.trouble = Some(Trouble::OutOfRange);
                    break;
                }
                Err(error) => {
                    // Most of them pass; a topic that was made anew is among them.
                    self.trouble = Some(doubt(&self.reader));
                    if records.is_empty() {
                        return Err(io(error));
                    }
                    break;
                }
            }
        }
        if let Some(last) = records.last() {
            (self.before, self.checks) = (Some(Before::of(last)), false);
        }
        Ok(records)
    }
}

/// After so many more looks one was begun after now: one may be under way already.
const FRESH: u64 = 2;

/// Has the topic looked at, and says how often it must have been looked at before reading goes on.
fn doubt(reader: &Reader) -> Trouble {
    reader.doubt();
    Trouble::Doubt(reader.looked().times + FRESH)
}

fn io(error: impl std::fmt::Display) -> StreamError {
    StreamError::Io(error.to_string())
}

fn older(topic: &str, position: Position) -> StreamError {
    let known = position.epoch;
    StreamError::Io(format!(
        "{topic} was made before the one that the state has seen (epoch {known}): its maker's clock was wrong. Delete \
         it and let this service make it"
    ))
}

#[async_trait]
impl EventStream for KafkaStream {
    fn partition(&self) -> u32 {
        self.partition
    }

    fn is_fenced(&self) -> bool {
        self.check_fence().is_err()
    }

    async fn seek(&mut self, position: Position) -> Result<Position, StreamError> {
        self.go(position, None).await
    }

    async fn resume(&mut self, position: Position, applied: &Applied) -> Result<Position, StreamError> {
        self.go(position, Some(Before::Applied(applied.clone()))).await
    }

    async fn next(&mut self, max: usize, wait: Duration) -> Result<Batch, StreamError> {
        let deadline = Instant::now() + wait;
        loop {
            self.check_fence()?;
            self.settle_trouble().await?;
            let mut until = deadline;
            if matches!(self.trouble, Some(Trouble::Doubt(_))) {
                self.reader.doubt();
                until = until.min(Instant::now() + DOUBT);
            } else {
                let records = self.drain(max)?;
                if !records.is_empty() {
                    self.heard = Instant::now();
                    return Ok(Batch { records, next: self.position });
                }
                if self.trouble.is_some() {
                    continue;
                }
                if self.heard.elapsed() >= SILENCE {
                    self.make_sure().await?;
                }
            }
            if Instant::now() >= deadline {
                return Ok(Batch { records: Vec::new(), next: self.position });
            }
            let fenced = async {
                match &self.held {
                    Some(held) => held.fenced().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.arrived.notified() => {}
                () = fenced => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Tells the group, for those who look at its lag. The position that counts is the state's.
    async fn passed(&mut self, position: Position) -> Result<(), StreamError> {
        self.check_fence()?;
        match &self.held {
            Some(held) if position.epoch >= self.topic.made && !position.is_lost() => {
                held.commit(&self.topic.name, self.number(), position.offset).map_err(io)
            }
            _ => Ok(()),
        }
    }

    fn head(&self) -> Position {
        let heard = self.reader.head(self.number());
        Position { epoch: self.position.epoch, offset: heard.max(self.position.offset) }
    }
}

impl Drop for KafkaStream {
    fn drop(&mut self) {
        self.queue = None;
        self.reader.unassign(self.number());
    }
}
