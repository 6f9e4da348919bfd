use sl_core::event::{Event, EventBody};
use sl_fjall::FjallOptions;
use sl_journal::{ClickLog as _, JournalConfig};
use sl_store::Store;
use tempfile::TempDir;

use super::*;
use crate::clock;

/// A process that keeps clicks and shows how all stand, and how much of its journal Kafka has.
struct Process {
    heartbeat: Heartbeat,
    acknowledged: watch::Sender<Option<Acknowledged>>,
    _dir: TempDir,
}

fn store(dir: &TempDir) -> Store {
    sl_fjall::open(dir.path(), FjallOptions::default()).unwrap().store()
}

fn process(store: &Store, me: &str) -> Process {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig { dir: dir.path().to_owned(), ..JournalConfig::default() };
    let journal = Journal::open(config, clock::system()).unwrap();
    let (acknowledged, seen) = watch::channel(Some(Acknowledged { end: 0, at: Instant::now() }));
    let own = Unforwarded { journal, acknowledged: seen };
    let speaker = (Arc::clone(&store.heartbeats), me.to_owned());
    let heartbeat = Heartbeat::new(speaker, own, Standing::of_many(), (true, true));
    Process { heartbeat, acknowledged, _dir: dir }
}

#[tokio::test(start_paused = true)]
async fn what_waits_elsewhere_is_counted_and_who_falls_silent_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let (mut api, mut edge) = (process(&store, "api"), process(&store, "edge"));
    edge.heartbeat.look(true).await.unwrap();
    api.heartbeat.look(true).await.unwrap();
    let elsewhere = |api: &Process| api.heartbeat.standing.journals_elsewhere();
    assert_eq!(elsewhere(&api), (0, 0));
    let (team, at) = (sl_core::ids::TeamId(1), clock::system().now());
    let event = Event { team, account: "a".into(), at, body: EventBody::Tick };
    let journal = Arc::clone(&edge.heartbeat.journal.journal);
    journal.fate(journal.append(event).unwrap()).await;
    edge.heartbeat.look(false).await.unwrap();
    api.heartbeat.look(false).await.unwrap();
    assert_eq!(elsewhere(&api), (1, 0));
    // It says nothing any more; what it had counts.
    tokio::time::advance(SILENT + LOOK).await;
    api.heartbeat.look(false).await.unwrap();
    assert_eq!(elsewhere(&api), (1, 1));
    // It is back, and ends with everything forwarded.
    edge.acknowledged.send_replace(Some(Acknowledged { end: 1, at: Instant::now() }));
    edge.heartbeat.part().await.unwrap();
    api.heartbeat.look(false).await.unwrap();
    assert_eq!(elsewhere(&api), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn of_two_processes_with_one_journal_one_ends_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let (first, mut second) = (process(&store, "first"), process(&store, "second"));
    second.heartbeat.journal = first.heartbeat.journal.clone();
    let stop = CancellationToken::new();
    let running = tokio::spawn(first.heartbeat.run(stop.clone()));
    tokio::time::sleep(LOOK * 2).await;
    assert!(!running.is_finished());
    second.heartbeat.look(true).await.unwrap();
    let why = running.await.unwrap().unwrap_err().to_string();
    assert!(why.contains("process second has journal") && why.contains("copied"), "{why}");
}
