//! Disks that fail.

use std::sync::Arc;

use sl_core::time::ManualClock;
use sl_journal::{ClickLog, Durability, Fate, JournalConfig, LostReason, suite};

use crate::{
    sim::{Fault, SimDisk},
    world,
};

/// Reads back what a process finds that starts after `kill -9`, and after a power cut.
fn found_later(disk: &SimDisk) -> [Vec<u64>; 2] {
    [false, true].map(|power_cut| world::numbers(&world::open(&disk.reborn(power_cut, || true))))
}

#[tokio::test]
async fn a_failed_sync_moves_the_records_to_a_new_segment() {
    for fault in [Fault::SyncFails, Fault::SyncLies, Fault::TornWrite] {
        let disk = SimDisk::default();
        let journal = world::open(&disk);
        world::append_all(&journal, 0..3).await;
        disk.fail_next(fault);
        assert_eq!(world::append(&journal, 3).await, Fate::Stored, "{fault:?}");
        assert_eq!(world::append(&journal, 4).await, Fate::Stored, "{fault:?}");
        assert_eq!(disk.segments().len(), 2, "{fault:?}: the failed one is sealed");
        let mut stream = journal.stream("attribution");
        assert_eq!(world::drain(&mut stream).await.0, [0, 1, 2, 3, 4], "{fault:?}");
        for found in found_later(&disk) {
            assert_eq!(found, [0, 1, 2, 3, 4], "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_record_reported_lost_never_comes_up_later() {
    for fault in [Fault::SyncFails, Fault::SyncLies] {
        let disk = SimDisk::default();
        let journal = world::open(&disk);
        world::append_all(&journal, 0..3).await;
        disk.fail_next(fault);
        disk.fail_next(fault);
        assert_eq!(world::append(&journal, 3).await, Fate::Lost(LostReason::DiskError), "{fault:?}");
        assert_eq!(journal.status().trouble, Some(LostReason::DiskError));
        for found in found_later(&disk) {
            assert_eq!(found, [0, 1, 2], "{fault:?}: a crash right after the loss");
        }
        assert_eq!(world::append(&journal, 4).await, Fate::Stored);
        assert_eq!((journal.status().trouble, journal.status().lost), (None, 1));
        for found in found_later(&disk) {
            assert_eq!(found, [0, 1, 2, 4], "{fault:?}");
        }
    }
}

#[tokio::test]
async fn short_writes_are_continued() {
    let disk = SimDisk::default();
    let journal = world::open(&disk);
    for n in 0..10 {
        disk.fail_next(Fault::ShortWrite);
        assert_eq!(world::append(&journal, n).await, Fate::Stored);
    }
    assert_eq!(disk.segments().len(), 1);
    assert_eq!(world::numbers(&journal), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_disk_loses_clicks_with_its_reason_and_resumes_by_itself() {
    let disk = SimDisk::default();
    let journal = world::open(&disk);
    disk.set_room(0);
    let mut n = 0;
    // What was preallocated is still good.
    while world::append(&journal, n).await == Fate::Stored {
        n += 1;
        assert!(n < 10_000);
    }
    assert!(n > 10);
    assert!(world::is_lost(world::append(&journal, n + 1).await, LostReason::DiskFull));
    disk.heal();
    assert_eq!(world::append(&journal, n + 2).await, Fate::Stored);
    let want: Vec<_> = (0..n).chain([n + 2]).collect();
    assert_eq!(world::numbers(&journal), want);
    for found in found_later(&disk) {
        assert_eq!(found, want);
    }
}

#[tokio::test]
async fn a_buffered_record_outlives_a_failed_background_sync() {
    let disk = SimDisk::default();
    let config = JournalConfig { durability: Durability::Buffered, ..world::config() };
    let journal = world::open_with(&disk, config, &Arc::new(ManualClock::at(world::START)));
    disk.fail_next(Fault::SyncFails);
    assert_eq!(world::append(&journal, 1).await, Fate::Stored);
    journal.close().unwrap();
    for found in found_later(&disk) {
        assert_eq!(found, [1]);
    }
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_keeps_what_it_took() {
    let disk = SimDisk::default();
    let config = JournalConfig { queue_bytes: 64 << 10, ..world::config() };
    let journal = world::open_with(&disk, config, &Arc::new(ManualClock::at(world::START)));
    let (mut taken, mut refused) = (Vec::new(), 0);
    let stalled = disk.stall();
    for n in 0..5_000 {
        match journal.append(suite::event(n)) {
            Ok(ticket) => taken.push((n, ticket)),
            Err(reason) => {
                assert_eq!(reason, LostReason::QueueFull);
                refused += 1;
            }
        }
    }
    assert!(refused > 1_000, "{refused}: two queues of 64 KiB are all that a stalled disk leaves room for");
    drop(stalled);
    let mut kept = Vec::new();
    for (n, ticket) in taken {
        assert_eq!(journal.fate(ticket).await, Fate::Stored, "{n}");
        kept.push(n);
    }
    assert!(kept.len() > 100);
    assert!(world::numbers(&journal) == kept, "in the order they were taken, and nothing else");
}
