//! What deliveries and leases cost on the server that `SMARTLINKS_TEST_CQL` names, without anything being sent. Without a
//! server it says so and measures nothing.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that can't set up has nothing to measure, and prints what it measures"
)]

use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use sl_core::{
    delivery::{Attempt, Delivery, DeliveryState, Destination, Progress, RenderedRequest},
    ids::PixelId,
    step::Step,
};
use sl_scylla::{ScyllaConfig, ScyllaHandle, schema};
use sl_store::{
    Store,
    pool::LeaseRequest,
    suite::sample::{self, RULES, after, stock},
};

const DESTINATIONS: u64 = 20;
const STEPS: u64 = 10;
/// As the worker: so many deliveries of one destination at once, so many destinations.
const WIDTH: usize = 8;
const BLOCKS: u64 = 20;

/// What was asked of the servers since `before`, by unit.
fn cost(handle: &ScyllaHandle, before: sl_scylla::WriteCounts, count: f64) -> String {
    let after = handle.written();
    let rows = (after.rows - before.rows) as f64 / count;
    format!("{rows:.1} rows and {:.2} requests each", (after.requests - before.requests) as f64 / count)
}

async fn jobs(handle: &ScyllaHandle, store: &Store) {
    let (begin, before) = (Instant::now(), handle.written());
    for step in 1..=STEPS {
        let numbers = step * 256..(step + 1) * 256;
        let job = |number| {
            let to = Destination::Pixel(PixelId(number % DESTINATIONS));
            sample::job(number, to, after(number / 100))
        };
        let step = Step { jobs: numbers.map(job).collect(), ..sample::step(step) };
        store.ledger.apply(step).await.unwrap();
    }
    let count = (STEPS * 256) as f64;
    let pace = count / begin.elapsed().as_secs_f64();
    println!("jobs entered by steps: {pace:.0}/s, {}", cost(handle, before, count));
}

async fn deliver(store: &Store, Delivery { job, progress }: Delivery) {
    let request = RenderedRequest { body: vec![7; 600], ..RenderedRequest::default() };
    store.outbox.store_body(job.id, request).await.unwrap();
    let attempt = Attempt { at: after(99), millis: 20, status: Some(200), error_type: None, message: None };
    let done =
        Progress { state: DeliveryState::Delivered, next_attempt_at: None, attempts: 1, ..progress.clone() };
    assert!(store.outbox.advance(job.id, &progress, Some(attempt), done).await.unwrap());
}

async fn deliveries(handle: &ScyllaHandle, store: &Store) {
    let (begin, before) = (Instant::now(), handle.written());
    let due = store.outbox.due_destinations(after(9_999)).await.unwrap();
    let lanes = stream::iter(due).map(|(to, _)| async move {
        let mut count = 0_u32;
        loop {
            let due = store.outbox.due(to, after(9_999), 64).await.unwrap();
            if due.is_empty() {
                return count;
            }
            count += u32::try_from(due.len()).unwrap();
            stream::iter(due).map(|one| deliver(store, one)).buffer_unordered(WIDTH).collect::<()>().await;
        }
    });
    let counts: Vec<u32> = lanes.buffer_unordered(8).collect().await;
    let count = f64::from(counts.iter().sum::<u32>());
    let pace = count / begin.elapsed().as_secs_f64();
    println!("deliveries, body and progress kept: {pace:.0}/s, {}", cost(handle, before, count));
    let begin = Instant::now();
    let counts = store.deliveries.counts(after(9_999)).await.unwrap();
    assert_eq!((counts.waiting, counts.delivered), (0, STEPS * 256));
    println!("counts: {:.0} ms", begin.elapsed().as_secs_f64() * 1e3);
}

async fn leases(handle: &ScyllaHandle, store: &Store) {
    let (begin, before) = (Instant::now(), handle.written());
    for block in 0..BLOCKS {
        let links = sample::new_links(&stock(), block * 256..(block + 1) * 256);
        store.pool.add(links).await.unwrap();
    }
    let count = (BLOCKS * 256) as f64;
    let pace = count / begin.elapsed().as_secs_f64();
    println!("pool links added: {pace:.0}/s, {}", cost(handle, before, count));
    let (begin, before) = (Instant::now(), handle.written());
    for block in 0..BLOCKS {
        let request = LeaseRequest {
            stock: stock(),
            want: 256,
            owner: "edge".to_owned(),
            now: after(block),
            until: after(block + 3_600),
            rules: RULES,
        };
        assert_eq!(store.pool.lease(request).await.unwrap().links.len(), 256);
    }
    let each = begin.elapsed().as_secs_f64() / BLOCKS as f64 * 1e3;
    println!("blocks of 256 links leased: {each:.0} ms, {}", cost(handle, before, BLOCKS as f64));
    let begin = Instant::now();
    store.pool.levels(after(99), RULES).await.unwrap();
    println!("levels of {count} links: {:.0} ms", begin.elapsed().as_secs_f64() * 1e3);
}

#[tokio::main]
async fn main() {
    let Ok(nodes) = std::env::var("SMARTLINKS_TEST_CQL") else {
        println!("SMARTLINKS_TEST_CQL is not set: nothing to measure on; see deploy/dev-cluster/up");
        return;
    };
    let config = ScyllaConfig {
        create: Some("replication = {'class': 'SimpleStrategy', 'replication_factor': 1}".to_owned()),
        ..ScyllaConfig::new(
            nodes.split(',').map(str::to_owned).collect(),
            format!("test_{}_work", std::process::id()),
        )
    };
    let handle = sl_scylla::connect(&config).await.expect("a server");
    let store = handle.store().await.expect("a store");
    store.ledger.open(0).await.unwrap();
    jobs(&handle, &store).await;
    deliveries(&handle, &store).await;
    leases(&handle, &store).await;
    schema::drop_keyspace(&config).await.expect("dropped");
}
