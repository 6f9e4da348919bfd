//! Sums of clicks by their properties (decisions 52, 57).

use std::collections::BTreeMap;

use sl_core::{
    click::{Class, ClickRow},
    ids::SmartLinkId,
    step::{Dimension, DimensionKey, DimensionRollup, Step},
    time::Timestamp,
};

use super::{
    Backend,
    reports::{ALL_CLICKS, history},
    sample::{self, HOUR, link_id},
};
use crate::reports::{DimensionSum, Range};

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

fn key(link: SmartLinkId, day: Timestamp, dimension: Dimension, value: &str) -> DimensionKey {
    DimensionKey { link, day, dimension, value: value.into() }
}

fn sum(value: &str, clicks: u64) -> DimensionSum {
    DimensionSum { value: value.to_owned(), clicks }
}

/// Days add up value by value, the largest first; a value said again replaces what was said; links, dimensions and days
/// do not mix.
pub async fn clicks_are_summed_by_dimension(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let (link, other) = (link_id(1), link_id(2));
    let (first, second) = (HOUR.day(), HOUR.day().plus(DAY));
    let count = |key, clicks| (key, DimensionRollup { clicks });
    let dimensions = vec![
        count(key(link, first, Dimension::Country, "US"), 5),
        count(key(link, first, Dimension::Country, "DE"), 7),
        count(key(link, first, Dimension::Browser, "Ünïcode / 1"), 1),
        count(key(link, second, Dimension::Country, "US"), 1),
        count(key(link, second, Dimension::Country, "(other)"), 7),
        count(key(other, first, Dimension::Country, "US"), 100),
    ];
    store.ledger.apply(Step { dimensions, ..sample::step(1) }).await.unwrap();
    let dimensions = vec![count(key(link, second, Dimension::Country, "US"), 3)];
    let again = Step { dimensions, ..sample::step(2) };
    store.ledger.apply(again.clone()).await.unwrap();
    store.ledger.apply(again).await.unwrap();
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    let countries = |range| store.reports.dimensions(link, Dimension::Country, range);
    assert_eq!(
        countries(Range::default()).await.unwrap(),
        [sum("US", 8), sum("(other)", 7), sum("DE", 7)],
        "the largest first, then by value"
    );
    let range = Range { from: Some(second), to: None };
    assert_eq!(countries(range).await.unwrap(), [sum("(other)", 7), sum("US", 3)]);
    let range = Range { from: None, to: Some(second) };
    assert_eq!(countries(range).await.unwrap(), [sum("DE", 7), sum("US", 5)]);
    let browsers = store.reports.dimensions(link, Dimension::Browser, Range::default()).await.unwrap();
    assert_eq!(browsers, [sum("Ünïcode / 1", 1)]);
    assert_eq!(store.reports.dimensions(link, Dimension::UtmTerm, Range::default()).await.unwrap(), []);
}

/// Sums by dimension from raw rows (decisions 57).
fn rebuilt(clicks: &[ClickRow]) -> BTreeMap<DimensionKey, DimensionRollup> {
    let mut sums: BTreeMap<DimensionKey, DimensionRollup> = BTreeMap::new();
    for ClickRow { click, is_duplicate, .. } in clicks {
        if click.class == Class::Bot || *is_duplicate {
            continue;
        }
        let values = [
            (Dimension::Country, click.place.country.as_deref()),
            (Dimension::UtmSource, click.params.utm_source.as_deref()),
            (Dimension::Ecid, click.params.ecid.as_deref()),
        ];
        for (dimension, value) in values {
            let Some(value) = value else { continue };
            sums.entry(key(click.link, click.at.day(), dimension, value)).or_default().clicks += 1;
        }
    }
    sums
}

/// Sums rebuilt from the raw rows that the store gives back equal the ones it keeps.
pub async fn dimension_sums_can_be_rebuilt_from_raw_rows(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let (mut clicks, _) = history();
    for (number, row) in clicks.iter_mut().enumerate() {
        std::sync::Arc::make_mut(&mut row.click).place.country =
            ["US", "DE", "FR"].get(number % 4).map(|&country| country.to_owned());
    }
    let dimensions = rebuilt(&clicks).into_iter().collect();
    store.ledger.apply(Step { clicks, dimensions, ..sample::step(1) }).await.unwrap();
    for link in [link_id(1), link_id(2)] {
        let again = rebuilt(&store.reports.clicks(link, ALL_CLICKS).await.unwrap());
        for dimension in [Dimension::Country, Dimension::UtmSource, Dimension::Ecid] {
            let mut expected = BTreeMap::new();
            for (key, rollup) in again.iter().filter(|(key, _)| key.dimension == dimension) {
                *expected.entry(key.value.to_string()).or_default() += rollup.clicks;
            }
            let kept = store.reports.dimensions(link, dimension, Range::default()).await.unwrap();
            assert!(!kept.is_empty());
            let kept: BTreeMap<String, u64> = kept.into_iter().map(|sum| (sum.value, sum.clicks)).collect();
            assert_eq!(kept, expected, "{dimension:?}");
        }
    }
}
