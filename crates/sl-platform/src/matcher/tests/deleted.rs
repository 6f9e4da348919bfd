//! Overflow links of Smart Links that were deleted: whoever was sent there before may still subscribe.

use std::time::Duration;

use sl_core::{
    catalog::SmartLink,
    matching::LATE,
    time::{Clock, Timestamp},
};
use sl_store::suite::sample::link_id;

use super::rig::{Asked, HOUR, Rig, fans, work};

const SECOND: Duration = Duration::from_secs(1);

async fn delete(rig: &Rig, number: u64) -> Timestamp {
    let now = rig.clock.now();
    let link = rig.store.catalog.link(link_id(number)).await.unwrap().unwrap();
    rig.store.catalog.put_link(SmartLink { deleted_at: Some(now), ..link }).await.unwrap();
    now
}

#[tokio::test]
async fn subscribers_of_a_deleted_links_overflow_link_are_told_until_its_window_has_ended() {
    let rig = Rig::new(10).await;
    rig.share([5, 7].into_iter()).await;
    let mut role = rig.role();
    work(&mut role).await;
    let deleted_at = delete(&rig, 5).await;
    rig.clock.advance(HOUR * 2);
    rig.subscribe(5, 1);
    work(&mut role).await;
    assert_eq!(fans(&rig), [1]);
    // One at the end of the window, shown ten minutes later.
    rig.clock.set(deleted_at.plus(HOUR * 6 + SECOND * 600));
    work(&mut role).await;
    rig.subscribe(5, 2);
    rig.clock.set(deleted_at.plus(HOUR * 6 + LATE));
    work(&mut role).await;
    assert_eq!(fans(&rig), [1, 2]);
    // That was the last look; also by a later change of the catalog.
    rig.subscribe(5, 3);
    for hour in 0..3 {
        if hour == 1 {
            rig.share(std::iter::once(8)).await;
        }
        rig.clock.advance(HOUR);
        work(&mut role).await;
    }
    assert_eq!(fans(&rig), [1, 2]);
    rig.subscribe(7, 4);
    rig.clock.advance(SECOND * 60);
    work(&mut role).await;
    assert_eq!(fans(&rig), [1, 2, 4], "others are followed");
}

#[tokio::test]
async fn a_start_makes_up_for_the_last_look_at_a_deleted_links_overflow_link() {
    let rig = Rig::new(10).await;
    rig.share(std::iter::once(5)).await;
    let deleted_at = delete(&rig, 5).await;
    // The second one came after the window of the last visitor.
    for (fan, hours) in [(1, 6), (2, 7)] {
        rig.subscribe(5, fan);
        rig.platform.dates.lock().insert(fan, deleted_at.plus(HOUR * hours));
    }
    rig.clock.set(deleted_at.plus(HOUR * 30));
    let mut role = rig.role();
    work(&mut role).await;
    assert_eq!(fans(&rig), [1]);
    rig.asked();
    rig.clock.advance(HOUR);
    work(&mut role).await;
    assert_eq!(rig.asked(), [] as [Asked; 0]);
    // Days later nobody would be credited any more.
    rig.clock.set(deleted_at.plus(HOUR * 60));
    work(&mut rig.role()).await;
    assert_eq!(rig.asked(), [] as [Asked; 0]);
}
