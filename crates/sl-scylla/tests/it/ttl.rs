//! What the server lets go by its age.

use std::{collections::HashMap, time::Duration};

use scylla::client::session_builder::SessionBuilder;
use sl_core::{
    attribution::{Key, Who},
    click::VisitorId,
    ids::{AccountId, LinkKind, PoolLinkId},
    step::{StateBytes, StateKey, Step},
};
use sl_scylla::ScyllaConfig;
use sl_store::suite::sample;

use crate::backend::Cluster;

const KEEP: Duration = Duration::from_secs(24 * 90 * 3600);

/// Seconds left of each piece of memory; `None` for ever.
async fn left(config: &ScyllaConfig) -> HashMap<StateKey, Option<i32>> {
    let session = SessionBuilder::new().known_nodes(&config.nodes).build().await.unwrap();
    let question = format!("SELECT key, TTL(value) FROM {}.state", config.keyspace);
    let rows = session.query_unpaged(question, ()).await.unwrap().into_rows_result().unwrap();
    let rows = rows.rows::<(Vec<u8>, Option<i32>)>().unwrap();
    rows.map(|row| row.map(|(key, left)| (StateKey(key), left)).unwrap()).collect()
}

#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn who_held_a_link_and_visitors_bound_to_no_fan_go_some_time_after_they_were_last_written() {
    let cluster = Cluster::fresh();
    let config = ScyllaConfig { keep_visitors: Some(KEEP), ..cluster.config().clone() };
    let store = sl_scylla::open(&config).await.unwrap();
    store.ledger.open(0).await.unwrap();
    let account = || AccountId::from("acct_sample");
    let visitor = |id| Key::Visitor(account(), Who::Cookie(VisitorId(id))).to_state_key();
    let holder =
        Key::Holder(account(), PoolLinkId { kind: LinkKind::TrackingLink, number: 1 }).to_state_key();
    let stays = Key::Account(account()).to_state_key();
    // No hits, no fans, ...; one fan called "f".
    let (nobody, somebody) = (StateBytes(vec![1, 0, 0, 0, 0]), StateBytes(vec![1, 0, 1, 1, b'f', 0, 0]));
    let pieces = |second: &StateBytes| {
        [
            (visitor(1), Some(nobody.clone())),
            (visitor(2), Some(second.clone())),
            (holder.clone(), Some(nobody.clone())),
            (stays.clone(), Some(nobody.clone())),
        ]
        .into_iter()
        .collect()
    };
    store.ledger.apply(Step { state: pieces(&nobody), ..sample::step(1) }).await.unwrap();
    let before = left(&config).await;
    let goes =
        |left: Option<i32>| left.is_some_and(|left| u64::from(left.unsigned_abs()) > KEEP.as_secs() - 3600);
    assert!(goes(before[&visitor(1)]) && goes(before[&visitor(2)]) && goes(before[&holder]), "{before:?}");
    assert_eq!(before[&stays], None);
    // A fan is bound: the visitor is known for life.
    store.ledger.apply(Step { state: pieces(&somebody), ..sample::step(2) }).await.unwrap();
    let after = left(&config).await;
    assert_eq!((goes(after[&visitor(1)]), after[&visitor(2)]), (true, None));
    assert_eq!(after.len(), 4);
}
