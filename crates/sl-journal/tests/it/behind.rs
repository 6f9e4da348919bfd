//! Buffered: the disk is synced behind, and nobody waits for it.

#![expect(
    clippy::await_holding_lock,
    reason = "the lock stalls the disk: only threads of the journal wait for it"
)]

use std::{sync::Arc, time::Duration};

use sl_core::time::ManualClock;
use sl_journal::{ClickLog, Durability, Fate, Journal, JournalConfig, LostReason, Ticket, suite};

use crate::{
    sim::{Fault, SimDisk},
    world,
};

/// Nothing takes so long unless it waits for a disk that stands still.
const PATIENCE: Duration = Duration::from_secs(20);

fn open(disk: &SimDisk) -> Arc<Journal> {
    let config = JournalConfig { durability: Durability::Buffered, ..world::config() };
    world::open_with(disk, config, &Arc::new(ManualClock::at(world::START)))
}

/// A journal in the middle of a sync that covers record 0, until the guard is gone.
async fn stalled(disk: &SimDisk) -> (Arc<Journal>, parking_lot::MutexGuard<'_, ()>) {
    let journal = open(disk);
    let (stalled, before) = (disk.stall(), disk.syncs_begun());
    assert_eq!(world::append(&journal, 0).await, Fate::Stored);
    while disk.syncs_begun() == before {
        tokio::task::yield_now().await;
    }
    (journal, stalled)
}

async fn is_stored(journal: &Journal, n: u64) {
    let fate = tokio::time::timeout(PATIENCE, world::append(journal, n)).await;
    assert_eq!(fate, Ok(Fate::Stored), "{n} waits for the disk");
}

fn found_later(disk: &SimDisk) -> [Vec<u64>; 2] {
    [false, true].map(|power_cut| world::numbers(&world::open(&disk.reborn(power_cut, || false))))
}

#[tokio::test]
async fn a_sync_that_takes_long_delays_no_record() {
    let disk = SimDisk::default();
    let (journal, stalled) = stalled(&disk).await;
    let before = journal.status().synced;
    for n in 1..20 {
        is_stored(&journal, n).await;
    }
    assert_eq!(journal.status().synced, before, "consumers see what is synced");
    assert_eq!(found_later(&disk)[0], (0..20).collect::<Vec<_>>(), "kill -9 takes none of them");
    drop(stalled);
    let mut stream = journal.stream("attribution");
    let mut seen = Vec::new();
    while seen.len() < 20 {
        let batch = sl_journal::EventStream::next(&mut stream, 100, PATIENCE).await.unwrap();
        seen.extend(batch.records.iter().map(world::number));
    }
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    assert_eq!(found_later(&disk)[1], seen, "what consumers see is durable");
}

#[tokio::test]
async fn what_was_written_during_a_sync_that_fails_moves_with_what_it_covered() {
    for fault in [Fault::SyncFails, Fault::SyncLies] {
        let disk = SimDisk::default();
        let (journal, stalled) = stalled(&disk).await;
        for n in 1..20 {
            is_stored(&journal, n).await;
        }
        disk.fail_next(fault);
        drop(stalled);
        journal.close().unwrap();
        assert_eq!(disk.segments().len(), 2, "{fault:?}: the failed one is sealed");
        for found in found_later(&disk) {
            assert_eq!(found, (0..20).collect::<Vec<_>>(), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_write_that_fails_during_a_sync_moves_what_the_sync_does_not_cover() {
    for sync_fails in [false, true] {
        let disk = SimDisk::default();
        let (journal, stalled) = stalled(&disk).await;
        is_stored(&journal, 1).await;
        disk.fail_next(Fault::TornWrite);
        if sync_fails {
            disk.fail_next(Fault::SyncFails);
        }
        let ticket = journal.append(suite::event(2)).unwrap();
        while disk.faults_ahead() > usize::from(sync_fails) {
            tokio::task::yield_now().await;
        }
        drop(stalled);
        assert_eq!(journal.fate(ticket).await, Fate::Stored);
        assert_eq!(disk.segments().len(), 2);
        for found in found_later(&disk) {
            assert_eq!(found, [0, 1, 2], "{sync_fails}");
        }
    }
}

#[tokio::test]
async fn what_no_segment_takes_after_a_failed_sync_is_counted_lost() {
    let disk = SimDisk::default();
    let (journal, stalled) = stalled(&disk).await;
    for n in 1..5 {
        is_stored(&journal, n).await;
    }
    disk.fail_next(Fault::SyncFails);
    disk.fail_next(Fault::SyncFails);
    drop(stalled);
    while journal.status().lost == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((journal.status().lost, journal.status().trouble), (5, Some(LostReason::DiskError)));
    assert_eq!(journal.fate_now(Ticket(3)), Some(Fate::Lost(LostReason::DiskError)));
    is_stored(&journal, 5).await;
    journal.close().unwrap();
    for found in found_later(&disk) {
        assert_eq!(found, [5]);
    }
}

/// The next segment says where the one before ends: it is opened once that is known.
#[tokio::test]
async fn the_end_of_a_segment_waits_for_its_sync_and_nothing_is_lost() {
    let disk = SimDisk::default();
    let (journal, stalled) = stalled(&disk).await;
    let tickets: Vec<_> = (1..300).map(|n| journal.append(suite::event(n)).unwrap()).collect();
    drop(stalled);
    for ticket in tickets {
        assert_eq!(journal.fate(ticket).await, Fate::Stored);
    }
    assert!(disk.segments().len() > 2);
    journal.close().unwrap();
    for found in found_later(&disk) {
        assert_eq!(found, (0..300).collect::<Vec<_>>());
    }
}
