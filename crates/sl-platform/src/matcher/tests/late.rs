//! Subscribers who are counted before they are listed (contract B.5).

use std::time::Duration;

use sl_core::time::Clock;
use sl_store::pool::PoolLinkRef;

use super::rig::{ACCOUNT, Asked, Rig, fans, id, work};

const SECOND: Duration = Duration::from_secs(1);

async fn counted(rig: &Rig, link: u64) -> u32 {
    let link = PoolLinkRef { account: ACCOUNT.into(), id: id(link) };
    rig.store.pool.get(link).await.unwrap().unwrap().facts.subscribers_seen
}

fn lists(rig: &Rig) -> usize {
    rig.asked().into_iter().filter(|asked| matches!(asked, Asked::List(_))).count()
}

#[tokio::test]
async fn a_list_that_is_minutes_late_loses_nobody_however_often_its_page_is_searched() {
    let mut rig = Rig::new(10).await;
    let mut role = rig.role();
    rig.give_now(0..10).await;
    rig.platform.counters.lock().insert(5, 1);
    // Somebody is announced every three seconds who came through no link of ours: each search looks at the page.
    for fan in 0..80 {
        rig.seek(100 + fan);
        rig.clock.advance(SECOND * 3);
        work(&mut role).await;
    }
    assert_eq!((fans(&rig), counted(&rig, 5).await), (vec![], 0));
    assert!((2..=8).contains(&lists(&rig)), "a late list is not read at each look");
    rig.subscribe(5, 7);
    for _ in 0..6 {
        rig.clock.advance(SECOND * 60);
        work(&mut role).await;
    }
    assert_eq!((fans(&rig), counted(&rig, 5).await), (vec![7], 1));
}

#[tokio::test]
async fn a_counter_that_its_list_never_bears_out_is_believed_after_a_quarter_of_an_hour() {
    let mut rig = Rig::new(10).await;
    let mut role = rig.role();
    rig.give_now(0..10).await;
    rig.platform.counters.lock().insert(5, 1);
    let start = rig.clock.now();
    while counted(&rig, 5).await == 0 {
        rig.clock.advance(SECOND * 10);
        work(&mut role).await;
    }
    let took = rig.clock.now().since(start);
    assert!((SECOND * 900..SECOND * 1000).contains(&took), "{took:?}");
    let asked = rig.asked();
    assert!(asked.len() < 30, "its page is read with its list, not every half minute: {asked:?}");
}

#[tokio::test]
async fn whoever_is_listed_late_on_a_shared_link_is_told_also_at_the_first_look_after_a_start() {
    let rig = Rig::new(10).await;
    rig.share(std::iter::once(5)).await;
    rig.subscribe(5, 1);
    rig.platform.counters.lock().insert(5, 2);
    let mut role = rig.role();
    work(&mut role).await;
    assert_eq!(fans(&rig), [1]);
    rig.clock.advance(SECOND * 120);
    rig.subscribe(5, 2);
    for _ in 0..5 {
        rig.clock.advance(SECOND * 60);
        work(&mut role).await;
    }
    assert_eq!(fans(&rig), [1, 2]);
    // And later: counted in one look, listed four minutes after.
    rig.platform.counters.lock().insert(5, 3);
    for minute in 0..10 {
        if minute == 4 {
            rig.subscribe(5, 3);
        }
        rig.clock.advance(SECOND * 60);
        work(&mut role).await;
    }
    assert_eq!(fans(&rig), [1, 2, 3]);
}
