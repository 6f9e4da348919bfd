//! Links that move up the platform's list because others have left it.

use std::time::Duration;

use super::rig::{Asked, Rig, fans, work};

const SECOND: Duration = Duration::from_secs(1);

/// Minutes pass.
async fn pass(rig: &Rig, role: &mut super::super::account::AccountMatcher, minutes: u64) {
    for _ in 0..minutes {
        rig.clock.advance(SECOND * 60);
        work(role).await;
    }
}

#[tokio::test]
async fn a_link_that_has_moved_to_an_earlier_page_is_found_again() {
    // By a few places, by a page or so, and by several pages.
    for gone in [10..40, 10..150, 20..330] {
        let mut rig = Rig::new(550).await;
        let mut role = rig.role();
        rig.give_now(400..550).await;
        pass(&rig, &mut role, 15).await;
        rig.platform.gone.lock().extend(gone.clone());
        rig.subscribe(405, 1);
        rig.subscribe(520, 2);
        rig.asked();
        pass(&rig, &mut role, 45).await;
        assert_eq!(fans(&rig), [1, 2], "without {gone:?}");
        let asked = rig.asked();
        assert!(asked.len() < 60, "without {gone:?}: {} requests", asked.len());
    }
}

#[tokio::test]
async fn the_last_links_are_found_when_the_list_is_a_page_shorter() {
    let mut rig = Rig::new(220).await;
    let mut role = rig.role();
    rig.give_now(210..220).await;
    pass(&rig, &mut role, 15).await;
    rig.platform.gone.lock().extend(10..60);
    rig.subscribe(215, 1);
    pass(&rig, &mut role, 45).await;
    assert_eq!(fans(&rig), [1]);
}

#[tokio::test]
async fn a_link_that_has_left_the_list_is_sought_every_ten_minutes_at_most() {
    let mut rig = Rig::new(300).await;
    let mut role = rig.role();
    rig.share([100, 250].into_iter()).await;
    rig.give_now(101..102).await;
    pass(&rig, &mut role, 15).await;
    rig.platform.gone.lock().extend([100, 101]);
    rig.asked();
    pass(&rig, &mut role, 60).await;
    let asked = rig.asked();
    let pages = |page| asked.iter().filter(|asked| **asked == Asked::Page(page)).count();
    assert!(pages(0) <= 7 && pages(1) <= 7, "{} and {}", pages(0), pages(1));
    assert!(pages(2) >= 58, "the other one is looked at every minute");
}
