//! How many click events a core decides per second: clicks without pixels, working set in memory (decisions 52).

mod records;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sl_core::{
    attribution::{Destinations, Memory, Missing, Rules, decide, needs},
    event::Recorded,
};

use self::records::record;

const SLICE: u64 = 512;

fn slice(round: u64) -> Vec<Recorded> {
    (0..SLICE).map(|index| record(round * SLICE + index)).collect()
}

fn clicks(criterion: &mut Criterion) {
    let (rules, destinations) =
        (Rules { step_bytes: usize::MAX, ..Rules::default() }, Destinations::default());
    let mut memory = Memory::new(200_000);
    let mut round = 0;
    let mut group = criterion.benchmark_group("attribution");
    group.throughput(Throughput::Elements(SLICE));
    group.bench_function("decide_clicks", |bencher| {
        bencher.iter_batched(
            || {
                round += 1;
                slice(round)
            },
            |records| {
                let mut wanted = needs(&records, &memory);
                let decision = loop {
                    for key in wanted {
                        memory.insert(key, None).ok();
                    }
                    match decide(&records, &memory, &rules, &destinations) {
                        Ok(decision) => break decision,
                        Err(Missing(keys)) => wanted = keys,
                    }
                };
                memory.absorb(decision.changes);
                black_box(decision.step)
            },
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group!(benches, clicks);
criterion_main!(benches);
