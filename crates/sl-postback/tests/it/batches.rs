//! Several events in one request: only when a queue waits, each as it is stored, and one that is refused is found.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse};
use sl_core::{
    batch::{QUEUE, REFUSED_TOGETHER},
    catalog::{EventMap, Pixel, PlatformKind},
    click::Click,
    conversion::{Conversion, ConversionKind},
    delivery::{DeliveryState, Progress},
    ids::{DeliveryId, PixelId},
    pace::Pace,
    retry::reason,
    time::{Clock, ManualClock},
};
use sl_sim::ads::{AdsConfig, AdsSim};
use sl_store::suite::sample::after;

use crate::world::{PIXEL, Received, Receiver, World, all_confirmed, event_id, received, refused};

const QUEUED: u64 = 300;

/// How many events each request held.
fn sizes(receiver: &Receiver) -> Vec<usize> {
    receiver.all().iter().map(|one| one.events().len()).collect()
}

/// The different bodies of each event, by its id.
fn bodies(receiver: &Receiver) -> BTreeMap<String, BTreeSet<String>> {
    let mut bodies = BTreeMap::<_, BTreeSet<_>>::new();
    for event in receiver.all().iter().flat_map(Received::events) {
        bodies.entry(event_id(&event)).or_default().insert(event.get().to_owned());
    }
    bodies
}

async fn pixel(world: &World, change: impl FnOnce(&mut Pixel)) {
    let mut pixel = world.store.catalog.pixel(PixelId(1)).await.unwrap().unwrap();
    change(&mut pixel);
    world.store.catalog.put_pixel(pixel).await.unwrap();
}

async fn all_delivered(world: &World, ids: &[DeliveryId]) -> Vec<Progress> {
    let mut all = Vec::new();
    for id in ids {
        all.push(world.until_state(*id, DeliveryState::Delivered).await.progress);
    }
    all
}

#[tokio::test]
async fn only_a_queue_goes_together_and_each_event_as_it_is_stored() {
    let receiver = Receiver::start(|_, one| all_confirmed(one)).await;
    let mut world = World::new(receiver.address).await;
    let few = world.conversions(1..1 + QUEUE as u64, &[PIXEL]).await;
    world.work(&[]).await;
    all_delivered(&world, &few).await;
    assert_eq!(sizes(&receiver), [1; QUEUE], "as many as are no queue go one by one");
    world.rest().await;
    let many = world.conversions(1_000..1_000 + QUEUED, &[PIXEL]).await;
    world.work(&[]).await;
    let told = all_delivered(&world, &many).await;
    let sizes = sizes(&receiver).split_off(QUEUE);
    // Nothing was known of it: the first is a probe.
    assert_eq!((sizes[0], sizes.iter().sum::<usize>()), (1, QUEUED as usize));
    assert!(sizes.contains(&200) && sizes.len() <= 4, "{sizes:?}");
    assert!(told.iter().all(|progress| progress.attempts == 1));
    let sent = bodies(&receiver);
    for id in &many {
        let stored = world.store.outbox.body(*id).await.unwrap().unwrap();
        let body = String::from_utf8(stored.body).unwrap();
        let event = body.strip_prefix("{\"data\":[").unwrap().strip_suffix("]}").unwrap();
        let sent = &sent[&world.delivery(*id).await.job.event_id];
        assert_eq!(sent.iter().map(String::as_str).collect::<Vec<_>>(), [event]);
    }
    let words = told[100].last.as_ref().unwrap().message.clone().unwrap();
    assert!(words.starts_with("one of ") && words.ends_with("fbtrace_id T"), "{words}");
    world.close().await;
}

#[tokio::test]
async fn an_operator_may_have_everything_sent_one_by_one() {
    let receiver = Receiver::start(|_, one| all_confirmed(one)).await;
    let mut world = World::new(receiver.address).await;
    world.max_batch = 1;
    let ids = world.conversions(1..1 + QUEUED, &[PIXEL]).await;
    world.work(&[]).await;
    all_delivered(&world, &ids).await;
    assert_eq!(sizes(&receiver), [1; QUEUED as usize]);
    world.close().await;
}

/// One event that lies in the future by the platform's clock, among many that do not: all are refused with it, and each goes
/// again alone.
#[tokio::test]
async fn one_event_that_is_refused_is_found_and_all_others_arrive_at_every_simulated_platform() {
    const BAD: u64 = 150;
    for (platform, word) in [
        (PlatformKind::Meta, "error_subcode"),
        (PlatformKind::Tiktok, "code 400"),
        (PlatformKind::Snapchat, "event_time is out of range"),
    ] {
        let mut world = World::new(([127, 0, 0, 1], 9).into()).await;
        world.clock.set(after(3_600));
        let behind: Arc<dyn Clock> = Arc::new(ManualClock::at(after(60)));
        let ads = AdsSim::bind(AdsConfig::new(behind)).await.unwrap();
        world.meta = ads.addr();
        pixel(&world, |pixel| {
            (pixel.platform, pixel.events) = (platform, EventMap::usual(platform));
            // The clock stands still, and Snapchat's own limit with it.
            pixel.pace = Pace::per_minute(Pace::MOST);
        })
        .await;
        let of = |click: &mut Click, row: &mut Conversion| {
            let number = row.gross.0 - 1_000;
            if number == BAD as i64 {
                row.at = after(1_800);
            }
            click.params.ecid = Some(format!("visitor{number}"));
        };
        let ids = world.told(1..1 + QUEUED, &[PIXEL], ConversionKind::NewTransaction, of).await;
        world.work(&[]).await;
        let bad = ids[BAD as usize - 1];
        let parked = world.until_state(bad, DeliveryState::Parked).await.progress;
        assert_eq!((parked.reason.as_deref(), parked.attempts), (Some(reason::PAYLOAD), 2), "{platform:?}");
        let words = parked.last.unwrap().message.unwrap();
        assert!(words.contains(word) && !words.contains("one of"), "{platform:?}: its own answer: {words}");
        let attempts = world.store.deliveries.attempts(bad).await.unwrap();
        assert_eq!(attempts[0].error_type.as_deref(), Some(REFUSED_TOGETHER));
        let words = attempts[0].message.clone().unwrap();
        assert!(words.contains(word) && words.starts_with("one of "), "{platform:?}: {words}");
        let others: Vec<_> = ids.iter().copied().filter(|id| *id != bad).collect();
        let told = all_delivered(&world, &others).await;
        let alone = told.iter().filter(|progress| progress.attempts == 2).count();
        assert!((64..=200).contains(&alone), "{platform:?}: those beside it, and no others: {alone}");
        // Snapchat judges each event for itself, so those beside a bad one were taken, and its answer does not say so.
        let judges_each = platform == PlatformKind::Snapchat;
        let doubted = told.iter().filter(|progress| progress.ambiguous_since.is_some()).count();
        assert_eq!(doubted, if judges_each { alone } else { 0 }, "{platform:?}");
        let state = ads.state().receivers[platform.as_str()].clone();
        assert_eq!((state.distinct, state.changed), (QUEUED - 1, 0), "{platform:?}: {state:?}");
        let twice = if judges_each { alone } else { 0 };
        assert_eq!(state.accepted, QUEUED - 1 + twice as u64, "{platform:?}: what came twice counts once");
        assert_eq!(state.refused.values().sum::<u64>(), 2, "{platform:?}: together and alone");
        assert!((65..=200).contains(&state.together), "{platform:?}: {}", state.together);
        world.close().await;
        ads.shutdown().await;
    }
}

#[tokio::test]
async fn a_platform_that_confirms_fewer_than_were_sent_is_asked_for_each_alone() {
    // It took some, and does not say which.
    let receiver = Receiver::start(|_, one| match one.events().len() {
        1 => received(1),
        many => received(many - 1),
    })
    .await;
    let mut world = World::new(receiver.address).await;
    let ids = world.conversions(1..1 + QUEUED, &[PIXEL]).await;
    world.work(&[]).await;
    let told = all_delivered(&world, &ids).await;
    let doubted: Vec<_> = told.iter().filter(|progress| progress.attempts == 2).collect();
    assert!(doubted.len() > QUEUE);
    for progress in doubted {
        assert!(progress.ambiguous_since.is_some(), "it may have had it since then");
        assert_eq!(progress.unclear, 0);
    }
    assert!(bodies(&receiver).values().all(|bodies| bodies.len() == 1), "so it counts once");
    world.close().await;
}

#[tokio::test]
async fn a_refused_token_parks_a_queue_and_a_new_one_delivers_it() {
    let receiver = Receiver::start(|_, one| {
        let new = String::from_utf8_lossy(&one.body).starts_with("{\"access_token\":\"NEW\"");
        let probe = one.events().len() == 1;
        if new || probe { all_confirmed(one) } else { refused(190, 463) }
    })
    .await;
    let mut world = World::new(receiver.address).await;
    let ids = world.conversions(1..1 + QUEUED, &[PIXEL]).await;
    world.work(&[]).await;
    for id in &ids[1..] {
        let parked = world.until(*id, |delivery| delivery.progress.attempts > 0).await.progress;
        if parked.state == DeliveryState::Delivered {
            continue;
        }
        assert_eq!((parked.state, parked.reason.as_deref()), (DeliveryState::Parked, Some(reason::AUTH)));
        assert!(parked.last.unwrap().message.unwrap().contains("code 190"));
    }
    world.save_pixel("NEW", world.clock.now()).await;
    all_delivered(&world, &ids).await;
    assert!(bodies(&receiver).values().all(|bodies| bodies.len() == 1));
    world.close().await;
}

/// Answers that say something about the receiver say it of every event: all wait, and none goes alone for that.
#[tokio::test]
async fn a_queue_that_a_receiver_fails_or_puts_off_waits_together() {
    for (status, hint, least) in [(503, None, 4), (429, Some("600"), 600)] {
        let down = Arc::new(AtomicUsize::new(0));
        let failed = Arc::clone(&down);
        let receiver = Receiver::start(move |_, one| {
            let fails = one.events().len() > 1 && failed.fetch_add(1, SeqCst) == 0;
            match (fails, hint) {
                (false, _) => all_confirmed(one),
                (true, None) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                (true, Some(hint)) => {
                    (StatusCode::from_u16(status).unwrap(), [("retry-after", hint)]).into_response()
                }
            }
        })
        .await;
        let mut world = World::new(receiver.address).await;
        let ids = world.conversions(1..1 + QUEUED, &[PIXEL]).await;
        world.work(&[]).await;
        while down.load(SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let size = sizes(&receiver).into_iter().find(|size| *size > 1).unwrap();
        let waits = |progress: &Progress| progress.attempts == 1 && progress.state == DeliveryState::Waiting;
        let mut waiting = Vec::new();
        while waiting.len() < size {
            tokio::time::sleep(Duration::from_millis(5)).await;
            waiting.clear();
            for id in &ids {
                let progress = world.delivery(*id).await.progress;
                waiting.extend(waits(&progress).then_some(progress));
            }
        }
        assert_eq!(waiting.len(), size, "{status}: every event of that request, and no other");
        for progress in &waiting {
            let last = progress.last.as_ref().unwrap();
            assert_eq!((last.status, last.error_type.as_deref()), (Some(status), Some("http")));
            assert!(progress.next_attempt_at.unwrap() >= last.at.plus(Duration::from_secs(least)));
        }
        // Each has a chance of its own, and the longest is a fifth above the plan.
        world.clock.advance(Duration::from_secs(1_200));
        all_delivered(&world, &ids).await;
        world.close().await;
    }
}

/// A request takes one of our own limit, however many events it holds.
#[tokio::test]
async fn a_limit_counts_requests_and_a_queue_makes_the_most_of_them() {
    let receiver = Receiver::start(|_, one| all_confirmed(one)).await;
    let mut world = World::new(receiver.address).await;
    pixel(&world, |pixel| pixel.pace = Pace::per_minute(60)).await;
    world.max_batch = 100;
    world.conversions(1..211, &[PIXEL]).await;
    world.work(&[]).await;
    let count = async || world.store.deliveries.counts(world.clock.now()).await.unwrap();
    for sent in 1..=4 {
        while receiver.all().len() < sent {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let told: usize = sizes(&receiver).iter().sum();
        while count().await.delivered < told as u64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(receiver.all().len(), sent, "one a second");
        world.clock.advance(Duration::from_secs(1));
    }
    // A probe, two of a hundred, and what is left is no queue, but more than the limit would let go one by one.
    assert_eq!(sizes(&receiver), [1, 100, 100, 9]);
    world.close().await;
}

/// Also where a limit lets one request through at a time.
#[tokio::test]
async fn events_that_were_refused_together_do_not_go_together_again() {
    let receiver = Receiver::start(|_, one| match one.events().len() {
        1 => received(1),
        _ => refused(100, 2_804_019),
    })
    .await;
    let mut world = World::new(receiver.address).await;
    pixel(&world, |pixel| pixel.pace = Pace::per_minute(60)).await;
    let ids = world.conversions(1..102, &[PIXEL]).await;
    world.work(&[]).await;
    let mut restarted = false;
    for sent in 1..=102 {
        while receiver.all().len() < sent {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if sent == 5 && !std::mem::replace(&mut restarted, true) {
            // It is known after a restart, too.
            world.work(&[]).await;
        }
        world.clock.advance(Duration::from_secs(1));
    }
    all_delivered(&world, &ids).await;
    let sizes = sizes(&receiver);
    assert_eq!((sizes[0], sizes[1], sizes.len()), (1, 100, 102), "{sizes:?}");
    assert!(sizes[2..].iter().all(|size| *size == 1), "{sizes:?}");
    world.close().await;
}

/// The transaction of an event, as those of the sample are numbered: its fan is that modulo 7.
fn numbers(one: &Received) -> Vec<u64> {
    let number = |event: &str| {
        let event: serde_json::Value = serde_json::from_str(event).unwrap();
        let order = event["custom_data"]["order_id"].as_str().unwrap().to_owned();
        order.strip_prefix("tx").unwrap().parse().unwrap()
    };
    one.events().iter().map(|event| number(event.get())).collect()
}

#[tokio::test]
async fn a_fans_events_are_in_one_request_each_and_in_their_order_where_the_pixel_asks_for_it() {
    const FANS: u64 = 7;
    let bad = AtomicBool::new(true);
    let receiver = Receiver::start(move |_, one| {
        let is_bad = numbers(one).contains(&24);
        let is_first = is_bad && one.events().len() == 1 && bad.swap(false, SeqCst);
        match (is_bad, is_first) {
            (true, true) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            (true, false) if one.events().len() > 1 => refused(100, 2_804_019),
            _ => all_confirmed(one),
        }
    })
    .await;
    let mut world = World::new(receiver.address).await;
    pixel(&world, |pixel| pixel.in_order = true).await;
    let ids = world.conversions(1..211, &[PIXEL]).await;
    world.work(&[]).await;
    // What is behind another one is put off by a millisecond.
    let told = async |id: DeliveryId| {
        while world.delivery(id).await.progress.state != DeliveryState::Delivered {
            world.clock.advance(Duration::from_millis(1));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    for (nth, id) in ids.iter().enumerate() {
        if (nth as u64 + 1) % FANS != 24 % FANS {
            told(*id).await;
        }
    }
    let held = world.until(ids[23], |delivery| delivery.progress.attempts == 2).await.progress;
    assert_eq!(held.state, DeliveryState::Waiting);
    for (nth, id) in ids.iter().enumerate().skip(24) {
        if (nth as u64 + 1) % FANS == 24 % FANS {
            let behind = world.until(*id, |one| one.progress.next_attempt_at > held.next_attempt_at).await;
            assert_eq!(behind.progress.attempts, 0, "{nth}");
        }
    }
    world.clock.set(held.next_attempt_at.unwrap());
    for id in &ids {
        told(*id).await;
    }
    let mut of_fan: HashMap<u64, Vec<u64>> = HashMap::new();
    for one in receiver.all() {
        let (numbers, mut fans) = (numbers(&one), BTreeSet::new());
        assert!(numbers.iter().all(|number| fans.insert(number % FANS)), "two of a fan: {numbers:?}");
        for number in numbers {
            let told = of_fan.entry(number % FANS).or_default();
            told.extend((told.last() != Some(&number)).then_some(number));
        }
    }
    assert!(sizes(&receiver).contains(&(FANS as usize)));
    assert!(of_fan.values().all(|numbers| numbers.is_sorted() && numbers.len() == 30), "{of_fan:?}");
    world.close().await;
}

/// The receiver has taken a request, and the worker never hears of it: what comes again is the same to the byte, whatever it
/// comes together with.
#[tokio::test]
async fn a_request_whose_answer_is_lost_brings_the_same_bytes_again_and_never_others() {
    let lost = AtomicUsize::new(0);
    let receiver = Receiver::start(move |_, one| {
        if one.events().len() > 1 && lost.fetch_add(1, SeqCst) < 2 {
            // Nothing that could be understood: half of an answer.
            return (StatusCode::OK, [("content-type", "application/json")], "{\"events_rec").into_response();
        }
        all_confirmed(one)
    })
    .await;
    let mut world = World::new(receiver.address).await;
    let ids = world.conversions(1..1 + QUEUED, &[PIXEL]).await;
    world.work(&[]).await;
    let mut left = ids.clone();
    while !left.is_empty() {
        world.clock.advance(Duration::from_secs(90));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut still = Vec::new();
        for id in left {
            if world.delivery(id).await.progress.state != DeliveryState::Delivered {
                still.push(id);
            }
        }
        left = still;
    }
    let bodies = bodies(&receiver);
    assert_eq!(bodies.len() as u64, QUEUED);
    assert!(bodies.values().all(|bodies| bodies.len() == 1));
    assert!(sizes(&receiver).iter().sum::<usize>() > QUEUED as usize);
    world.close().await;
}
