//! Whatever the end of a journal looks like, every synced record is kept.

use proptest::prelude::*;
use sl_journal::{ClickLog, Fate, Journal, suite};

use crate::{sim::SimDisk, world};

/// A journal with `count` synced records that was killed.
fn killed(count: u64) -> SimDisk {
    let disk = SimDisk::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let journal = world::open(&disk);
    runtime.block_on(world::append_all(&journal, 0..count));
    let found = disk.reborn(false, || false);
    disk.stop();
    found
}

/// Behind the last byte that is not zero in the last segment.
fn used(disk: &SimDisk) -> (String, usize) {
    let name = disk.segments().pop().unwrap();
    let mut end = 0;
    disk.edit(&name, |bytes| end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1);
    (name, end.next_multiple_of(8))
}

fn accepts(journal: &Journal, n: u64) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(world::append(journal, n)) == Fate::Stored
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn synced_records_survive_any_tail(
        count in 1..40_u64,
        garbage in proptest::collection::vec(any::<u8>(), 0..400),
        cut in any::<bool>(),
    ) {
        let disk = killed(count);
        let (name, end) = used(&disk);
        disk.edit(&name, |bytes| {
            if cut {
                bytes.truncate(end);
            }
            bytes.resize(bytes.len().max(end + garbage.len()), 0);
            bytes[end..end + garbage.len()].copy_from_slice(&garbage);
        });
        let journal = world::open(&disk);
        prop_assert_eq!(world::numbers(&journal), (0..count).collect::<Vec<_>>());
        prop_assert!(accepts(&journal, count));
        prop_assert_eq!(world::numbers(&journal), (0..=count).collect::<Vec<_>>());
        prop_assert_eq!(journal.status().damaged, 0);
    }

    #[test]
    fn a_torn_last_record_costs_that_record_only(count in 2..40_u64, torn in 1..16_usize) {
        let disk = killed(count);
        let (name, end) = used(&disk);
        disk.edit(&name, |bytes| bytes.truncate(end - 8 - torn));
        let journal = world::open(&disk);
        prop_assert_eq!(world::numbers(&journal), (0..count - 1).collect::<Vec<_>>());
    }

    #[test]
    fn a_flipped_bit_costs_one_record_at_most(
        count in 2..400_u64,
        segment in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let disk = killed(count);
        let segments = disk.segments();
        let name = segment.get(&segments);
        disk.edit(name, |bytes| {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        });
        let journal = world::open(&disk);
        let found = world::numbers(&journal);
        prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "in order, once");
        prop_assert!(found.len() as u64 >= count - 1, "{} of {}", found.len(), count);
        let missing = (0..count).find(|n| !found.contains(n));
        // A hole in the middle is told; a hole at the end looks like an interrupted write.
        if missing.is_some_and(|missing| missing + 1 < count) {
            prop_assert!(journal.status().damaged >= 1, "{missing:?} is missing and nobody was told");
        }
    }
}

#[test]
fn frames_hidden_in_a_payload_are_no_records() {
    // A segment of another journal inside a webhook's body, and the record around it damaged.
    let foreign = killed(3);
    let (name, end) = used(&foreign);
    let mut hidden = Vec::new();
    foreign.edit(&name, |bytes| hidden = bytes[4096..end].to_vec());

    let disk = SimDisk::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let journal = world::open(&disk);
    runtime.block_on(async {
        let mut event = suite::event(0);
        if let sl_core::event::EventBody::Webhook(webhook) = &mut event.body {
            webhook.body = (0..8).flat_map(|pad| [vec![0; pad], hidden.clone()].concat()).collect();
        }
        let ticket = journal.append(event).unwrap();
        assert_eq!(journal.fate(ticket).await, Fate::Stored);
        world::append_all(&journal, 1..3).await;
    });
    let found = disk.reborn(false, || false);
    found.edit(&found.segments()[0], |bytes| bytes[4096 + 5] ^= 1);
    let journal = world::open(&found);
    assert_eq!(world::numbers(&journal), [1, 2]);
    assert!(journal.status().damaged >= 1);
}

#[test]
fn a_segment_without_a_readable_header_is_read_all_the_same() {
    let disk = killed(300);
    let segments = disk.segments();
    assert!(segments.len() > 1);
    disk.edit(&segments[0], |bytes| bytes[..4096].fill(0xAA));
    let journal = world::open(&disk);
    assert_eq!(world::numbers(&journal), (0..300).collect::<Vec<_>>());
    assert_eq!(journal.status().damaged, 1);
}
