//! The outbox worker: one lane per destination, so that a slow or dead one holds nobody else up.

use std::{collections::HashMap, pin::pin, sync::Arc, time::Duration};

use sl_core::{delivery::Destination, pace::Pace, platforms::Platforms, seal::SealKeys, time::Clock};
use sl_store::Store;
use tokio::{task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    breakers::Breakers, egress::Egress, lane, mending, meters::Meters, room::Room, sender::Sender, set_back,
    turns::Turns, unrecorded::Unrecorded,
};

/// How soon a new job is seen.
const LOOK: Duration = Duration::from_millis(200);
/// The pause when the store could not say what is due: a full disk has no room for five log lines a second.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Bounds of the worker.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Requests in flight, all destinations together (`postback.concurrency`).
    pub concurrency: usize,
    /// Requests in flight to one destination (ad-platforms 14, rule 5).
    pub per_destination: usize,
    /// Requests a minute to a destination that has no limit of its own (`postback.max_per_minute`); `None` for any number.
    pub pace: Option<Pace>,
    /// Most events in one request, where a platform takes several and a queue waits for it; 1 for each alone
    /// (`postback.max_batch`).
    pub max_batch: usize,
    /// Longest time for a whole request (`postback.timeout`).
    pub timeout: Duration,
    /// Exceptions for destinations that users enter (`egress.allow`).
    pub egress: Egress,
    /// `edge.public_url`: the origin of click addresses.
    pub public_url: String,
}

/// Numbers in `0.0..1.0`, for jitter.
pub type Chance = Arc<dyn Fn() -> f64 + Send + Sync>;

/// What lanes share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) platforms: Platforms,
    pub(crate) keys: SealKeys,
    pub(crate) sender: Sender,
    pub(crate) settings: WorkerSettings,
    pub(crate) chance: Chance,
    pub(crate) turns: Turns,
    pub(crate) room: Room,
    pub(crate) breakers: Breakers,
    pub(crate) meters: Meters,
    pub(crate) unrecorded: Unrecorded,
}

/// Sends what is due, for all teams.
pub struct Worker(Arc<Shared>);

impl Worker {
    /// Ready to run; first it records what a worker before it could not.
    ///
    /// # Errors
    /// When no HTTP client can be made (no certificates on this machine).
    pub fn new(
        settings: WorkerSettings,
        store: Store,
        platforms: Platforms,
        keys: SealKeys,
        clock: Arc<dyn Clock>,
        chance: Chance,
        unrecorded: Unrecorded,
    ) -> reqwest::Result<Self> {
        let sender = Sender::new(settings.egress.clone(), settings.timeout)?;
        let turns = Turns::new(settings.concurrency);
        let (breakers, room) = (Breakers::default(), Room::new(settings.concurrency));
        let meters = Meters::default();
        Ok(Self(Arc::new(Shared {
            store,
            clock,
            platforms,
            keys,
            sender,
            settings,
            chance,
            turns,
            room,
            breakers,
            meters,
            unrecorded,
        })))
    }

    /// Sends test events over the same client and rules.
    #[must_use]
    pub fn tester(&self) -> crate::Tester {
        crate::Tester(Arc::clone(&self.0))
    }

    /// Runs until `shutdown`; what is in flight then is finished and recorded, within the request time-out and at most [`crate::LAST`].
    pub async fn run(self, shutdown: CancellationToken) {
        let shared = self.0;
        shared.unrecorded.record(&*shared.store.outbox, &shutdown).await;
        match shared.store.outbox.resting().await {
            Ok(resting) => shared.breakers.restore(resting),
            Err(error) => {
                tracing::error!(%error, "outbox: who rests could not be read; their answers will say")
            }
        }
        let (mut lanes, mut busy) = (JoinSet::new(), HashMap::new());
        let (mut mending, mut clock) = (pin!(mending::watch(&shared)), pin!(set_back::watch(&shared)));
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = &mut clock => {}
                () = &mut mending => {}
                Some(ended) = lanes.join_next_with_id() => {
                    // A lane that panicked frees its place too, and no other: two lanes would send the same.
                    let id = ended.map_or_else(|panicked| panicked.id(), |(id, ())| id);
                    busy.retain(|_, lane| *lane != id);
                }
                _ = look.tick() => {
                    let due = match shared.store.outbox.due_destinations(shared.clock.now()).await {
                        Ok(due) => due,
                        Err(error) => {
                            tracing::error!(%error, "outbox: what is due could not be read; trying again");
                            look.reset_after(LOOK_AGAIN);
                            continue;
                        }
                    };
                    for (destination, _) in due {
                        busy.entry(destination).or_insert_with(|| {
                            lanes.spawn(run_lane(Arc::clone(&shared), destination, shutdown.clone())).id()
                        });
                    }
                }
            }
        }
        while lanes.join_next().await.is_some() {}
    }
}

async fn run_lane(shared: Arc<Shared>, destination: Destination, shutdown: CancellationToken) {
    if let Err(error) = lane::drain(&shared, destination, &shutdown).await {
        tracing::error!(%destination, %error, "outbox: this destination waits for the next look");
    }
}
