//! A loop that can't go on says for how long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use sl_attribution::{Attribution, AttributionSettings};
use sl_core::{
    event::{EventBody, Position},
    step::{StateBytes, StateKey, Step},
    time::ManualClock,
};
use sl_store::{Ledger, Result, StoreError, ledger::Opened};
use tokio_util::sync::CancellationToken;

use crate::tape::{START, Tape, click};

/// A store whose disk is full for a while.
struct Full {
    inner: Arc<dyn Ledger>,
    is_full: Arc<AtomicBool>,
}

#[async_trait]
impl Ledger for Full {
    async fn open(&self, partition: u32) -> Result<Opened> {
        self.inner.open(partition).await
    }

    async fn load(&self, partition: u32, keys: Vec<StateKey>) -> Result<Vec<Option<StateBytes>>> {
        self.inner.load(partition, keys).await
    }

    async fn apply(&self, step: Step) -> Result<()> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the disk is full".into()));
        }
        self.inner.apply(step).await
    }

    async fn sync(&self, partition: u32) -> Result<Position> {
        self.inner.sync(partition).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_waits_for_its_store_or_its_stream_falls_behind_as_time_passes() {
    let dir = tempfile::tempdir().unwrap();
    let handle = sl_fjall::open(dir.path(), sl_fjall::FjallOptions::default()).unwrap();
    let (tape, is_full) = (Tape::default(), Arc::new(AtomicBool::new(false)));
    let mut store = handle.store();
    store.ledger = Arc::new(Full { inner: store.ledger, is_full: Arc::clone(&is_full) });
    let clock = Arc::new(ManualClock::at(START));
    let settings = AttributionSettings::default();
    let role = Attribution::new(tape.stream(), store, Arc::new(tape.clone()), settings, clock);
    let (mut progress, token) = (role.progress(), CancellationToken::new());
    let role = tokio::spawn(role.run(token.clone()));
    for (number, trouble) in [(1, is_full), (2, Arc::clone(&tape.unreadable))] {
        progress.wait_for(|progress| progress.caught_up).await.unwrap();
        assert!(progress.borrow().lag_seconds.abs() < f64::EPSILON);
        trouble.store(true, Ordering::Relaxed);
        tape.push(START, EventBody::click(click(number, START)));
        let stood = progress.wait_for(|progress| progress.lag_seconds > 100.0).await.unwrap().clone();
        assert!(!stood.caught_up && stood.behind > 0 && stood.lag_seconds < 120.0, "{stood:?}");
        trouble.store(false, Ordering::Relaxed);
    }
    let caught_up = async { progress.wait_for(|progress| progress.caught_up).await.unwrap().lag_seconds };
    let lag = tokio::time::timeout(Duration::from_secs(60), caught_up).await.unwrap();
    assert!(lag.abs() < f64::EPSILON);
    token.cancel();
    role.await.unwrap().unwrap();
}
