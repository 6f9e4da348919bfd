//! One producer's life: from the stored position to a stop or a failure.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use rdkafka::{
    config::FromClientConfigAndContext as _,
    error::KafkaError,
    producer::{BaseRecord, Producer as _, PurgeConfig, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use sl_core::{
    event::{EventBody, Position, Recorded},
    visitor::Visit,
};
use sl_journal::{StreamError, codec};
use tokio::{task::JoinHandle, time::Instant};

use super::{
    Forwarder, PATIENT,
    acks::{Answers, Delivered, Underway, Window},
    position::{Forwarded, PositionFile},
    stop::Stop,
};
use crate::{ClusterError, Topic, cluster, partition};

pub(super) struct Session<'a> {
    forwarder: &'a mut Forwarder,
    file: PositionFile,
    events: Topic,
    /// An aid, without which events go all the same; asked for again now and then when it is not there.
    visitors: Option<Topic>,
    producer: ThreadedProducer<Delivered>,
    answers: Arc<Answers>,
    window: Window,
    /// Everything before this position is acknowledged.
    passed: Position,
    /// Everything before this position was acknowledged so long ago that it is on the brokers' disks.
    settled: Position,
    /// What was acknowledged since, and when; one place for each `store_every`.
    settling: VecDeque<(Instant, Position)>,
    /// Where the file says that everything is settled.
    stored: Position,
    check: Option<Check>,
    checked_at: Instant,
    /// Since when something was acknowledged, or the brokers have answered after they had not.
    progress_at: Instant,
    scratch: Vec<u8>,
    stop: Stop,
}

/// Whether the topic is still the same one: asked when everything before `position` was acknowledged.
struct Check {
    position: Position,
    /// The events; and the visitors where they were missing and are there again.
    asked: JoinHandle<(Result<Topic, ClusterError>, Option<Topic>)>,
}

impl Drop for Check {
    fn drop(&mut self) {
        self.asked.abort();
    }
}

/// Longest wait for records, so that answers are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl<'a> Session<'a> {
    pub(super) async fn start(
        forwarder: &'a mut Forwarder,
        file: PositionFile,
        mut stop: Stop,
    ) -> Result<Self, ClusterError> {
        let topics = async {
            let events = forwarder.cluster.events().await?;
            match forwarder.cluster.visitors().await {
                Err(error @ ClusterError::Topic { .. }) => {
                    tracing::error!(%error, "edges do not learn whom the others saw; events go to Kafka without it");
                    Ok((events, None))
                }
                visitors => Ok::<_, ClusterError>((events, Some(visitors?))),
            }
        };
        let (events, visitors) = tokio::select! {
            topics = topics => topics?,
            ended = stop.passed() => return Err(ended),
        };
        let known = file.read().map_err(ClusterError::unavailable)?;
        let known = known.filter(|known| known.journal == forwarder.journal && known.epoch == events.epoch);
        // If nothing is known: all that the journal still has.
        let begin = known.map(|known| known.position).unwrap_or_default();
        let passed = forwarder.stream.seek(begin).await.map_err(ClusterError::unavailable)?;
        forwarder.passed(passed);
        let answers = Arc::new(Answers::default());
        let producer = producer(forwarder, Arc::clone(&answers))?;
        tracing::info!(position = passed.offset, epoch = events.epoch, "forwarding to Kafka");
        Ok(Self {
            forwarder,
            file,
            events,
            visitors,
            producer,
            answers,
            window: Window::default(),
            passed,
            settled: passed,
            settling: VecDeque::new(),
            stored: passed,
            check: None,
            checked_at: Instant::now(),
            progress_at: Instant::now(),
            scratch: Vec::new(),
            stop,
        })
    }

    /// Until told to stop, and then for a bounded time until Kafka has what the journal has.
    pub(super) async fn forward(&mut self) -> Result<(), ClusterError> {
        let mut end = None;
        loop {
            self.turn().await?;
            if end.is_none() && self.stop.is_told() {
                end = Some(self.forwarder.stream.head());
            }
            if end.is_some_and(|end| self.passed >= end) {
                // One that began before the last answer knows nothing of it.
                self.check = Some(self.ask(self.passed));
                return self.store().await;
            }
            self.stop.check()?;
        }
    }

    async fn turn(&mut self) -> Result<(), ClusterError> {
        let settings = &self.forwarder.settings;
        let wait = LOOK_EVERY.min(settings.store_every);
        let batch = match self.forwarder.stream.next(settings.batch, wait).await {
            Err(StreamError::Gap(first)) => return self.pass_over(first).await,
            batch => batch.map_err(ClusterError::unavailable)?,
        };
        let underway = self.window.open(batch.next);
        for record in batch.records {
            self.send(record, &underway).await?;
        }
        underway.complete();
        self.look()?;
        self.store_now_and_then().await
    }

    /// Records that the journal has no more: those behind them must not wait for ever.
    async fn pass_over(&mut self, first: Position) -> Result<(), ClusterError> {
        let gone = first.offset.saturating_sub(self.passed.offset);
        tracing::error!(?first, gone, "records of the journal are gone before they were forwarded");
        metrics::counter!("smartlinks_forward_unsendable_total").increment(gone);
        self.forwarder.stream.seek(first).await.map_err(ClusterError::unavailable)?;
        Ok(())
    }

    /// Hands one record over; waits while the producer is full.
    async fn send(&mut self, record: Recorded, underway: &Arc<Underway>) -> Result<(), ClusterError> {
        if let EventBody::Click(click) = &record.event.body
            && let Some(visitors) = &self.visitors
            && let Some(visit) = Visit::of(click)
        {
            self.scratch.clear();
            codec::encode_visit(record.journal, &visit, &mut self.scratch);
            let partition = partition::of_bytes(&visit.daily.0.to_be_bytes(), visitors.partitions);
            self.hand_over(Which::Visitors, partition, "", underway).await?;
        }
        let account = record.event.account.clone();
        let partition = partition::of_account(&account, self.events.partitions);
        let sequence = record.sequence;
        self.scratch.clear();
        codec::encode_sent(record, self.events.epoch, &mut self.scratch);
        if self.scratch.len() > self.events.longest.min(cluster::LONGEST) {
            metrics::counter!("smartlinks_forward_unsendable_total").increment(1);
            let bytes = self.scratch.len();
            tracing::error!(
                sequence,
                bytes,
                "a record is larger than the topic takes: it stays in the journal only"
            );
            return Ok(());
        }
        self.hand_over(Which::Events, partition, account.as_str(), underway).await
    }

    async fn hand_over(
        &mut self,
        which: Which,
        partition: u32,
        key: &str,
        underway: &Arc<Underway>,
    ) -> Result<(), ClusterError> {
        let topic = match which {
            Which::Events => self.events.name.as_str(),
            Which::Visitors => self.visitors.as_ref().map_or("", |topic| &topic.name),
        };
        let mut record = BaseRecord::with_opaque_to(topic, underway.another())
            .partition(i32::try_from(partition).unwrap_or(0))
            .payload(self.scratch.as_slice());
        if !key.is_empty() {
            record = record.key(key);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    metrics::counter!("smartlinks_forward_bytes_total").increment(self.scratch.len() as u64);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    // The journal holds what comes meanwhile; it is read no further.
                    tokio::select! {
                        () = self.answers.news.notified() => {}
                        () = tokio::time::sleep(LOOK_EVERY) => {}
                    }
                    let failed = self.answers.failure().map(ClusterError::Unavailable);
                    if let Some(error) = failed.or_else(|| self.stop.check().err()) {
                        underway.refused();
                        return Err(error);
                    }
                }
                Err((error, _)) => {
                    underway.refused();
                    return Err(ClusterError::unavailable(error));
                }
            }
        }
    }

    /// Takes in what was answered.
    fn look(&mut self) -> Result<(), ClusterError> {
        if let Some(passed) = self.window.passed() {
            let records = passed.offset.saturating_sub(self.passed.offset);
            metrics::counter!("smartlinks_forwarded_total").increment(records);
            self.passed = passed;
            self.progress_at = Instant::now();
            self.forwarder.passed(passed);
            match self.settling.back_mut() {
                Some((at, last)) if at.elapsed() < self.forwarder.settings.store_every => *last = passed,
                _ => self.settling.push_back((self.progress_at, passed)),
            }
        }
        while let Some((at, position)) = self.settling.front()
            && at.elapsed() >= self.forwarder.settings.settle
        {
            self.settled = *position;
            self.settling.pop_front();
        }
        if self.window.is_empty() {
            self.progress_at = Instant::now();
        }
        let patience = self.forwarder.patience;
        if self.progress_at.elapsed() >= patience {
            self.forwarder.patience = (patience * 2).min(PATIENT);
            return Err(ClusterError::Unavailable(format!(
                "not everything was acknowledged for {patience:?} although the brokers answer"
            )));
        }
        let behind = self.forwarder.stream.head().offset.saturating_sub(self.passed.offset);
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("smartlinks_forward_lag_records").set(behind as f64);
        self.answers.failure().map_or(Ok(()), |failure| Err(ClusterError::Unavailable(failure)))
    }

    /// Once in a while, without waiting for it: stores how far everything is acknowledged, if the topic that
    /// acknowledged it is still there.
    async fn store_now_and_then(&mut self) -> Result<(), ClusterError> {
        if self.check.as_ref().is_some_and(|check| check.asked.is_finished()) {
            return self.store().await;
        }
        if self.check.is_none() && self.checked_at.elapsed() >= self.forwarder.settings.store_every {
            self.check = Some(self.ask(self.settled));
        }
        Ok(())
    }

    fn ask(&mut self, position: Position) -> Check {
        self.checked_at = Instant::now();
        let cluster = self.forwarder.cluster.clone();
        let is_missing = self.visitors.is_none();
        let asked = tokio::spawn(async move {
            let visitors = if is_missing { cluster.visitors().await.ok() } else { None };
            (cluster.events().await, visitors)
        });
        Check { position, asked }
    }

    /// Waits for the check under way, and stores what it allows.
    async fn store(&mut self) -> Result<(), ClusterError> {
        let Some(mut check) = self.check.take() else { return Ok(()) };
        let (events, visitors) = tokio::select! {
            topics = &mut check.asked => topics.map_err(ClusterError::unavailable)?,
            ended = self.stop.passed() => return Err(ended),
        };
        self.visitors = self.visitors.take().or(visitors);
        match events {
            Ok(events) if events.epoch == self.events.epoch => {}
            // The next session begins with the oldest record of the journal.
            Ok(events) => return Err(ClusterError::Unavailable(format!("{} was made anew", events.name))),
            // No answer is none about the records under way either: the producer waits for its own.
            Err(ClusterError::Unavailable(_)) => {
                self.progress_at = Instant::now();
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let (position, epoch) = (check.position, self.events.epoch);
        if position == self.stored {
            return Ok(());
        }
        let forwarded = Forwarded { journal: self.forwarder.journal, epoch, position };
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || file.write(&forwarded)).await;
        written.map_err(ClusterError::unavailable)?.map_err(ClusterError::unavailable)?;
        self.stored = position;
        self.forwarder.stream.passed(position).await.map_err(ClusterError::unavailable)
    }

    /// Ends the producer. What it still holds is sent by the next session; its threads are waited for, so that nothing of
    /// it arrives later.
    pub(super) async fn end(self) {
        let producer = self.producer;
        let ended = tokio::task::spawn_blocking(move || {
            producer.purge(PurgeConfig::default().queue().inflight());
            drop(producer);
        });
        if ended.await.is_err() {
            tracing::error!("the producer's end failed");
        }
    }
}

#[derive(Clone, Copy)]
enum Which {
    Events,
    Visitors,
}

fn producer(
    forwarder: &Forwarder,
    answers: Arc<Answers>,
) -> Result<ThreadedProducer<Delivered>, ClusterError> {
    let config = forwarder.cluster.config();
    let mut client = config.client();
    client
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("enable.gapless.guarantee", "true")
        .set("max.in.flight.requests.per.connection", "1")
        // Never too old: a record given up would be a gap.
        .set("message.timeout.ms", "0")
        .set("message.max.bytes", cluster::MESSAGE_MAX)
        .set("compression.type", "lz4")
        // A broker works per request: at 5 ms its work per click is half as much again at 2,000 clicks/s, and this client's
        // nearly twice as much (loadtest/cluster).
        .set("linger.ms", "50")
        // What may be on its way: 100,000 clicks of 600 B are the 64 MB; past that the journal waits.
        .set("queue.buffering.max.messages", "200000")
        .set("queue.buffering.max.kbytes", "65536");
    ThreadedProducer::from_config_and_context(&client, Delivered(answers))
        .map_err(|error| config.blame(&error).into())
}
