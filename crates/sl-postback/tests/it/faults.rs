//! An outbox that takes nothing when it is told to, and counts what it is asked.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use sl_core::{
    breaker::Resting,
    delivery::{Attempt, Delivery, Destination, RenderedRequest},
    ids::{AccountId, ClickId, DeliveryId, FanId, TeamId},
    time::Timestamp,
};
use sl_store::{
    Deliveries, Outbox, Result, StoreError,
    outbox::{Change, Counts, DeliveryFilter, Waiting},
};

use crate::world::World;

pub(crate) struct Faults {
    outbox: Arc<dyn Outbox>,
    deliveries: Arc<dyn Deliveries>,
    /// Nothing goes on.
    pub(crate) is_full: AtomicBool,
    /// The next change is written, and nobody is told.
    pub(crate) is_cut: AtomicBool,
    /// Changes that were refused.
    pub(crate) refused: AtomicUsize,
    /// Pages of deliveries that were read.
    pub(crate) listed: AtomicUsize,
    /// Each look for changed destinations begins with such a question; the worker asks once, too.
    pub(crate) asked_who_rests: AtomicUsize,
    /// Times that somebody asked what is due for one destination.
    pub(crate) asked_what_is_due: AtomicUsize,
}

impl Faults {
    /// In the place of the world's outbox.
    pub(crate) fn within(world: &mut World) -> Arc<Self> {
        let faults = Arc::new(Self {
            outbox: Arc::clone(&world.store.outbox),
            deliveries: Arc::clone(&world.store.deliveries),
            is_full: AtomicBool::default(),
            is_cut: AtomicBool::default(),
            refused: AtomicUsize::default(),
            listed: AtomicUsize::default(),
            asked_who_rests: AtomicUsize::default(),
            asked_what_is_due: AtomicUsize::default(),
        });
        world.store.outbox = Arc::<Self>::clone(&faults);
        world.store.deliveries = Arc::<Self>::clone(&faults);
        faults
    }

    fn refuse(&self) -> Result<()> {
        if !self.is_full.load(SeqCst) {
            return Ok(());
        }
        self.refused.fetch_add(1, SeqCst);
        Err(StoreError::Unavailable("the disk is full".to_owned()))
    }
}

#[async_trait]
impl Outbox for Faults {
    async fn advance_all(&self, changes: Vec<Change>) -> Result<Vec<bool>> {
        self.refuse()?;
        let went = self.outbox.advance_all(changes).await;
        match self.is_cut.swap(false, SeqCst) {
            true => Err(StoreError::Unavailable("the connection broke".to_owned())),
            false => went,
        }
    }

    async fn due_destinations(&self, now: Timestamp) -> Result<Vec<(Destination, Timestamp)>> {
        self.outbox.due_destinations(now).await
    }

    async fn due(&self, destination: Destination, now: Timestamp, limit: usize) -> Result<Vec<Delivery>> {
        self.asked_what_is_due.fetch_add(1, SeqCst);
        self.outbox.due(destination, now, limit).await
    }

    async fn rest(&self, destination: Destination, resting: Option<Resting>) -> Result<()> {
        self.outbox.rest(destination, resting).await
    }

    async fn resting(&self) -> Result<Vec<(Destination, Resting)>> {
        self.asked_who_rests.fetch_add(1, SeqCst);
        self.outbox.resting().await
    }

    async fn ahead(&self, after: Timestamp, behind: Option<Waiting>, limit: usize) -> Result<Vec<Delivery>> {
        self.outbox.ahead(after, behind, limit).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.outbox.next_due().await
    }

    async fn store_bodies(&self, bodies: Vec<(DeliveryId, RenderedRequest)>) -> Result<Vec<RenderedRequest>> {
        self.outbox.store_bodies(bodies).await
    }

    async fn rewrite(&self, id: DeliveryId, old: RenderedRequest, new: RenderedRequest) -> Result<bool> {
        self.outbox.rewrite(id, old, new).await
    }

    async fn bodies(&self, ids: Vec<DeliveryId>) -> Result<Vec<Option<RenderedRequest>>> {
        self.outbox.bodies(ids).await
    }

    async fn first_of_fan(
        &self,
        destination: Destination,
        account: &AccountId,
        fan: &FanId,
    ) -> Result<Option<(DeliveryId, Timestamp)>> {
        self.outbox.first_of_fan(destination, account, fan).await
    }
}

#[async_trait]
impl Deliveries for Faults {
    async fn delivery(&self, team: TeamId, id: DeliveryId) -> Result<Option<Delivery>> {
        self.deliveries.delivery(team, id).await
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>> {
        self.deliveries.attempts(id).await
    }

    async fn list(&self, team: TeamId, filter: DeliveryFilter) -> Result<Vec<Delivery>> {
        self.listed.fetch_add(1, SeqCst);
        self.deliveries.list(team, filter).await
    }

    async fn of_click(&self, team: TeamId, click: ClickId) -> Result<Vec<Delivery>> {
        self.deliveries.of_click(team, click).await
    }

    async fn counts(&self, now: Timestamp) -> Result<Counts> {
        self.deliveries.counts(now).await
    }

    async fn latest(&self, destination: Destination) -> Result<Option<(Delivery, RenderedRequest)>> {
        self.deliveries.latest(destination).await
    }
}
