//! What matching costs in requests, on a clock that leaps from one due look to the next.

use std::{sync::atomic::Ordering, time::Duration};

use sl_core::{
    ids::ClickId,
    pool::Given,
    time::{Clock, Timestamp},
};

use super::rig::{HOUR, Rig, id};

const DAY: u64 = 86_400_000;
/// Between two readings of the pool.
const STEP: Duration = Duration::from_secs(30);

/// Requests for one click at that many a day, from the hand-outs of `span` to the last look after their quarantine.
async fn requests_per_click(per_day: u64, span: Duration) -> f64 {
    let gap = DAY / per_day;
    let clicks = u64::try_from(span.as_millis()).unwrap() / gap;
    let mut rig = Rig::new(clicks).await;
    let mut role = rig.role();
    let mut given = 0;
    while given < clicks {
        rig.clock.advance(STEP);
        let due = (u64::try_from(rig.clock.now().0).unwrap() / gap).min(clicks);
        let hand_outs = (given..due).map(|number| {
            let at = Timestamp(i64::try_from(number * gap).unwrap());
            let click = ClickId::from_bytes(u128::from(number + 1).to_be_bytes());
            (id(number), Given { click, at, last_hit_at: at, window: HOUR * 6 })
        });
        rig.give(hand_outs.collect()).await;
        given = due;
        while role.turn().await.unwrap() {}
    }
    rig.clock.advance(STEP);
    while role.turn().await.unwrap() {}
    while let Some(at) = role.watch.next_due() {
        rig.clock.set(rig.clock.now().plus(Duration::from_secs(1)).max(at));
        while role.turn().await.unwrap() {}
    }
    assert_eq!(rig.live().await, 0, "every link had its last look");
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let figure = rig.platform.requests.load(Ordering::SeqCst) as f64 / clicks as f64;
    figure
}

#[tokio::test]
async fn looks_cost_about_a_tenth_of_a_request_for_each_click() {
    for (per_day, span, most) in [(10_000, HOUR * 6 / 5, 0.2), (100_000, HOUR / 6, 0.13)] {
        let figure = requests_per_click(per_day, span).await;
        // One more makes the link. Beside that overflow links cost one request a minute for each page they are on.
        let sustained = 900.0 * 1440.0 / (1.0 + figure);
        println!(
            "{per_day} clicks a day: {figure:.3} requests for a click; 900 a minute sustain {sustained:.0} clicks a day"
        );
        assert!(figure < most, "{figure} at {per_day} clicks a day");
    }
}
