//! The broker goes away in every manner, under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sl_core::{applied::Applied, event::Position, time::ManualClock};
use sl_journal::{ClickLog as _, EventStream as _, StreamError};
use sl_kafka::{Cluster, ClusterError, KafkaConfig, KafkaStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    broker::Broker,
    world::{self, Edge, Reading},
};

fn accounts() -> Vec<String> {
    (0..12).map(|n| format!("acct_{n}")).collect()
}

/// Appends the next event of every account, again and again, until told to stop; says how many each has.
fn load(edge: &Edge) -> (Arc<AtomicBool>, JoinHandle<u64>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (journal, stopped) = (Arc::clone(edge.journal()), Arc::clone(&stop));
    let task = tokio::spawn(async move {
        let mut n = 0;
        while !stopped.load(Ordering::Relaxed) {
            for account in accounts() {
                let _stored = journal.append(world::event(&account, n)).unwrap();
            }
            n += 1;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        n
    });
    (stop, task)
}

/// What attribution does all the while.
fn read_on(mut readings: Vec<Reading>) -> (CancellationToken, JoinHandle<Vec<Reading>>) {
    let over = CancellationToken::new();
    let still = over.clone();
    let reading = tokio::spawn(async move {
        while !still.is_cancelled() {
            for reading in &mut readings {
                reading.step(Duration::from_millis(20)).await;
            }
        }
        readings
    });
    (over, reading)
}

/// Under load, while somebody reads, these faults happen to the broker.
async fn nothing_is_lost_while(
    broker: Broker,
    cluster: &Cluster,
    faults: impl FnOnce(&Broker) + Send + 'static,
) {
    let _told = world::ToldOnFailure(cluster);
    let edge = Edge::start(cluster);
    let mut readings = Reading::all(cluster).await;
    let (stop, load) = load(&edge);
    // The faults meet a broker at work, and not one that still makes the topics.
    let begun = async {
        while readings.iter().map(|reading| reading.accounts.len()).sum::<usize>() < accounts().len() {
            for reading in &mut readings {
                reading.step(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(world::PATIENCE, begun).await.expect("records of every account come");
    let (over, reading) = read_on(readings);
    let broker = tokio::task::spawn_blocking(move || {
        faults(&broker);
        broker
    });
    let _broker = broker.await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let count = load.await.unwrap();
    over.cancel();
    let mut readings = reading.await.unwrap();
    world::expect_complete(&mut readings, &accounts(), count).await;
    assert!(readings.iter().all(|reading| reading.troubles.is_empty()), "nothing was missing for a moment");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_broker_that_is_killed_stopped_or_frozen_under_load_loses_and_reorders_nothing() {
    let broker = Broker::start();
    let cluster = world::cluster(&broker.brokers, 4).await;
    nothing_is_lost_while(broker, &cluster, |broker| {
        for fault in [Broker::kill, Broker::stop, Broker::freeze] {
            fault(broker);
            std::thread::sleep(Duration::from_millis(1500));
            broker.again();
            std::thread::sleep(Duration::from_millis(500));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_question_that_waits_for_a_broker_tries_to_reach_it_now_and_then_and_not_all_the_time() {
    let broker = Broker::start();
    let cluster = world::cluster(&broker.brokers, 1).await;
    cluster.events().await.unwrap();
    broker.kill();
    let before = refused();
    for _ in 0..2 {
        assert!(matches!(cluster.events().await, Err(ClusterError::Unavailable(_))));
    }
    // Without a pause there are thousands a second. Other tests' clients are among them, which pause.
    let tries = refused() - before;
    assert!((1..2000).contains(&tries), "{tries} in two times five seconds");
}

/// Connections that were refused on this machine since it was started.
fn refused() -> u64 {
    let counters = std::fs::read_to_string("/proc/net/snmp").unwrap();
    let mut tcp = counters.lines().filter(|line| line.starts_with("Tcp:"));
    let mut named = tcp.next().unwrap().split(' ').zip(tcp.next().unwrap().split(' '));
    named.find(|(name, _)| *name == "AttemptFails").unwrap().1.parse().unwrap()
}

/// What a power cut may take of a broker that has the only copy. New records come in the places of the old ones, while somebody reads
/// behind them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_partition_that_loses_its_end_while_it_is_read_gets_a_new_epoch_and_nothing_is_missing() {
    let broker = Broker::start();
    let cluster = world::cluster(&broker.brokers, 1).await;
    let edge = Edge::start(&cluster);
    append(&edge, 0..20);
    let mut readings = Reading::all(&cluster).await;
    world::expect_complete(&mut readings, &accounts(), 20).await;
    let before = readings[0].position;
    let _broker = cut_half(broker, &cluster).await;
    // More than were lost: the partition is longer than it was.
    append(&edge, 20..60);
    world::expect_complete(&mut readings, &accounts(), 60).await;
    assert_has_begun_anew(&readings[0], before);
}

/// The same, while nobody reads: it has grown again before its consumer comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_partition_that_lost_its_end_and_has_grown_past_it_since_is_known_by_its_last_record() {
    let broker = Broker::start();
    let cluster = world::cluster(&broker.brokers, 1).await;
    let edge = Edge::start(&cluster);
    append(&edge, 0..20);
    let mut readings = Reading::all(&cluster).await;
    world::expect_complete(&mut readings, &accounts(), 20).await;
    let reading = readings.remove(0);
    let position = reading.position;
    let _broker = cut_half(broker, &cluster).await;
    append(&edge, 20..60);
    let stream = world::within("the partition has grown", async || {
        let stream = KafkaStream::open(&cluster, 0, world::clock()).await.ok()?;
        (stream.head().offset > position.offset).then_some(stream)
    })
    .await;
    let mut readings = [reading.resume(stream).await];
    world::expect_complete(&mut readings, &accounts(), 60).await;
    assert_has_begun_anew(&readings[0], position);
}

/// The same, before anybody has read what it loses: it was acknowledged all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn what_was_acknowledged_and_lost_before_anybody_read_it_is_sent_again() {
    let broker = Broker::start();
    let cluster = world::cluster(&broker.brokers, 1).await;
    let mut edge = Edge::without_forwarder(&cluster);
    edge.settle = Duration::from_secs(3600);
    edge.forward();
    // In two batches at least, of which the first stays.
    for (numbers, end) in [(0..10, 120), (10..20, 240)] {
        append(&edge, numbers);
        world::within("everything is acknowledged", async || {
            let stream = KafkaStream::open(&cluster, 0, world::clock()).await.ok()?;
            (stream.head().offset >= end).then_some(())
        })
        .await;
    }
    let mut readings = Reading::all(&cluster).await;
    readings[0].read_some(30).await;
    let reading = readings.remove(0);
    let position = reading.position;
    let _broker = cut_half(broker, &cluster).await;
    append(&edge, 20..40);
    let stream =
        world::within("a stream opens", async || KafkaStream::open(&cluster, 0, world::clock()).await.ok())
            .await;
    let mut readings = [reading.resume(stream).await];
    world::expect_complete(&mut readings, &accounts(), 40).await;
    assert_eq!(readings[0].position.epoch, position.epoch, "nothing that was applied is gone");
    assert!(readings[0].skipped > 0, "the half that was not lost came again");
}

/// It has grown for so long that edges may not have all of it any more: what it holds goes before what it lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_partition_that_lost_its_end_long_ago_is_read_on_and_what_is_missing_is_told() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let edge = Edge::start(&cluster);
    append(&edge, 0..2);
    let mut reading = Reading::all(&cluster).await.remove(0);
    world::expect_complete(std::slice::from_mut(&mut reading), &accounts(), 2).await;
    append(&edge, 2..3);
    let later = Arc::new(ManualClock::at(world::clock().now().plus(Duration::from_secs(2 * 3600))));
    let mut stream = KafkaStream::open(&cluster, 0, later).await.unwrap();
    // Nothing of what lies before its position was applied by this state.
    stream.resume(reading.position, &Applied::default()).await.unwrap();
    let told = stream.next(10, world::PATIENCE).await;
    assert!(matches!(told, Err(StreamError::Gap(first)) if first == reading.position), "{told:?}");
    stream.seek(reading.position).await.unwrap();
    let records = stream.next(1, world::PATIENCE).await.unwrap().records;
    assert_eq!(world::number(&records[0]), 2);
}

fn append(edge: &Edge, numbers: std::ops::Range<u64>) {
    for n in numbers {
        accounts().iter().for_each(|account| edge.append(world::event(account, n)));
    }
}

/// A power cut takes the second half of the first partition.
async fn cut_half(broker: Broker, cluster: &Cluster) -> Broker {
    let topic = cluster.config().events_topic();
    let again = tokio::task::spawn_blocking(move || {
        broker.kill();
        broker.cut(&topic, 0);
        broker.again();
        broker
    });
    again.await.unwrap()
}

fn assert_has_begun_anew(reading: &Reading, before: Position) {
    assert!(reading.position.epoch > before.epoch, "{:?}", reading.position);
    assert!(!reading.troubles.is_empty(), "whoever has applied something is told that records are gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn of_three_brokers_one_after_another_may_die_and_the_others_go_on_with_everything() {
    let broker = tokio::task::spawn_blocking(|| Broker::several(3)).await.unwrap();
    let cluster =
        world::cluster_of(KafkaConfig { replication: 3, ..world::config(&broker.brokers, 6) }).await;
    nothing_is_lost_while(broker, &cluster, |broker| {
        broker.kill_one("kafka-2");
        std::thread::sleep(Duration::from_secs(2));
        broker.one_again("kafka-2");
        // This one stays away: two of three go on.
        broker.kill_one("kafka-1");
        std::thread::sleep(Duration::from_secs(2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn an_edge_starts_stops_and_starts_again_without_kafka_and_everything_arrives_afterwards() {
    let broker = Broker::start();
    let cluster = world::cluster(&broker.brokers, 2).await;
    let broker = tokio::task::spawn_blocking(move || {
        broker.kill();
        broker
    });
    let broker = broker.await.unwrap();
    let mut edge = Edge::start(&cluster);
    let accounts = accounts();
    for n in 0..100 {
        for account in &accounts {
            edge.append(world::event(account, n));
        }
    }
    tokio::time::timeout(Duration::from_secs(30), edge.restart()).await.expect("a stop waits for no broker");
    for account in &accounts {
        edge.append(world::event(account, 100));
    }
    let broker = tokio::task::spawn_blocking(move || {
        broker.again();
        broker
    });
    let _broker = broker.await.unwrap();
    world::expect_complete(&mut Reading::all(&cluster).await, &accounts, 101).await;
}
