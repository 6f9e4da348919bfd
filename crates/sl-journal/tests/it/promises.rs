//! The conformance suite, and what only a local journal promises.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sl_core::{
    event::{Event, EventBody, Position},
    ids::TeamId,
    time::{ManualClock, Timestamp},
};
use sl_journal::{
    ClickLog, Durability, EventStream, Fate, Journal, JournalConfig, JournalError, LostReason, dump,
    journal_end, suite, verify,
};
use tempfile::TempDir;

use crate::{sim::SimDisk, world};

struct OnDisk {
    dir: TempDir,
    durability: Durability,
    clock: Arc<ManualClock>,
    journal: Option<Arc<Journal>>,
}

impl OnDisk {
    fn new(durability: Durability) -> Self {
        let clock = Arc::new(ManualClock::at(world::START));
        let mut new = Self { dir: TempDir::new().unwrap(), durability, clock, journal: None };
        new.open();
        new
    }

    fn open(&mut self) {
        let config = JournalConfig {
            dir: self.dir.path().join("journal"),
            durability: self.durability,
            ..world::config()
        };
        // While another test starts a process, that process holds every open file, the lock of a closed journal too, until
        // it runs its own program.
        let mut tries = 0;
        self.journal = loop {
            match Journal::open(config.clone(), Arc::clone(&self.clock) as _) {
                Err(JournalError::Locked(_)) if tries < 1_000_000 => tries += 1,
                opened => break Some(opened.unwrap()),
            }
            std::thread::yield_now();
        };
    }

    fn journal(&self) -> &Arc<Journal> {
        self.journal.as_ref().unwrap()
    }
}

#[async_trait]
impl suite::Backend for OnDisk {
    fn log(&self) -> Arc<dyn ClickLog> {
        Arc::clone(self.journal()) as _
    }

    async fn stream(&self, name: &str) -> Box<dyn EventStream> {
        Box::new(self.journal().stream(name))
    }

    async fn restart(&mut self) {
        self.journal.take().unwrap().close().unwrap();
        self.open();
    }

    /// The state of the consumer is older than what it once said to have passed: it comes from a copy, say.
    async fn lose_oldest(&mut self) {
        let half = Position { epoch: 0, offset: suite::GAP / 2 };
        self.journal().stream("suite").passed(half).await.unwrap();
        self.clock.advance(Duration::from_secs(49 * 3600));
        self.journal().tidy();
    }
}

#[tokio::test]
async fn the_synced_journal_passes_the_suite() {
    suite::run(async || OnDisk::new(Durability::Synced)).await;
}

#[tokio::test]
async fn the_buffered_journal_passes_the_suite() {
    suite::run(async || OnDisk::new(Durability::Buffered)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn every_task_on_every_thread_learns_its_fate() {
    let here = OnDisk::new(Durability::Synced);
    let tasks: Vec<_> = (0..2000)
        .map(|n| {
            let journal = Arc::clone(here.journal());
            tokio::spawn(async move { world::append(&journal, n).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Fate::Stored);
    }
    let mut numbers = world::numbers(here.journal());
    numbers.sort_unstable();
    assert_eq!(numbers, (0..2000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_directory_has_one_journal_at_a_time() {
    let mut here = OnDisk::new(Durability::Synced);
    let config = JournalConfig { dir: here.dir.path().join("journal"), ..world::config() };
    let again = Journal::open(config, Arc::new(ManualClock::at(world::START)));
    assert!(matches!(again, Err(JournalError::Locked(_))));
    suite::Backend::restart(&mut here).await;
}

#[tokio::test]
async fn only_an_orderly_stop_counts_as_clean() {
    let disk = SimDisk::default();
    let journal = world::open(&disk);
    assert!(journal.was_clean(), "a new journal has nothing to be unsure of");
    world::append_all(&journal, 0..3).await;
    journal.close().unwrap();
    assert_eq!(world::append(&journal, 3).await, Fate::Lost(LostReason::Closed));

    let journal = world::open(&disk);
    assert!(journal.was_clean());
    world::append_all(&journal, 3..5).await;
    disk.stop();
    let disk = disk.reborn(false, || false);
    drop(journal);

    let journal = world::open(&disk);
    assert!(!journal.was_clean());
    assert_eq!(world::numbers(&journal), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_journal_shorter_than_its_consumer_starts_a_new_epoch_and_uses_no_number_twice() {
    let disk = SimDisk::default();
    let journal = world::open(&disk);
    world::append_all(&journal, 0..5).await;
    let mut stream = journal.stream("attribution");
    let ahead = Position { epoch: 0, offset: 50 };
    let at = stream.seek(ahead).await.unwrap();
    assert_eq!(at.epoch, 1);
    let ticket = journal.append(suite::event(99)).unwrap();
    assert_eq!(ticket.0, 50);
    assert_eq!(journal.fate(ticket).await, Fate::Stored);
    stream.passed(Position { epoch: 1, offset: 70 }).await.unwrap();
    journal.close().unwrap();

    // The consumer's stored position is behind the end again: the start itself sees it.
    let journal = world::open(&disk);
    assert_eq!(journal.status().head, Position { epoch: 2, offset: 70 });
    assert_eq!(world::numbers(&journal), [0, 1, 2, 3, 4, 99]);
}

#[tokio::test]
async fn recent_hands_over_what_is_young_enough() {
    let here = OnDisk::new(Durability::Synced);
    world::append_all(here.journal(), 0..500).await;
    let mut numbers = Vec::new();
    let count = here.journal().recent(Timestamp(480), |record| numbers.push(world::number(&record))).unwrap();
    assert_eq!((count, numbers), (20, (480..500).collect()));
}

#[tokio::test]
async fn a_directory_can_be_verified_and_dumped_while_the_journal_runs() {
    let here = OnDisk::new(Durability::Synced);
    world::append_all(here.journal(), 0..400).await;
    let dir = here.dir.path().join("journal");
    let report = verify(&dir).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.records(), report.journal), (400, Some(here.journal().id())));
    assert!(report.segments.len() > 1);
    let end = journal_end(&dir).unwrap();
    assert_eq!((end.journal, end.head), (report.journal, here.journal().status().head));
    // What only wakes attribution is told apart.
    let tick = Event { team: TeamId(1), account: "".into(), at: Timestamp(0), body: EventBody::Tick };
    sl_journal::log::append_synced(&**here.journal(), tick).await.unwrap();
    let later = journal_end(&dir).unwrap();
    assert_eq!((later.content, later.head.offset), (end.head, end.head.offset + 1));
    let mut offsets = Vec::new();
    let from = Position { epoch: 0, offset: 390 };
    assert_eq!(dump(&dir, from, |at, _| offsets.push(at.offset)).unwrap(), 11);
    assert_eq!(offsets, (390..401).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_record_that_fits_no_segment_is_refused_and_the_next_one_is_kept() {
    let here = OnDisk::new(Durability::Synced);
    let mut event = suite::event(1);
    if let EventBody::Webhook(webhook) = &mut event.body {
        webhook.body = vec![0; 20 << 10];
    }
    assert_eq!(here.journal().append(event).map_err(|reason| reason.as_str()), Err("too_large"));
    assert_eq!(world::append(here.journal(), 2).await, Fate::Stored);
    let tick = Event { team: TeamId(1), account: "".into(), at: Timestamp(0), body: EventBody::Tick };
    assert_eq!(sl_journal::log::append_synced(&**here.journal(), tick).await, Ok(()));
}

#[tokio::test]
async fn buffered_records_reach_consumers_once_they_are_synced() {
    let here = OnDisk::new(Durability::Buffered);
    let mut stream = here.journal().stream("attribution");
    assert_eq!(world::append(here.journal(), 7).await, Fate::Stored);
    let batch = stream.next(10, Duration::from_secs(30)).await.unwrap();
    assert_eq!(batch.records.iter().map(world::number).collect::<Vec<_>>(), [7]);
}

/// The writer holds a spare for a moment before it renames it. Were the next one made under the same name, the records of
/// a whole segment would go into a file without a name.
#[tokio::test]
async fn no_two_files_prepared_ahead_have_the_same_name() {
    let disk = SimDisk::default();
    let journal = world::open(&disk);
    world::append_all(&journal, 0..2_000).await;
    assert!(disk.segments().len() > 3);
    let spares: Vec<_> = disk.created().into_iter().filter(|name| name.starts_with("spare")).collect();
    let different: std::collections::BTreeSet<_> = spares.iter().collect();
    assert_eq!(different.len(), spares.len(), "{spares:?}");
}
