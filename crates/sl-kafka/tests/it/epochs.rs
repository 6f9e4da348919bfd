//! A partition that loses its end, and the others.

use sl_core::event::Position;
use sl_journal::StreamError;
use sl_kafka::{Cluster, ClusterError, KafkaStream, Topic, partition};

use crate::world::{self, Edge, Reading};

/// An account in each of so many partitions.
fn one_each(partitions: u32) -> Vec<String> {
    let of = |wanted| {
        let mut names = (0..).map(|n| format!("acct_{n}"));
        names.find(|name| partition::of_account(&name.as_str().into(), partitions) == wanted).unwrap()
    };
    (0..partitions).map(of).collect()
}

/// Reads the partition as if it had been longer when it was read last, until its epoch is a new one.
async fn lose_the_end(reading: &mut Reading) {
    let before = reading.position;
    let longer = Position { offset: before.offset + 7, ..before };
    // A broker that has much to do does not answer in time.
    while let Err(error) = reading.stream.seek(longer).await {
        assert!(matches!(error, StreamError::Io(_)), "{error}");
    }
    while reading.position.epoch == before.epoch {
        reading.step(world::PATIENCE / 1000).await;
    }
}

/// The topic as it is now, asked for until a broker that has much to do answers.
async fn events(cluster: &Cluster) -> Topic {
    loop {
        match cluster.events().await {
            Err(ClusterError::Unavailable(_)) => {}
            told => return told.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_partition_that_lost_its_end_takes_nothing_unread_from_the_others() {
    let cluster = world::cluster(&world::shared_brokers(), 2).await;
    let accounts = one_each(2);
    let mut readings = Reading::all(&cluster).await;
    // An edge that is gone for good, and its journal with it: nobody can send this again.
    let mut gone = Edge::start(&cluster);
    for n in 0..20 {
        accounts.iter().for_each(|account| gone.append(world::event(account, n)));
    }
    gone.stop_forwarder().await;
    drop(gone);
    let edge = Edge::start(&cluster);
    while readings[0].position.offset < 20 {
        readings[0].step(world::PATIENCE).await;
    }
    // The other partition was read in part, by one who goes on and by one who comes back later.
    let mut goes_on = Reading::all(&cluster).await.remove(1);
    goes_on.read_some(5).await;
    readings[1].read_some(5).await;
    let mut later = readings.remove(1);
    lose_the_end(&mut readings[0]).await;
    for n in 20..40 {
        accounts.iter().for_each(|account| edge.append(world::event(account, n)));
    }
    readings.push(goes_on);
    world::expect_complete(&mut readings, &accounts, 40).await;
    later.stream = Box::new(KafkaStream::open(&cluster, 1, world::clock()).await.unwrap());
    later.stream.seek(later.position).await.unwrap();
    let goes_on = std::mem::replace(&mut readings[1], later);
    world::expect_complete(&mut readings, &accounts, 40).await;
    let later = std::mem::replace(&mut readings[1], Reading::all(&cluster).await.remove(1));
    world::expect_complete(&mut readings, &accounts, 40).await;
    let troubles = [&goes_on.troubles, &later.troubles];
    assert!(troubles.iter().all(|troubles| troubles.is_empty()), "{troubles:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_new_epoch_leaves_the_topic_as_somebody_has_set_it_meanwhile() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let topic = cluster.config().events_topic();
    world::set(&cluster, &topic, "retention.ms", "1209600000").await;
    let before = world::topic_settings(&cluster, &topic).await;
    let mut reading = Reading::all(&cluster).await.remove(0);
    reading.step(world::PATIENCE / 1000).await;
    lose_the_end(&mut reading).await;
    let mut after = world::topic_settings(&cluster, &topic).await;
    let epoch = after.insert("delete.retention.ms".into(), before["delete.retention.ms"].clone());
    assert_ne!(epoch.as_ref(), before.get("delete.retention.ms"));
    assert_eq!(after, before);
}

/// Whoever stored that its position is lost, and raised the epoch, may be gone before it stores its place in the new one. Then edges
/// have sent so much again that the partition is longer than it ever was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_lost_end_is_not_forgotten_by_who_comes_next_however_long_the_partition_has_grown() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let edge = Edge::start(&cluster);
    let account = one_each(1).remove(0);
    (0..20).for_each(|n| edge.append(world::event(&account, n)));
    let mut reading = Reading::all(&cluster).await.remove(0);
    while reading.position.offset < 20 {
        reading.step(world::PATIENCE).await;
    }
    let beyond = Position { offset: 21, ..reading.position };
    reading.stream.seek(beyond).await.unwrap();
    let told = reading.stream.next(10, world::PATIENCE).await;
    let Err(StreamError::Gap(lost)) = told else { panic!("{told:?}") };
    assert!(lost.is_lost() && lost.epoch == beyond.epoch, "{lost:?}");
    assert_eq!(events(&cluster).await.epoch, beyond.epoch, "nothing happens before that is stored");
    let raised = reading.stream.seek(lost).await.unwrap();
    assert!(raised.epoch > beyond.epoch, "{raised:?}");
    let mut next = Reading {
        position: lost,
        applied: reading.applied.clone(),
        ..Reading::all(&cluster).await.remove(0)
    };
    world::within("edges have sent all of it again", async || {
        (next.stream.head().offset >= 40).then_some(())
    })
    .await;
    next.stream.seek(lost).await.unwrap();
    (20..30).for_each(|n| edge.append(world::event(&account, n)));
    while next.accounts.get(&account).is_none_or(|numbers| numbers.len() < 10) {
        next.step(world::PATIENCE).await;
    }
    assert!(next.position.epoch > raised.epoch, "{:?}", next.position);
    assert_eq!(next.accounts[&account], (20..30).collect::<Vec<_>>());
}

/// Two whose partitions lost their ends at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn an_epoch_that_was_lowered_by_another_who_raised_it_at_once_is_raised_again() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let edge = Edge::start(&cluster);
    let account = one_each(1).remove(0);
    (0..20).for_each(|n| edge.append(world::event(&account, n)));
    let mut reading = Reading::all(&cluster).await.remove(0);
    while reading.position.offset < 20 {
        reading.step(world::PATIENCE).await;
    }
    // Twice, so that there is an epoch between the one in which it was made and its last.
    lose_the_end(&mut reading).await;
    (20..25).for_each(|n| edge.append(world::event(&account, n)));
    world::expect_complete(std::slice::from_mut(&mut reading), std::slice::from_ref(&account), 25).await;
    lose_the_end(&mut reading).await;
    let (topic, lower) = (cluster.config().events_topic(), reading.position.epoch - 1);
    assert!(lower > events(&cluster).await.made);
    world::set(&cluster, &topic, "delete.retention.ms", &lower.to_string()).await;
    while events(&cluster).await.epoch == lower {
        reading.step(world::PATIENCE / 1000).await;
    }
    (25..30).for_each(|n| edge.append(world::event(&account, n)));
    world::expect_complete(&mut [reading], &[account], 30).await;
}
