//! How far retention has come, as a clock that was ahead has written it.

use scylla::client::session_builder::SessionBuilder;
use sl_core::{step::Step, time::Timestamp};
use sl_store::{
    suite::{
        Backend as _,
        sample::{self, after, link_id},
    },
    upkeep::Horizons,
};

use crate::backend::Cluster;

/// The writes of a clock that was ahead are ahead, too: what is written after them with an ordinary time changes nothing.
#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_mark_with_a_time_ahead_is_set_back_all_the_same() {
    let cluster = Cluster::fresh();
    let store = cluster.open().await;
    store.ledger.open(0).await.unwrap();
    let session = SessionBuilder::new().known_nodes(&cluster.config().nodes).build().await.unwrap();
    let table = format!("{}.upkeep_marks", cluster.config().keyspace);
    // In the year 2100.
    const AHEAD: i64 = 4_102_444_800_000;
    let write = format!(
        "INSERT INTO {table} (name, value) VALUES ('addresses', {AHEAD}) USING TIMESTAMP {}",
        AHEAD * 1_000
    );
    session.query_unpaged(write, ()).await.unwrap();
    let never = Timestamp(i64::MIN);
    let forget = async |seconds| {
        let horizons = Horizons { clicks: never, addresses: after(seconds), deliveries: never };
        store.upkeep.forget(horizons, 100).await.unwrap().addresses
    };
    let mark = async || {
        let rows = session.query_unpaged(format!("SELECT value FROM {table}"), ()).await.unwrap();
        Timestamp(rows.into_rows_result().unwrap().first_row::<(i64,)>().unwrap().0)
    };
    let clicks = (0..9).map(|n| sample::click(n, link_id(1), after(n))).collect();
    store.ledger.apply(Step { clicks, ..sample::step(1) }).await.unwrap();
    assert_eq!((forget(5).await, mark().await), (5, after(5)));
    assert_eq!((forget(7).await, mark().await), (2, after(7)));
    assert_eq!((forget(6).await, mark().await), (0, after(6)));
}
