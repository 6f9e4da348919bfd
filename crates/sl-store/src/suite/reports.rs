//! Lists and sums.

use std::collections::BTreeMap;

use sl_core::{
    click::{Class, ClickRow},
    conversion::{Conversion, ConversionKind},
    ids::SmartLinkId,
    money::Cents,
    step::{FanDay, LinkTotals, Rollup, RollupKey, Step},
    time::Timestamp,
};

use super::{
    Backend,
    sample::{self, HOUR, STRANGER, TEAM, account, after, fan, link_id},
};
use crate::{
    Store,
    reports::{ClickFilter, ConversionFilter, Range},
};

pub(super) const ALL_CLICKS: ClickFilter = ClickFilter::all(Range { from: None, to: None });

fn all_conversions() -> ConversionFilter {
    ConversionFilter::all(Range::default())
}

/// Clicks every 97 s over five hours on two links: each seventh a bot, each eleventh a duplicate; a conversion for
/// every third, money for every sixth.
pub(super) fn history() -> (Vec<ClickRow>, Vec<Conversion>) {
    let mut clicks = Vec::new();
    let mut conversions = Vec::new();
    for number in 0..190_u64 {
        let at = after(number * 97);
        let mut row = sample::click(number, link_id(1 + number % 2), at);
        row.is_duplicate = number % 11 == 0;
        if number % 7 == 0 {
            std::sync::Arc::make_mut(&mut row.click).class = Class::Bot;
        }
        if number % 3 == 0 {
            let kind =
                if number % 6 == 0 { ConversionKind::NewTransaction } else { ConversionKind::NewSubscriber };
            let click = (number % 5 != 0).then_some(row.click.id);
            conversions.push(sample::conversion(
                number,
                row.click.link,
                click,
                kind,
                after(number * 97 + 40),
            ));
            // Every other payment is taken back, some an hour later; every fourth is given again.
            if let Some(transaction) =
                conversions.last_mut().and_then(|row: &mut Conversion| row.transaction.as_mut())
            {
                let turn = |seconds: u64| after(number * 97 + 40 + seconds);
                match number % 24 {
                    0 => transaction.turns = vec![turn(900), turn(4_000)],
                    12 => transaction.turns = vec![turn(number % 5 * 1_200 + 10)],
                    _ => {}
                }
            }
        }
        clicks.push(row);
    }
    (clicks, conversions)
}

/// Rollups from raw rows (decisions 57).
#[must_use]
pub fn rebuilt(clicks: &[ClickRow], conversions: &[Conversion]) -> BTreeMap<RollupKey, Rollup> {
    let mut rollups: BTreeMap<RollupKey, Rollup> = BTreeMap::new();
    let mut at = |link: SmartLinkId, at: Timestamp, change: &dyn Fn(&mut Rollup)| {
        change(rollups.entry(RollupKey { link, hour: at.hour() }).or_default());
    };
    for ClickRow { click, is_duplicate, .. } in clicks {
        at(click.link, click.at, &|rollup| match (click.class, is_duplicate) {
            (Class::Bot, _) => rollup.bots += 1,
            (_, true) => rollup.duplicates += 1,
            _ => rollup.clicks += 1,
        });
    }
    for row in conversions {
        at(row.link, row.at, &|rollup| {
            rollup.conversions += 1;
            rollup.subscribers += u64::from(row.kind == ConversionKind::NewSubscriber);
        });
        let mut money = |when, sign: i64| {
            at(row.link, when, &|rollup| {
                rollup.gross += Cents(sign * row.gross.0);
                rollup.net += Cents(sign * row.net.0);
            });
        };
        if row.kind == ConversionKind::NewTransaction {
            money(row.at, 1);
        }
        let turns = row.transaction.iter().flat_map(|transaction| &transaction.turns);
        turns.enumerate().for_each(|(number, when)| money(*when, if number % 2 == 0 { -1 } else { 1 }));
    }
    rollups
}

async fn with_history(backend: &dyn Backend) -> (Store, Vec<ClickRow>, Vec<Conversion>) {
    let (clicks, conversions) = history();
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let rollups = rebuilt(&clicks, &conversions).into_iter().collect();
    let (early, late) = clicks.split_at(100);
    let first = Step { clicks: early.to_vec(), rollups, ..sample::step(1) };
    store.ledger.apply(first).await.unwrap();
    let second = Step { clicks: late.to_vec(), conversions: conversions.clone(), ..sample::step(2) };
    store.ledger.apply(second).await.unwrap();
    (store, clicks, conversions)
}

/// Clicks come newest first; range, flags, offset and limit mean what they say.
pub async fn clicks_come_newest_first_as_filtered(backend: &dyn Backend) {
    let (store, clicks, _) = with_history(backend).await;
    let range = Range { from: Some(after(970)), to: Some(after(9_700)) };
    for (bots, duplicates, range) in [
        (true, true, Range::default()),
        (false, true, range),
        (true, false, range),
        (false, false, Range { from: None, ..range }),
    ] {
        let expected: Vec<_> = clicks
            .iter()
            .rev()
            .filter(|row| row.click.link == link_id(2) && range.contains(row.click.at))
            .filter(|row| bots || row.click.class != Class::Bot)
            .filter(|row| duplicates || !row.is_duplicate)
            .cloned()
            .collect();
        let filter = ClickFilter { range, bots, duplicates, ..ALL_CLICKS };
        assert_eq!(store.reports.clicks(link_id(2), filter).await.unwrap(), expected);
        let page = ClickFilter { limit: 5, offset: 3, ..filter };
        assert_eq!(store.reports.clicks(link_id(2), page).await.unwrap(), expected[3..8]);
    }
    let empty = Range { from: Some(after(900)), to: Some(after(100)) };
    let filter = ClickFilter { range: empty, ..ALL_CLICKS };
    assert_eq!(store.reports.clicks(link_id(1), filter).await.unwrap(), []);
}

/// Conversions likewise; the flags speak of the click behind, and one without a click passes.
pub async fn conversions_come_newest_first_as_filtered(backend: &dyn Backend) {
    let (store, clicks, conversions) = with_history(backend).await;
    let find = |row: &Conversion| clicks.iter().find(|click| Some(click.click.id) == row.click);
    let people = ConversionFilter { bots: false, duplicates: false, ..all_conversions() };
    let money = ConversionFilter { kind: Some(ConversionKind::NewTransaction), ..all_conversions() };
    let of_fan = ConversionFilter { fan: Some(fan(3)), duplicates: false, ..all_conversions() };
    let early = Range { from: Some(after(0)), to: Some(after(7_000)) };
    let ranged = ConversionFilter { range: early, ..all_conversions() };
    for filter in [all_conversions(), people, money, of_fan, ranged] {
        let expected: Vec<_> = conversions
            .iter()
            .rev()
            .filter(|row| row.link == link_id(1) && filter.range.contains(row.at))
            .filter(|row| filter.kind.is_none_or(|kind| kind == row.kind))
            .filter(|row| filter.fan.as_ref().is_none_or(|fan| *fan == row.fan))
            .filter(|row| {
                find(row).is_none_or(|click| {
                    (filter.bots || click.click.class != Class::Bot)
                        && (filter.duplicates || !click.is_duplicate)
                })
            })
            .cloned()
            .collect();
        assert!(!expected.is_empty(), "{filter:?}");
        assert_eq!(store.reports.conversions(link_id(1), filter.clone()).await.unwrap(), expected);
        let page = ConversionFilter { limit: 2, offset: 1, ..filter };
        let found = store.reports.conversions(link_id(1), page).await.unwrap();
        assert_eq!(found, expected.into_iter().skip(1).take(2).collect::<Vec<_>>());
    }
}

/// Rollups rebuilt from the raw rows that the store gives back equal the ones it keeps (decisions 57).
pub async fn rollups_can_be_rebuilt_from_raw_rows(backend: &dyn Backend) {
    let (store, ..) = with_history(backend).await;
    let (mut clicks, mut conversions) = (Vec::new(), Vec::new());
    let mut kept = BTreeMap::new();
    for link in [link_id(1), link_id(2)] {
        clicks.extend(store.reports.clicks(link, ALL_CLICKS).await.unwrap());
        conversions.extend(store.reports.conversions(link, all_conversions()).await.unwrap());
        for (hour, rollup) in store.reports.hours(link, Range::default()).await.unwrap() {
            kept.insert(RollupKey { link, hour }, rollup);
        }
    }
    assert_eq!(kept.len(), 12);
    assert_eq!(rebuilt(&clicks, &conversions), kept);
}

/// A range that cuts an hour counts that hour's raw rows, wherever the cut is (decisions 57); money that was taken back counts when
/// it was, also that of rows from before (decisions 19).
pub async fn a_cut_hour_is_counted_from_raw_rows(backend: &dyn Backend) {
    let (store, clicks, conversions) = with_history(backend).await;
    let link = link_id(1);
    let cuts = [(0, 5_400), (1_800, 9_000), (3_600, 7_200), (4_000, 4_500), (970, 971), (9_500, 12_345)];
    for (from, to) in cuts {
        let range = Range { from: Some(after(from)), to: Some(after(to)) };
        let mut expected: BTreeMap<Timestamp, Rollup> = BTreeMap::new();
        for row in clicks.iter().filter(|row| row.click.link == link && range.contains(row.click.at)) {
            expected.entry(row.click.at.hour()).or_default().add_click(row);
        }
        for row in conversions.iter().filter(|row| row.link == link) {
            if range.contains(row.at) {
                expected.entry(row.at.hour()).or_default().add_conversion(row);
            }
            for (at, sign) in row.moves().filter(|(at, _)| range.contains(*at)) {
                expected.entry(at.hour()).or_default().add_money(row, sign);
            }
        }
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(store.reports.hours(link, range).await.unwrap(), expected, "{from}..{to}");
    }
}

/// What was taken back in an hour is in one part of it only, also where the row does not say when: parts add up to the whole.
pub async fn parts_of_an_hour_add_up_to_the_whole(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let link = link_id(1);
    let rows: Vec<_> = (0..4)
        .map(|n| sample::conversion(n, link, None, ConversionKind::NewTransaction, after(n * 800)))
        .collect();
    let mut whole = rebuilt(&[], &rows)[&RollupKey { link, hour: HOUR }];
    whole.gross += Cents(-5_000);
    whole.net += Cents(-4_000);
    let rollups = vec![(RollupKey { link, hour: HOUR }, whole)];
    store.ledger.apply(Step { conversions: rows, rollups, ..sample::step(1) }).await.unwrap();
    let mut sums = (Cents::ZERO, Cents::ZERO, 0);
    for (from, to) in [(0, 1_000), (1_000, 2_000), (2_000, 3_600)] {
        let range = Range { from: Some(after(from)), to: Some(after(to)) };
        for (_, part) in store.reports.hours(link, range).await.unwrap() {
            sums = (sums.0 + part.gross, sums.1 + part.net, sums.2 + part.conversions);
        }
    }
    assert_eq!(sums, (whole.gross, whole.net, 4));
    assert_eq!(store.reports.hours(link, Range::default()).await.unwrap(), [(HOUR, whole)]);
}

/// Sums of fans and links, days whole; unknown links have zero.
pub async fn sums_are_what_the_last_step_said(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let link = link_id(1);
    let day = |days: u64| HOUR.day().plus(std::time::Duration::from_secs(days * 86_400));
    let fan_day = |number, days, net| FanDay {
        link,
        fan: fan(number),
        day: day(days),
        net: Cents(net),
        gross: Cents(net),
    };
    let totals = LinkTotals { clicks: 3, revenue: Some(Cents(-5)), ..LinkTotals::default() };
    let step = Step {
        fan_days: vec![fan_day(1, 0, 10), fan_day(2, 0, 20), fan_day(1, 1, 30), fan_day(1, 2, 40)],
        fans: vec![sample::fan_under(link, 1, 500)],
        totals: vec![(link, totals)],
        ..sample::step(1)
    };
    store.ledger.apply(step).await.unwrap();
    let step = Step {
        fan_days: vec![fan_day(1, 1, -30)],
        fans: vec![sample::fan_under(link, 1, 700), sample::fan_under(link_id(2), 2, 1)],
        ..sample::step(2)
    };
    store.ledger.apply(step).await.unwrap();
    let reports = &store.reports;
    let found = reports.totals(&[link_id(9), link]).await.unwrap();
    assert_eq!(found, [LinkTotals::default(), totals]);
    let range = Range { from: Some(day(1)), to: Some(day(2)) };
    assert_eq!(reports.fan_days(link, range).await.unwrap(), [fan_day(1, 1, -30)]);
    let all: Vec<_> = reports.fan_days(link, Range::default()).await.unwrap();
    assert_eq!(all.iter().map(|row| row.net.0).collect::<Vec<_>>(), [10, 20, -30, 40]);
    assert_eq!(reports.fans(link).await.unwrap(), [sample::fan_under(link, 1, 700)]);
    let profile = reports.fan(&account(), &fan(2)).await.unwrap().unwrap();
    assert_eq!(profile.username.as_deref(), Some("fan2"));
    assert_eq!(reports.fan(&"acct_other".into(), &fan(2)).await.unwrap(), None);
}

/// Conversions of a click, by time.
pub async fn conversions_of_a_click_come_by_time(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let row = sample::click(1, link_id(1), after(1));
    let kind = ConversionKind::MessageReceived;
    let rows: Vec<_> = [30, 10, 20]
        .map(|seconds| sample::conversion(seconds, link_id(1), Some(row.click.id), kind, after(seconds)))
        .to_vec();
    let step = Step { clicks: vec![row.clone()], conversions: rows.clone(), ..sample::step(1) };
    store.ledger.apply(step).await.unwrap();
    let found = store.reports.conversions_of_click(TEAM, row.click.id).await.unwrap();
    assert_eq!(found, [rows[1].clone(), rows[2].clone(), rows[0].clone()]);
    let mut reversed = rows[1].clone();
    reversed.gross = Cents(1);
    let step = Step { conversions: vec![reversed.clone()], ..sample::step(2) };
    store.ledger.apply(step).await.unwrap();
    assert_eq!(store.reports.conversion(TEAM, reversed.id).await.unwrap(), Some(reversed));
    assert_eq!(store.reports.conversions_of_click(TEAM, row.click.id).await.unwrap().len(), 3);
}

/// A team sees its own rows only.
pub async fn rows_of_another_team_are_not_there(backend: &dyn Backend) {
    let (store, clicks, conversions) = with_history(backend).await;
    let letter = sample::dead_letter(1, after(1));
    let step = Step { dead_letters: vec![letter.clone()], ..sample::step(3) };
    store.ledger.apply(step).await.unwrap();
    let reports = &store.reports;
    let with_click = conversions.iter().find(|row| row.click.is_some()).unwrap();
    let click = with_click.click.unwrap();
    assert!(reports.click(TEAM, clicks[0].click.id).await.unwrap().is_some());
    assert!(reports.conversion(TEAM, with_click.id).await.unwrap().is_some());
    assert!(!reports.conversions_of_click(TEAM, click).await.unwrap().is_empty());
    assert!(reports.dead_letter(TEAM, letter.id).await.unwrap().is_some());
    assert_eq!(reports.click(STRANGER, clicks[0].click.id).await.unwrap(), None);
    assert_eq!(reports.conversion(STRANGER, with_click.id).await.unwrap(), None);
    assert_eq!(reports.conversions_of_click(STRANGER, click).await.unwrap(), []);
    assert_eq!(reports.dead_letter(STRANGER, letter.id).await.unwrap(), None);
    assert_eq!(reports.dead_letters(STRANGER, 9, None).await.unwrap(), []);
    assert_eq!(reports.dead_letters(STRANGER, 9, Some(letter.id)).await.unwrap(), []);
}

/// Dead letters page newest first and leave when they are used after all; a letter counts once.
pub async fn dead_letters_page_and_leave(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let letters: Vec<_> = (0..7).map(|n| sample::dead_letter(n, after(n / 2))).collect();
    let twice = letters.iter().chain(&letters[..2]).cloned().collect();
    store.ledger.apply(Step { dead_letters: twice, ..sample::step(1) }).await.unwrap();
    let reports = &store.reports;
    assert_eq!(reports.dead_letter_count().await.unwrap(), 7);
    let newest: Vec<_> = letters.iter().rev().cloned().collect();
    let first = reports.dead_letters(TEAM, 4, None).await.unwrap();
    assert_eq!(first, newest[..4]);
    assert_eq!(reports.dead_letters(TEAM, 4, Some(first[3].id)).await.unwrap(), newest[4..]);
    let revived = vec![letters[3].id, letters[3].id, sample::dead_letter(99, HOUR).id];
    store.ledger.apply(Step { revived, ..sample::step(2) }).await.unwrap();
    assert_eq!(reports.dead_letter_count().await.unwrap(), 6);
    assert_eq!(reports.dead_letter(TEAM, letters[3].id).await.unwrap(), None);
    assert_eq!(reports.dead_letters(TEAM, 99, None).await.unwrap().len(), 6);
}

/// Whoever retries each page before asking for the next comes to the end of the list. Letters of one moment and of one hour
/// lie in one page and the next.
pub async fn dead_letters_go_on_behind_one_that_left(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let letters: Vec<_> = (0..9).map(|n| sample::dead_letter(n, after(n / 2 * 1800))).collect();
    store.ledger.apply(Step { dead_letters: letters.clone(), ..sample::step(1) }).await.unwrap();
    let (mut seen, mut last, mut number) = (Vec::new(), None, 1);
    loop {
        let page = store.reports.dead_letters(TEAM, 2, last).await.unwrap();
        let Some(letter) = page.last() else { break };
        (last, number) = (Some(letter.id), number + 1);
        let revived = page.iter().map(|letter| letter.id).collect();
        store.ledger.apply(Step { revived, ..sample::step(number) }).await.unwrap();
        seen.extend(page);
    }
    assert_eq!(seen, letters.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(store.reports.dead_letter_count().await.unwrap(), 0);
}
