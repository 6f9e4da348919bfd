//! Links that the platform has ended leave their stock, and no others.

use std::time::Duration;

use sl_core::{
    catalog::OverflowLink,
    ended::LinkEnd,
    ids::LinkKind,
    matching::LATE,
    pool::{PoolState, StockKey},
    time::Clock,
};
use sl_store::{
    pool::{LeaseRequest, PoolRules},
    suite::sample::link_id,
};

use super::rig::{ACCOUNT, Asked, HOUR, Rig, fans, id, work};

const SECOND: Duration = Duration::from_secs(1);
const RULES: PoolRules =
    PoolRules { window: Duration::from_secs(6 * 3600), quarantine: Duration::from_secs(24 * 3600) };

fn end(rig: &Rig, links: impl Iterator<Item = u64>) {
    let end = LinkEnd { at: Some(rig.clock.now()), is_finished: false };
    rig.platform.ended.lock().extend(links.map(|number| (number, end)));
}

pub(super) async fn count(rig: &Rig, state: PoolState) -> u64 {
    let levels = rig.store.pool.levels(rig.clock.now(), RULES).await.unwrap();
    let counts = levels.iter().flat_map(|level| &level.counts);
    counts.filter(|(of, _)| *of == state).map(|(_, count)| count).sum()
}

/// Links that an edge would get now.
pub(super) async fn lease(rig: &Rig) -> Vec<u64> {
    let now = rig.clock.now();
    let request = LeaseRequest {
        stock: StockKey { account: ACCOUNT.into(), kind: LinkKind::TrackingLink, trial_days: None },
        want: 256,
        owner: "edge".to_owned(),
        now,
        until: now.plus(HOUR),
        rules: RULES,
    };
    rig.store.pool.lease(request).await.unwrap().links.iter().map(|(link, _)| link.id.number).collect()
}

#[tokio::test]
async fn nobody_gets_a_link_that_was_ended() {
    let mut rig = Rig::new(10).await;
    rig.give_now(0..2).await;
    rig.clock.advance(SECOND * 3600);
    end(&rig, [1, 4, 5].into_iter());
    let later = LinkEnd { at: Some(rig.clock.now().plus(SECOND)), is_finished: false };
    rig.platform.ended.lock().insert(6, later);
    work(&mut rig.role()).await;
    assert_eq!(count(&rig, PoolState::Retired).await, 3);
    assert_eq!(lease(&rig).await, [2, 3, 6, 7, 8, 9]);
}

#[tokio::test]
async fn no_link_is_retired_for_what_a_list_does_not_say() {
    let mut rig = Rig::new(150).await;
    rig.give_now([3, 120].into_iter()).await;
    rig.platform.gone.lock().extend(5..20);
    rig.platform.nameless.lock().extend(30..40);
    rig.break_off(&[Asked::Page(1)], &crate::PlatformError::AccountBusy);
    let mut role = rig.role();
    for _ in 0..20 {
        rig.clock.advance(SECOND * 600);
        let _ = role.turn().await;
    }
    rig.mend();
    rig.clock.advance(HOUR);
    work(&mut role).await;
    assert_eq!(count(&rig, PoolState::Retired).await, 0);
    assert_eq!(lease(&rig).await.len(), 148);
}

#[tokio::test]
async fn who_subscribed_before_the_end_of_their_link_is_told_however_late_that_is_shown() {
    let mut rig = Rig::new(10).await;
    rig.give_now(0..4).await;
    rig.clock.advance(SECOND * 60);
    rig.subscribe(0, 1);
    end(&rig, 0..4);
    let mut role = rig.role();
    work(&mut role).await;
    assert_eq!((fans(&rig), count(&rig, PoolState::Retired).await), (vec![1], 3), "the first one was used");
    // One is shown after the end was seen, one at the end of the window.
    rig.subscribe(1, 2);
    rig.clock.advance(SECOND * 300);
    work(&mut role).await;
    assert_eq!(fans(&rig), [1, 2]);
    rig.subscribe(2, 3);
    rig.clock.advance(HOUR * 6 + LATE);
    work(&mut role).await;
    assert_eq!((fans(&rig), rig.live().await), (vec![1, 2, 3], 0));
    rig.asked();
    rig.clock.advance(HOUR * 25);
    work(&mut role).await;
    assert_eq!(rig.asked(), [] as [Asked; 0], "none of them comes back, so nobody looks whether it may");
}

#[tokio::test]
async fn ended_links_are_found_on_all_pages_beside_each_other() {
    let mut rig = Rig::new(1000).await;
    rig.give_now(520..525).await;
    end(&rig, (310..700).chain(900..950));
    rig.clock.advance(SECOND * 300);
    let mut role = rig.role();
    work(&mut role).await;
    assert_eq!(count(&rig, PoolState::Retired).await, 390, "what lies apart is found when its turn comes");
    rig.asked();
    rig.clock.advance(SECOND * 30);
    work(&mut role).await;
    let again = rig.asked();
    assert!(again.iter().all(|asked| *asked == Asked::Page(5)), "{again:?}");
}

#[tokio::test]
async fn the_page_that_visitors_get_links_of_next_is_read_before_they_do() {
    let mut rig = Rig::new(300).await;
    rig.give_now(0..60).await;
    let mut role = rig.role();
    rig.clock.advance(SECOND * 300);
    work(&mut role).await;
    assert_eq!(rig.asked(), [Asked::Page(0)]);
    end(&rig, 130..200);
    rig.clock.advance(SECOND * 30);
    work(&mut role).await;
    assert_eq!(count(&rig, PoolState::Retired).await, 70);
    let asked = rig.asked();
    assert!(asked.contains(&Asked::Page(1)), "{asked:?}");
    // Once in an hour.
    rig.clock.advance(SECOND * 90);
    work(&mut role).await;
    let asked = rig.asked();
    assert!(!asked.contains(&Asked::Page(1)), "{asked:?}");
}

#[tokio::test]
async fn an_ended_link_of_somebody_elses_is_left_alone() {
    let rig = Rig::new(0).await;
    rig.stock(&[id(1), id(2)]).await;
    let other = Rig::new(10).await;
    other.share(std::iter::once(0)).await;
    end(&other, 3..10);
    let mut role = other.role();
    role.store.pool = rig.store.pool.clone();
    work(&mut role).await;
    assert_eq!(count(&rig, PoolState::Fresh).await, 2);
}

#[tokio::test]
async fn who_came_through_an_overflow_link_before_it_was_replaced_is_told_for_a_while() {
    let rig = Rig::new(10).await;
    rig.share(std::iter::once(3)).await;
    let mut role = rig.role();
    work(&mut role).await;
    end(&rig, std::iter::once(3));
    rig.clock.advance(SECOND * 60);
    work(&mut role).await;
    let link = link_id(3);
    assert_eq!(rig.ended_overflows.all(), [(link, id(3))]);
    rig.store.catalog.set_overflow(link, OverflowLink { id: id(5), url: String::new() }).await.unwrap();
    rig.ended_overflows.settle(link);
    rig.clock.advance(SECOND * 60);
    work(&mut role).await;
    rig.subscribe(3, 1);
    rig.subscribe(5, 2);
    rig.clock.advance(LATE);
    work(&mut role).await;
    assert_eq!((fans(&rig), rig.ended_overflows.all()), (vec![1, 2], vec![]));
    // That was the last look at the first one; the second one is followed.
    rig.subscribe(3, 3);
    rig.subscribe(5, 4);
    for _ in 0..3 {
        rig.clock.advance(SECOND * 60);
        work(&mut role).await;
    }
    assert_eq!(fans(&rig), [1, 2, 4]);
}
