//! Which attributor decides for which partition: a consumer group, of which only the membership is used.
//!
//! Partitions come one by one as streams and go by a fence: a revoked stream reads nothing more, and the group waits a
//! bounded time for its holder to let go before the next member may have it. Cooperative, so that the partitions that
//! stay are not disturbed. A holder that is cut off does not hear of it; it is stopped by the position stored with its
//! state (decisions 45), as the next member has opened that by then.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::FromClientConfigAndContext as _,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext},
    error::KafkaResult,
    types::RDKafkaRespErr,
};
use sl_core::time::Clock;
use tokio::sync::{Notify, mpsc};

use crate::{Cluster, ClusterError, KafkaStream, Topic, client::heard, reader::Reader};

/// Longest wait for the holder of a revoked partition to store what it has decided. Below `session.timeout.ms` nothing
/// happens to the group meanwhile, and an attributor's step takes milliseconds.
const HANDOVER: Duration = Duration::from_secs(10);

/// Membership in a group. Leave it with [`Group::leave`]; dropped, it gives its partitions back too, but blocks meanwhile.
pub struct Group {
    claims: mpsc::Receiver<(u32, Arc<Claim>)>,
    /// There until it is dropped.
    consumer: Option<Arc<BaseConsumer<Member>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    reader: Arc<Reader>,
    cluster: Cluster,
    topic: Topic,
    clock: Arc<dyn Clock>,
}

impl Group {
    /// Joins `<prefix>.<role>`. Must be called inside a runtime.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn join(cluster: &Cluster, role: &str, clock: Arc<dyn Clock>) -> Result<Self, ClusterError> {
        let topic = cluster.events().await?;
        let config = cluster.config();
        let mut settings = config.client();
        settings
            .set("group.id", format!("{}.{role}", config.prefix))
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // A member that died is replaced within this.
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "2000");
        // One claim per partition at most is on its way, twice that with revocations in between.
        let (offer, claims) = mpsc::channel(usize::try_from(topic.partitions).unwrap_or(1) * 2 + 1);
        let member = Member { offer, claims: Mutex::default() };
        let consumer = BaseConsumer::from_config_and_context(&settings, member);
        let consumer = Arc::new(consumer.map_err(|error| config.blame(&error))?);
        consumer.subscribe(&[&topic.name]).map_err(ClusterError::unavailable)?;
        let reader = Reader::start(cluster, &topic)?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (consumer, stop) = (Arc::clone(&consumer), Arc::clone(&stop));
            std::thread::Builder::new()
                .name("kafka-group".to_owned())
                .spawn(move || take_part(&consumer, &stop))
                .map_err(ClusterError::unavailable)?
        };
        let (cluster, thread, consumer) = (cluster.clone(), Some(thread), Some(consumer));
        Ok(Self { claims, consumer, stop, thread, reader, cluster, topic, clock })
    }

    /// The next partition that this member gets, to be sought before it is read. Waits for as long as there is none;
    /// `None` once the group is left.
    pub async fn next(&mut self) -> Option<KafkaStream> {
        loop {
            let (partition, claim) = self.claims.recv().await?;
            let Some(held) = Held::take(claim, self.consumer.as_ref()?) else { continue };
            let (reader, cluster) = (Arc::clone(&self.reader), self.cluster.clone());
            let (topic, clock) = (self.topic.clone(), Arc::clone(&self.clock));
            return Some(KafkaStream::of(reader, cluster, topic, partition, Some(held), clock));
        }
    }

    /// Gives every partition back and leaves. Streams that are still held are fenced.
    pub async fn leave(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take();
        let left = tokio::task::spawn_blocking(move || thread.map(JoinHandle::join));
        if !matches!(left.await, Ok(Some(Ok(())))) {
            tracing::error!("leaving the consumer group failed; it notices by itself");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // A consumer whose brokers are away does not end before they are back: it is left to a thread nobody waits for.
        let consumer = self.consumer.take();
        let left = std::thread::Builder::new().name("kafka-leave".to_owned()).spawn(move || drop(consumer));
        if let Err(error) = left {
            tracing::warn!(%error, "no thread for leaving the consumer group");
        }
    }
}

/// Takes part in the group's life until told to leave.
fn take_part(consumer: &BaseConsumer<Member>, stop: &AtomicBool) {
    let serve = || {
        // Partitions are paused: records are read elsewhere.
        if let Some(Err(error)) = consumer.poll(Duration::from_millis(100)) {
            tracing::debug!(%error, "the consumer group");
        }
    };
    while !stop.load(Ordering::Relaxed) {
        serve();
    }
    consumer.unsubscribe();
    let deadline = Instant::now() + HANDOVER + Duration::from_secs(2);
    while Instant::now() < deadline && consumer.assignment().is_ok_and(|assigned| assigned.count() > 0) {
        serve();
    }
    consumer.context().claims.lock().drain().for_each(|(_, claim)| claim.fence());
}

/// Right to one partition, from its assignment to its revocation.
#[derive(Default)]
pub(crate) struct Claim {
    state: Mutex<State>,
    let_go: Condvar,
    fenced: AtomicBool,
    fence: Notify,
}

#[derive(Default)]
struct State {
    held: bool,
}

impl Claim {
    fn fence(&self) {
        let _state = self.state.lock();
        self.fenced.store(true, Ordering::SeqCst);
        self.fence.notify_waiters();
    }

    /// Waits until nobody holds it, at most until `until`; whether that came about.
    fn wait(&self, until: Instant) -> bool {
        let mut state = self.state.lock();
        while state.held {
            if self.let_go.wait_until(&mut state, until).timed_out() {
                return !state.held;
            }
        }
        true
    }
}

/// A claim in use.
pub(crate) struct Held {
    claim: Arc<Claim>,
    consumer: Weak<BaseConsumer<Member>>,
}

impl Held {
    /// `None` when it is revoked already.
    fn take(claim: Arc<Claim>, consumer: &Arc<BaseConsumer<Member>>) -> Option<Self> {
        {
            let mut state = claim.state.lock();
            if claim.fenced.load(Ordering::SeqCst) {
                return None;
            }
            state.held = true;
        }
        Some(Self { claim, consumer: Arc::downgrade(consumer) })
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.claim.fenced.load(Ordering::SeqCst)
    }

    pub(crate) async fn fenced(&self) {
        let fence = self.claim.fence.notified();
        tokio::pin!(fence);
        fence.as_mut().enable();
        if !self.is_fenced() {
            fence.await;
        }
    }

    pub(crate) fn commit(&self, topic: &str, partition: i32, offset: u64) -> KafkaResult<()> {
        let Some(consumer) = self.consumer.upgrade() else { return Ok(()) };
        let mut list = TopicPartitionList::new();
        let offset = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
        list.add_partition_offset(topic, partition, offset)?;
        consumer.commit(&list, CommitMode::Async)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.claim.state.lock().held = false;
        self.claim.let_go.notify_all();
    }
}

/// The group's side.
pub(crate) struct Member {
    offer: mpsc::Sender<(u32, Arc<Claim>)>,
    claims: Mutex<HashMap<i32, Arc<Claim>>>,
}

impl Member {
    fn assigned(&self, partition: i32) {
        let claim = Arc::new(Claim::default());
        if let Some(before) = self.claims.lock().insert(partition, Arc::clone(&claim)) {
            before.fence();
        }
        let number = u32::try_from(partition).unwrap_or(0);
        if self.offer.try_send((number, claim)).is_err() {
            tracing::error!(partition, "nobody takes the partitions of this member");
        }
    }

    fn revoked(&self, partitions: &[i32], wait: bool) {
        let claims: Vec<_> = {
            let mut claims = self.claims.lock();
            partitions.iter().filter_map(|partition| Some((*partition, claims.remove(partition)?))).collect()
        };
        claims.iter().for_each(|(_, claim)| claim.fence());
        let until = Instant::now() + if wait { HANDOVER } else { Duration::ZERO };
        for (partition, claim) in claims {
            if wait && !claim.wait(until) {
                tracing::warn!(partition, "its holder did not let go in time; the stored position fences it");
            }
        }
    }
}

impl ClientContext for Member {
    heard!();
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions: Vec<i32> = list
            .elements()
            .iter()
            .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
            .collect();
        let done = if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            tracing::info!(?partitions, "partitions were assigned");
            // Nothing is read by way of the group: only who has what.
            let done = list
                .set_all_offsets(Offset::End)
                .and_then(|()| consumer.incremental_assign(list))
                .and_then(|()| consumer.pause(list));
            partitions.iter().for_each(|partition| self.assigned(*partition));
            done
        } else {
            let lost = consumer.assignment_lost();
            tracing::info!(?partitions, lost, "partitions were revoked");
            // Lost: another member has them already.
            self.revoked(&partitions, !lost);
            consumer.incremental_unassign(list)
        };
        if let Err(error) = done {
            tracing::error!(%error, "the consumer group's assignment failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revoked_claim_is_waited_for_only_while_it_is_held() {
        let claim = Claim::default();
        claim.state.lock().held = true;
        assert!(!claim.wait(Instant::now()));
        claim.state.lock().held = false;
        claim.fence();
        assert!(claim.wait(Instant::now()));
    }

    #[test]
    fn what_was_revoked_before_it_was_taken_is_never_handed_out() {
        let (offer, mut claims) = mpsc::channel(4);
        let member = Member { offer, claims: Mutex::default() };
        member.assigned(3);
        member.revoked(&[3], true);
        member.assigned(3);
        let (_, first) = claims.try_recv().unwrap();
        let (_, second) = claims.try_recv().unwrap();
        assert!(first.fenced.load(Ordering::SeqCst) && !second.fenced.load(Ordering::SeqCst));
    }
}
