//! What the tests share: a small journal on a disk, and reading it back.

use std::{sync::Arc, time::Duration};

use sl_core::{
    event::{EventBody, Position, Recorded},
    time::{ManualClock, Timestamp},
};
use sl_journal::{ClickLog, EventStream, Fate, Journal, JournalConfig, LostReason, disk::Disk, suite};

pub(crate) const START: Timestamp = Timestamp(1_772_655_069_000);

pub(crate) fn config() -> JournalConfig {
    JournalConfig {
        segment_bytes: 16 << 10,
        max_disk: 1 << 20,
        queue_bytes: 1 << 20,
        retry_pause: Duration::ZERO,
        ..JournalConfig::default()
    }
}

pub(crate) fn open(disk: &(impl Disk + Clone)) -> Arc<Journal> {
    open_with(disk, config(), &Arc::new(ManualClock::at(START)))
}

pub(crate) fn open_with(
    disk: &(impl Disk + Clone),
    config: JournalConfig,
    clock: &Arc<ManualClock>,
) -> Arc<Journal> {
    Journal::open_on(Arc::new(disk.clone()), config, Arc::clone(clock) as _).unwrap()
}

/// Appends suite event `n` and waits for its fate.
pub(crate) async fn append(journal: &Journal, n: u64) -> Fate {
    match journal.append(suite::event(n)) {
        Ok(ticket) => journal.fate(ticket).await,
        Err(reason) => Fate::Lost(reason),
    }
}

pub(crate) async fn append_all(journal: &Journal, numbers: std::ops::Range<u64>) {
    let tickets: Vec<_> = numbers.map(|n| journal.append(suite::event(n)).unwrap()).collect();
    for ticket in tickets {
        assert_eq!(journal.fate(ticket).await, Fate::Stored);
    }
}

pub(crate) fn is_lost(fate: Fate, reason: LostReason) -> bool {
    fate == Fate::Lost(reason)
}

/// The number that suite event carries.
pub(crate) fn number(record: &Recorded) -> u64 {
    match &record.event.body {
        EventBody::Webhook(webhook) => webhook.key.parse().unwrap(),
        other => panic!("not an event of the suite: {other:?}"),
    }
}

/// Numbers of all records the journal still has, in its order.
pub(crate) fn numbers(journal: &Journal) -> Vec<u64> {
    let mut numbers = Vec::new();
    journal.recent(Timestamp(i64::MIN), |record| numbers.push(number(&record))).unwrap();
    numbers
}

/// Reads everything that is there now.
pub(crate) async fn drain(stream: &mut dyn EventStream) -> (Vec<u64>, Position) {
    let mut all = Vec::new();
    loop {
        let batch = stream.next(1000, Duration::ZERO).await.unwrap();
        if batch.records.is_empty() {
            return (all, batch.next);
        }
        all.extend(batch.records.iter().map(number));
    }
}
