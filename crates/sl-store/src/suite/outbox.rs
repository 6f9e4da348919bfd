//! Jobs, progress, bodies, attempts: one file per question that is asked of an outbox.

mod lists;
mod queue;
mod replays;
mod sent;
mod shards;
mod together;

use sl_core::{
    delivery::{Attempt, Delivery, DeliveryState, Destination, Progress, RenderedRequest},
    ids::{DeliveryId, PixelId, PostbackId},
    step::Step,
    time::Timestamp,
};

pub use self::{lists::*, queue::*, replays::*, sent::*, shards::*, together::*};
use super::{
    Backend,
    sample::{self, HOUR, after},
};
use crate::Store;

const PIXEL: Destination = Destination::Pixel(PixelId(1));
const POSTBACK: Destination = Destination::Postback(PostbackId(1));

async fn with_jobs(backend: &dyn Backend, jobs: &[(u64, Destination, u64)]) -> Store {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let jobs = jobs.iter().map(|&(number, to, seconds)| sample::job(number, to, after(seconds))).collect();
    store.ledger.apply(Step { jobs, ..sample::step(1) }).await.unwrap();
    store
}

fn id(number: u64, seconds: u64) -> DeliveryId {
    sample::job(number, PIXEL, after(seconds)).id
}

fn progress(state: DeliveryState, next: Option<Timestamp>) -> Progress {
    Progress { state, next_attempt_at: next, attempts: 1, ..Progress::fresh(HOUR) }
}

pub(super) fn attempt(status: u16, at: Timestamp) -> Attempt {
    Attempt { at, millis: 12, status: Some(status), error_type: None, message: None }
}

pub(super) fn request(text: &str) -> RenderedRequest {
    RenderedRequest {
        method: "POST".to_owned(),
        url: "https://graph.example/events".to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: text.as_bytes().to_vec(),
        ..RenderedRequest::default()
    }
}

fn ids(deliveries: &[Delivery]) -> Vec<DeliveryId> {
    deliveries.iter().map(|delivery| delivery.job.id).collect()
}
