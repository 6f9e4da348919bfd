//! A partition whose records are not all as they should be.

use std::time::Duration;

use rdkafka::{Offset, TopicPartitionList, admin::AdminOptions};
use sl_core::event::{JournalId, Position, Recorded};
use sl_journal::{EventStream as _, StreamError, codec};
use sl_kafka::KafkaStream;

use crate::world::{self, Edge, Reading};

fn sent(n: u64, epoch: u64) -> Vec<u8> {
    let record = Recorded { journal: JournalId(7), sequence: n, event: world::event("acct_0", n) };
    let mut bytes = Vec::new();
    codec::encode_sent(record, epoch, &mut bytes);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_poison_record_is_named_once_and_what_is_around_it_comes() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let epoch = cluster.events().await.unwrap().epoch;
    for payload in [&sent(0, epoch)[..], b"\xff\xff poison", &sent(1, epoch), b"", &sent(2, epoch)] {
        world::put_raw(&cluster, 0, payload);
    }
    let mut stream = KafkaStream::open(&cluster, 0, world::clock()).await.unwrap();
    let first = stream.next(10, world::PATIENCE).await.unwrap();
    assert_eq!((first.records.len(), first.next), (1, Position { epoch, offset: 1 }));
    for _ in 0..2 {
        // The same call may be made again: the record stays where it is until its consumer goes on.
        let poison = stream.next(10, world::PATIENCE).await;
        assert!(matches!(poison, Err(StreamError::Undecodable { offset: 1, .. })), "{poison:?}");
    }
    let mut reading = Reading { position: first.next, ..Reading::of(stream) };
    while reading.accounts.get("acct_0").is_none_or(|numbers| numbers.len() < 2) {
        reading.step(world::PATIENCE).await;
    }
    assert_eq!(reading.accounts["acct_0"], [1, 2]);
    assert_eq!(reading.troubles.len(), 2, "{:?}", reading.troubles);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn records_sent_to_the_topic_before_do_not_count() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let epoch = cluster.events().await.unwrap().epoch;
    for payload in [sent(8, epoch - 1), sent(9, epoch - 1), sent(0, epoch), sent(1, epoch)] {
        world::put_raw(&cluster, 0, &payload);
    }
    let mut stream = KafkaStream::open(&cluster, 0, world::clock()).await.unwrap();
    let mut numbers = Vec::new();
    while numbers.len() < 2 {
        numbers.extend(stream.next(10, world::PATIENCE).await.unwrap().records.iter().map(world::number));
    }
    assert_eq!(numbers, [0, 1], "8 before 0 would make 0 to 7 count as known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn records_that_retention_took_before_they_were_read_are_a_gap() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let edge = Edge::start(&cluster);
    let mut reading = Reading::all(&cluster).await.remove(0);
    for n in 0..20 {
        edge.append(world::event("acct_0", n));
    }
    while reading.position.offset < 20 {
        reading.step(world::PATIENCE).await;
    }
    let epoch = reading.position.epoch;
    let mut stream = KafkaStream::open(&cluster, 0, world::clock()).await.unwrap();
    stream.seek(Position { epoch, offset: 5 }).await.unwrap();
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&cluster.config().events_topic(), 0, Offset::Offset(12)).unwrap();
    world::admin(&cluster).delete_records(&before, &AdminOptions::new()).await.unwrap();
    // A state that comes back after that.
    let mut late = KafkaStream::open(&cluster, 0, world::clock()).await.unwrap();
    let oldest = late.next(1, world::PATIENCE).await.unwrap();
    assert_eq!(world::number(&oldest.records[0]), 12, "a state that knows nothing misses nothing");
    assert_eq!(late.seek(Position { epoch, offset: 5 }).await.unwrap(), Position { epoch, offset: 5 });
    for _ in 0..2 {
        let gap = late.next(10, Duration::ZERO).await;
        assert!(matches!(gap, Err(StreamError::Gap(Position { offset: 12, .. }))), "{gap:?}");
    }
    late.seek(Position { epoch, offset: 12 }).await.unwrap();
    assert_eq!(world::number(&late.next(1, world::PATIENCE).await.unwrap().records[0]), 12);
}

/// Of a kind that this version does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_record_of_a_later_version_is_left_out_by_its_number_unless_it_is_of_an_earlier_epoch() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let epoch = cluster.events().await.unwrap().epoch;
    for epoch in [epoch - 1, epoch] {
        // Journal, number and epoch as they are sent, and no body.
        let mut bytes = sent(9, epoch);
        let envelope = bytes.len() - codec_tail(9, epoch);
        bytes.drain(..envelope);
        world::put_raw(&cluster, 0, &bytes);
    }
    let mut stream = KafkaStream::open(&cluster, 0, world::clock()).await.unwrap();
    for (offset, wanted) in [(0, None), (1, Some((JournalId(7), 9)))] {
        let told = stream.next(10, world::PATIENCE).await;
        let Err(StreamError::Undecodable { record, .. }) = told else { panic!("{told:?}") };
        assert_eq!(record, wanted, "at {offset}");
        stream.seek(Position { epoch, offset: offset + 1 }).await.unwrap();
    }
}

/// Bytes that a sent record has behind those of its event.
fn codec_tail(n: u64, epoch: u64) -> usize {
    let mut event = Vec::new();
    codec::encode(world::event("acct_0", n), &mut event);
    sent(n, epoch).len() - event.len()
}
