//! Several attributors.

use std::{collections::BTreeSet, time::Duration};

use sl_core::event::Position;
use sl_journal::{EventStream as _, StreamError};
use sl_kafka::{Group, KafkaStream};

use crate::world::{self, Edge};

async fn next(group: &mut Group) -> KafkaStream {
    tokio::time::timeout(world::PATIENCE, group.next()).await.expect("a partition comes").unwrap()
}

/// Waits until one of them is fenced; the others go on.
async fn fenced(streams: &mut Vec<KafkaStream>) -> KafkaStream {
    for _ in 0..2_000 {
        for at in 0..streams.len() {
            match streams[at].next(10, Duration::from_millis(20)).await {
                Err(StreamError::Fenced) => return streams.remove(at),
                Ok(_) | Err(StreamError::Io(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
    panic!("no partition was revoked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_revoked_partition_is_fenced_and_its_next_owner_waits_until_it_is_let_go() {
    let cluster = world::cluster(&world::shared_brokers(), 2).await;
    let edge = Edge::start(&cluster);
    for n in 0..50 {
        for account in ["acct_1", "acct_2", "acct_3", "acct_4"] {
            edge.append(world::event(account, n));
        }
    }
    let mut one = Group::join(&cluster, "attribution", world::clock()).await.unwrap();
    let mut of_one = vec![next(&mut one).await, next(&mut one).await];
    for stream in &mut of_one {
        stream.seek(Position::default()).await.unwrap();
    }
    assert_eq!(of_one.iter().map(|stream| stream.partition()).collect::<BTreeSet<_>>(), [0, 1].into());

    let mut two = Group::join(&cluster, "attribution", world::clock()).await.unwrap();
    let mut revoked = fenced(&mut of_one).await;
    assert!(matches!(revoked.seek(Position::default()).await, Err(StreamError::Fenced)));
    assert!(matches!(revoked.passed(Position::default()).await, Err(StreamError::Fenced)));
    let early = tokio::time::timeout(Duration::from_secs(2), two.next()).await;
    assert!(early.is_err(), "its holder may still be storing what it decided");
    let partition = revoked.partition();
    drop(revoked);
    let mut of_two = next(&mut two).await;
    assert_eq!(of_two.partition(), partition);
    of_two.seek(Position::default()).await.unwrap();
    assert!(!of_two.next(10, world::PATIENCE).await.unwrap().records.is_empty());
    let stayed = of_one[0].seek(Position::default()).await;
    assert!(stayed.is_ok(), "the partition that stayed was not disturbed: {stayed:?}");

    // A member that leaves is replaced at once.
    drop(of_one);
    one.leave().await;
    let other = next(&mut two).await;
    assert_ne!(other.partition(), partition);
    drop((other, of_two));
    two.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_holder_that_never_lets_go_delays_the_next_owner_but_does_not_stop_it() {
    let cluster = world::cluster(&world::shared_brokers(), 2).await;
    let mut one = Group::join(&cluster, "attribution", world::clock()).await.unwrap();
    let mut stuck = [next(&mut one).await, next(&mut one).await];
    let mut two = Group::join(&cluster, "attribution", world::clock()).await.unwrap();
    let of_two = next(&mut two).await;
    let same = stuck.iter_mut().find(|stream| stream.partition() == of_two.partition()).unwrap();
    let fenced = same.next(1, Duration::ZERO).await;
    assert!(matches!(fenced, Err(StreamError::Fenced)), "{fenced:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn kafkas_tools_see_how_far_a_group_has_come() {
    use rdkafka::{ClientConfig, Offset, consumer::Consumer as _};
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let edge = Edge::start(&cluster);
    let mut group = Group::join(&cluster, "attribution", world::clock()).await.unwrap();
    let mut stream = next(&mut group).await;
    stream.seek(Position::default()).await.unwrap();
    for n in 0..10 {
        edge.append(world::event("acct_1", n));
    }
    let mut read = 0;
    let mut position = Position::default();
    while read < 10 {
        let batch = stream.next(10, world::PATIENCE).await.unwrap();
        (read, position) = (read + batch.records.len(), batch.next);
    }
    stream.passed(position).await.unwrap();
    let config = cluster.config();
    let consumer: rdkafka::consumer::BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        .set("group.id", format!("{}.attribution", config.prefix))
        .create()
        .unwrap();
    world::within("the position is told", || async {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition(&config.events_topic(), 0);
        let told = consumer.committed_offsets(list, Duration::from_secs(5)).ok()?;
        (told.elements()[0].offset() == Offset::Offset(10)).then_some(())
    })
    .await;
}
