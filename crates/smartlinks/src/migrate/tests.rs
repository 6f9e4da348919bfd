//! A store with a row of every kind, moved and compared, and what happens there afterwards.

use std::{path::Path, sync::Arc};

use sl_core::{
    applied::Applied,
    attribution::{Key, Who},
    breaker::{Rest, Resting},
    click::{Class, VisitorId},
    conversion::ConversionKind,
    delivery::{Attempt, DeliveryState, Destination, Progress, RenderedRequest},
    event::{Event, EventBody, JournalId, Position, WebhookReceived},
    ids::{ApiKeyId, PixelId, PoolLinkId, PostbackId, ReplayId, TeamId},
    money::Cents,
    pool::PoolState,
    replay::{Trail, What},
    seal::{SealKeys, Secret},
    step::{
        ClickMark, Dimension, DimensionKey, DimensionRollup, FanDay, LinkTotals, ListAdd, Rollup, RollupKey,
        StateBytes, Step, Unmatched,
    },
};
use sl_journal::{ClickLog as _, Journal, JournalConfig};
use sl_store::{
    Store,
    pool::{LeaseRequest, Look},
    suite::sample::{self, HOUR, RULES, TEAM, account, after, fan, link_id, pool_id, pool_ref},
};

use super::*;
use crate::config;

const PIXEL: Destination = Destination::Pixel(PixelId(1));
const POSTBACK: Destination = Destination::Postback(PostbackId(3));
const JOURNAL: JournalId = JournalId(7);

fn configured(dir: &Path, name: &str) -> Config {
    let of = |name: &str| std::env::var(name).unwrap_or_else(|_| "127.0.0.1:1".to_owned());
    let settings = [
        ("DATA_DIR", dir.to_str().unwrap().to_owned()),
        ("STORAGE__BACKEND", "cluster".to_owned()),
        ("SECRETS__KEY", "5e".repeat(32)),
        ("KAFKA__BROKERS", of("SMARTLINKS_TEST_KAFKA")),
        ("KAFKA__TOPIC_PREFIX", name.to_owned()),
        ("KAFKA__PARTITIONS", "4".to_owned()),
        ("KAFKA__REPLICATION", "1".to_owned()),
        ("SCYLLA__NODES", of("SMARTLINKS_TEST_CQL")),
        ("SCYLLA__KEYSPACE", name.to_owned()),
        ("SCYLLA__REPLICATION", "1".to_owned()),
    ];
    let settings = settings.map(|(key, value)| (format!("SMARTLINKS_{key}"), value));
    let loaded = config::load(None, settings.into_iter());
    loaded.map_err(|config::LoadError(problems)| crate::lines(&problems)).unwrap().0
}

fn empty_journal(dir: &Path) -> Arc<Journal> {
    let config = JournalConfig { dir: dir.join("journal"), ..JournalConfig::default() };
    Journal::open(config, clock::system()).unwrap()
}

fn opened(dir: &Path) -> sl_fjall::FjallHandle {
    sl_fjall::open(dir.join("store"), sl_fjall::FjallOptions::default()).unwrap()
}

async fn people_configure(store: &Store) {
    let catalog = &store.catalog;
    for team in [TEAM, TeamId(2)] {
        let team = sl_core::catalog::Team { id: team, name: "T".into(), slug: "t".into(), created_at: HOUR };
        catalog.put_team(team).await.unwrap();
    }
    catalog.put_account(sample::account_row("acct_sample", TEAM)).await.unwrap();
    catalog.put_account(sample::account_row("acct_other", TeamId(2))).await.unwrap();
    for number in 1..=3 {
        assert_eq!(catalog.next_key_id().await.unwrap(), ApiKeyId(number.into()));
        catalog.put_key(sample::api_key(number, TEAM)).await.unwrap();
        catalog.next_pixel_id().await.unwrap();
        catalog.next_postback_id().await.unwrap();
    }
    catalog.touch_key(ApiKeyId(2), after(5)).await.unwrap();
    for number in 1..=4 {
        let deleted_at = (number == 4).then(|| after(9));
        let link = sl_core::catalog::SmartLink { deleted_at, ..sample::smart_link(number, TEAM) };
        catalog.put_link(link).await.unwrap();
    }
    // Sealed by the key of this directory, which the cluster has not.
    let sealed = SealKeys::new([9; 32]).seal(sl_core::seal::PIXEL_TOKEN, &Secret::new("T"), [1; 24]);
    catalog
        .put_pixel(sl_core::catalog::Pixel { sealed_token: sealed, ..sample::pixel(1, TEAM) })
        .await
        .unwrap();
}

async fn links_are_given(store: &Store) {
    let pool = &store.pool;
    pool.add(sample::new_links(&sample::stock(), 0..12)).await.unwrap();
    pool.add(sample::new_links(&sample::trial_stock(), 100..104)).await.unwrap();
    let given = |links: &[u64], at| {
        links.iter().map(|n| (account(), pool_id(*n), sample::given(*n, at))).collect::<Vec<_>>()
    };
    // One before its link is known.
    let first = given(&[0, 1, 2, 3, 77], HOUR);
    store.ledger.apply(Step { given: first, ..sample::step(1) }).await.unwrap();
    let look = |n: u64, at, subscribers| Look { link: pool_ref(pool_id(n)), at, subscribers };
    let late = after(40 * 3600);
    pool.looked(vec![look(0, late, 0), look(1, late, 2), look(2, after(60), 0)]).await.unwrap();
    // Recycled: by its second visitor.
    store.ledger.apply(Step { given: given(&[0], after(41 * 3600)), ..sample::step(2) }).await.unwrap();
    pool.retire(vec![pool_ref(pool_id(5))], HOUR).await.unwrap();
    let request = LeaseRequest {
        stock: sample::stock(),
        want: 1,
        owner: "edge".into(),
        now: after(1),
        until: after(3600),
        rules: RULES,
    };
    let block = pool.lease(request).await.unwrap();
    assert_eq!(block.links[0].0.id, pool_id(4));
    pool.orphan(block.fence, after(3600)).await.unwrap();
}

async fn visitors_come(store: &Store) {
    let rows = (0..300).map(|n| {
        let link = link_id(1 + n % 2);
        let mut row = sample::click(n, link, after(n * 400));
        if n % 10 == 3 {
            Arc::make_mut(&mut row.click).class = Class::Bot;
        }
        row
    });
    let rows: Vec<_> = rows.collect();
    let mark = |row: &sl_core::click::ClickRow| ClickMark {
        click: row.click.id,
        link: row.click.link,
        at: row.click.at,
        gross_clicks: 4,
        is_duplicate: row.click.at.0 % 3 == 0,
    };
    let click_marks = rows.iter().step_by(7).map(mark).collect();
    let hours = rows.iter().map(|row| {
        let key = RollupKey {
            link: row.click.link,
            hour: sl_core::time::Timestamp(row.click.at.0 / 3_600_000 * 3_600_000),
        };
        (key, Rollup { clicks: 9, gross: Cents(-5), ..Rollup::default() })
    });
    let value = |n: u64| DimensionKey {
        link: link_id(1),
        day: after(n * 86_400).day(),
        dimension: Dimension::Ecid,
        value: format!("ad {n}").into(),
    };
    let conversions = (0..40).map(|n| {
        let kind = if n % 2 == 0 { ConversionKind::NewTransaction } else { ConversionKind::NewSubscriber };
        let click = (n % 5 > 0).then(|| rows[n as usize].click.id);
        sample::conversion(n, link_id(1), click, kind, after(n * 9_000))
    });
    let mut profile = sample::fan_under(link_id(2), 1, 10);
    let older = sample::fan_under(link_id(1), 1, 900);
    profile.profile.username = Some("renamed".into());
    let step = Step {
        rollups: hours.collect(),
        dimensions: (0..4).map(|n| (value(n), DimensionRollup { clicks: 5 + n })).collect(),
        conversions: conversions.collect(),
        fans: vec![older, profile],
        fan_days: (0..50)
            .map(|n| FanDay {
                link: link_id(1),
                fan: fan(n % 5),
                day: after(n / 5 * 86_400).day(),
                net: Cents(7),
                gross: Cents(9),
            })
            .collect(),
        totals: vec![(
            link_id(1),
            LinkTotals { clicks: 150, revenue: Some(Cents(-3)), ..LinkTotals::default() },
        )],
        dead_letters: (0..5).map(|n| sample::dead_letter(n, after(n * 1800))).collect(),
        unmatched: vec![Unmatched {
            team: TEAM,
            account: account(),
            fan: fan(1),
            subscribed_at: HOUR,
            known_at: HOUR,
        }],
        list_adds: vec![ListAdd {
            account: account(),
            list: "9".into(),
            fan: fan(2),
            created_at: HOUR,
            link: Some(sample::link_id(1)),
        }],
        clicks: rows,
        ..sample::step(3)
    };
    store.ledger.apply(step).await.unwrap();
    let revived = vec![sample::dead_letter(2, after(3600)).id];
    store.ledger.apply(Step { click_marks, revived, ..sample::step(4) }).await.unwrap();
}

fn body(text: &str) -> RenderedRequest {
    RenderedRequest {
        method: "POST".into(),
        url: "https://x.example/".into(),
        body: text.into(),
        ..Default::default()
    }
}

async fn events_are_told(store: &Store) {
    let jobs = (0..12).map(|n| {
        let mut job = sample::job(n, if n % 2 == 0 { PIXEL } else { POSTBACK }, after(n * 700));
        job.link = link_id(1 + n % 3);
        job.skip = (n == 11).then(|| "no_click".to_owned());
        job
    });
    let jobs: Vec<_> = jobs.collect();
    store.ledger.apply(Step { jobs: jobs.clone(), ..sample::step(5) }).await.unwrap();
    let states =
        [DeliveryState::Delivered, DeliveryState::Parked, DeliveryState::Expired, DeliveryState::Waiting];
    for (n, state) in (0..8).zip(states.into_iter().cycle()) {
        let at = after(10_000 + 60 * n);
        let attempt =
            Attempt { at, millis: 3, status: Some(500), error_type: None, message: Some("no".into()) };
        let next = (state == DeliveryState::Waiting).then(|| at.plus(std::time::Duration::from_secs(3600)));
        let progress = Progress {
            state,
            next_attempt_at: next,
            attempts: 1,
            last: Some(attempt.clone()),
            updated_at: at,
            ..Progress::fresh(at)
        };
        let job = &jobs[n as usize];
        store.outbox.store_body(job.id, body(&format!("event {n}"))).await.unwrap();
        assert!(store.outbox.advance(job.id, &Progress::of(job), Some(attempt), progress).await.unwrap());
    }
    // Rendered, and then the process died.
    store.outbox.store_body(jobs[8].id, body("untold")).await.unwrap();
    let resting = Resting { rest: Rest { from: HOUR, until: after(99) }, version: HOUR };
    store.outbox.rest(POSTBACK, Some(resting)).await.unwrap();
    let trail = Trail {
        id: ReplayId::from_bytes(sample::ulid(HOUR, 1)),
        team: TEAM,
        key: ApiKeyId(1),
        what: What::Again,
        filter: "{}".into(),
        asked_at: HOUR,
        last_at: HOUR,
        pages: 2,
        examined: 7,
        replayed: 3,
    };
    store.replays.renew(Vec::new(), Some(trail)).await.unwrap();
}

async fn machine_remembers(store: &Store) {
    let visitor = VisitorId(1 << 100);
    let keys = [
        Key::Account(account()),
        Key::Account("acct_other".into()),
        Key::Visitor(account(), Who::Cookie(visitor)),
        Key::Print("acct_other".into(), visitor),
        Key::Holder(account(), PoolLinkId { number: 1 << 40, ..pool_id(0) }),
        Key::Fan("acct_other".into(), fan(1)),
        Key::Link(link_id(4)),
        Key::Hour(link_id(2), HOUR),
    ];
    let state = keys.iter().map(|key| (key.to_state_key(), Some(StateBytes(format!("{key:?}").into()))));
    let applied = Applied::from_iter([(JOURNAL, 41)]);
    store.ledger.apply(Step { state: state.collect(), applied, ..sample::step(6) }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_row_of_every_kind_is_moved_and_goes_on_there() {
    let dir = tempfile::tempdir().unwrap();
    empty_journal(dir.path()).close().unwrap();
    let handle = opened(dir.path());
    {
        let store = handle.store();
        store.ledger.open(0).await.unwrap();
        people_configure(&store).await;
        links_are_given(&store).await;
        visitors_come(&store).await;
        events_are_told(&store).await;
        machine_remembers(&store).await;
    }
    handle.close().await.unwrap();
    std::fs::create_dir_all(dir.path().join("secrets")).unwrap();
    std::fs::write(dir.path().join("secrets/seal.key"), hex::encode([9; 32])).unwrap();

    let config = configured(dir.path(), &format!("every_{:08x}", rand::random::<u32>()));
    run(&config, true).await.unwrap();

    let target = Target::connect(&config, &*clock::system()).await.unwrap();
    let store = target.scylla.store().await.unwrap();
    // Numbers go on, also behind what was removed.
    assert_eq!(store.catalog.next_postback_id().await.unwrap(), PostbackId(4));
    assert_eq!(store.catalog.key_by_hash([3; 32]).await.unwrap().map(|key| key.id), Some(ApiKeyId(3)));
    let token = &store.catalog.pixel(PixelId(1)).await.unwrap().unwrap().sealed_token;
    let everywhere = SealKeys::new([0x5e; 32]);
    assert_eq!(everywhere.open(sl_core::seal::PIXEL_TOKEN, token).unwrap().expose(), "T");
    let profile = store.reports.fan(&account(), &fan(1)).await.unwrap().unwrap();
    assert_eq!(profile.username.as_deref(), Some("renamed"));
    // Links are leased where the last one was; one that was given before it is known is not fresh.
    let mut new = sample::new_links(&sample::stock(), 77..78);
    new.extend(sample::new_links(&sample::stock(), 3..5));
    assert_eq!(store.pool.add(new).await.unwrap(), 1);
    let levels = store.pool.levels(after(1), RULES).await.unwrap();
    let fresh = levels[0].counts.iter().find(|(state, _)| *state == PoolState::Fresh).unwrap().1;
    assert_eq!(fresh, 6, "{levels:?}");
    let request = LeaseRequest {
        stock: sample::stock(),
        want: 3,
        owner: "edge".into(),
        now: after(1),
        until: after(3600),
        rules: RULES,
    };
    let block = store.pool.lease(request).await.unwrap();
    assert_eq!(block.links.iter().map(|(link, _)| link.id.number).collect::<Vec<_>>(), [6, 7, 8]);
    // Deliveries go on from where they stood.
    let waiting = sample::job(3, POSTBACK, after(2100)).id;
    let before = store.deliveries.delivery(TEAM, waiting).await.unwrap().unwrap().progress;
    let done = Progress { state: DeliveryState::Delivered, next_attempt_at: None, ..before.clone() };
    assert!(store.outbox.advance(waiting, &before, None, done).await.unwrap());
    let again = store.outbox.store_body(waiting, body("another")).await.unwrap();
    assert_eq!(again, body("event 3"), "the first body stays");
    assert_eq!(store.deliveries.counts(after(100_000)).await.unwrap().delivered, 3);
    // Attribution begins before the first record, and knows what was applied.
    for partition in 0..4 {
        let opened = store.ledger.open(partition).await.unwrap();
        assert_eq!(
            (opened.position, opened.applied),
            (Position::default(), Applied::from_iter([(JOURNAL, 41)]))
        );
    }
    let partition = sl_kafka::partition::of_account(&account(), 4);
    let name = Key::Account(account()).to_state_key();
    let forgotten = Step { partition, state: [(name, None)].into_iter().collect(), ..sample::step(1) };
    store.ledger.apply(forgotten).await.unwrap();

    // What no longer is the same is found.
    let source = Opened::open(&config).await.unwrap();
    let router = Router::new(&config, &source, 4).await.unwrap();
    let mut view = View::new();
    let found = verify::all(&config, &source, &target, &router, &*clock::system(), &mut view).await.unwrap();
    let told = found.differences.join("\n");
    for part in ["waiting deliveries", "delivered deliveries", "stock acct_sample", "1 of 8 pieces differ"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("conversions") && !told.contains("clicks"), "{told}");
    drop(store);
    sl_scylla::schema::drop_keyspace(&crate::service::cluster::scylla_config(&config)).await.unwrap();
}

async fn append(dir: &Path, bodies: impl IntoIterator<Item = EventBody>) {
    let journal = empty_journal(dir);
    for body in bodies {
        let ticket = journal.append(Event { team: TEAM, account: account(), at: HOUR, body }).unwrap();
        journal.fate(ticket).await;
    }
    journal.close().unwrap();
}

#[tokio::test]
async fn a_journal_that_is_not_applied_to_its_end_stays_unless_only_ticks_are_left() {
    let dir = tempfile::tempdir().unwrap();
    opened(dir.path()).close().await.unwrap();
    let config = configured(dir.path(), "nobody");
    append(dir.path(), [EventBody::Tick]).await;
    assert!(Opened::open(&config).await.is_ok());

    let webhook = WebhookReceived {
        event: "messages.received".into(),
        key: "k".into(),
        received_at: HOUR,
        body: b"{}".to_vec(),
        retry_of: None,
    };
    append(dir.path(), [EventBody::Webhook(webhook), EventBody::Tick]).await;
    let refused = Opened::open(&config).await.err().unwrap().to_string();
    assert!(refused.contains("0 of 2 records") && refused.contains("SIGTERM"), "{refused}");
}
