//! Whoever subscribes in the last minutes of a window is shown by the platform after its end.

use std::time::Duration;

use sl_core::time::Clock;

use super::rig::{HOUR, Rig, fans, work};

const SECOND: Duration = Duration::from_secs(1);

/// A link whose window has ended, with a subscriber of 30 s before, who is shown since now, a minute after the end.
async fn ended() -> (Rig, super::super::account::AccountMatcher) {
    let mut rig = Rig::new(10).await;
    let mut role = rig.role();
    rig.give_now(5..6).await;
    let given = rig.clock.now();
    for at in [HOUR, HOUR * 2, HOUR * 6 - SECOND * 30, HOUR * 6] {
        rig.clock.set(given.plus(at));
        work(&mut role).await;
    }
    rig.clock.set(given.plus(HOUR * 6 + SECOND * 60));
    rig.subscribe(5, 9);
    (rig, role)
}

#[tokio::test]
async fn who_subscribes_at_the_end_of_a_window_is_found_by_a_search() {
    let (rig, mut role) = ended().await;
    rig.seek(9);
    rig.clock.advance(SECOND * 3);
    work(&mut role).await;
    assert_eq!(fans(&rig), [9]);
}

#[tokio::test]
async fn who_subscribes_at_the_end_of_a_window_is_found_by_the_schedule_soon() {
    let (rig, mut role) = ended().await;
    for _ in 0..15 {
        rig.clock.advance(SECOND * 60);
        work(&mut role).await;
    }
    assert_eq!(fans(&rig), [9]);
}
