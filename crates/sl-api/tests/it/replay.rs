//! A replay that is asked for while an answer comes in.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use reqwest::StatusCode;
use sl_core::{
    delivery::{Attempt, Delivery, DeliveryState, Destination, Progress},
    ids::{PixelId, ReplayId, TeamId},
    replay::Trail,
    step::Step,
};
use sl_store::{
    Replays, Result, Store,
    outbox::Renewal,
    suite::sample::{self, TEAM, after},
};

use crate::world::World;

/// Replays before each of which, as it is about to be written, an answer comes in.
struct Meanwhile {
    store: Store,
    answer: Mutex<Option<(Attempt, Progress)>>,
}

#[async_trait]
impl Replays for Meanwhile {
    async fn renew(&self, renewals: Vec<Renewal>, trail: Option<Trail>) -> Result<usize> {
        let answer = self.answer.lock().take();
        if let (Some((attempt, progress)), Some(one)) = (answer, renewals.first()) {
            let from = one.from.as_ref().unwrap();
            assert!(self.store.outbox.advance(one.job.id, from, Some(attempt), progress).await?);
        }
        self.store.replays.renew(renewals, trail).await
    }

    async fn trail(&self, team: TeamId, id: ReplayId) -> Result<Option<Trail>> {
        self.store.replays.trail(team, id).await
    }

    async fn trails(&self, team: TeamId, limit: usize, after: Option<ReplayId>) -> Result<Vec<Trail>> {
        self.store.replays.trails(team, limit, after).await
    }
}

/// Asks for a replay while an answer of this state comes in; gives the state that the API answers.
async fn replay_while(state: DeliveryState) -> (String, Delivery) {
    let job = sample::job(1, Destination::Pixel(PixelId(1)), after(1));
    let attempt = Attempt { at: after(2), millis: 1, status: Some(200), error_type: None, message: None };
    let progress = Progress { state, next_attempt_at: None, attempts: 1, ..Progress::fresh(after(1)) };
    let world = World::with(|parts| {
        let (store, answer) = (parts.store.clone(), Mutex::new(Some((attempt, progress))));
        parts.store.replays = Arc::new(Meanwhile { store, answer });
    })
    .await;
    world.store.catalog.put_pixel(sample::pixel(1, TEAM)).await.unwrap();
    world.store.ledger.open(0).await.unwrap();
    world.store.ledger.apply(Step { jobs: vec![job.clone()], ..sample::step(1) }).await.unwrap();
    let (status, body) = world.call("POST", &format!("/api/x/deliveries/{}/replay", job.id), None).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let stored = world.store.deliveries.delivery(TEAM, job.id).await.unwrap().unwrap();
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
