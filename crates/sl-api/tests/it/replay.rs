//! A replay that is asked for while an answer comes in.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use reqwest::StatusCode;
use sl_core::{
    breaker::Resting,
    delivery::{Attempt, Delivery, DeliveryState, Destination, Progress, RenderedRequest},
    ids::{AccountId, ClickId, DeliveryId, FanId, PixelId, ReplayId, TeamId},
    replay::Trail,
    step::Step,
    time::Timestamp,
};
use sl_store::{
    Outbox, Result,
    outbox::{Counts, DeliveryFilter, Renewal, Waiting},
    suite::sample::{self, TEAM, after},
};

use crate::world::World;

/// An outbox in which something happens just before the next change is written.
struct Meanwhile {
    outbox: Arc<dyn Outbox>,
    answer: Mutex<Option<(Attempt, Progress)>>,
}

#[async_trait]
impl Outbox for Meanwhile {
    async fn advance(
        &self,
        id: DeliveryId,
        from: &Progress,
        attempt: Option<Attempt>,
        to: Progress,
    ) -> Result<bool> {
        let answer = self.answer.lock().take();
        if let Some((attempt, progress)) = answer {
            assert!(self.outbox.advance(id, from, Some(attempt), progress).await?);
        }
        self.outbox.advance(id, from, attempt, to).await
    }

    async fn due_destinations(&self, now: Timestamp) -> Result<Vec<(Destination, Timestamp)>> {
        self.outbox.due_destinations(now).await
    }

    async fn due(&self, destination: Destination, now: Timestamp, limit: usize) -> Result<Vec<Delivery>> {
        self.outbox.due(destination, now, limit).await
    }

    async fn rest(&self, destination: Destination, resting: Option<Resting>) -> Result<()> {
        self.outbox.rest(destination, resting).await
    }

    async fn resting(&self) -> Result<Vec<(Destination, Resting)>> {
        self.outbox.resting().await
    }

    async fn ahead(&self, after: Timestamp, behind: Option<Waiting>, limit: usize) -> Result<Vec<Delivery>> {
        self.outbox.ahead(after, behind, limit).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.outbox.next_due().await
    }

    async fn store_body(&self, id: DeliveryId, request: RenderedRequest) -> Result<RenderedRequest> {
        self.outbox.store_body(id, request).await
    }

    async fn rewrite(&self, id: DeliveryId, old: RenderedRequest, new: RenderedRequest) -> Result<bool> {
        self.outbox.rewrite(id, old, new).await
    }

    async fn body(&self, id: DeliveryId) -> Result<Option<RenderedRequest>> {
        self.outbox.body(id).await
    }

    async fn renew(&self, renewals: Vec<Renewal>, trail: Option<Trail>) -> Result<usize> {
        let answer = self.answer.lock().take();
        if let (Some((attempt, progress)), Some(one)) = (answer, renewals.first()) {
            let from = one.from.as_ref().unwrap();
            assert!(self.outbox.advance(one.job.id, from, Some(attempt), progress).await?);
        }
        self.outbox.renew(renewals, trail).await
    }

    async fn trail(&self, team: TeamId, id: ReplayId) -> Result<Option<Trail>> {
        self.outbox.trail(team, id).await
    }

    async fn trails(&self, team: TeamId, limit: usize, after: Option<ReplayId>) -> Result<Vec<Trail>> {
        self.outbox.trails(team, limit, after).await
    }

    async fn first_of_fan(
        &self,
        destination: Destination,
        account: &AccountId,
        fan: &FanId,
    ) -> Result<Option<(DeliveryId, Timestamp)>> {
        self.outbox.first_of_fan(destination, account, fan).await
    }

    async fn delivery(&self, team: TeamId, id: DeliveryId) -> Result<Option<Delivery>> {
        self.outbox.delivery(team, id).await
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>> {
        self.outbox.attempts(id).await
    }

    async fn list(&self, team: TeamId, filter: DeliveryFilter) -> Result<Vec<Delivery>> {
        self.outbox.list(team, filter).await
    }

    async fn of_click(&self, team: TeamId, click: ClickId) -> Result<Vec<Delivery>> {
        self.outbox.of_click(team, click).await
    }

    async fn counts(&self, now: Timestamp) -> Result<Counts> {
        self.outbox.counts(now).await
    }

    async fn latest(&self, destination: Destination) -> Result<Option<(Delivery, RenderedRequest)>> {
        self.outbox.latest(destination).await
    }
}

/// Asks for a replay while an answer of this state comes in; gives the state that the API answers.
async fn replay_while(state: DeliveryState) -> (String, Delivery) {
    let job = sample::job(1, Destination::Pixel(PixelId(1)), after(1));
    let attempt = Attempt { at: after(2), millis: 1, status: Some(200), error_type: None, message: None };
    let progress = Progress { state, next_attempt_at: None, attempts: 1, ..Progress::fresh(after(1)) };
    let world = World::with(|parts| {
        let (outbox, answer) = (Arc::clone(&parts.store.outbox), Mutex::new(Some((attempt, progress))));
        parts.store.outbox = Arc::new(Meanwhile { outbox, answer });
    })
    .await;
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(Step { jobs: vec![job.clone()], ..sample::step(1) }).await.unwrap();
    let (status, body) = world.call("POST", &format!("/api/x/deliveries/{}/replay", job.id), None).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let stored = world.store.outbox.delivery(TEAM, job.id).await.unwrap().unwrap();
    (body["data"]["state"].as_str().unwrap().to_owned(), stored)
}

#[tokio::test]
async fn a_replay_of_what_is_confirmed_in_this_moment_sends_nothing_more() {
    let (state, stored) = replay_while(DeliveryState::Delivered).await;
    assert_eq!((state.as_str(), stored.progress.state), ("delivered", DeliveryState::Delivered));
}

#[tokio::test]
async fn a_replay_of_what_is_refused_in_this_moment_is_a_replay_of_that() {
    let (state, stored) = replay_while(DeliveryState::Parked).await;
    assert_eq!((state.as_str(), stored.progress.state), ("waiting", DeliveryState::Waiting));
    assert_eq!(stored.progress.attempts, 0);
}
