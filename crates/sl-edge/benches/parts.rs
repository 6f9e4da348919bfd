//! The parts of the hot path, one by one.

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sl_core::{
    ids::{ClickId, LinkKind, PoolLinkId, SmartLinkId, TeamId},
    pool::{PoolLink, StockKey},
    time::Timestamp,
    verdict::{Shape, agent, judge},
    visitor::{AgentDigest, DayKeys, Features, InstallationSecret, Target, Traits},
};
use sl_edge::{Agents, Geo, Stock, StockBlock, Window};

const AGENT: &[u8] = b"Mozilla/5.0 (Linux; Android 14; SM-G991B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.86 Mobile Safari/537.36 Instagram 355.1.0.44.103 Android (34/14; 420dpi; 1080x2176; samsung; SM-G991B; o1s; exynos2100; en_GB; 655222246; IABMV/1)";
const NOON: Timestamp = Timestamp(1_767_268_800_000);

fn verdict(c: &mut Criterion) {
    c.bench_function("verdict/agent first met", |b| b.iter(|| agent::read(black_box(AGENT), false)));
    let mut agents = Agents::default();
    c.bench_function("verdict/agent known", |b| b.iter(|| agents.judge(black_box(AGENT))));
    let read = agent::read(AGENT, false);
    let shape = Shape { accept: b"text/html,*/*;q=0.8", fetch_mode: b"navigate", ..Shape::default() };
    c.bench_function("verdict/judge", |b| b.iter(|| judge(black_box(&shape), read)));
}

fn visitor(c: &mut Criterion) {
    let keys = DayKeys::at(&InstallationSecret::new(&[7; 32]), NOON);
    let features = Features {
        ip: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
        user_agent: AgentDigest::of(AGENT),
        accept_language: b"en-GB,en;q=0.9",
        ..Features::default()
    };
    c.bench_function("visitor/traits", |b| b.iter(|| Traits::of(black_box(&features))));
    let traits = Traits::of(&features);
    c.bench_function("visitor/daily and lasting key", |b| {
        b.iter(|| (keys.daily(black_box(&traits)), keys.lasting(black_box(&traits))));
    });
    c.bench_function("visitor/cookie", |b| b.iter(|| keys.cookie(black_box(ClickId::from_bytes([3; 16])))));
    let link = SmartLinkId::from_bytes([1; 16]);
    c.bench_function("visitor/target", |b| b.iter(|| Target::new(link, black_box(Some("1202103")))));
}

fn window(c: &mut Criterion) {
    let window = Window::new(Duration::from_secs(21_600), 1_000_000);
    let mut next = 0_u128;
    c.bench_function("window/new visitor", |b| {
        b.iter(|| {
            next += 1;
            window.probe(black_box(next), NOON)
        });
    });
    c.bench_function("window/repeat", |b| b.iter(|| window.probe(black_box(next), NOON)));
}

fn stock(c: &mut Criterion) {
    let key = StockKey { account: "acct_1".into(), kind: LinkKind::TrackingLink, trial_days: None };
    let links = (0..256).map(|ordinal| {
        let id = PoolLinkId { kind: LinkKind::TrackingLink, number: ordinal };
        let url = format!("https://onlyfans.com/nova/c{ordinal}");
        (PoolLink { id, team: TeamId(1), stock: key.clone(), url, ordinal, created_at: NOON }, false)
    });
    let block = StockBlock {
        fence: 1,
        stock: key.clone(),
        links: links.collect(),
        good_for: Duration::from_secs(3600),
    };
    let now = Instant::now();
    c.bench_function("stock/take 256", |b| {
        b.iter_batched_ref(
            || {
                let stock = Stock::default();
                stock.put_block(block.clone(), now);
                stock.shelf(&key)
            },
            |shelf| while shelf.take(now).is_some() {},
            BatchSize::SmallInput,
        );
    });
}

fn place(c: &mut Criterion) {
    let geo = Geo::shipped();
    c.bench_function("geo/country", |b| {
        b.iter(|| geo.place(black_box(IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)))))
    });
}

criterion_group!(benches, verdict, visitor, window, stock, place);
criterion_main!(benches);
