//! Crashes between any two steps, and any batch size, change nothing (promise 5).

use std::sync::Arc;

use async_trait::async_trait;
use sl_core::{
    event::Position,
    ids::TeamId,
    step::{StateBytes, StateKey, Step},
    time::ManualClock,
};
use sl_store::{
    Ledger, Result, Store, StoreError,
    ledger::Opened,
    reports::{ClickFilter, ConversionFilter, Range},
};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::tape::{LINK, START, Tape, history, run};

/// Dies after so many steps, before or after the last of them is in the store.
struct Dying {
    inner: Arc<dyn Ledger>,
    left: AtomicUsize,
    after: bool,
}

#[async_trait]
impl Ledger for Dying {
    async fn open(&self, partition: u32) -> Result<Opened> {
        self.inner.open(partition).await
    }

    async fn load(&self, partition: u32, keys: Vec<StateKey>) -> Result<Vec<Option<StateBytes>>> {
        self.inner.load(partition, keys).await
    }

    async fn apply(&self, step: Step) -> Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            if self.after {
                self.inner.apply(step).await?;
            }
            return Err(StoreError::Fenced("the test ended it here".into()));
        }
        self.inner.apply(step).await
    }

    async fn sync(&self, partition: u32) -> Result<Position> {
        self.inner.sync(partition).await
    }
}

/// Everything reports show.
async fn shown(store: &Store) -> String {
    let reports = &store.reports;
    let all = Range::default();
    let clicks = ClickFilter::all(all);
    let conversions = ConversionFilter::all(all);
    let mut fans = reports.fans(LINK).await.unwrap();
    fans.sort_by(|left, right| left.fan.cmp(&right.fan));
    let parts = (
        reports.totals(&[LINK]).await.unwrap(),
        reports.hours(LINK, all).await.unwrap(),
        reports.fan_days(LINK, all).await.unwrap(),
        reports.clicks(LINK, clicks).await.unwrap(),
        reports.conversions(LINK, conversions).await.unwrap(),
        fans,
        reports.dead_letters(TeamId(1), 100, None).await.unwrap(),
    );
    format!("{parts:#?}")
}

struct Disk {
    _dir: tempfile::TempDir,
    handle: sl_fjall::FjallHandle,
}

fn disk() -> Disk {
    let dir = tempfile::tempdir().unwrap();
    let handle = sl_fjall::open(dir.path(), sl_fjall::FjallOptions::default()).unwrap();
    Disk { _dir: dir, handle }
}

async fn whole(tape: &Tape, batch: usize) -> String {
    let disk = disk();
    let clock = Arc::new(ManualClock::at(START));
    run(tape, disk.handle.store(), batch, clock).await.unwrap();
    shown(&disk.handle.store()).await
}

#[tokio::test]
async fn any_batch_size_gives_the_same_result() {
    let tape = history();
    let want = whole(&tape, 1000).await;
    assert!(want.contains("subscribers: 50"), "{}", want.lines().take(20).collect::<String>());
    for batch in [7, 64] {
        assert_eq!(whole(&tape, batch).await, want, "{batch} at once");
    }
}

#[tokio::test]
async fn a_crash_between_any_two_steps_changes_nothing() {
    let tape = history();
    let want = whole(&tape, 50).await;
    for after in [false, true] {
        let disk = disk();
        for step in 0..9 {
            let store = disk.handle.store();
            let ledger = Dying { inner: store.ledger.clone(), left: AtomicUsize::new(step % 3), after };
            let dying = Store { ledger: Arc::new(ledger), ..store };
            let clock = Arc::new(ManualClock::at(START));
            assert!(run(&tape, dying, 20, clock).await.is_err() || step > 6);
        }
        let clock = Arc::new(ManualClock::at(START));
        run(&tape, disk.handle.store(), 50, clock).await.unwrap();
        assert_eq!(shown(&disk.handle.store()).await, want, "killed after the write: {after}");
    }
}
