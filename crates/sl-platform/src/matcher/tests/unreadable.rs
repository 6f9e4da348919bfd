//! What the platform does not let us read: a page, a row, a list. The rest is matched all the same.

use std::time::Duration;

use super::{
    super::look::LookError,
    rig::{Asked, Rig, fans, work},
};
use crate::error::PlatformError;

const SECOND: Duration = Duration::from_secs(1);

fn errors() -> [PlatformError; 3] {
    [
        PlatformError::Refused { status: 400, message: String::new() },
        PlatformError::Faulty { status: 500 },
        PlatformError::Unreadable("list: no data.list"),
    ]
}

#[tokio::test]
async fn a_page_that_cannot_be_read_keeps_no_other_page_from_being_looked_at() {
    for error in errors() {
        let mut rig = Rig::new(550).await;
        let mut role = rig.role();
        rig.give_now(0..550).await;
        rig.clock.advance(SECOND * 61);
        work(&mut role).await;
        rig.break_off(&[Asked::Page(3)], &error);
        for page in 0..6 {
            rig.subscribe(page * 100 + 20, page);
        }
        rig.clock.advance(SECOND * 61);
        work(&mut role).await;
        assert_eq!(fans(&rig), [0, 1, 2, 4, 5], "{error}");
        // Whatever comes later, too; and the bad page is asked for ever more seldom.
        rig.asked();
        for minute in 0..40 {
            rig.clock.advance(SECOND * 60);
            if minute == 20 {
                rig.subscribe(510, 6);
            }
            work(&mut role).await;
        }
        assert_eq!(fans(&rig), [0, 1, 2, 4, 5, 6], "{error}");
        let tries = rig.asked().into_iter().filter(|asked| *asked == Asked::Page(3)).count();
        assert!((3..=40).contains(&tries), "{tries} tries");
        rig.mend();
        rig.clock.advance(SECOND * 600);
        work(&mut role).await;
        assert_eq!(fans(&rig), [0, 1, 2, 3, 4, 5, 6], "{error}");
    }
}

#[tokio::test]
async fn a_search_goes_around_a_page_that_cannot_be_read() {
    for error in errors() {
        let mut rig = Rig::new(550).await;
        let mut role = rig.role();
        for page in 0..6 {
            rig.give_now((page * 100..550).take(100)).await;
            rig.clock.advance(SECOND);
        }
        rig.clock.advance(SECOND * 61);
        work(&mut role).await;
        // The newest page, which every search begins with.
        rig.break_off(&[Asked::Page(5)], &error);
        rig.subscribe(420, 9);
        rig.seek(9);
        rig.clock.advance(SECOND * 3);
        rig.asked();
        work(&mut role).await;
        assert_eq!(fans(&rig), [9], "{error}");
        assert_eq!(rig.asked(), [Asked::Page(5), Asked::Page(4), Asked::List(420)], "{error}");
        // Another search does not even try it.
        rig.subscribe(430, 10);
        rig.seek(10);
        rig.clock.advance(SECOND * 3);
        work(&mut role).await;
        assert_eq!(rig.asked(), [Asked::Page(4), Asked::List(430)], "{error}");
    }
}

#[tokio::test]
async fn after_a_start_links_are_found_around_pages_that_cannot_be_read() {
    // The first page, where every search for a place begins; one in the middle; the last one.
    for bad in [0, 3, 5] {
        let mut rig = Rig::new(550).await;
        rig.break_off(&[Asked::Page(bad)], &PlatformError::Faulty { status: 500 });
        rig.give_now(0..550).await;
        for page in 0..6 {
            rig.subscribe(page * 100 + 20, page);
        }
        rig.clock.advance(SECOND * 61);
        let mut role = rig.role();
        work(&mut role).await;
        let mut want: Vec<u64> = (0..6).collect();
        want.retain(|page| *page != u64::from(bad));
        assert_eq!(fans(&rig), want);
        // What it hides costs no request before it is tried again.
        rig.asked();
        rig.clock.advance(SECOND * 4);
        work(&mut role).await;
        assert_eq!(rig.asked(), []);
        rig.mend();
        rig.clock.advance(SECOND * 60);
        work(&mut role).await;
        assert_eq!(fans(&rig), (0..6).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn where_two_pages_fail_in_a_row_the_turn_ends_and_the_next_one_tries_another() {
    let mut rig = Rig::new(550).await;
    let mut role = rig.role();
    rig.give_now(0..550).await;
    rig.clock.advance(SECOND * 61);
    work(&mut role).await;
    let faulty = PlatformError::Faulty { status: 500 };
    rig.break_off(&[0, 1, 2].map(Asked::Page), &faulty);
    rig.asked();
    rig.clock.advance(SECOND * 61);
    let broken = |turn| matches!(turn, Err(LookError::Platform(error)) if error == faulty);
    assert!(broken(role.turn().await));
    assert_eq!(rig.asked(), [Asked::Page(0), Asked::Page(1)]);
    assert!(broken(role.turn().await));
    assert_eq!(rig.asked(), [Asked::Page(2)]);
    work(&mut role).await;
    assert_eq!(rig.asked(), [3, 4, 5].map(Asked::Page));
}

#[tokio::test]
async fn a_row_without_an_id_keeps_no_other_link_from_being_matched() {
    let mut rig = Rig::new(250).await;
    rig.platform.nameless.lock().extend([110, 150]);
    rig.give_now(0..250).await;
    for (fan, link) in (0..).zip([50, 110, 120, 220]) {
        rig.subscribe(link, fan);
    }
    rig.clock.advance(SECOND * 61);
    let mut role = rig.role();
    work(&mut role).await;
    assert_eq!(fans(&rig), [0, 2, 3], "its page counts as full, so that what comes after it is found");
    rig.platform.nameless.lock().clear();
    for _ in 0..15 {
        rig.clock.advance(SECOND * 60);
        work(&mut role).await;
    }
    assert_eq!(fans(&rig), [0, 1, 2, 3]);
}

#[tokio::test]
async fn lists_that_fail_one_after_the_other_end_the_look_whatever_stands_between_them() {
    let mut rig = Rig::new(10).await;
    let mut role = rig.role();
    rig.give_now(0..10).await;
    let faulty = PlatformError::Faulty { status: 500 };
    let lists = [0, 2, 4, 6, 8];
    rig.break_off(&lists.map(Asked::List), &faulty);
    lists.iter().for_each(|link| rig.subscribe(*link, *link));
    rig.clock.advance(SECOND * 61);
    assert!(role.turn().await.is_err());
    assert_eq!(rig.asked(), [Asked::Page(0), Asked::List(0), Asked::List(2), Asked::List(4)]);
    // One list that is read says that the platform is there.
    rig.platform.broken.lock().remove(&Asked::List(6));
    rig.clock.advance(SECOND);
    work(&mut role).await;
    assert_eq!(rig.asked(), [Asked::Page(0), Asked::List(4), Asked::List(6), Asked::List(8)]);
    assert_eq!(fans(&rig), [6]);
}

#[tokio::test]
async fn after_an_outage_every_list_and_page_is_read_within_a_minute_or_so() {
    let mut rig = Rig::new(150).await;
    let mut role = rig.role();
    rig.give_now(0..150).await;
    let lists = [10, 20, 120];
    lists.iter().for_each(|link| rig.subscribe(*link, *link));
    rig.break_off(&lists.map(Asked::List), &PlatformError::Unsure);
    for minute in 0..60 {
        if minute == 30 {
            rig.break_off(&[0, 1].map(Asked::Page), &PlatformError::Unsure);
        }
        rig.clock.advance(SECOND * 60);
        while role.turn().await.is_ok_and(|more| more) {}
    }
    assert_eq!(fans(&rig), [0; 0]);
    rig.mend();
    rig.clock.advance(SECOND * 60);
    work(&mut role).await;
    assert_eq!(fans(&rig), lists);
}
