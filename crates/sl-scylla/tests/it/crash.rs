//! Owners that die, or come to a halt, between any two writes of a step.

use sl_store::{
    StoreError,
    suite::{
        Backend as _,
        crash::{
            click_rows, killed_after, state_effects_and_position_agree,
            state_effects_and_position_agree_but_rows, write_steps,
        },
        ledger::full_step,
    },
};

use crate::backend::Cluster;

/// A step dies after its first write, after its second, and so on until it is through. Whoever opens next finds all of it
/// or none, and when it comes again, all of it once.
#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_crash_between_any_two_writes_leaves_whole_steps() {
    let cluster = Cluster::fresh();
    let owner = cluster.connect().await;
    let mut store = owner.store().await.unwrap();
    write_steps(&store, 2, |_| ()).await;
    let (mut step, mut writes, mut begun, mut committed) = (3, 0, 0, 0);
    loop {
        owner.blow_after(writes);
        let applied = store.ledger.apply(full_step(step)).await;
        owner.release();
        let next = owner.store().await.unwrap();
        let last = state_effects_and_position_agree_but_rows(&next, step - 1).await;
        let rows = click_rows(&next).await;
        assert!(rows == last || rows == step, "{rows} rows at step {last}");
        if applied.is_ok() {
            assert_eq!(last, step);
            break;
        }
        begun += u64::from(rows > last);
        committed += u64::from(last == step);
        next.ledger.apply(full_step(step)).await.unwrap();
        assert_eq!(state_effects_and_position_agree(&next, step).await, step, "after {writes} writes");
        (store, step, writes) = (next, step + 1, writes + 1);
    }
    // Rows and places of the click, what lists them, the redo record; then the commit; then everything else.
    assert!(
        writes > 25 && begun > 0 && committed > 15,
        "{writes} writes, {begun} begun, {committed} committed"
    );
}

/// The same owner goes on after writes that did not come back, without being opened again.
#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn an_owner_goes_on_after_an_outage_at_any_write() {
    let cluster = Cluster::fresh();
    let owner = cluster.connect().await;
    let store = owner.store().await.unwrap();
    write_steps(&store, 1, |_| ()).await;
    let (mut step, mut writes) = (2, 0);
    loop {
        owner.blow_after(writes);
        let applied = store.ledger.apply(full_step(step)).await;
        owner.release();
        let Err(error) = applied else { break };
        assert!(error.is_temporary(), "{error}");
        store.ledger.apply(full_step(step)).await.unwrap();
        (step, writes) = (step + 1, writes + 3);
    }
    assert_eq!(state_effects_and_position_agree(&store, step).await, step);
}

/// An owner halts in the middle of a committed step, another one takes over and goes on; then the first one's writes
/// arrive. They change nothing, and it learns that it is out.
#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn writes_of_an_owner_that_was_replaced_come_too_late() {
    let cluster = Cluster::fresh();
    let (late, present) = (cluster.connect().await, cluster.connect().await);
    let present = present.store().await.unwrap();
    for (turn, writes) in [2, 7, 11, 20].into_iter().enumerate() {
        let store = late.store().await.unwrap();
        let begun = 1 + 3 * turn as u64;
        write_steps(&store, begun, |_| ()).await;
        late.hold_after(writes);
        let ledger = store.ledger.clone();
        let held = tokio::spawn(async move { ledger.apply(full_step(begun + 1)).await });
        late.held().await;
        write_steps(&present, begun + 2, |_| ()).await;
        late.release();
        let said = held.await.unwrap();
        assert_eq!(state_effects_and_position_agree(&present, begun + 2).await, begun + 2, "{writes} writes");
        // Before its commit it is refused; behind it, it has only made what was made already.
        assert!(matches!(said, Ok(()) | Err(StoreError::Fenced(_))), "{said:?}");
        let again = store.ledger.apply(full_step(begun + 9)).await.unwrap_err();
        assert!(matches!(again, StoreError::Fenced(_)), "{again:?}");
        present.ledger.open(0).await.unwrap();
        present.ledger.apply(full_step(begun + 3)).await.unwrap();
    }
    drop(cluster.open().await);
}

const KEYSPACE: &str = "SL_SCYLLA_CRASH_KEYSPACE";

/// Not a case of its own: the child's part, which does nothing in an ordinary run.
#[tokio::test]
async fn child() {
    let Ok(keyspace) = std::env::var(KEYSPACE) else { return };
    let store = sl_scylla::open(&crate::backend::config(keyspace)).await.unwrap();
    write_steps(&store, u64::MAX, |step| println!("applied {step}")).await;
}

/// `kill -9` while requests are under way: any of them may have arrived.
#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_process_killed_in_the_middle_of_steps_leaves_whole_ones() {
    let cluster = Cluster::fresh();
    let mut before = 0;
    for steps in [1, 25, 7, 40] {
        let told = killed_after(KEYSPACE, &cluster.config().keyspace, steps);
        let store = cluster.open().await;
        let last = state_effects_and_position_agree_but_rows(&store, told).await;
        assert!(last > before);
        write_steps(&store, last + 1, |_| ()).await;
        before = state_effects_and_position_agree(&store, last + 1).await;
    }
}
