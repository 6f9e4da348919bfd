//! How many click events a second the whole role takes: read, load, decide, apply to the embedded store, sync. Clicks
//! without pixels, working set in memory (decisions 52).
#![expect(clippy::unwrap_used, reason = "a bench that can't set up has nothing to measure")]

mod records;

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sl_attribution::{Attribution, AttributionSettings};
use sl_core::{
    event::{Event, Position, Recorded},
    time::{ManualClock, Timestamp},
};
use sl_fjall::FjallOptions;
use sl_journal::{Batch, ClickLog, EventStream, Fate, LostReason, StreamError, Ticket};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use self::records::{START, record};

const CLICKS: u64 = 50_000;

/// Hands out its records once; nothing is copied.
struct Tape {
    records: VecDeque<Recorded>,
    offset: u64,
    token: CancellationToken,
}

#[async_trait]
impl EventStream for Tape {
    fn partition(&self) -> u32 {
        0
    }

    async fn seek(&mut self, position: Position) -> Result<Position, StreamError> {
        Ok(position)
    }

    async fn next(&mut self, max: usize, _: Duration) -> Result<Batch, StreamError> {
        let records: Vec<_> = self.records.drain(..max.min(self.records.len())).collect();
        if records.is_empty() {
            self.token.cancel();
        }
        self.offset += records.len() as u64;
        Ok(Batch { records, next: Position { epoch: 0, offset: self.offset } })
    }

    async fn passed(&mut self, _: Position) -> Result<(), StreamError> {
        Ok(())
    }

    fn head(&self) -> Position {
        Position { epoch: 0, offset: CLICKS }
    }
}

/// Nobody appends: clicks alone make no tick.
struct NoLog;

impl ClickLog for NoLog {
    fn append(&self, _: Event) -> Result<Ticket, LostReason> {
        Ok(Ticket(0))
    }

    fn fate(&self, _: Ticket) -> Pin<Box<dyn Future<Output = Fate> + Send>> {
        Box::pin(std::future::ready(Fate::Stored))
    }
}

fn role(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut group = criterion.benchmark_group("attribution");
    group.throughput(Throughput::Elements(CLICKS)).sample_size(10);
    group.bench_function(format!("{CLICKS} clicks from the stream to the store"), |bencher| {
        bencher.iter_batched(
            || {
                let dir = TempDir::new().unwrap();
                let handle = sl_fjall::open(dir.path(), FjallOptions::default()).unwrap();
                let token = CancellationToken::new();
                let records = (0..CLICKS).map(record).collect();
                (dir, handle, Tape { records, offset: 0, token: token.clone() }, token)
            },
            |(dir, handle, tape, token)| {
                let clock = Arc::new(ManualClock::at(Timestamp(START)));
                let settings = AttributionSettings::default();
                let role = Attribution::new(Box::new(tape), handle.store(), Arc::new(NoLog), settings, clock);
                let progress = role.progress();
                runtime.block_on(role.run(token)).unwrap();
                assert_eq!(progress.borrow().synced.offset, CLICKS);
                (dir, handle)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group!(benches, role);
criterion_main!(benches);
