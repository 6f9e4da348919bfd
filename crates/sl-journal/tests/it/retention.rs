//! What is kept, and what may go.

use std::{sync::Arc, time::Duration};

use sl_core::{
    event::Position,
    time::{ManualClock, Timestamp},
};
use sl_journal::{EventStream, Fate, Journal, JournalConfig, LostReason};

use crate::{sim::SimDisk, world};

async fn fill(journal: &Journal, from: u64) -> u64 {
    let mut n = from;
    while world::append(journal, n).await == Fate::Stored {
        n += 1;
        assert!(n < from + 100_000);
    }
    n
}

fn small() -> JournalConfig {
    JournalConfig { max_disk: 6 * (16 << 10), ..world::config() }
}

#[tokio::test]
async fn segments_go_when_they_are_old_and_everybody_has_passed_them() {
    let (disk, clock) = (SimDisk::default(), Arc::new(ManualClock::at(world::START)));
    let journal = world::open_with(&disk, world::config(), &clock);
    let mut one = journal.stream("one");
    let mut other = journal.stream("other");
    world::append_all(&journal, 0..1000).await;
    let before = journal.status().segments;
    let head = journal.status().head;
    one.passed(head).await.unwrap();
    clock.advance(Duration::from_secs(49 * 3600));
    journal.tidy();
    assert_eq!(journal.status().segments, before, "the other still needs them");
    other.passed(head).await.unwrap();
    journal.tidy();
    assert_eq!(journal.status().segments, 1);
    world::append_all(&journal, 1000..2000).await;
    let head = journal.status().head;
    one.passed(head).await.unwrap();
    other.passed(head).await.unwrap();
    journal.tidy();
    let kept = world::numbers(&journal);
    assert!(
        kept.contains(&1000) && kept.contains(&1999),
        "young ones stay although everybody has passed them"
    );
}

#[tokio::test]
async fn a_segment_is_written_full_of_zeros_and_synced_before_its_first_record() {
    let disk = SimDisk::default();
    let journal = world::open(&disk);
    let first = disk.segments().pop().unwrap();
    let whole = [16 << 10; 2];
    assert_eq!(disk.sizes(&first), whole, "nothing was appended yet");
    world::append_all(&journal, 0..10).await;
    assert_eq!(disk.sizes(&first), whole, "a commit changes no size, so its sync writes no metadata");
    assert_eq!(world::numbers(&journal), (0..10).collect::<Vec<_>>(), "zeros are no records");
    journal.close().unwrap();
    assert!(disk.sizes(&first)[0] < 16 << 10, "an orderly stop gives the unused end back");
}

#[tokio::test]
async fn at_the_cap_needed_segments_stay_and_clicks_are_lost_until_a_consumer_moves_on() {
    let disk = SimDisk::default();
    let journal = world::open_with(&disk, small(), &Arc::new(ManualClock::at(world::START)));
    let mut stream = journal.stream("attribution");
    let n = fill(&journal, 0).await;
    assert_eq!(world::append(&journal, n).await, Fate::Lost(LostReason::MaxDisk));
    assert!(journal.status().bytes <= small().max_disk);
    assert_eq!(world::numbers(&journal), (0..n).collect::<Vec<_>>(), "nothing that is needed was removed");

    let (read, next) = world::drain(&mut stream).await;
    assert_eq!(read.len() as u64, n);
    stream.passed(next).await.unwrap();
    assert_eq!(
        world::append(&journal, n + 1).await,
        Fate::Stored,
        "passed segments go first, inside retention"
    );
    assert!(journal.status().bytes <= small().max_disk);
    assert!(journal.status().oldest > 0);
}

#[tokio::test]
async fn a_consumer_is_remembered_over_a_restart() {
    let disk = SimDisk::default();
    let clock = Arc::new(ManualClock::at(world::START));
    let journal = world::open_with(&disk, world::config(), &clock);
    drop(journal.stream("attribution"));
    world::append_all(&journal, 0..1000).await;
    journal.close().unwrap();

    clock.advance(Duration::from_secs(49 * 3600));
    let journal = world::open_with(&disk, world::config(), &clock);
    journal.tidy();
    assert_eq!(world::numbers(&journal).len(), 1000, "it has passed nothing yet");
    journal.forget_consumer("attribution");
    journal.tidy();
    assert!(world::numbers(&journal).len() < 1000, "nobody needs the old ones any more");
}

#[tokio::test]
async fn a_new_consumer_starts_at_the_oldest_record_there_is() {
    let disk = SimDisk::default();
    let clock = Arc::new(ManualClock::at(world::START));
    let journal = world::open_with(&disk, world::config(), &clock);
    world::append_all(&journal, 0..1000).await;
    clock.advance(Duration::from_secs(49 * 3600));
    world::append_all(&journal, 1000..1500).await;
    journal.tidy();
    let oldest = journal.status().oldest;
    assert!(oldest > 0);
    let mut stream = journal.stream("late");
    let at = stream.seek(Position::default()).await.unwrap();
    assert_eq!(at.offset, oldest);
    let (numbers, _) = world::drain(&mut stream).await;
    assert_eq!(numbers, (oldest..1500).collect::<Vec<_>>());
    assert_eq!(journal.recent(Timestamp(i64::MAX), |_| {}).unwrap(), 0);
}

#[tokio::test]
async fn recent_overlooks_nothing_that_was_written_before_the_clock_was_set_back() {
    let (disk, clock) = (SimDisk::default(), Arc::new(ManualClock::at(Timestamp(-2_000_000))));
    let journal = world::open_with(&disk, world::config(), &clock);
    world::append_all(&journal, 0..300).await;
    clock.set(Timestamp(0));
    world::append_all(&journal, 300..600).await;
    clock.set(Timestamp(-1_900_000));
    world::append_all(&journal, 600..900).await;
    let mut numbers = Vec::new();
    journal.recent(Timestamp(300), |record| numbers.push(world::number(&record))).unwrap();
    assert_eq!(numbers, (300..900).collect::<Vec<_>>());
}
