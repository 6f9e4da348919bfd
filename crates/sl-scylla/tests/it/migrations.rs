//! Schemas of earlier versions.

use sl_store::suite::{Backend as _, sample};

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
