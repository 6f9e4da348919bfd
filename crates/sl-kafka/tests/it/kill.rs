//! An edge's process is killed at any moment, with the forwarder under way.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use sl_core::time::Timestamp;
use sl_journal::ClickLog as _;
use sl_kafka::{Cluster, KafkaConfig};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::world::{self, Reading};

const DIR: &str = "SL_KAFKA_KILL_TEST_DIR";
const PREFIX: &str = "SL_KAFKA_KILL_TEST_PREFIX";
const ROUNDS: u64 = 8;
const PARTITIONS: u32 = 3;

fn cluster(prefix: &str) -> Cluster {
    let config =
        KafkaConfig { prefix: prefix.to_owned(), ..world::config(&world::shared_brokers(), PARTITIONS) };
    Cluster::new(config).unwrap()
}

/// Not a test of its own: the process that is killed. It appends for ever, forwards, and prints how many it has appended.
#[test]
fn child_that_forwards_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let cluster = cluster(&std::env::var(PREFIX).unwrap());
    let journal = world::open_journal(Path::new(&dir));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let forwarder = world::forwarder(&journal, &cluster, Path::new(&dir), Duration::ZERO);
    runtime.spawn(forwarder.run(CancellationToken::new()));
    let from = journal.status().head.offset;
    let mut out = std::io::stderr();
    for n in from.. {
        let _stored = journal.append(world::event(&format!("acct_{}", n % 10), n)).unwrap();
        if n % 20 == 0 {
            writeln!(out, "appended {n}").unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn kill_9_at_any_moment_loses_and_reorders_nothing_of_what_the_journal_has() {
    let dir = TempDir::new().unwrap();
    let prefix = world::config("x:1", 1).prefix;
    let cluster = cluster(&prefix);
    world::made(&cluster, world::clock().now()).await;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child_that_forwards_until_it_is_killed", "--nocapture"])
            .env(DIR, dir.path())
            .env(PREFIX, &prefix)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let enough = 20 + (round * 37) % 211;
        let appended = lines
            .map_while(Result::ok)
            .filter(|line| line.starts_with("appended "))
            .take(usize::try_from(enough).unwrap());
        assert_eq!(appended.count() as u64, enough, "round {round}: the child ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let journal = world::open_journal(dir.path());
    assert!(!journal.was_clean());
    let mut kept = std::collections::BTreeMap::<String, Vec<u64>>::new();
    journal
        .recent(Timestamp(i64::MIN), |record| {
            kept.entry(record.event.account.as_str().to_owned()).or_default().push(world::number(&record));
        })
        .unwrap();
    let total: usize = kept.values().map(Vec::len).sum();
    let token = CancellationToken::new();
    let forwarding =
        tokio::spawn(world::forwarder(&journal, &cluster, dir.path(), Duration::ZERO).run(token.clone()));
    let mut readings = Reading::all(&cluster).await;
    let read = async {
        while readings.iter().flat_map(|reading| reading.accounts.values()).map(Vec::len).sum::<usize>()
            < total
        {
            for reading in &mut readings {
                reading.step(Duration::from_millis(20)).await;
            }
        }
    };
    let in_time = tokio::time::timeout(world::PATIENCE, read).await;
    let got: std::collections::BTreeMap<_, _> =
        readings.iter().flat_map(|reading| reading.accounts.clone()).collect();
    assert!(got == kept, "Kafka has what the journal has, in its order; in time: {in_time:?}");
    token.cancel();
    forwarding.await.unwrap();
}
