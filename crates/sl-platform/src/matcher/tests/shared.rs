//! Overflow links of an account with many Smart Links: their pass leaves room for everything else.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sl_core::time::Clock;

use super::rig::{Asked, Rig, fans, work};

const SECOND: Duration = Duration::from_secs(1);

/// Pages asked for since the last time, and how often.
fn pages(rig: &Rig) -> BTreeMap<u32, usize> {
    let mut pages = BTreeMap::new();
    for asked in rig.asked() {
        if let Asked::Page(page) = asked {
            *pages.entry(page).or_default() += 1;
        }
    }
    pages
}

#[tokio::test]
async fn a_pass_over_overflow_links_is_taken_in_parts_and_searches_come_in_between() {
    let mut rig = Rig::new(3000).await;
    let mut role = rig.role();
    rig.share((0..30).map(|page| page * 100 + 50)).await;
    work(&mut role).await;
    assert_eq!(pages(&rig).len(), 30);
    rig.clock.advance(SECOND * 60);
    rig.give_now(2900..2950).await;
    rig.subscribe(450, 1);
    assert!(role.turn().await.unwrap(), "the next turn comes at once");
    // The last one is behind the newest hand-out: whoever comes next gets links of it.
    assert_eq!(pages(&rig).into_keys().collect::<Vec<_>>(), [0, 1, 2, 3, 30]);
    // Somebody is announced while the pass is at its beginning.
    rig.subscribe(2920, 2);
    rig.seek(2);
    rig.clock.advance(SECOND * 2);
    assert!(role.turn().await.unwrap());
    assert_eq!(pages(&rig).into_keys().collect::<Vec<_>>(), [4, 5, 6, 29]);
    assert_eq!(fans(&rig), [1, 2]);
    work(&mut role).await;
    // The pass is over, and no page was read twice; the next one begins a minute after its begin.
    assert_eq!(pages(&rig), (7..29).map(|page| (page, 1)).collect());
    rig.clock.advance(SECOND * 57);
    work(&mut role).await;
    assert_eq!(pages(&rig), BTreeMap::new());
    rig.clock.advance(SECOND);
    work(&mut role).await;
    assert_eq!(pages(&rig).len(), 30);
}

#[tokio::test]
async fn overflow_links_that_take_longer_than_the_poll_leave_half_of_the_time_to_the_schedule() {
    let mut rig = Rig::new(14_000).await;
    let mut role = rig.role();
    rig.share((40..140).map(|page| page * 100 + 50)).await;
    work(&mut role).await;
    // A pass takes two and a half minutes.
    *rig.platform.pace.lock() = Some((Arc::clone(&rig.clock), SECOND * 3 / 2));
    let start = rig.clock.now();
    rig.give_now((0..40).map(|page| page * 100 + 10)).await;
    rig.asked();
    (0..40).for_each(|page| rig.subscribe(page * 100 + 10, page));
    let mut found_after = None;
    while rig.clock.now().since(start) < SECOND * 900 {
        if !role.turn().await.unwrap() {
            rig.clock.advance(SECOND);
        }
        if found_after.is_none() && fans(&rig).len() == 40 {
            found_after = Some(rig.clock.now().since(start));
        }
    }
    // The look at one minute, 40 pages, 40 lists, and as many pages of the pass.
    assert!(found_after.is_some_and(|after| after < SECOND * 300), "{found_after:?}");
    let mut shared = pages(&rig);
    shared.retain(|page, _| *page >= 40);
    assert!(shared.len() == 100 && shared.values().all(|count| *count >= 3), "{shared:?}");
}
