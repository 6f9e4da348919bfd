//! How many click events a second the whole role takes: read, load, decide, apply to the embedded store, sync. Clicks
//! without pixels, working set in memory (decisions 52).
#![expect(clippy::unwrap_used, reason = "a bench that can't set up has nothing to measure")]

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sl_attribution::{Attribution, AttributionSettings};
use sl_core::{
    click::{AdCookies, Class, Click, Device, Params, Place, RequestFacts, Rung, VisitorId, VisitorKeys},
    event::{Event, EventBody, JournalId, Position, Recorded},
    ids::{AccountId, ClickId, LinkKind, PoolLinkId, SmartLinkId, TeamId},
    time::{ManualClock, Timestamp},
};
use sl_fjall::FjallOptions;
use sl_journal::{Batch, ClickLog, EventStream, Fate, LostReason, StreamError, Ticket};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const CLICKS: u64 = 100_000;
const START: i64 = 1_772_625_600_000;

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

/// A new visitor on one of 20 links, with a pool link of its own.
fn record(number: u64) -> Recorded {
    let at = Timestamp(START + i64::try_from(number / 100).unwrap());
    let account = AccountId::from("acct_7f3a8c2d91e04b6fa5c3d2e1f0a9b8c7");
    let cookie = VisitorId(u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
    let click = Click {
        id: ClickId(ulid::Ulid::from_parts(u64::try_from(at.0).unwrap(), u128::from(number))),
        team: TeamId(1),
        account: account.clone(),
        link: SmartLinkId(ulid::Ulid(u128::from(number % 20) + 1)),
        at,
        window: Duration::from_secs(6 * 3600),
        class: Class::Person,
        rung: Rung::Fresh,
        pool_link: Some(PoolLinkId { kind: LinkKind::TrackingLink, number }),
        visitor: VisitorKeys { came_with: None, given: Some(cookie), daily: cookie, lasting: Some(cookie) },
        request: RequestFacts {
            target: "/go/01KZ4M8Q2T7V9W3X5Y6B1C0DEF?fbclid=IwZXh0bgNhZW0BMABhZGlkAasR3n_aem_Q7kLmN2".into(),
            user_agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15".into(),
            ..RequestFacts::default()
        },
        device: Device { kind: "Mobile".into(), browser: "Safari".into(), ..Device::default() },
        place: Place { country: Some("DE".into()), ..Place::default() },
        params: Params { utm_source: Some("meta".into()), ..Params::default() },
        cookies: AdCookies::default(),
    };
    let event = Event { team: TeamId(1), account, at, body: EventBody::Click(Box::new(click)) };
    Recorded { journal: JournalId(1), sequence: number, event }
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

criterion_group!(benches, role);
criterion_main!(benches);
