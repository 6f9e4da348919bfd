use std::sync::Arc;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_minute_holds_as_many_calls_as_configured_and_a_short_burst() {
    let pacer = Pacer::per_minute(60);
    let start = Instant::now();
    for _ in 0..BURST + 1 {
        pacer.turn(Priority::Rest).await;
    }
    assert_eq!(start.elapsed().as_secs(), 0);
    for _ in 0..60 {
        pacer.turn(Priority::Rest).await;
    }
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_runs_dry_goes_before_everything_that_waits() {
    let pacer = Arc::new(Pacer::per_minute(60));
    for _ in 0..BURST + 1 {
        pacer.turn(Priority::Rest).await;
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for priority in [Priority::Rest, Priority::Sweep, Priority::Matching, Priority::RunningDry] {
        let (pacer, order) = (Arc::clone(&pacer), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            pacer.turn(priority).await;
            order.lock().push(priority);
        }));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    let want = [Priority::RunningDry, Priority::Matching, Priority::Sweep, Priority::Rest];
    assert_eq!(*order.lock(), want);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_stays_dry_leaves_every_fifth_turn_to_others_who_wait() {
    let pacer = Arc::new(Pacer::per_minute(60));
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for (priority, count) in [(Priority::RunningDry, 30), (Priority::Rest, 3), (Priority::Matching, 2)] {
        for _ in 0..count {
            let (pacer, order) = (Arc::clone(&pacer), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                pacer.turn(priority).await;
                order.lock().push(priority);
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let order = order.lock();
    let others: Vec<_> = order.iter().filter(|priority| **priority != Priority::RunningDry).collect();
    assert_eq!(
        others,
        [&Priority::Matching, &Priority::Matching, &Priority::Rest, &Priority::Rest, &Priority::Rest]
    );
    let places = order.iter().enumerate().filter(|(_, priority)| **priority != Priority::RunningDry);
    let places: Vec<_> = places.map(|(place, _)| place).collect();
    assert!(places.windows(2).all(|two| two[1] - two[0] == 5) && places[0] <= 14, "{places:?}");
}

/// Tasks that ask again as soon as they were served; how many turns passed until `rest` was served three times.
async fn served_beside(urgent: &[Priority], rest: Priority) -> Vec<usize> {
    let pacer = Arc::new(Pacer::per_minute(60));
    let turns = Arc::new(Mutex::new(0));
    let mut tasks = Vec::new();
    for priority in urgent.iter().copied() {
        let (pacer, turns) = (Arc::clone(&pacer), Arc::clone(&turns));
        tasks.push(tokio::spawn(async move {
            loop {
                pacer.turn(priority).await;
                *turns.lock() += 1;
            }
        }));
    }
    tokio::task::yield_now().await;
    let mut served = Vec::new();
    for _ in 0..3 {
        let before = *turns.lock();
        let is_served = tokio::time::timeout(Duration::from_secs(600), pacer.turn(rest)).await.is_ok();
        assert!(is_served, "{rest:?} is not served in {} turns", *turns.lock() - before);
        served.push(*turns.lock() - before);
    }
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    served
}

#[tokio::test(start_paused = true)]
async fn looks_that_never_end_leave_every_tenth_turn_to_who_is_less_urgent_and_has_waited_longest() {
    let served = served_beside(&[Priority::Sweep; 8], Priority::Rest).await;
    assert!(served.iter().all(|turns| *turns <= 10), "{served:?}");
    // The tenth is that of whoever came first, and each comes.
    let served =
        served_beside(&[Priority::Matching, Priority::Sweep, Priority::Matching], Priority::Rest).await;
    assert!(served.iter().all(|turns| *turns <= 30), "{served:?}");
    // A dry pool keeps its four fifths.
    let urgent = [Priority::RunningDry, Priority::Sweep, Priority::RunningDry, Priority::Sweep];
    let served = served_beside(&urgent, Priority::Rest).await;
    assert!(served.iter().all(|turns| (40..=60).contains(turns)), "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_does_not_block_the_next_one() {
    let pacer = Pacer::per_minute(60);
    pacer.hold(Duration::from_secs(30));
    let start = Instant::now();
    let gone = tokio::time::timeout(Duration::from_secs(5), pacer.turn(Priority::RunningDry)).await;
    assert!(gone.is_err());
    pacer.turn(Priority::Rest).await;
    assert_eq!(start.elapsed().as_secs(), 30);
}
