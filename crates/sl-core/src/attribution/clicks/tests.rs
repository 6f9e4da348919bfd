//! How many hits are kept, and which (decisions 52).

use super::{Hit, insert_hit, insert_time};
use crate::{
    ids::{ClickId, SmartLinkId},
    time::Timestamp,
};

/// A hit of the click with that number, so many milliseconds after the first.
fn hit(row: u8, ms: i64) -> Hit {
    Hit {
        row: ClickId::from_bytes([row; 16]),
        original: None,
        link: SmartLinkId::from_bytes([1; 16]),
        ecid: 0,
        at: Timestamp(ms),
        clicked: Timestamp(0),
        window: 3600,
    }
}

/// What is kept of these hits, which come in this order.
fn kept(hits: &[(u8, i64)]) -> Vec<(u8, i64)> {
    let mut kept = Vec::new();
    for (row, ms) in hits {
        insert_hit(&mut kept, hit(*row, *ms));
    }
    kept.iter().map(|hit| (hit.row.to_bytes()[0], hit.at.0)).collect()
}

/// The same of the times of one click.
fn times(hits: &[i64]) -> Vec<i64> {
    let mut kept = Vec::new();
    hits.iter().for_each(|ms| insert_time(&mut kept, Timestamp(*ms)));
    kept.iter().map(|at| at.0).collect()
}

#[test]
fn of_three_hits_of_a_click_within_a_minute_the_first_and_the_last_are_kept() {
    assert_eq!(kept(&[(1, 0), (1, 30_000), (1, 59_999)]), [(1, 0), (1, 59_999)]);
    assert_eq!(times(&[0, 30_000, 59_999]), [0, 59_999]);
    // However many they are: a minute counts from the one before the last.
    assert_eq!(kept(&[(1, 0), (1, 20_000), (1, 40_000), (1, 59_999)]), [(1, 0), (1, 59_999)]);
    assert_eq!(times(&[0, 20_000, 40_000, 59_999]), [0, 59_999]);
}

#[test]
fn hits_of_a_click_that_span_a_minute_are_all_kept() {
    assert_eq!(kept(&[(1, 0), (1, 30_000), (1, 60_000)]), [(1, 0), (1, 30_000), (1, 60_000)]);
    assert_eq!(times(&[0, 30_000, 60_000]), [0, 30_000, 60_000]);
}

#[test]
fn two_hits_of_a_click_are_kept_however_close_they_are() {
    assert_eq!(kept(&[(1, 0), (1, 1)]), [(1, 0), (1, 1)]);
    assert_eq!(times(&[0, 1]), [0, 1]);
}

#[test]
fn a_hit_of_another_click_in_between_keeps_both_of_its_neighbours() {
    let all = [(1, 0), (2, 10_000), (1, 20_000)];
    assert_eq!(kept(&all), all);
    let all = [(2, 0), (1, 10_000), (1, 20_000)];
    assert_eq!(kept(&all), all);
    let all = [(1, 0), (1, 10_000), (2, 20_000)];
    assert_eq!(kept(&all), all);
}

#[test]
fn a_hit_that_comes_out_of_order_takes_its_place_and_is_not_merged() {
    assert_eq!(kept(&[(1, 0), (1, 50_000), (1, 20_000)]), [(1, 0), (1, 20_000), (1, 50_000)]);
    assert_eq!(times(&[0, 50_000, 20_000]), [0, 20_000, 50_000]);
}

#[test]
fn of_65_hits_of_a_visitor_the_earliest_goes() {
    // A minute apart: none is merged.
    let all: Vec<_> = (0..65).map(|nth| (1, nth * 60_000)).collect();
    assert_eq!(kept(&all[..64]), all[..64]);
    assert_eq!(kept(&all), all[1..]);
    // It is the earliest, whichever came last.
    let mut late = all.clone();
    late.rotate_left(1);
    assert_eq!(kept(&late), all[1..]);
}

#[test]
fn of_65_times_of_a_click_the_second_goes_as_the_first_is_the_clicks_own() {
    let all: Vec<_> = (0..65).map(|nth| nth * 60_000).collect();
    assert_eq!(times(&all[..64]), all[..64]);
    assert_eq!(times(&all), [&all[..1], &all[2..]].concat());
}
