//! How many click events a core decides per second: clicks without pixels, working set in memory (decisions 52).

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sl_core::{
    attribution::{Destinations, Memory, Missing, Rules, decide, needs},
    click::{AdCookies, Class, Click, Device, Params, Place, RequestFacts, Rung, VisitorId, VisitorKeys},
    event::{Event, EventBody, JournalId, Recorded},
    ids::{AccountId, ClickId, LinkKind, PoolLinkId, SmartLinkId, TeamId},
    time::Timestamp,
};

const SLICE: u64 = 512;

fn slice(round: u64) -> Vec<Recorded> {
    (0..SLICE).map(|index| record(round * SLICE + index)).collect()
}

/// A new visitor on one of 20 links, with a link of its own.
fn record(number: u64) -> Recorded {
    let at = Timestamp(1_772_625_600_000 + i64::try_from(number / 100).unwrap_or(0));
    let account = AccountId::from("acct_7f3a8c2d91e04b6fa5c3d2e1f0a9b8c7");
    let cookie = VisitorId(u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
    let click = Click {
        id: ClickId(ulid::Ulid(u128::from(number) + 1)),
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
