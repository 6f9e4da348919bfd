//! Shared links with very many subscribers.

use std::{sync::Arc, time::Duration};

use super::rig::{Asked, Rig, fans, work};

const SECOND: Duration = Duration::from_secs(1);

/// Lists asked for since the last time.
fn lists(rig: &Rig) -> usize {
    rig.asked().into_iter().filter(|asked| matches!(asked, Asked::List(_))).count()
}

/// A shared link with a thousand subscribers who were told.
async fn thousand() -> (Rig, super::super::account::AccountMatcher) {
    let rig = Rig::new(10).await;
    rig.share(std::iter::once(5)).await;
    (0..1000).for_each(|fan| rig.subscribe(5, fan));
    let mut role = rig.role();
    work(&mut role).await;
    assert_eq!(fans(&rig).len(), 1000);
    rig.asked();
    (rig, role)
}

#[tokio::test]
async fn a_list_that_is_ahead_of_its_counter_is_not_read_to_its_end_when_that_follows() {
    let (rig, mut role) = thousand().await;
    // One is counted, and another has come until the list is read.
    (1000..1002).for_each(|fan| rig.subscribe(5, fan));
    rig.platform.counters.lock().insert(5, 1001);
    rig.clock.advance(SECOND * 60);
    work(&mut role).await;
    assert!(lists(&rig) <= 2);
    rig.platform.counters.lock().clear();
    for _ in 0..20 {
        rig.clock.advance(SECOND * 60);
        work(&mut role).await;
        let lists = lists(&rig);
        assert!(lists <= 2, "{lists} requests for the list in one pass");
    }
    // Whoever comes afterwards is told.
    rig.subscribe(5, 1002);
    rig.clock.advance(SECOND * 60);
    work(&mut role).await;
    assert_eq!(fans(&rig).len(), 1003);
}

#[tokio::test]
async fn a_list_that_lacks_one_for_good_is_read_to_its_end_once() {
    let (rig, mut role) = thousand().await;
    rig.platform.counters.lock().insert(5, 1001);
    let mut most = 0;
    for _ in 0..60 {
        rig.clock.advance(SECOND * 60);
        work(&mut role).await;
        most += lists(&rig);
    }
    assert!((10..=20).contains(&most), "{most} requests for the list");
}

#[tokio::test]
async fn a_long_list_is_read_in_parts_and_searches_come_in_between() {
    let mut rig = Rig::new(300).await;
    rig.share(std::iter::once(5)).await;
    (0..3000).for_each(|fan| rig.subscribe(5, fan));
    let mut role = rig.role();
    rig.give_now(250..260).await;
    *rig.platform.pace.lock() = Some((Arc::clone(&rig.clock), SECOND));
    assert!(role.turn().await.unwrap());
    assert!(lists(&rig) <= 4);
    rig.subscribe(255, 5000);
    rig.seek(5000);
    rig.clock.advance(SECOND * 2);
    assert!(role.turn().await.unwrap());
    assert!(fans(&rig).contains(&5000));
    while role.turn().await.unwrap() {}
    let mut told: Vec<u64> = (0..3000).collect();
    told.push(5000);
    assert_eq!(fans(&rig), told);
    assert!(lists(&rig) < 35, "each page of the list is read once");
}
