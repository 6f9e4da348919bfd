//! Links that a list lacks: deleted ones leave their stock, others stay, and few questions are asked.

use std::time::Duration;

use sl_core::{
    catalog::OverflowLink,
    matching::LATE,
    pool::{PoolState, StockKey},
    time::Clock,
};
use sl_store::{pool::NewPoolLink, suite::sample::link_id};

use super::{
    super::account::AccountMatcher,
    retire::{count, lease},
    rig::{ACCOUNT, Asked, HOUR, Rig, fans, id},
};
use crate::PlatformError;

const SECOND: Duration = Duration::from_secs(1);

/// The list of links lacks these.
fn hide(rig: &Rig, links: impl Iterator<Item = u64>) {
    rig.platform.gone.lock().extend(links);
}

fn delete(rig: &Rig, links: impl Iterator<Item = u64> + Clone) {
    hide(rig, links.clone());
    rig.platform.deleted.lock().extend(links);
}

/// Links that were asked about since this was last called.
fn questions(rig: &Rig) -> Vec<u64> {
    let question = |asked: Asked| match asked {
        Asked::Link(number) => Some(number),
        Asked::Page(_) | Asked::List(_) => None,
    };
    rig.asked().into_iter().filter_map(question).collect()
}

/// Turns until nothing is due, however many; none asks about more than a few links.
async fn work(rig: &Rig, role: &mut AccountMatcher) {
    for _ in 0..500 {
        let before = rig.platform.asked.lock().len();
        let more = role.turn().await.unwrap();
        let asked = rig.platform.asked.lock()[before..].to_vec();
        assert!(asked.iter().filter(|asked| matches!(asked, Asked::Link(_))).count() <= 4, "{asked:?}");
        if !more {
            return;
        }
    }
    panic!("it never ends");
}

/// A stock whose first links were handed out an hour after all were made.
async fn handed_out(links: u64, given: std::ops::Range<u64>) -> (Rig, AccountMatcher) {
    let mut rig = Rig::new(links).await;
    rig.clock.advance(HOUR);
    rig.give_now(given).await;
    rig.clock.advance(SECOND * 60);
    let role = rig.role();
    (rig, role)
}

#[tokio::test]
async fn nobody_gets_a_link_that_was_deleted() {
    let (rig, mut role) = handed_out(150, 0..2).await;
    delete(&rig, 5..20);
    work(&rig, &mut role).await;
    assert_eq!(count(&rig, PoolState::Retired).await, 15);
    let leased = lease(&rig).await;
    assert_eq!((leased.len(), leased.iter().any(|number| (5..20).contains(number))), (133, false));
    let asked = questions(&rig);
    assert_eq!((asked.len(), asked[0]), (16, 5), "each once, and one that is there: {asked:?}");
    // That is all.
    for _ in 0..30 {
        rig.clock.advance(SECOND * 600);
        work(&rig, &mut role).await;
    }
    assert_eq!(questions(&rig), [0; 0]);
}

#[tokio::test]
async fn a_list_that_lacks_what_is_there_costs_a_question_an_hour_and_retires_nothing() {
    let (rig, mut role) = handed_out(150, 0..2).await;
    hide(&rig, 5..20);
    work(&rig, &mut role).await;
    assert_eq!(questions(&rig), [5]);
    for _ in 0..55 {
        rig.clock.advance(SECOND * 60);
        work(&rig, &mut role).await;
    }
    assert_eq!(questions(&rig), [0; 0], "nothing has changed");
    // One of them is deleted later, and its page shows no difference.
    rig.platform.deleted.lock().insert(5);
    rig.clock.advance(HOUR * 2);
    work(&rig, &mut role).await;
    assert_eq!(count(&rig, PoolState::Retired).await, 1);
    assert_eq!(lease(&rig).await.len(), 147);
}

#[tokio::test]
async fn nothing_is_asked_about_links_while_none_is_missing() {
    let (rig, mut role) = handed_out(350, 0..240).await;
    rig.share([240, 345].into_iter()).await;
    for _ in 0..200 {
        rig.clock.advance(SECOND * 300);
        work(&rig, &mut role).await;
    }
    let asked = rig.asked();
    assert!(asked.iter().all(|asked| matches!(asked, Asked::Page(_))), "{asked:?}");
    assert_eq!(count(&rig, PoolState::Retired).await, 0);
}

#[tokio::test]
async fn a_question_without_an_answer_proves_nothing_and_is_asked_again_later() {
    let refused = |status| PlatformError::Refused { status, message: String::new() };
    let errors = [
        refused(401),
        refused(403),
        PlatformError::AccountBusy,
        PlatformError::Limited { after: None },
        PlatformError::Faulty { status: 500 },
        PlatformError::Unsure,
        PlatformError::Unreachable(crate::error::Unreached::Refused),
        PlatformError::KeyRefused,
    ];
    for error in errors {
        let (rig, mut role) = handed_out(150, 0..2).await;
        delete(&rig, 5..8);
        rig.break_off(&[Asked::Link(5)], &error);
        work(&rig, &mut role).await;
        assert_eq!(questions(&rig), [5], "{error}");
        rig.clock.advance(SECOND * 20);
        work(&rig, &mut role).await;
        assert_eq!(questions(&rig), [0; 0], "not at once: {error}");
        rig.clock.advance(SECOND * 20);
        work(&rig, &mut role).await;
        assert_eq!((questions(&rig), count(&rig, PoolState::Retired).await), (vec![5], 0), "{error}");
        rig.mend();
        rig.clock.advance(SECOND * 120);
        work(&rig, &mut role).await;
        assert_eq!(count(&rig, PoolState::Retired).await, 3, "{error}");
    }
}

#[tokio::test]
async fn a_platform_that_knows_no_link_at_all_has_deleted_none() {
    let (rig, mut role) = handed_out(150, 0..2).await;
    hide(&rig, 5..20);
    rig.platform.deleted.lock().extend(0..150);
    work(&rig, &mut role).await;
    assert_eq!(questions(&rig).len(), 2, "one that is missing, one that is listed");
    for _ in 0..20 {
        rig.clock.advance(SECOND * 60);
        work(&rig, &mut role).await;
    }
    let asked = questions(&rig);
    assert!(asked.len() <= 12, "ever more seldom: {asked:?}");
    assert_eq!(count(&rig, PoolState::Retired).await, 0);
}

#[tokio::test]
async fn who_came_through_a_deleted_link_before_is_told_and_its_last_look_is_made() {
    let (rig, mut role) = handed_out(300, 0..120).await;
    work(&rig, &mut role).await;
    rig.asked();
    rig.subscribe(3, 1);
    delete(&rig, 0..110);
    rig.clock.advance(SECOND * 120);
    work(&rig, &mut role).await;
    assert_eq!((fans(&rig), count(&rig, PoolState::Retired).await), (vec![1], 110));
    assert_eq!(rig.live().await, 120, "whoever has one may have subscribed");
    rig.asked();
    rig.clock.advance(HOUR);
    work(&rig, &mut role).await;
    let asked = rig.asked();
    assert!(asked.iter().all(|asked| matches!(asked, Asked::Page(_))), "{asked:?}");
    // Shown late.
    rig.subscribe(7, 2);
    rig.clock.advance(HOUR * 5 + LATE);
    work(&rig, &mut role).await;
    assert_eq!((fans(&rig), rig.live().await), (vec![1, 2], 10), "others come back after their quarantine");
    rig.asked();
    rig.clock.advance(HOUR * 25);
    work(&rig, &mut role).await;
    assert_eq!(rig.live().await, 0);
    let asked = rig.asked();
    assert!(asked.iter().all(|asked| matches!(asked, Asked::Page(_))), "{asked:?}");
}

#[tokio::test]
async fn a_deleted_link_whose_list_is_gone_too_is_asked_for_once() {
    let (rig, mut role) = handed_out(150, 0..10).await;
    delete(&rig, 4..6);
    let refused = PlatformError::Refused { status: 404, message: String::new() };
    rig.break_off(&[Asked::List(4), Asked::List(5)], &refused);
    work(&rig, &mut role).await;
    let asked = rig.asked();
    for link in [4, 5] {
        assert_eq!(asked.iter().filter(|asked| **asked == Asked::List(link)).count(), 1, "{asked:?}");
    }
    assert_eq!(rig.live().await, 10);
    rig.clock.advance(HOUR * 6 + LATE);
    work(&rig, &mut role).await;
    rig.clock.advance(HOUR * 25);
    work(&rig, &mut role).await;
    let asked = rig.asked();
    assert!(asked.iter().all(|asked| matches!(asked, Asked::Page(_))), "{asked:?}");
    assert_eq!(rig.live().await, 0);
}

#[tokio::test]
async fn deleted_links_are_found_on_all_pages_beside_each_other() {
    let (rig, mut role) = handed_out(1000, 520..525).await;
    // To the end of a page, and whole pages of links that follow each other.
    delete(&rig, 310..500);
    delete(&rig, 530..700);
    work(&rig, &mut role).await;
    assert_eq!(count(&rig, PoolState::Retired).await, 360);
    let asked = questions(&rig);
    assert!(asked.len() <= 370, "{}", asked.len());
}

#[tokio::test]
async fn more_links_than_are_compared_at_once_may_be_deleted() {
    let (rig, mut role) = handed_out(1300, 0..2).await;
    delete(&rig, 5..1205);
    for _ in 0..10 {
        rig.clock.advance(SECOND * 60);
        work(&rig, &mut role).await;
    }
    assert_eq!(count(&rig, PoolState::Retired).await, 1200);
    let asked = questions(&rig);
    assert!(asked.len() <= 1210, "{}", asked.len());
}

#[tokio::test]
async fn a_whole_page_of_links_may_be_deleted_so_that_no_page_shows_a_gap() {
    let (mut rig, mut role) = handed_out(400, 150..152).await;
    rig.give_now(350..352).await;
    delete(&rig, 200..300);
    for _ in 0..5 {
        rig.clock.advance(SECOND * 60);
        work(&rig, &mut role).await;
    }
    assert_eq!(count(&rig, PoolState::Retired).await, 100);
    assert_eq!(questions(&rig).len(), 101);
}

#[tokio::test]
async fn the_last_links_and_all_links_of_a_list_may_be_deleted() {
    let (rig, mut role) = handed_out(150, 0..105).await;
    delete(&rig, 120..150);
    work(&rig, &mut role).await;
    assert_eq!(count(&rig, PoolState::Retired).await, 30);
    delete(&rig, 0..120);
    rig.clock.advance(SECOND * 120);
    work(&rig, &mut role).await;
    assert_eq!((count(&rig, PoolState::Retired).await, lease(&rig).await), (150, vec![]));
}

#[tokio::test]
async fn a_link_that_may_be_shown_late_or_without_its_number_is_not_asked_about() {
    let (rig, mut role) = handed_out(150, 0..2).await;
    rig.platform.nameless.lock().extend(30..40);
    let stock = StockKey { account: ACCOUNT.into(), kind: id(0).kind, trial_days: None };
    let new = NewPoolLink {
        team: sl_core::ids::TeamId(1),
        stock,
        id: id(900),
        url: String::new(),
        created_at: rig.clock.now(),
    };
    rig.store.pool.add(vec![new]).await.unwrap();
    rig.share(std::iter::once(120)).await;
    work(&rig, &mut role).await;
    assert_eq!(questions(&rig), [0; 0]);
    // A list that lacks it for good is another matter.
    rig.platform.deleted.lock().insert(900);
    rig.clock.advance(HOUR * 2);
    work(&rig, &mut role).await;
    assert_eq!((questions(&rig).first(), count(&rig, PoolState::Retired).await), (Some(&900), 1));
}

#[tokio::test]
async fn an_overflow_link_that_was_deleted_is_replaced_and_followed_no_longer() {
    let (rig, mut role) = handed_out(150, 0..2).await;
    rig.share(std::iter::once(70)).await;
    work(&rig, &mut role).await;
    rig.subscribe(70, 1);
    delete(&rig, std::iter::once(70));
    rig.clock.advance(SECOND * 60);
    work(&rig, &mut role).await;
    let link = link_id(70);
    assert_eq!((rig.ended_overflows.all(), fans(&rig)), (vec![(link, id(70))], vec![1]));
    rig.store.catalog.set_overflow(link, OverflowLink { id: id(80), url: String::new() }).await.unwrap();
    rig.ended_overflows.settle(link);
    rig.clock.advance(SECOND * 60);
    work(&rig, &mut role).await;
    rig.subscribe(80, 2);
    rig.asked();
    rig.clock.advance(SECOND * 60);
    work(&rig, &mut role).await;
    assert_eq!((fans(&rig), rig.ended_overflows.all()), (vec![1, 2], vec![]));
    assert_eq!(questions(&rig), [0; 0]);
}

#[tokio::test]
async fn a_link_of_somebody_else_and_a_used_one_are_not_asked_about() {
    let (rig, mut role) = handed_out(150, 0..4).await;
    rig.subscribe(3, 1);
    work(&rig, &mut role).await;
    rig.clock.advance(HOUR * 7);
    work(&rig, &mut role).await;
    rig.asked();
    delete(&rig, std::iter::once(3));
    rig.clock.advance(HOUR * 24);
    work(&rig, &mut role).await;
    assert_eq!((questions(&rig), count(&rig, PoolState::Retired).await), (vec![], 0));
}
