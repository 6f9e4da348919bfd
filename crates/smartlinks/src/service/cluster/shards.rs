//! The outbox among many workers: each destination belongs to a shard, and a shard to one worker at a time.
//!
//! Shards are leased, and a worker takes no more than its share: workers are counted by the seats they have, which are leases
//! too. So one that joins gets shards within seconds, and what a dead one held is taken over once it has been silent for a
//! span. A worker that stands still sends nothing of a shard whose lease may be over, and one that hands a shard over finishes what is
//! under way first and sends nothing else that it had read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use sl_core::{
    breaker::Resting,
    delivery::{Delivery, Destination, RenderedRequest},
    ids::{AccountId, DeliveryId, FanId},
    lease::{Candidate, Swap},
    time::Timestamp,
};
use sl_store::{
    Leases, Outbox, Result, StoreError,
    outbox::{Change, SHARDS, Sending, Waiting, shard_lease, shard_of},
};
use tokio_util::sync::CancellationToken;

use super::seats::Seats;

/// How long a worker may be silent. An attempt takes up to ten seconds; what it reports counts once, whoever does
/// (`Outbox::advance`).
pub(super) const SPAN: Duration = Duration::from_secs(10);

/// An outbox of which only the shards of this worker are seen as due.
pub(crate) struct Shards {
    inner: Arc<dyn Outbox>,
    /// The shards, by number.
    shards: Mutex<Vec<Shard>>,
}

/// What this worker has to do with a shard.
struct Shard {
    lease: Candidate,
    /// Cloned for each request under way.
    sending: Sending,
    /// It is another worker's once nothing is under way any more: until then it is kept, and nothing new is sent.
    leaving: bool,
}

impl Shard {
    fn may_send(&self, now: Instant) -> bool {
        self.lease.holds(now) && !self.leaving
    }

    /// Holds it no longer; how the lease is given back, if there is one.
    fn give_up(&mut self) -> Option<Swap> {
        self.leaving = false;
        let swap = self.lease.give_back()?;
        self.lease.settled(swap.clone(), false, Instant::now());
        Some(swap)
    }
}

/// How many shards a worker takes, of so many workers. At least one: more workers than shards wait.
fn share(workers: usize) -> usize {
    usize::try_from(SHARDS).unwrap_or(1).div_ceil(workers.max(1))
}

impl Shards {
    pub(crate) fn of(inner: Arc<dyn Outbox>, me: &str) -> Arc<Self> {
        let shard =
            |_| Shard { lease: Candidate::new(me, SPAN), sending: Sending::default(), leaving: false };
        let shards = (0..SHARDS).map(shard).collect();
        Arc::new(Self { inner, shards: Mutex::new(shards) })
    }

    /// Leases shards until `stop`, then gives them back.
    pub(crate) async fn run(self: Arc<Self>, leases: Arc<dyn Leases>, me: String, stop: CancellationToken) {
        let mut seats = Seats::of(&me);
        while !stop.is_cancelled() {
            if let Err(error) = self.look(&*leases, &mut seats).await {
                tracing::warn!(%error, "shards of the outbox can't be leased; trying again");
            }
            tokio::select! {
                () = tokio::time::sleep(SPAN / 10) => {}
                () = stop.cancelled() => {}
            }
        }
        self.shards.lock().iter_mut().for_each(|shard| shard.leaving = true);
        let begun = Instant::now();
        while self.has_requests_under_way() && begun.elapsed() < SPAN {
            tokio::time::sleep(SPAN / 100).await;
        }
        for shard in 0..SHARDS {
            self.leave(&*leases, shard).await;
        }
        seats.leave(&*leases).await;
    }

    fn has_requests_under_way(&self) -> bool {
        self.shards.lock().iter().any(|shard| shard.sending.others() > 0)
    }

    async fn look(&self, leases: &dyn Leases, seats: &mut Seats) -> Result<()> {
        let most = share(seats.count(leases).await?);
        let mine = self.held();
        for shard in mine.iter().skip(most) {
            self.with(*shard, |shard| shard.leaving = true);
        }
        let leaving: Vec<u32> = (0..SHARDS).filter(|shard| self.is(*shard, |shard| shard.leaving)).collect();
        for shard in &leaving {
            match self.is(*shard, |shard| shard.sending.others() == 0) {
                true => self.leave(leases, *shard).await,
                false => self.step(leases, *shard, most).await?,
            }
        }
        // Others from a place of its own on, so that two who look together meet rarely.
        let start = u32::try_from(seats.own.unwrap_or_default()).unwrap_or_default();
        let others = (0..SHARDS)
            .map(|nth| (start + nth) % SHARDS)
            .filter(|shard| !mine.contains(shard) && !leaving.contains(shard));
        for shard in mine.iter().take(most).copied().chain(others) {
            self.step(leases, shard, most).await?;
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 16")]
        metrics::gauge!("smartlinks_outbox_shards").set(self.held().len() as f64);
        Ok(())
    }

    /// A sign of life for a shard, or an attempt to take it. Every one is looked at: who does not look does not notice
    /// that its worker is silent.
    async fn step(&self, leases: &dyn Leases, shard: u32, most: usize) -> Result<()> {
        let (name, began) = (shard_lease(shard), Instant::now());
        let stored = leases.lease(&name).await?;
        let Some(swap) = self.with(shard, |shard| shard.lease.next(stored, began)).flatten() else {
            return Ok(());
        };
        let (held, leaving) = (self.held(), self.is(shard, |shard| shard.leaving));
        if leaving || held.contains(&shard) || held.len() < most {
            let taken = leases.swap_lease(&name, &swap).await?;
            self.with(shard, |shard| shard.lease.settled(swap, taken, began));
        }
        Ok(())
    }

    async fn leave(&self, leases: &dyn Leases, shard: u32) {
        // From here on nothing of it is sent, whatever the store says.
        let given_up = self.with(shard, Shard::give_up).flatten();
        let Some(swap) = given_up else { return };
        if let Err(error) = leases.swap_lease(&shard_lease(shard), &swap).await {
            tracing::warn!(shard, %error, "a shard can't be given back; it is free in {SPAN:?}");
        }
    }

    fn with<T>(&self, shard: u32, with: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        self.shards.lock().get_mut(shard as usize).map(with)
    }

    fn is(&self, shard: u32, is: impl FnOnce(&Shard) -> bool) -> bool {
        self.shards.lock().get(shard as usize).is_some_and(is)
    }

    /// An error when none may be sent from now.
    fn has_any(&self) -> Result<()> {
        match self.held().is_empty() {
            true => Err(StoreError::Unavailable("no shard of the outbox is leased now".to_owned())),
            false => Ok(()),
        }
    }

    /// Shards that may be sent from now.
    fn held(&self) -> Vec<u32> {
        let now = Instant::now();
        (0..SHARDS)
            .zip(self.shards.lock().iter())
            .filter(|(_, own)| own.may_send(now))
            .map(|(n, _)| n)
            .collect()
    }
}

#[async_trait]
impl Outbox for Shards {
    fn sending(&self, destination: Destination) -> Option<Sending> {
        let (now, shard) = (Instant::now(), shard_of(destination));
        self.with(shard, |shard| shard.may_send(now).then(|| shard.sending.clone())).flatten()
    }

    async fn due_destinations(&self, now: Timestamp) -> Result<Vec<(Destination, Timestamp)>> {
        let mut due = Vec::new();
        for shard in self.held() {
            due.extend(self.inner.due_in(shard, now).await?);
        }
        Ok(due)
    }

    async fn due(&self, destination: Destination, now: Timestamp, limit: usize) -> Result<Vec<Delivery>> {
        if !self.held().contains(&shard_of(destination)) {
            return Ok(Vec::new());
        }
        self.inner.due(destination, now, limit).await
    }

    /// Who goes on resting says the worker that has the shard, of whose version the others may not know yet. That somebody asked
    /// for a rest is kept also when the shard was lost while it was being asked.
    async fn rest(&self, destination: Destination, resting: Option<Resting>) -> Result<()> {
        if resting.is_none() && !self.held().contains(&shard_of(destination)) {
            return Ok(());
        }
        self.inner.rest(destination, resting).await
    }

    /// Of every shard: a worker asks once, when it starts and has none, for those that it will take.
    async fn resting(&self) -> Result<Vec<(Destination, Resting)>> {
        self.inner.resting().await
    }

    /// Of every shard, for the same reason. What several workers set right is set right once ([`Outbox::advance`]).
    async fn ahead(&self, after: Timestamp, behind: Option<Waiting>, limit: usize) -> Result<Vec<Delivery>> {
        self.inner.ahead(after, behind, limit).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.inner.next_due().await
    }

    /// The last look before something new is sent: a worker that stood still and has lost everything sends nothing.
    async fn store_bodies(&self, bodies: Vec<(DeliveryId, RenderedRequest)>) -> Result<Vec<RenderedRequest>> {
        self.has_any()?;
        self.inner.store_bodies(bodies).await
    }

    async fn rewrite(&self, id: DeliveryId, old: RenderedRequest, new: RenderedRequest) -> Result<bool> {
        self.has_any()?;
        self.inner.rewrite(id, old, new).await
    }

    async fn bodies(&self, ids: Vec<DeliveryId>) -> Result<Vec<Option<RenderedRequest>>> {
        self.inner.bodies(ids).await
    }

    async fn advance_all(&self, changes: Vec<Change>) -> Result<Vec<bool>> {
        self.inner.advance_all(changes).await
    }

    async fn first_of_fan(
        &self,
        destination: Destination,
        account: &AccountId,
        fan: &FanId,
    ) -> Result<Option<(DeliveryId, Timestamp)>> {
        self.inner.first_of_fan(destination, account, fan).await
    }
}

#[cfg(test)]
mod tests {
    use sl_core::{
        breaker::Rest,
        ids::{PixelId, PostbackId},
    };

    use super::*;

    #[tokio::test]
    async fn a_rest_is_ended_by_the_worker_that_has_the_shard_only() {
        let dir = tempfile::tempdir().unwrap();
        let store = sl_fjall::open(dir.path().join("store"), sl_fjall::FjallOptions::default()).unwrap();
        let store = store.store();
        let (shards, to) = (Shards::of(Arc::clone(&store.outbox), "me"), Destination::Pixel(PixelId(1)));
        let rest = Rest { from: Timestamp(1), until: Timestamp(9) };
        let resting = Resting { rest, version: Timestamp(1) };
        shards.rest(to, Some(resting)).await.unwrap();
        shards.rest(to, None).await.unwrap();
        assert_eq!(shards.resting().await.unwrap(), [(to, resting)], "another worker's");
        shards.look(&*store.leases, &mut Seats::of("me")).await.unwrap();
        shards.rest(to, None).await.unwrap();
        assert_eq!(shards.resting().await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_shard_is_handed_over_once_nothing_of_it_is_under_way_and_nothing_that_was_read_is_sent() {
        let dir = tempfile::tempdir().unwrap();
        let store = sl_fjall::open(dir.path().join("store"), sl_fjall::FjallOptions::default()).unwrap();
        let store = store.store();
        let leases = &*store.leases;
        let of = |me| (Shards::of(Arc::clone(&store.outbox), me), Seats::of(me));
        let ((one, mut one_seats), (other, mut other_seats)) = (of("one"), of("other"));
        one.look(leases, &mut one_seats).await.unwrap();
        let both = |number| [Destination::Pixel(PixelId(number)), Destination::Postback(PostbackId(number))];
        let all: Vec<Destination> = (1..20).flat_map(both).collect();
        let to = *all.iter().find(|to| shard_of(**to) == SHARDS - 1).unwrap();
        let under_way = one.sending(to).unwrap();
        // Another worker comes: half of the shards are its.
        other.look(leases, &mut other_seats).await.unwrap();
        one.look(leases, &mut one_seats).await.unwrap();
        other.look(leases, &mut other_seats).await.unwrap();
        assert!(one.sending(to).is_none() && other.sending(to).is_none(), "one request is under way");
        assert_eq!(other.held().len(), 7, "what is idle went at once");
        drop(under_way);
        one.look(leases, &mut one_seats).await.unwrap();
        other.look(leases, &mut other_seats).await.unwrap();
        assert!(one.sending(to).is_none() && other.sending(to).is_some());
        let owners = |to: Destination| [&one, &other].iter().filter(|it| it.sending(to).is_some()).count();
        assert!(all.into_iter().all(|to| owners(to) == 1), "each has one worker");
    }

    #[test]
    fn shards_are_shared_out_and_none_is_left() {
        for workers in 1..=20 {
            assert!(share(workers) * workers >= 16, "{workers}");
        }
        assert_eq!((share(1), share(2), share(3), share(16), share(99)), (16, 8, 6, 1, 1));
    }
}
