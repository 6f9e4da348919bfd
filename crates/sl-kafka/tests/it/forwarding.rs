//! What a forwarder promises while the broker is well.

use std::time::Duration;

use sl_core::event::{Event, EventBody};
use sl_journal::{ClickLog as _, EventStream as _, Fate};
use sl_kafka::{
    Cluster, ClusterError, Forwarding, KafkaConfig, KafkaStream, forwarder::position::PositionFile,
};

use crate::world::{self, Edge, Reading, within};

fn accounts() -> Vec<String> {
    (0..5).map(|n| format!("acct_{n}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_forwarder_that_is_dropped_at_any_point_loses_and_reorders_nothing() {
    let cluster = world::cluster(&world::shared_brokers(), 3).await;
    let mut edge = Edge::without_forwarder(&cluster);
    let accounts = accounts();
    let mut count = 0;
    for round in 0..25_u64 {
        edge.forward();
        for _ in 0..40 {
            for account in &accounts {
                edge.append(world::event(account, count));
            }
            count += 1;
        }
        // From before its first request to after its last answer.
        tokio::time::sleep(Duration::from_millis(round * 13 % 120)).await;
        edge.abort_forwarder().await;
    }
    edge.forward();
    let mut readings = Reading::all(&cluster).await;
    world::expect_complete(&mut readings, &accounts, count).await;
    assert!(
        readings.iter().any(|reading| reading.skipped > 0),
        "some of it was sent twice, or this tests nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn an_orderly_stop_sends_nothing_again_and_the_position_is_stored_after_the_answers() {
    let cluster = world::cluster(&world::shared_brokers(), 3).await;
    let mut edge = Edge::start(&cluster);
    let file = PositionFile::at(&edge.dir.path().join("forwarder"));
    let accounts = accounts();
    for n in 0..200 {
        for account in &accounts {
            edge.append(world::event(account, n));
        }
        if n % 50 == 49 {
            edge.restart().await;
            let stored = file.read().unwrap().unwrap();
            let topic = cluster.events().await.unwrap();
            let journal = edge.journal().status();
            assert_eq!((stored.journal, stored.epoch), (journal.journal, topic.epoch));
            assert_eq!(stored.position.offset, (n + 1) * 5, "all of it was answered");
        }
    }
    let mut readings = Reading::all(&cluster).await;
    world::expect_complete(&mut readings, &accounts, 200).await;
    assert_eq!(readings.iter().map(|reading| reading.skipped).sum::<usize>(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_damaged_position_sends_everything_again_and_nothing_is_doubled() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let mut edge = Edge::start(&cluster);
    let accounts = accounts();
    for n in 0..20 {
        for account in &accounts {
            edge.append(world::event(account, n));
        }
    }
    let mut readings = Reading::all(&cluster).await;
    world::expect_complete(&mut readings, &accounts, 20).await;
    edge.stop_forwarder().await;
    std::fs::write(edge.dir.path().join("forwarder"), b"smartlinks-forwarder 1 zz").unwrap();
    edge.forward();
    for account in &accounts {
        edge.append(world::event(account, 20));
    }
    world::expect_complete(&mut readings, &accounts, 21).await;
    assert_eq!(readings[0].skipped, 100, "all of it came again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_topic_that_was_made_anew_is_a_new_epoch_and_gets_what_the_journal_still_has() {
    let cluster = world::cluster(&world::shared_brokers(), 2).await;
    let edge = Edge::start(&cluster);
    let accounts = accounts();
    for n in 0..50 {
        for account in &accounts {
            edge.append(world::event(account, n));
        }
    }
    let mut readings = Reading::all(&cluster).await;
    world::expect_complete(&mut readings, &accounts, 50).await;
    let old = readings[0].position;
    world::delete_topic(&cluster, &cluster.config().events_topic()).await;
    // Appended while there is no topic.
    for account in &accounts {
        edge.append(world::event(account, 50));
    }
    let later = sl_core::time::Timestamp(world::clock().now().0 + 5_000);
    world::made(&cluster, later).await;
    for account in &accounts {
        edge.append(world::event(account, 51));
    }
    world::expect_complete(&mut readings, &accounts, 52).await;
    let new = readings[0].position;
    assert!(new.epoch > old.epoch, "{old:?} {new:?}");
    assert!(
        readings.iter().all(|reading| reading.troubles.len() == 1),
        "each was told once that it is another topic"
    );
    assert_eq!(
        readings.iter().map(|reading| reading.skipped).sum::<usize>(),
        250,
        "the journal had all of it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_partition_that_lost_its_end_gets_a_new_epoch_and_what_the_journal_still_has() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let edge = Edge::start(&cluster);
    let accounts = accounts();
    for n in 0..10 {
        for account in &accounts {
            edge.append(world::event(account, n));
        }
    }
    let mut readings = Reading::all(&cluster).await;
    world::expect_complete(&mut readings, &accounts, 10).await;
    // A state that has applied more than the partition holds is what such a loss looks like.
    let reading = &mut readings[0];
    let before = reading.position;
    let beyond = sl_core::event::Position { offset: before.offset + 7, ..before };
    assert_eq!(reading.stream.seek(beyond).await.unwrap(), beyond, "its consumer is told first");
    for account in &accounts {
        edge.append(world::event(account, 10));
    }
    world::expect_complete(&mut readings, &accounts, 11).await;
    assert!(readings[0].position.epoch > before.epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_record_that_the_topic_does_not_take_stays_in_the_journal_and_stops_nothing() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let topic = cluster.config().events_topic();
    world::set(&cluster, &topic, "max.message.bytes", "100000").await;
    let edge = Edge::start(&cluster);
    edge.append(world::event("acct_0", 0));
    edge.append(big(1_000_000, 200_000));
    edge.append(world::event("acct_0", 1));
    let mut readings = Reading::all(&cluster).await;
    world::expect_complete(&mut readings, &["acct_0".to_owned()], 2).await;
    // The broker is stricter than it was when this session began: its refusal ends the session, and the next one knows.
    world::set(&cluster, &topic, "max.message.bytes", "50000").await;
    edge.append(world::event("acct_0", 2));
    edge.append(big(1_000_001, 80_000));
    edge.append(world::event("acct_0", 3));
    world::expect_complete(&mut readings, &["acct_0".to_owned()], 4).await;
}

/// An event with so large a body.
fn big(n: u64, bytes: usize) -> Event {
    let mut event = world::event("acct_0", n);
    if let EventBody::Webhook(webhook) = &mut event.body {
        // Nothing that compression could make small.
        let mut state = n;
        webhook.body = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .take(bytes)
        .collect();
    }
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn what_is_under_way_is_bounded_and_the_journal_waits() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let edge = Edge::start(&cluster);
    // 84 MB: more than the producer holds.
    for n in 0..120 {
        let ticket = edge.journal().append(big(n, 700 << 10)).unwrap();
        assert_eq!(edge.journal().fate(ticket).await, Fate::Stored);
    }
    world::expect_complete(&mut Reading::all(&cluster).await, &["acct_0".to_owned()], 120).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn another_number_of_partitions_is_refused_and_says_what_to_do() {
    let cluster = world::cluster(&world::shared_brokers(), 2).await;
    let other = KafkaConfig { partitions: 3, ..cluster.config().clone() };
    let other = Cluster::new(other).unwrap();
    let Err(ClusterError::Topic { reason, .. }) = other.events().await else { panic!("it is accepted") };
    assert!(reason.contains("set kafka.partitions to what it was made with"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn topics_are_made_once_as_stated() {
    let cluster = world::cluster(&world::shared_brokers(), 2).await;
    let first = cluster.events().await.unwrap();
    let later = sl_core::time::Timestamp(world::clock().now().0 + 3_600_000);
    cluster.make_topics(later).await.unwrap();
    assert_eq!(cluster.events().await.unwrap(), first, "a topic that is there stays as it is");
    assert_eq!((first.partitions, first.longest), (2, 4_325_376));
    assert_eq!(cluster.visitors().await.unwrap().partitions, 2);
    let settings = world::topic_settings(&cluster, &first.name).await;
    for (key, value) in [
        ("cleanup.policy", "delete"),
        ("retention.ms", "604800000"),
        ("compression.type", "producer"),
        ("message.timestamp.type", "LogAppendTime"),
        ("min.insync.replicas", "1"),
        ("unclean.leader.election.enable", "false"),
    ] {
        assert_eq!(settings.get(key).map(String::as_str), Some(value), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn more_copies_than_brokers_are_refused_with_the_key() {
    let config = KafkaConfig { replication: 9, ..world::config(&world::shared_brokers(), 1) };
    let refused = Cluster::new(config).unwrap().make_topics(world::clock().now()).await.unwrap_err();
    assert!(refused.to_string().starts_with("kafka.replication: 9"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn the_head_of_a_stream_that_is_behind_moves() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let edge = Edge::start(&cluster);
    let mut stream = KafkaStream::open(&cluster, 0, world::clock()).await.unwrap();
    for n in 0..30 {
        edge.append(world::event("acct_0", n));
    }
    let batch = stream.next(1, world::PATIENCE).await.unwrap();
    assert_eq!(batch.records.len(), 1);
    within("the head is heard of", async || (stream.head().offset == 30).then_some(())).await;
    assert_eq!(batch.next.offset, 1);
    let _usual = Forwarding::new(edge.dir.path().join("forwarder"));
}

/// A disk that has lost a file: what is behind it is not kept from everybody for good, whatever is known of the position.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn records_that_the_journal_has_lost_hold_up_none_behind_them() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let mut edge = Edge::start(&cluster);
    let account = accounts().remove(0);
    edge.append(world::event(&account, 0));
    let mut readings = Reading::all(&cluster).await;
    world::expect_complete(&mut readings, std::slice::from_ref(&account), 1).await;
    edge.stop_forwarder().await;
    let journal = edge.dir.path().join("journal");
    let segments = || {
        let names = std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<_> =
            names.filter(|path| path.extension().is_some_and(|it| it == "segment")).collect();
        names.sort();
        names
    };
    let mut count = 1;
    while segments().len() < 4 {
        let ticket = edge.journal().append(world::event(&account, count)).unwrap();
        edge.journal().fate(ticket).await;
        count += 1;
    }
    edge.journal.take().unwrap().close().unwrap();
    std::fs::remove_file(&segments()[0]).unwrap();
    edge.journal = Some(world::open_journal(edge.dir.path()));
    for known in [true, false] {
        if !known {
            edge.stop_forwarder().await;
            std::fs::remove_file(edge.dir.path().join("forwarder")).unwrap();
        }
        edge.forward();
        edge.append(world::event(&account, count));
        let read = async {
            while readings[0].accounts[&account].last() != Some(&count) {
                readings[0].step(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(world::PATIENCE, read).await.expect("what is left comes");
        count += 1;
    }
    let numbers = &readings[0].accounts[&account];
    assert!(numbers[1] > 1, "the file had records: {:?}", &numbers[..3]);
    assert!(numbers[1..].windows(2).all(|pair| pair[0] + 1 == pair[1]), "all that was left, in order");
}
