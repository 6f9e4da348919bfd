//! `kill -9` at any moment.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use sl_core::time::ManualClock;
use sl_journal::{ClickLog, Durability, Fate, Journal, JournalConfig, suite};
use tempfile::TempDir;

use crate::world;

const DIR: &str = "SL_JOURNAL_KILL_TEST_DIR";
/// Set for a journal that answers before the disk has it.
const BUFFERED: &str = "SL_JOURNAL_KILL_TEST_BUFFERED";
const ROUNDS: u64 = 20;

fn open(dir: &Path, durability: Durability) -> Arc<Journal> {
    let config = JournalConfig { dir: dir.to_owned(), max_disk: 64 << 20, durability, ..world::config() };
    Journal::open(config, Arc::new(ManualClock::at(world::START))).unwrap()
}

/// Not a test of its own: the process that is killed. It appends for ever and prints what was acknowledged.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let buffered = std::env::var_os(BUFFERED).is_some();
    let journal = open(dir.as_ref(), if buffered { Durability::Buffered } else { Durability::Synced });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let from = journal.status().head.offset;
    let mut out = std::io::stderr();
    for batch in (from..).step_by(8) {
        runtime.block_on(async {
            let tickets: Vec<_> =
                (batch..batch + 8).map(|n| (n, journal.append(suite::event(n)).unwrap())).collect();
            for (n, ticket) in tickets {
                assert_eq!(journal.fate(ticket).await, Fate::Stored);
                writeln!(out, "ack {n}").unwrap();
            }
        });
    }
}

#[test]
fn no_acknowledged_record_is_lost_by_kill_9_at_any_moment() {
    killed_again_and_again(Durability::Synced);
}

#[test]
fn no_acknowledged_record_is_lost_by_kill_9_where_the_disk_is_synced_behind() {
    killed_again_and_again(Durability::Buffered);
}

fn killed_again_and_again(durability: Durability) {
    let dir = TempDir::new().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child_that_appends_until_it_is_killed", "--nocapture"])
            .env(DIR, dir.path())
            .envs((durability == Durability::Buffered).then_some((BUFFERED, "1")))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let enough = 1 + (round * 37) % 211;
        let mut seen = 0;
        // Read to the end: what was printed before the kill counts too.
        for line in lines.map_while(Result::ok) {
            let Some(n) = line.strip_prefix("ack ").and_then(|n| n.parse::<u64>().ok()) else { continue };
            acknowledged.push(n);
            seen += 1;
            if seen == enough {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= enough, "round {round}: the child ended by itself");
    }
    let journal = open(dir.path(), durability);
    assert!(!journal.was_clean());
    let found = world::numbers(&journal);
    assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "once and in order");
    let missing: Vec<_> = acknowledged.iter().filter(|n| found.binary_search(n).is_err()).collect();
    assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");
}
