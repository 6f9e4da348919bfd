//! Same events in the same order, same result: whatever the slices, the cache and the repetitions.

use proptest::prelude::*;

use super::samples::{A, B, at, seen};
use super::shown::Shown;
use super::world::World;
use crate::{
    click::Click,
    event::EventBody,
    step::{Dimension, DimensionKey},
    time::Timestamp,
};
use std::{collections::BTreeMap, time::Duration};

/// One thing that happens in a random history.
#[derive(Debug, Clone)]
enum Act {
    Click { link: bool, cookie: u8, cookieless: bool, pool: u8 },
    Repeat { click: u8 },
    Seen { pool: u8, fan: u8, ago: u16, dated: bool },
    Pay { id: u8, fan: u8, kind: u8, reversed: bool, ago: u16 },
    Message { fan: u8 },
    Announce { fan: u8 },
    Pass { minutes: u16 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (any::<bool>(), 0..4_u8, any::<bool>(), 0..12_u8)
            .prop_map(|(link, cookie, cookieless, pool)| Act::Click { link, cookie, cookieless, pool }),
        2 => (0..8_u8).prop_map(|click| Act::Repeat { click }),
        3 => (0..12_u8, 0..4_u8, 0..500_u16, any::<bool>())
            .prop_map(|(pool, fan, ago, dated)| Act::Seen { pool, fan, ago, dated }),
        4 => (0..8_u8, 0..4_u8, 0..4_u8, any::<bool>(), 0..500_u16)
            .prop_map(|(id, fan, kind, reversed, ago)| Act::Pay { id, fan, kind, reversed, ago }),
        2 => (0..4_u8).prop_map(|fan| Act::Message { fan }),
        1 => (0..4_u8).prop_map(|fan| Act::Announce { fan }),
        2 => (1..400_u16).prop_map(|minutes| Act::Pass { minutes }),
    ]
}

fn play(acts: &[Act], slice: usize, forgetful: bool) -> World {
    let mut world = World::new();
    (world.slice, world.forgetful) = (slice, forgetful);
    let mut now: Timestamp = at("03-04T12:00:00Z");
    let mut clicks: Vec<Click> = Vec::new();
    for (index, act) in acts.iter().enumerate() {
        now = now.plus(Duration::from_secs(7));
        let minutes = |ago: u16| Duration::from_secs(60 * u64::from(ago));
        match act.clone() {
            Act::Click { link, cookie, cookieless, pool } => {
                let link = if link { A } else { B };
                let mut click = world.new_click(link, u128::from(cookie) + 1, u64::from(pool), now);
                if cookieless {
                    click.visitor.came_with = None;
                }
                world.event(now, EventBody::click(click.clone()));
                clicks.push(click);
            }
            Act::Repeat { click } => {
                if let Some(click) = clicks.get(usize::from(click)) {
                    world.repeat(&click.clone(), now);
                }
            }
            Act::Seen { pool, fan, ago, dated } => {
                let mut look = seen(u64::from(pool), &fan.to_string(), now);
                look.subscribed_at = dated.then(|| now.minus(minutes(ago)));
                world.event(now, EventBody::SubscriberSeen(look));
            }
            Act::Pay { id, fan, kind, reversed, ago } => {
                let kind = ["tip", "new_subscription", "recurring_subscription", "post"][usize::from(kind)];
                let status = if reversed { "undo" } else { "done" };
                // One id belongs to one fan.
                let (id, fan) = (format!("t{id}-{fan}"), fan.to_string());
                world.status(&id, &fan, kind, 1234, status, now.minus(minutes(ago)), now);
            }
            Act::Message { fan } => world.message(index as u64, &fan.to_string(), now),
            Act::Announce { fan } => world.announce(&fan.to_string(), "$5.00", now, now),
            Act::Pass { minutes: more } => {
                now = now.plus(minutes(more));
                world.tick(now);
            }
        }
    }
    world.settle();
    world
}

/// What every history must satisfy.
fn balances(shown: &Shown) {
    for (link, totals) in &shown.totals {
        let of_link = |row: &&crate::conversion::Conversion| row.link == *link;
        let rows: Vec<_> = shown.conversions.values().filter(of_link).collect();
        assert_eq!(totals.conversions, rows.len() as u64);
        let counted = rows.iter().filter(|row| {
            row.transaction.as_ref().is_some_and(|facts| !crate::conversion::is_reversal(&facts.status))
        });
        let want: i64 = counted.map(|row| row.gross.0).sum();
        assert_eq!(totals.revenue.unwrap_or_default().0, want, "rows and total");
        let rollups: i64 =
            shown.rollups.iter().filter(|(key, _)| key.link == *link).map(|(_, sum)| sum.gross.0).sum();
        assert_eq!(rollups, want, "rollups");
        let days: i64 = shown.fan_days.values().filter(|day| day.link == *link).map(|day| day.gross.0).sum();
        assert_eq!(days, want, "days");
        let fans: Vec<_> = shown.fans.values().filter(|fan| fan.link == *link).collect();
        assert_eq!(fans.iter().map(|fan| fan.gross.0).sum::<i64>(), want, "fans");
        assert_eq!(totals.spenders, fans.iter().filter(|fan| fan.net.0 > 0).count() as u64);
        assert_eq!(totals.subscribers, fans.iter().filter(|fan| fan.is_subscriber).count() as u64);
        let people = shown.clicks.values().filter(|row| row.click.link == *link && !row.is_duplicate).count();
        assert_eq!(totals.clicks, people as u64);
        // Every click of these histories has a country, a device and a browser.
        let hours = shown.rollups.iter().filter(|(key, _)| key.link == *link);
        let by_day = sums(hours.map(|(key, sum)| (key.hour.day(), sum.clicks)));
        for by in [Dimension::Country, Dimension::Device, Dimension::Browser] {
            let of = |key: &&DimensionKey| key.link == *link && key.dimension == by;
            let values = shown.dimensions.iter().filter(|(key, _)| of(key));
            assert_eq!(sums(values.map(|(key, sum)| (key.day, sum.clicks))), by_day, "{by:?}");
        }
    }
}

fn sums(days: impl Iterator<Item = (Timestamp, u64)>) -> BTreeMap<Timestamp, u64> {
    let mut sums = BTreeMap::new();
    for (day, clicks) in days.filter(|(_, clicks)| *clicks > 0) {
        *sums.entry(day).or_default() += clicks;
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_slices_and_any_cache_give_the_same_result(
        acts in proptest::collection::vec(act(), 1..60),
        slice in 2..40_usize,
    ) {
        let one_by_one = play(&acts, 1, false);
        let sliced = play(&acts, slice, false);
        let forgetful = play(&acts, slice, true);
        prop_assert_eq!(&one_by_one.shown, &sliced.shown);
        prop_assert_eq!(&one_by_one.shown, &forgetful.shown);
        balances(&one_by_one.shown);
    }
}
