//! What a step costs on the server that `SMARTLINKS_TEST_CQL` names: clicks per second of one owner, and rows and requests
//! per click. Without a server it says so and measures nothing.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that can't set up has nothing to measure, and prints what it measures"
)]

use std::time::{Duration, Instant};

use sl_core::step::{RollupKey, StateBytes, StateKey, Step};
use sl_scylla::{ScyllaConfig, ScyllaHandle, schema};
use sl_store::{Store, suite::sample};

const STEPS: u64 = 40;

/// A slice of the stream: clicks of people without pixels. Each has two pieces of memory of its own (the visitor, the
/// holder of the pool link), as in service.
fn step(offset: u64, clicks: u64) -> Step {
    let numbers = offset * clicks..(offset + 1) * clicks;
    let link = sample::link_id(1);
    let at = |number| sample::after(number / 100);
    let name =
        |what: &[u8], number: u64| [&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes(), what].concat();
    let piece = |what, number, bytes| (StateKey(name(what, number)), Some(StateBytes(vec![7; bytes])));
    Step {
        state: numbers
            .clone()
            .flat_map(|number| {
                [piece(b"account0 visitor", number, 120), piece(b"account0 holder", number, 100)]
            })
            .collect(),
        given: numbers
            .clone()
            .map(|number| (sample::account(), sample::pool_id(number), sample::given(number, at(number))))
            .collect(),
        clicks: numbers.map(|number| sample::click(number, link, at(number))).collect(),
        rollups: vec![(RollupKey { link, hour: sample::HOUR }, sl_core::step::Rollup::default())],
        ..sample::step(offset)
    }
}

async fn measure(handle: &ScyllaHandle, store: &Store, first: u64, clicks: u64) {
    let steps: Vec<_> = (first..first + STEPS).map(|offset| step(offset, clicks)).collect();
    let keys: Vec<_> =
        steps.iter().map(|step| step.state.pieces().map(|(key, _)| key).collect::<Vec<_>>()).collect();
    let before = handle.written();
    let (begin, mut slowest) = (Instant::now(), Duration::ZERO);
    for step in steps {
        let begin = Instant::now();
        store.ledger.apply(step).await.unwrap();
        slowest = slowest.max(begin.elapsed());
    }
    let took = begin.elapsed().as_secs_f64();
    let after = handle.written();
    let (count, steps) = ((STEPS * clicks) as f64, STEPS as f64);
    println!(
        "apply, {clicks} clicks a step: {:.0} clicks/s, {:.1} ms a step (slowest {:.1}), {:.2} rows and {:.3} requests a click",
        count / took,
        took / steps * 1e3,
        slowest.as_secs_f64() * 1e3,
        (after.rows - before.rows) as f64 / count,
        (after.requests - before.requests) as f64 / count,
    );
    let (begin, pieces) = (Instant::now(), keys.iter().map(Vec::len).sum::<usize>());
    for keys in keys {
        store.ledger.load(0, keys).await.unwrap();
    }
    println!("load: {:.0} pieces/s", pieces as f64 / begin.elapsed().as_secs_f64());
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
            format!("test_{}_bench", std::process::id()),
        )
    };
    let handle = sl_scylla::connect(&config).await.expect("a server");
    let store = handle.store().await.expect("a store");
    store.ledger.open(0).await.unwrap();
    for (first, clicks) in [(1_000, 256), (2_000, 256), (3_000, 64), (1_000_000, 1)] {
        measure(&handle, &store, first, clicks).await;
    }
    schema::drop_keyspace(&config).await.expect("dropped");
}
