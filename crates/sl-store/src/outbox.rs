//! The outbox: jobs by destination, bodies, attempts.

use std::sync::Arc;

use async_trait::async_trait;
use sl_core::{
    breaker::Resting,
    delivery::{Attempt, Delivery, DeliveryState, Destination, Job, Progress, RenderedRequest},
    ids::{AccountId, ClickId, DeliveryId, FanId, ReplayId, TeamId},
    replay::Trail,
    time::Timestamp,
};

use crate::Result;

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

    /// Keeps the rendered request. On disk when the call returns, before it is first sent (decisions 56). The first one
    /// stays: returns what is stored.
    async fn store_body(&self, id: DeliveryId, request: RenderedRequest) -> Result<RenderedRequest>;

    /// [`Outbox::store_body`] of several deliveries, in their order. All are on disk when the call returns; after an error some may be. A
    /// backend for which several together cost less than one by one says so here, and in the two below.
    async fn store_bodies(&self, bodies: Vec<(DeliveryId, RenderedRequest)>) -> Result<Vec<RenderedRequest>> {
        let mut stored = Vec::with_capacity(bodies.len());
        for (id, request) in bodies {
            stored.push(self.store_body(id, request).await?);
        }
        Ok(stored)
    }

    /// Keeps a request written anew in the place of `old`, whose target was wrong. On disk when the call returns, before it is first
    /// sent. `false`, and nothing is written, when another one is stored by now: whoever wrote that knows more.
    async fn rewrite(&self, id: DeliveryId, old: RenderedRequest, new: RenderedRequest) -> Result<bool>;

    /// The stored request.
    async fn body(&self, id: DeliveryId) -> Result<Option<RenderedRequest>>;

    /// [`Outbox::body`] of several, in their order.
    async fn bodies(&self, ids: Vec<DeliveryId>) -> Result<Vec<Option<RenderedRequest>>> {
        let mut bodies = Vec::with_capacity(ids.len());
        for id in ids {
            bodies.push(self.body(id).await?);
        }
        Ok(bodies)
    }

    /// Goes on from the progress `from` to `to`, with the attempt that was made, if one was, in one step. `false`, and
    /// nothing is written, when the stored progress is no longer `from`: whoever changed it knows more. So of a worker, a
    /// replay and a look for changed destinations at the same moment each sees what the other did.
    async fn advance(
        &self,
        id: DeliveryId,
        from: &Progress,
        attempt: Option<Attempt>,
        to: Progress,
    ) -> Result<bool>;

    /// [`Outbox::advance`] of several deliveries, each for itself, in their order. After an error some may have gone on.
    async fn advance_all(&self, changes: Vec<Change>) -> Result<Vec<bool>> {
        let mut done = Vec::with_capacity(changes.len());
        for Change { id, from, attempt, to } in changes {
            done.push(self.advance(id, &from, attempt, to).await?);
        }
        Ok(done)
    }

    /// Takes deliveries up again, and enters those that are not there yet, each in one step (an embedded backend: all in
    /// one). Each only if it stands as it was read: otherwise whoever changed it knows more, and it is left alone. Returns
    /// how many were changed. After an error some may have been; the same call again does the rest.
    ///
    /// `trail` gets that number added and is kept in the place of the row that has its id: with the deliveries in one step
    /// (an embedded backend), or before them, and after all of them with the number. So what was changed by a call that
    /// failed may be missing in its trail's number, and that never tells of more than was changed.
    async fn renew(&self, renewals: Vec<Renewal>, trail: Option<Trail>) -> Result<usize>;

    /// One replay of a team.
    async fn trail(&self, team: TeamId, id: ReplayId) -> Result<Option<Trail>>;

    /// Replays of a team, newest first, after `after`. They are never forgotten.
    async fn trails(&self, team: TeamId, limit: usize, after: Option<ReplayId>) -> Result<Vec<Trail>>;

    /// The earliest of a fan's events that wait at a destination, with the time it is due.
    async fn first_of_fan(
        &self,
        destination: Destination,
        account: &AccountId,
        fan: &FanId,
    ) -> Result<Option<(DeliveryId, Timestamp)>>;

    /// One delivery of a team.
    async fn delivery(&self, team: TeamId, id: DeliveryId) -> Result<Option<Delivery>>;

    /// All attempts of a delivery, oldest first, at most the last 50.
    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>>;

    /// Deliveries of a team, newest first, after `cursor`.
    async fn list(&self, team: TeamId, filter: DeliveryFilter) -> Result<Vec<Delivery>>;

    /// Deliveries that hang on a click, by creation.
    async fn of_click(&self, team: TeamId, click: ClickId) -> Result<Vec<Delivery>>;

    /// How many there are in each state, for all teams; `due_now` of [`Counts`] at `now`, without destinations that rest.
    async fn counts(&self, now: Timestamp) -> Result<Counts>;

    /// The newest finished attempt of a postback, for `latest_response` (contract A.9.2).
    async fn latest(&self, destination: Destination) -> Result<Option<(Delivery, RenderedRequest)>>;
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

/// One delivery of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// What is told to whom; kept as it is when it is there already.
    pub job: Job,
    /// The progress as it was read; `None` when there was no such delivery.
    pub from: Option<Progress>,
    /// The progress as it is to be; for a new delivery always [`Progress::of`] the job.
    pub to: Progress,
}

/// Which deliveries to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryFilter {
    /// Only this state.
    pub state: Option<DeliveryState>,
    /// Only this destination.
    pub destination: Option<Destination>,
    /// At most so many.
    pub limit: usize,
    /// Go on after this one.
    pub after: Option<DeliveryId>,
}

/// Figures of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Waiting and due now, at destinations that do not rest.
    pub due_now: u64,
    /// Waiting, due or not.
    pub waiting: u64,
    /// Confirmed.
    pub delivered: u64,
    /// Refused or held.
    pub parked: u64,
    /// Too old.
    pub expired: u64,
    /// Our own rule.
    pub skipped: u64,
}
