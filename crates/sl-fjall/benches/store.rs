//! What a step costs, and that questions and starts don't read a million rows.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a bench that can't set up has nothing to measure"
)]

use std::{hint::black_box, path::Path};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sl_core::{
    delivery::Destination,
    ids::PixelId,
    step::{RollupKey, StateBytes, StateKey, Step},
};
use sl_fjall::FjallOptions;
use sl_store::{Store, suite::sample};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const CLICKS: u64 = 256;
const MILLION: u64 = 1_000_000;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

fn open(dir: &Path) -> Store {
    sl_fjall::open(dir, FjallOptions::default()).expect("a store").store()
}

/// A slice of the stream: clicks of people, each with a record of its own in the state machine's memory.
fn step(offset: u64) -> Step {
    let numbers = offset * CLICKS..(offset + 1) * CLICKS;
    let link = sample::link_id(1);
    let at = |number| sample::after(number / 100);
    let state = |number: u64| {
        let key =
            [b"visitor ".as_slice(), &number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()].concat();
        (StateKey(key), Some(StateBytes(vec![7; 160])))
    };
    let rollup = |hour| (RollupKey { link, hour }, sl_core::step::Rollup::default());
    Step {
        state: numbers.clone().map(state).collect(),
        given: numbers
            .clone()
            .map(|number| (sample::account(), sample::pool_id(number), sample::given(number, at(number))))
            .collect(),
        clicks: numbers.map(|number| sample::click(number, link, at(number))).collect(),
        rollups: vec![rollup(sample::HOUR)],
        ..sample::step(offset)
    }
}

fn steps(criterion: &mut Criterion) {
    let (dir, runtime) = (TempDir::new().expect("a directory"), runtime());
    let store = open(dir.path());
    runtime.block_on(store.ledger.open(0)).unwrap();
    let mut group = criterion.benchmark_group("ledger");
    group.throughput(Throughput::Elements(CLICKS)).sample_size(20);
    let mut offset = 0;
    group.bench_function(format!("apply a step of {CLICKS} clicks"), |bench| {
        bench.iter_batched(
            || {
                offset += 1;
                step(offset)
            },
            |step| runtime.block_on(store.ledger.apply(step)).unwrap(),
            BatchSize::PerIteration,
        );
    });
    let keys: Vec<_> = step(1).state.pieces().map(|(key, _)| key).collect();
    group.bench_function(format!("load {CLICKS} pieces of state"), |bench| {
        bench.iter(|| runtime.block_on(store.ledger.load(0, keys.clone())).unwrap());
    });
    group.finish();
}

fn a_million_jobs(criterion: &mut Criterion) {
    let (dir, runtime) = (TempDir::new().expect("a directory"), runtime());
    let store = open(dir.path());
    runtime.block_on(store.ledger.open(0)).unwrap();
    for offset in 1..=MILLION / 1_000 {
        let number = |nth| offset * 1_000 + nth;
        let to = |number| Destination::Pixel(PixelId(number % 50));
        let job = |number| sample::job(number, to(number), sample::after(number / 100));
        let jobs = (0..1_000).map(|nth| job(number(nth))).collect();
        runtime.block_on(store.ledger.apply(Step { jobs, ..sample::step(offset) })).unwrap();
    }
    let now = sample::after(MILLION);
    let mut group = criterion.benchmark_group("outbox with a million jobs");
    group.sample_size(10);
    group.bench_function("due destinations", |bench| {
        bench.iter(|| black_box(runtime.block_on(store.outbox.due_destinations(now)).unwrap()));
    });
    group.bench_function("64 due jobs", |bench| {
        let to = Destination::Pixel(PixelId(7));
        bench.iter(|| black_box(runtime.block_on(store.outbox.due(to, now, 64)).unwrap()));
    });
    group.bench_function("counts", |bench| {
        bench.iter(|| black_box(runtime.block_on(store.deliveries.counts(now)).unwrap()));
    });
    drop(store);
    group.bench_function("open", |bench| bench.iter(|| black_box(open(dir.path()))));
    group.finish();
}

fn a_million_links(criterion: &mut Criterion) {
    let (dir, runtime) = (TempDir::new().expect("a directory"), runtime());
    let store = open(dir.path());
    for from in (0..MILLION).step_by(10_000) {
        let links = sample::new_links(&sample::stock(), from..from + 10_000);
        runtime.block_on(store.pool.add(links)).unwrap();
    }
    let mut group = criterion.benchmark_group("pool with a million links");
    group.sample_size(10);
    group.bench_function("levels", |bench| {
        let levels = || runtime.block_on(store.pool.levels(sample::after(1), sample::RULES)).unwrap();
        bench.iter(|| black_box(levels()));
    });
    drop(store);
    group.bench_function("open", |bench| bench.iter(|| black_box(open(dir.path()))));
    group.finish();
}

criterion_group!(benches, steps, a_million_jobs, a_million_links);
criterion_main!(benches);
