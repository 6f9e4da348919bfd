//! Schemas of earlier versions.

use sl_core::{delivery::Destination, ids::PixelId, step::Step};
use sl_scylla::schema;
use sl_store::{
    Store, StoreError,
    suite::{
        Backend as _,
        sample::{self, RULES, TEAM, after},
    },
};

use crate::backend::Cluster;

#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_schema_of_any_version_before_is_brought_up_to_date() {
    let cluster = Cluster::bare();
    for version in 1..=sl_scylla::schema::newest() {
        drop(sl_scylla::connect_at(cluster.config(), version).await.unwrap());
    }
    let store = cluster.open().await;
    assert_eq!(store.reports.totals(&[sample::link_id(1)]).await.unwrap(), [Default::default()]);
}

#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn many_processes_may_start_at_once() {
    let cluster = Cluster::bare();
    let starts = (0..4).map(|_| {
        let config = cluster.config().clone();
        tokio::spawn(async move { sl_scylla::open(&config).await.map(drop) })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap().unwrap();
    }
}

/// The first table is made before anybody can be locked out: through several nodes at once it may be made several times.
#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn processes_that_make_the_first_table_at_once_end_with_the_same_one_and_nothing_of_it_is_lost() {
    for _ in 0..3 {
        let cluster = Cluster::bare();
        let starts = (0..8).map(|nth| {
            let mut config = cluster.config().clone();
            let first = nth % config.nodes.len();
            config.nodes.rotate_left(first);
            tokio::spawn(async move { sl_scylla::connect_at(&config, 1).await.map(drop) })
        });
        for start in starts.collect::<Vec<_>>() {
            start.await.unwrap().unwrap();
        }
        assert_eq!(schema::applied(cluster.config()).await.unwrap(), [1]);
    }
}

/// What a keyspace has of each table's kind: the stream's position, a click, the link, stock, a delivery.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    position: u64,
    clicks: usize,
    links: usize,
    pool_links: u64,
    deliveries: u64,
}

/// Writes some of each.
async fn fill(store: &Store, offset: u64) {
    let link = sample::link_id(1);
    store.catalog.put_link(sample::smart_link(1, TEAM)).await.unwrap();
    store.pool.add(sample::new_links(&sample::stock(), 0..4)).await.unwrap();
    store.ledger.open(0).await.unwrap();
    let to = Destination::Pixel(PixelId(1));
    let step = Step {
        clicks: vec![sample::click(offset, link, after(1))],
        jobs: vec![sample::job(1, to, after(1))],
        ..sample::step(offset)
    };
    store.ledger.apply(step).await.unwrap();
}

async fn found(store: &Store) -> Found {
    let link = sample::link_id(1);
    let mut clicks = 0;
    for number in (0..200).step_by(5) {
        let id = sample::click(number, link, after(1)).click.id;
        clicks += usize::from(store.reports.click(TEAM, id).await.unwrap().is_some());
    }
    let levels = store.pool.levels(after(2), RULES).await.unwrap();
    Found {
        position: store.ledger.open(0).await.unwrap().position.offset,
        clicks,
        links: store.catalog.links(TEAM).await.unwrap().len(),
        pool_links: levels.iter().flat_map(|level| &level.counts).map(|(_, count)| count).sum(),
        deliveries: store.deliveries.counts(after(2)).await.unwrap().waiting,
    }
}

#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_keyspace_with_data_of_any_version_before_keeps_it_and_the_service_goes_on() {
    let cluster = Cluster::bare();
    for version in (1..schema::newest()).rev() {
        let offset = 10 * u64::from((schema::newest() - version).unsigned_abs());
        fill(&cluster.open().await, offset).await;
        let before = found(&cluster.open().await).await;
        cluster.restart().await;
        schema::take_back(cluster.config(), version).await.unwrap();
        // Two new processes at once bring it up to date.
        let (one, two) = tokio::join!(sl_scylla::open(cluster.config()), sl_scylla::open(cluster.config()));
        let (store, other) = (one.unwrap(), two.unwrap());
        let has = |since: i32| version >= since;
        let kept = Found {
            clicks: if has(2) { before.clicks } else { 0 },
            links: if has(3) { before.links } else { 0 },
            pool_links: if has(4) { before.pool_links } else { 0 },
            deliveries: if has(5) { before.deliveries } else { 0 },
            ..before
        };
        assert!(kept.position == offset && before.pool_links == 4 && before.deliveries == 1, "{before:?}");
        assert_eq!(found(&other).await, kept, "version {version}");
        fill(&store, offset + 5).await;
        assert_eq!(found(&other).await.position, offset + 5, "version {version}");
    }
}

#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_keyspace_of_a_newer_version_is_used_as_long_as_it_allows_that_and_refused_otherwise() {
    let cluster = Cluster::bare();
    drop(cluster.open().await);
    let newer = schema::newest() + 1;
    schema::mark(cluster.config(), "applied", newer).await.unwrap();
    drop(sl_scylla::open(cluster.config()).await.unwrap());
    schema::mark(cluster.config(), "oldest", newer).await.unwrap();
    let refused = sl_scylla::open(cluster.config()).await.map(drop).unwrap_err();
    let StoreError::Damaged(why) = refused else { panic!("{refused:?}") };
    assert!(why.contains(&format!("version {newer}")) && why.contains(&cluster.config().keyspace), "{why}");
    assert!(why.contains("install the newer one"), "{why}");
}
