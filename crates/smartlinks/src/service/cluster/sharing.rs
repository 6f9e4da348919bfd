//! Attribution among many machines: a loop per partition that the consumer group gives this process. A loop that is
//! fenced, by the group or by the position stored with the state, ends without a word: another machine decides now.

use std::{collections::HashMap, sync::Arc};

use sl_attribution::{Attribution, AttributionError, AttributionSettings, SharedView};
use sl_journal::{EventStream as _, Journal, StreamError};
use sl_kafka::{Group, KafkaStream};
use sl_store::StoreError;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{AGAIN, Cluster, SharedClock};

/// What every loop needs.
#[derive(Clone)]
pub(crate) struct Sharing {
    pub(crate) cluster: Cluster,
    /// Takes the ticks; they come back by way of Kafka.
    pub(crate) journal: Arc<Journal>,
    pub(crate) settings: AttributionSettings,
    pub(crate) clock: SharedClock,
    pub(crate) view: SharedView,
}

type Ended = Result<(), AttributionError>;

impl Sharing {
    /// Decides for its partitions until `stop`.
    ///
    /// # Errors
    /// [`AttributionError`] when a partition is damaged.
    pub(crate) async fn run(self, stop: CancellationToken) -> Ended {
        while !stop.is_cancelled() {
            match Group::join(&self.cluster.kafka, "attribution", Arc::clone(&self.clock)).await {
                Ok(group) => self.take_part(group, &stop).await?,
                Err(error) => tracing::warn!(%error, "the consumer group can't be joined; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Until `stop`, or until a loop ends that the group thinks is still running: then everything is given back.
    async fn take_part(&self, mut group: Group, stop: &CancellationToken) -> Ended {
        let end = stop.child_token();
        let mut loops = JoinSet::new();
        let mut partitions = HashMap::new();
        let mut outcome = Ok(());
        loop {
            tokio::select! {
                stream = group.next() => match stream {
                    Some(stream) => {
                        let partition = stream.partition();
                        tracing::info!(partition, "this process decides for the partition now");
                        let task = loops.spawn(self.clone().decide(stream, end.child_token()));
                        partitions.insert(task.id(), partition);
                    }
                    None => break,
                },
                Some(ended) = loops.join_next_with_id() => {
                    let goes_on = self.ended(ended, &mut partitions);
                    if !matches!(goes_on, Ok(true)) {
                        outcome = goes_on.map(drop);
                        break;
                    }
                }
                () = stop.cancelled() => break,
            }
        }
        end.cancel();
        while loops.join_next().await.is_some() {}
        group.leave().await;
        outcome
    }

    async fn decide(self, stream: KafkaStream, stop: CancellationToken) -> Ended {
        // A ledger of its own: a loop is an owner of its partition, and of no other.
        let mut store = self.cluster.scylla.owner().await;
        while let Err(error) = &store
            && error.is_temporary()
            && !stop.is_cancelled()
        {
            tokio::time::sleep(AGAIN).await;
            store = self.cluster.scylla.owner().await;
        }
        let attribution = Attribution::new(Box::new(stream), store?, self.journal, self.settings, self.clock);
        attribution.with_view(self.view).run(stop).await
    }

    /// Whether the others go on.
    fn ended(
        &self,
        ended: Result<(Id, Ended), tokio::task::JoinError>,
        partitions: &mut HashMap<Id, u32>,
    ) -> Result<bool, AttributionError> {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(panicked) => {
                let why = format!("a loop of attribution ended by itself: {panicked}");
                return Err(StoreError::Damaged(why).into());
            }
        };
        let partition = partitions.remove(&id);
        match outcome {
            Ok(()) => Ok(true),
            Err(AttributionError::Stream(StreamError::Fenced)) => {
                tracing::info!(partition, "another process decides for the partition now");
                Ok(true)
            }
            Err(AttributionError::Store(StoreError::Fenced(why))) => {
                tracing::warn!(partition, why, "fenced; joining the group anew");
                Ok(false)
            }
            Err(error @ AttributionError::Store(StoreError::Damaged(_) | StoreError::NotFound)) => Err(error),
            Err(error) => {
                tracing::warn!(partition, %error, "attribution of the partition ended; joining the group anew");
                Ok(false)
            }
        }
    }
}
