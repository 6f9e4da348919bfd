//! The outbox: jobs by destination, bodies, attempts. What is sent is the worker's ([`Outbox`]), what is read the people's
//! ([`Deliveries`]), and they may have something sent again ([`Replays`]).

mod deliveries;
mod replays;

use std::sync::Arc;

use async_trait::async_trait;
use sl_core::{
    breaker::Resting,
    delivery::{Attempt, Delivery, Destination, Progress, RenderedRequest},
    ids::{AccountId, DeliveryId, FanId},
    time::Timestamp,
};

pub use self::{
    deliveries::{Counts, Deliveries, DeliveryFilter},
    replays::{Renewal, Replays},
};
use crate::{Result, StoreError};

/// The outbox is cut into so many shards, by destination, and workers share them out: a destination is one worker's at a
/// time, whose is what [`crate::Leases`] says under [`shard_lease`]. Every process must cut alike, so the number is fixed;
/// it bounds how many workers have something to do (one sends thousands of deliveries a second).
///
/// A lease keeps two from sending the same; it does not decide what counts. A worker that was gone for too long may still
/// tell of what it has sent: of two that tell of one delivery one is heard, see [`Outbox::advance`].
pub const SHARDS: u32 = 16;

/// The name under which a shard is leased.
#[must_use]
pub fn shard_lease(shard: u32) -> String {
    format!("outbox/{shard}")
}

/// The shard of a destination.
#[must_use]
pub fn shard_of(destination: Destination) -> u32 {
    let (sort, number) = match destination {
        Destination::Pixel(id) => (0, id.0),
        Destination::Postback(id) => (1, id.0),
    };
    // Numbers are given one after the other, and both sorts are spread alike.
    u32::try_from((number.wrapping_mul(2) | sort) % u64::from(SHARDS)).unwrap_or(0)
}

/// Leave to send to one destination, until it is dropped: when what came of it is recorded.
#[derive(Debug, Clone, Default)]
pub struct Sending(Arc<()>);

impl Sending {
    /// How many other leaves to send to the same destination are out.
    #[must_use]
    pub fn others(&self) -> usize {
        Arc::strong_count(&self.0).saturating_sub(1)
    }
}

/// Jobs are written by [`crate::Ledger::apply`]; everything else about them is the worker's.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// Asked just before something is sent. `None` where that is another worker's by now: what was read before is theirs; or where what
    /// comes of it could not be recorded, so that it would be sent again. Nobody else may send to the destination as long as the answer is
    /// kept.
    fn sending(&self, _destination: Destination) -> Option<Sending> {
        Some(Sending::default())
    }

    /// Destinations with something due at `now` that do not rest then, each with the time its oldest due job became due. Like
    /// [`Outbox::due`] it is asked to send what it names: a backend that knows that it writes nothing now answers with an error.
    async fn due_destinations(&self, now: Timestamp) -> Result<Vec<(Destination, Timestamp)>>;

    /// Due jobs of one destination, oldest first.
    async fn due(&self, destination: Destination, now: Timestamp, limit: usize) -> Result<Vec<Delivery>>;

    /// [`Outbox::due_destinations`] of one shard.
    async fn due_in(&self, shard: u32, now: Timestamp) -> Result<Vec<(Destination, Timestamp)>> {
        let mut due = self.due_destinations(now).await?;
        due.retain(|(destination, _)| shard_of(*destination) == shard);
        Ok(due)
    }

    /// The destination rests, or no longer does. Jobs keep their time and order, so the cost is the same however many wait.
    async fn rest(&self, destination: Destination, resting: Option<Resting>) -> Result<()>;

    /// Destinations that were told to rest, whether that is over or not.
    async fn resting(&self) -> Result<Vec<(Destination, Resting)>>;

    /// Waiting jobs of any team that are due after `after`, in the order of [`Waiting`] and behind `behind`, at most `limit`:
    /// reads none of those that are due already.
    async fn ahead(&self, after: Timestamp, behind: Option<Waiting>, limit: usize) -> Result<Vec<Delivery>>;

    /// When the next job of any destination is due and its destination has rested, if one is waiting.
    async fn next_due(&self) -> Result<Option<Timestamp>>;

    /// Keeps rendered requests, and says what is stored, in their order: the first one of a delivery stays. All are on disk when the
    /// call returns, before they are first sent (decisions 56); after an error some may be.
    async fn store_bodies(&self, bodies: Vec<(DeliveryId, RenderedRequest)>) -> Result<Vec<RenderedRequest>>;

    /// [`Outbox::store_bodies`] of one delivery.
    async fn store_body(&self, id: DeliveryId, request: RenderedRequest) -> Result<RenderedRequest> {
        self.store_bodies(vec![(id, request)]).await?.pop().ok_or(StoreError::NotFound)
    }

    /// Keeps a request written anew in the place of `old`, whose target was wrong. On disk when the call returns, before it is first
    /// sent. `false`, and nothing is written, when another one is stored by now: whoever wrote that knows more.
    async fn rewrite(&self, id: DeliveryId, old: RenderedRequest, new: RenderedRequest) -> Result<bool>;

    /// The stored requests, in the order of `ids`.
    async fn bodies(&self, ids: Vec<DeliveryId>) -> Result<Vec<Option<RenderedRequest>>>;

    /// [`Outbox::bodies`] of one delivery.
    async fn body(&self, id: DeliveryId) -> Result<Option<RenderedRequest>> {
        Ok(self.bodies(vec![id]).await?.pop().flatten())
    }

    /// Each of these goes on from one progress to the next, with the attempt that was made, if one was, in one step. For each, in their
    /// order: `false`, and nothing is written, when the stored progress is no longer [`Change::from`]: whoever changed it knows
    /// more. So of a worker, a replay and a look for changed destinations at the same moment each sees what the other did.
    /// After an error some may have gone on.
    async fn advance_all(&self, changes: Vec<Change>) -> Result<Vec<bool>>;

    /// [`Outbox::advance_all`] of one delivery.
    async fn advance(
        &self,
        id: DeliveryId,
        from: &Progress,
        attempt: Option<Attempt>,
        to: Progress,
    ) -> Result<bool> {
        let change = Change { id, from: from.clone(), attempt, to };
        Ok(self.advance_all(vec![change]).await?.contains(&true))
    }

    /// The earliest of a fan's events that wait at a destination, with the time it is due.
    async fn first_of_fan(
        &self,
        destination: Destination,
        account: &AccountId,
        fan: &FanId,
    ) -> Result<Option<(DeliveryId, Timestamp)>>;
}

/// Where a waiting job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiting {
    /// Who is told.
    pub destination: Destination,
    /// When it is due.
    pub due: Timestamp,
    /// Which one.
    pub id: DeliveryId,
}

impl Waiting {
    /// Where a delivery stands, as it was read; `None` when it does not wait.
    #[must_use]
    pub fn of(delivery: &Delivery) -> Option<Self> {
        let Delivery { job, progress } = delivery;
        let due = progress.due()?;
        Some(Self { destination: job.destination, due, id: job.id })
    }
}

/// One delivery that goes on ([`Outbox::advance`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which one.
    pub id: DeliveryId,
    /// The progress as it was read.
    pub from: Progress,
    /// The attempt that was made, if one was.
    pub attempt: Option<Attempt>,
    /// The progress as it is to be.
    pub to: Progress,
}
