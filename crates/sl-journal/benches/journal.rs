//! What a click costs: encoding, appending, and reading back.
#![expect(clippy::expect_used, reason = "a bench that can't set up has nothing to measure")]

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sl_core::{
    click::{AdCookies, Class, Click, Device, Params, Place, RequestFacts, Rung, VisitorId, VisitorKeys},
    event::{Event, EventBody},
    ids::{ClickId, LinkKind, PoolLinkId, SmartLinkId, TeamId},
    time::{ManualClock, Timestamp},
};
use sl_journal::{ClickLog, Durability, Fate, Journal, JournalConfig, codec};

fn click(n: u64) -> Event {
    let at = Timestamp(1_772_655_069_000);
    let click = Click {
        id: ClickId::from_bytes(u128::from(n).to_be_bytes()),
        team: TeamId(1),
        account: "acct_5f2b8c1d9e".into(),
        link: SmartLinkId::from_bytes([7; 16]),
        at,
        window: Duration::from_secs(6 * 3600),
        class: Class::Person,
        rung: Rung::Fresh,
        pool_link: Some(PoolLinkId { kind: LinkKind::TrackingLink, number: n }),
        sent_to: None,
        visitor: VisitorKeys {
            came_with: None,
            given: Some(VisitorId(u128::from(n) << 64)),
            daily: VisitorId(u128::from(n) << 63),
            lasting: Some(VisitorId(u128::from(n) << 62)),
        },
        request: RequestFacts {
            target: "/go/01KZ4M8Q2T7V9W3X5Y6B1C0DEF?fbclid=IwAR0abcdefghijklmnopqrstuvwxyz&utm_source=meta"
                .to_owned(),
            ip: Some([203, 0, 113, 7].into()),
            user_agent:
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 \
                         Instagram 370.0.0.26.85"
                    .to_owned(),
            referrer: Some("l.instagram.com".to_owned()),
            accept_language: Some("en-US,en;q=0.9".to_owned()),
        },
        device: Device {
            kind: "Mobile".to_owned(),
            browser: "Instagram".to_owned(),
            family: "Safari".to_owned(),
            platform: "iOS".to_owned(),
        },
        place: Place { country: Some("US".to_owned()), ..Place::default() },
        params: Params {
            fbclid: Some("IwAR0abcdefghijklmnopqrstuvwxyz".to_owned()),
            utm_source: Some("meta".to_owned()),
            ..Params::default()
        },
        cookies: AdCookies::default(),
    };
    Event { team: TeamId(1), account: "acct_5f2b8c1d9e".into(), at, body: EventBody::click(click) }
}

fn coding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    let mut buffer = Vec::new();
    group.bench_function("encode", |bench| {
        bench.iter_batched(
            || click(1),
            |event| {
                buffer.clear();
                codec::encode(event, &mut buffer);
            },
            criterion::BatchSize::SmallInput,
        );
    });
    let bytes = buffer.clone();
    group.bench_function("decode", |bench| bench.iter(|| codec::decode(black_box(&bytes))));
    group.finish();
}

fn appending(criterion: &mut Criterion) {
    const BATCH: u64 = 1024;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(BATCH)).sample_size(20);
    for durability in [Durability::Synced, Durability::Buffered] {
        let directory = tempfile::tempdir().expect("a directory");
        let config =
            JournalConfig { dir: directory.path().to_owned(), durability, ..JournalConfig::default() };
        let journal = Journal::open(config, Arc::new(ManualClock::at(Timestamp(0)))).expect("a journal");
        group.bench_function(format!("{durability:?} x {BATCH}"), |bench| {
            bench.iter_batched(
                || (0..BATCH).map(click).collect::<Vec<_>>(),
                |events| {
                    runtime.block_on(async {
                        let tickets: Vec<_> =
                            events.into_iter().map(|event| journal.append(event).expect("room")).collect();
                        for ticket in tickets {
                            assert_eq!(journal.fate(ticket).await, Fate::Stored);
                        }
                    });
                },
                criterion::BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, coding, appending);
criterion_main!(benches);
