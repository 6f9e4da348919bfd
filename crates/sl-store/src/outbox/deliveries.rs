//! What people read of deliveries.

use async_trait::async_trait;
use sl_core::{
    delivery::{Attempt, Delivery, DeliveryState, Destination, RenderedRequest},
    ids::{ClickId, DeliveryId, TeamId},
    time::Timestamp,
};

use crate::Result;

/// Deliveries of every state, as they stand.
#[async_trait]
pub trait Deliveries: Send + Sync + 'static {
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
