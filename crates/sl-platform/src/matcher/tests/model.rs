//! Random hand-outs, subscribers, failures and restarts against what must come of them.

use std::{collections::BTreeSet, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sl_core::{
    ids::ClickId,
    pool::{Given, PoolState},
    time::{Clock, Timestamp},
};
use sl_store::pool::PoolRules;

use super::rig::{HOUR, Rig, id};

const LINKS: u64 = 230;
const STEP: Duration = Duration::from_secs(240);

/// What happens to one link.
struct Plan {
    given: Timestamp,
    /// When, and who.
    subscribed: Option<(Timestamp, u64)>,
}

fn plans(rng: &mut StdRng) -> Vec<Plan> {
    let mut at = Timestamp(0);
    let plan = |number| {
        at = at.plus(Duration::from_secs(rng.random_range(0..40)));
        // Some subscribe after the window, while the link is in quarantine.
        let delay = Duration::from_secs(rng.random_range(1..29 * 3600));
        let delay = if rng.random() { delay / 300 } else { delay };
        let subscribed = rng.random_ratio(1, 4).then(|| (at.plus(delay), 10_000 + number));
        Plan { given: at, subscribed }
    };
    (0..LINKS).map(plan).collect()
}

async fn run(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let plans = plans(&mut rng);
    let mut rig = Rig::new(LINKS).await;
    rig.be_unruly(seed);
    let mut role = rig.role();
    let mut before = Timestamp(-1);
    let end = Timestamp(0).plus(HOUR * 40);
    while rig.clock.now() < end {
        let now = rig.clock.now();
        let new = |at: Timestamp| before < at && at <= now;
        let mut given = Vec::new();
        for (number, plan) in (0..).zip(&plans) {
            if new(plan.given) {
                let click = ClickId::from_bytes(u128::from(number + 1_u64).to_be_bytes());
                let at = plan.given;
                given.push((id(number), Given { click, at, last_hit_at: at, window: HOUR * 6 }));
            }
            if let Some((_, fan)) = plan.subscribed.filter(|(at, _)| new(*at)) {
                rig.platform.fans.lock().entry(number).or_default().push(fan);
            }
        }
        rig.give(given).await;
        if rng.random_ratio(1, 50) {
            role = rig.role();
        }
        // A failed turn is taken again at the next step.
        while role.turn().await.is_ok_and(|more| more) {}
        before = now;
        // The nights are long: what happens then is looked at every now and then.
        rig.clock.advance(if now < Timestamp(0).plus(HOUR * 8) { STEP } else { STEP * 5 });
    }
    let want: BTreeSet<(u64, u64)> =
        (0..).zip(&plans).filter_map(|(number, plan)| Some((number, plan.subscribed?.1))).collect();
    let told: BTreeSet<(u64, u64)> = rig.log.told().into_iter().collect();
    assert!(told.is_subset(&want), "seed {seed}: somebody was made up");
    // Who subscribed inside the quarantine is told too: the last look is after it.
    assert_eq!(want.difference(&told).collect::<Vec<_>>(), Vec::<&(u64, u64)>::new(), "seed {seed}");
    assert_eq!(rig.live().await, 0, "seed {seed}: every link had its last look");
    let rules = PoolRules { window: HOUR * 6, quarantine: HOUR * 24 };
    let levels = rig.store.pool.levels(rig.clock.now(), rules).await.unwrap();
    let count = |of| levels.iter().flat_map(|level| &level.counts).find(|(state, _)| *state == of).unwrap().1;
    let used = want.len() as u64;
    assert_eq!((count(PoolState::Used), count(PoolState::Recycled)), (used, LINKS - used), "seed {seed}");
}

#[tokio::test]
async fn every_subscriber_is_told_and_only_unused_links_come_back_over_failures_and_restarts() {
    for seed in 0..2 {
        run(seed).await;
    }
}
