//! Nobody waits for somebody else's receiver.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, response::IntoResponse};
use http::Uri;
use parking_lot::Mutex;
use sl_core::{
    click::Click,
    conversion::{Conversion, ConversionKind},
    delivery::DeliveryState,
    ids::DeliveryId,
};
use sl_store::suite::sample::STRANGER;
use tokio::sync::Semaphore;

use crate::world::{Receiver, World, confirmed, postback};

const LOOPBACK: &[&str] = &["127.0.0.0/8"];
const KIND: ConversionKind = ConversionKind::NewSubscriber;

fn strangers(click: &mut Click, row: &mut Conversion) {
    (click.team, row.team) = (STRANGER, STRANGER);
}

async fn is_delivered(world: &World, ids: &[DeliveryId]) {
    let looking = async {
        for id in ids {
            loop {
                let found = world.store.deliveries.delivery(STRANGER, *id).await.unwrap().unwrap();
                if found.progress.state == DeliveryState::Delivered {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.unwrap();
}

#[tokio::test]
async fn a_long_queue_of_one_team_does_not_keep_another_team_waiting() {
    let slow = Receiver::start(|_, _| {
        std::thread::sleep(Duration::from_millis(2));
        "ok".into_response()
    })
    .await;
    let quick = Receiver::start(|_, _| "ok".into_response()).await;
    let mut world = World::new(slow.address).await;
    for number in 1..=4 {
        world.save_postback(number, format!("http://{}/?e={{event_id}}", slow.address), None).await;
    }
    world.save_postback(5, format!("http://{}/?e={{event_id}}", quick.address), None).await;
    let many: Vec<_> = (1..=4).map(postback).collect();
    let queue = world.conversions(1..301, &many).await.len();
    // The other team's came last.
    let ids = world.told(1_000..1_010, &[postback(5)], KIND, strangers).await;
    world.work(LOOPBACK).await;
    is_delivered(&world, &ids).await;
    let before = slow.all().len();
    assert!(before < queue / 2, "{before} of {queue} went before");
    assert_eq!(quick.all().len(), 10);
    world.close().await;
}

/// A receiver that answers as many requests as it is let: how many wait for it now, and the most that ever did.
struct Held {
    address: SocketAddr,
    let_through: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Held {
    async fn start() -> Self {
        Self::but(HashSet::new()).await
    }

    /// The first request to each of these paths is answered at once, whoever else waits.
    async fn but(at_once: HashSet<String>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let held = Self {
            address: listener.local_addr().unwrap(),
            let_through: Arc::new(Semaphore::new(0)),
            waiting: Arc::default(),
            most: Arc::default(),
        };
        let (let_through, waiting, most) =
            (held.let_through.clone(), held.waiting.clone(), held.most.clone());
        let at_once = Arc::new(Mutex::new(at_once));
        let answer = move |uri: Uri| async move {
            if at_once.lock().remove(uri.path()) {
                return "ok";
            }
            most.fetch_max(waiting.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let_through.acquire().await.unwrap().forget();
            waiting.fetch_sub(1, Ordering::SeqCst);
            "ok"
        };
        tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
        held
    }

    async fn until_waiting(&self, many: usize) {
        let looking = async {
            while self.waiting.load(Ordering::SeqCst) != many {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(100), looking).await.unwrap();
    }
}

/// Ad-platforms 14, rule 5.
#[tokio::test]
async fn a_destination_has_at_most_eight_requests_under_way() {
    let (held, quick) = (Held::start().await, Receiver::start(|_, _| confirmed()).await);
    let mut world = World::new(quick.address).await;
    world.save_postback(1, format!("http://{}/?e={{event_id}}", held.address), None).await;
    world.save_postback(2, format!("http://{}/", quick.address), None).await;
    world.timeout = Duration::from_secs(100);
    let ids = world.conversions(1..41, &[postback(1)]).await;
    world.work(LOOPBACK).await;
    // One, until it is known that somebody answers.
    held.until_waiting(1).await;
    held.let_through.add_permits(1);
    held.until_waiting(8).await;
    // Twice: the worker's first look at the other may have begun before.
    for number in [1_000, 1_001] {
        let id = world.conversions(number..number + 1, &[postback(2)]).await[0];
        world.until_state(id, DeliveryState::Delivered).await;
    }
    held.until_waiting(8).await;
    held.let_through.add_permits(ids.len());
    for id in ids {
        world.until_state(id, DeliveryState::Delivered).await;
    }
    assert_eq!(held.most.load(Ordering::SeqCst), 8);
    world.close().await;
}

#[tokio::test]
async fn a_team_that_has_every_request_under_way_lets_another_go_next() {
    // One of each is answered at once; then eight of each would be more than all that may be under way.
    let at_once = (1..=9).map(|number| format!("/{number}")).collect();
    let (held, quick) = (Held::but(at_once).await, Receiver::start(|_, _| confirmed()).await);
    let mut world = World::new(quick.address).await;
    world.timeout = Duration::from_secs(100);
    for number in 1..=9 {
        world.save_postback(number, format!("http://{}/{number}?e={{event_id}}", held.address), None).await;
    }
    world.save_postback(20, format!("http://{}/", quick.address), None).await;
    let theirs: Vec<_> = (1..=9).map(postback).collect();
    world.conversions(1..41, &theirs).await;
    world.work(LOOPBACK).await;
    held.until_waiting(64).await;
    let ids = world.told(1_000..1_001, &[postback(20)], KIND, strangers).await;
    // What goes nowhere is parked without a turn: by the second time the worker has been at the other team's too.
    for number in [2_000, 2_001] {
        let id = world.told(number..number + 1, &[postback(21)], KIND, |_, _| {}).await[0];
        world.until_state(id, DeliveryState::Parked).await;
    }
    // It waits, as eight of theirs do, and goes after the next of them.
    assert!(quick.all().is_empty());
    held.let_through.add_permits(2);
    is_delivered(&world, &ids).await;
    held.let_through.add_permits(Semaphore::MAX_PERMITS / 2);
    world.close().await;
}

#[tokio::test]
async fn many_destinations_that_never_answer_leave_room_for_another_teams() {
    let stalled = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = stalled.local_addr().unwrap();
    let quick = Receiver::start(|_, _| confirmed()).await;
    let mut world = World::new(quick.address).await;
    // Eight requests to each would be more than all that may be under way.
    for number in 1..=12 {
        world.save_postback(number, format!("http://{address}/"), None).await;
    }
    world.save_postback(20, format!("http://{}/", quick.address), None).await;
    let silent: Vec<_> = (1..=12).map(postback).collect();
    let held = world.conversions(1..11, &silent).await;
    world.work(LOOPBACK).await;
    // Each has its request under way; nobody reads it.
    let mut under_way = Vec::new();
    while under_way.len() < silent.len() {
        under_way.push(stalled.accept().await.unwrap());
    }
    let ids = world.told(1_000..1_030, &[postback(20)], KIND, strangers).await;
    is_delivered(&world, &ids).await;
    for id in held {
        let attempts = world.delivery(id).await.progress.attempts;
        assert_eq!(attempts, 0, "it took longer than until the first of the others had timed out");
    }
    world.close().await;
}
