//! What edges tell each other.

use std::{sync::Arc, time::Duration};

use sl_core::{
    click::{Class, Click, Rung, VisitorId, VisitorKeys},
    event::{Event, EventBody, JournalId},
    ids::{ClickId, LinkKind, PoolLinkId, SmartLinkId, TeamId},
    time::Timestamp,
    visitor::{Target, Visit},
};
use sl_journal::EventStream as _;
use sl_kafka::{Cluster, ClusterError, KafkaStream, Visitors};

use crate::world::{self, Edge};

fn click(n: u8, class: Class) -> Event {
    let now = world::clock().now();
    let visitor = VisitorKeys {
        came_with: None,
        given: Some(VisitorId(u128::from(n) + 1000)),
        daily: VisitorId(u128::from(n)),
        lasting: None,
    };
    let click = Click {
        id: ClickId::from_bytes([n; 16]),
        team: TeamId(1),
        account: "acct_1".into(),
        link: SmartLinkId::from_bytes([9; 16]),
        at: now,
        window: Duration::from_secs(6 * 3600),
        class,
        rung: Rung::Fresh,
        pool_link: Some(PoolLinkId { kind: LinkKind::TrackingLink, number: u64::from(n) }),
        sent_to: Some(format!("https://onlyfans.com/somebody/c{n}").into()),
        visitor,
        request: Default::default(),
        device: Default::default(),
        place: Default::default(),
        params: Default::default(),
        cookies: Default::default(),
    };
    Event { team: TeamId(1), account: "acct_1".into(), at: now, body: EventBody::Click(Arc::new(click)) }
}

/// A topic that has just been made may have no leader yet; whoever asks too early asks again.
async fn since(cluster: &Cluster, own: JournalId, began: Timestamp) -> Visitors {
    let begun = std::time::Instant::now();
    loop {
        match Visitors::since(cluster, own, began).await {
            Ok(visitors) => return visitors,
            Err(error) => assert!(begun.elapsed() < world::PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn read(visitors: &mut Visitors, count: usize) -> Vec<(JournalId, Visit)> {
    let mut seen = Vec::new();
    let read = async {
        while seen.len() < count {
            let more = visitors.next(100, Duration::from_millis(100)).await.unwrap();
            seen.extend(more.into_iter().map(|seen| (seen.journal, seen.visit)));
        }
    };
    tokio::time::timeout(world::PATIENCE, read).await.expect("visits come");
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn an_edge_learns_whom_the_others_saw_and_neither_itself_nor_bots() {
    let cluster = world::cluster(&world::shared_brokers(), 4).await;
    let (here, there) = (Edge::start(&cluster), Edge::start(&cluster));
    let began = Timestamp(world::clock().now().0 - 60_000);
    let mut visitors = since(&cluster, here.journal().id(), began).await;
    assert!(visitors.caught_up(), "nobody was there yet");
    here.append(click(1, Class::Person));
    there.append(click(2, Class::Bot));
    there.append(click(3, Class::Person));
    there.append(world::event("acct_1", 0));
    there.append(click(4, Class::Person));
    let mut seen = read(&mut visitors, 2).await;
    seen.sort_by_key(|(_, visit)| visit.daily);
    let daily: Vec<_> = seen.iter().map(|(_, visit)| visit.daily.0).collect();
    assert_eq!(daily, [3, 4]);
    let (journal, visit) = seen.remove(0);
    assert_eq!(journal, there.journal().id());
    assert_eq!(visit.click, ClickId::from_bytes([3; 16]));
    assert_eq!(visit.target, Target::new(SmartLinkId::from_bytes([9; 16]), None));
    assert_eq!((visit.given, visit.rung), (Some(VisitorId(1003)), Rung::Fresh));
    assert_eq!(visit.pool_link.map(|link| link.number), Some(3));
    assert_eq!(visit.sent_to.as_deref(), Some("https://onlyfans.com/somebody/c3"));

    // An edge that starts later learns what was, and knows when it has.
    let mut late = since(&cluster, JournalId(0), began).await;
    assert!(!late.caught_up());
    assert_eq!(read(&mut late, 3).await.len(), 3);
    assert!(late.caught_up());
    let after = Timestamp(world::clock().now().0 + 60_000);
    let mut later = since(&cluster, JournalId(0), after).await;
    assert!(later.caught_up(), "what is older than the window is not read");
    assert!(later.next(10, Duration::from_millis(300)).await.unwrap().is_empty());
}

/// It is an aid: without it an edge knows fewer visitors, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn events_go_on_without_the_topic_of_visitors() {
    let cluster = world::cluster(&world::shared_brokers(), 1).await;
    let visitors = cluster.config().visitors_topic();
    world::delete_topic(&cluster, &visitors).await;
    let edge = Edge::start(&cluster);
    edge.append(world::event("acct_1", 0));
    edge.append(click(1, Class::Person));
    edge.append(world::event("acct_1", 1));
    let mut stream = KafkaStream::open(&cluster, 0, world::clock()).await.unwrap();
    let mut read = 0;
    while read < 3 {
        read += stream.next(3, world::PATIENCE).await.unwrap().records.len();
    }
    assert!(matches!(cluster.visitors().await, Err(ClusterError::Topic { .. })), "nobody made it by sending");
}
