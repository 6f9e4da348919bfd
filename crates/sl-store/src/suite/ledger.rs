//! State, effects and position move together, once.

use sl_core::{
    applied::Applied,
    delivery::Destination,
    event::JournalId,
    ids::PixelId,
    pool::PoolState,
    step::{
        AccountSignal, ClickMark, Dimension, DimensionKey, DimensionRollup, FanDay, LinkTotals, ListAdd,
        Rollup, RollupKey, StateBytes, StateKey, StateRows, Step, Unmatched,
    },
};

use super::{
    Backend,
    sample::{self, HOUR, RULES, TEAM, account, after, fan, link_id, position},
};
use crate::{
    Store, StoreError,
    ledger::Opened,
    reports::{ClickFilter, ConversionFilter, Range},
};

/// A step with something of everything.
#[must_use]
pub fn full_step(offset: u64) -> Step {
    let link = link_id(1);
    let row = sample::click(offset, link, after(offset));
    let kind = sl_core::conversion::ConversionKind::NewTransaction;
    Step {
        applied: Applied::from_iter([(JournalId(9), offset)]),
        state: StateRows::from_iter([(
            StateKey(b"visitor".to_vec()),
            Some(StateBytes(offset.to_be_bytes().to_vec())),
        )]),
        conversions: vec![sample::conversion(offset, link, Some(row.click.id), kind, after(offset))],
        given: vec![(account(), sample::pool_id(offset), sample::given(offset, after(offset)))],
        jobs: vec![sample::job(offset, Destination::Pixel(PixelId(1)), after(offset))],
        clicks: vec![row],
        fans: vec![sample::fan_under(link, offset, 1_000)],
        rollups: vec![(RollupKey { link, hour: HOUR }, Rollup { clicks: offset, ..Rollup::default() })],
        dimensions: vec![(
            DimensionKey { link, day: HOUR.day(), dimension: Dimension::Country, value: "US".into() },
            DimensionRollup { clicks: offset },
        )],
        fan_days: vec![FanDay {
            link,
            fan: fan(offset),
            day: HOUR.day(),
            net: sl_core::money::Cents(800),
            gross: sl_core::money::Cents(1_000),
        }],
        totals: vec![(link, LinkTotals { clicks: offset, ..LinkTotals::default() })],
        dead_letters: vec![sample::dead_letter(offset, after(offset))],
        unmatched: vec![Unmatched {
            team: TEAM,
            account: account(),
            fan: fan(offset),
            subscribed_at: after(offset),
            known_at: after(offset),
        }],
        list_adds: vec![ListAdd {
            account: account(),
            list: "7".to_owned(),
            fan: fan(offset),
            created_at: after(offset),
            link: Some(sample::link_id(1)),
        }],
        signals: vec![AccountSignal { account: account(), usable: false, as_of: after(offset) }],
        ..sample::step(offset)
    }
}

/// Everything a reader can see of what [`full_step`]s wrote.
pub async fn picture(store: &Store) -> String {
    let link = link_id(1);
    let clicks = ClickFilter { limit: 999, ..ClickFilter::all(Range::default()) };
    let conversions = ConversionFilter::all(Range::default());
    let reports = &store.reports;
    let state = store.ledger.load(0, vec![StateKey(b"visitor".to_vec())]).await.unwrap();
    format!(
        "{state:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        reports.clicks(link, clicks).await.unwrap(),
        reports.conversions(link, conversions).await.unwrap(),
        reports.hours(link, Range::default()).await.unwrap(),
        reports.dimensions(link, Dimension::Country, Range::default()).await.unwrap(),
        reports.fan_days(link, Range::default()).await.unwrap(),
        reports.fans(link).await.unwrap(),
        reports.totals(&[link]).await.unwrap(),
        reports.dead_letters(TEAM, 999, None).await.unwrap(),
        reports.dead_letter_count().await.unwrap(),
        store.deliveries.counts(after(999)).await.unwrap(),
        store.pool.unmatched().await.unwrap(),
        store.pool.list_adds(None, 999).await.unwrap(),
        store.pool.levels(after(999), RULES).await.unwrap(),
        store.catalog.account(&account()).await.unwrap(),
    )
}

async fn with_account_and_links(backend: &dyn Backend) -> Store {
    let store = backend.open().await;
    store.catalog.put_account(sample::account_row("acct_sample", TEAM)).await.unwrap();
    store.pool.add(sample::new_links(&sample::stock(), 0..10)).await.unwrap();
    store
}

/// A step is visible at once and after a restart, in every table.
pub async fn a_step_is_there_at_once_and_after_a_restart(backend: &dyn Backend) {
    let store = with_account_and_links(backend).await;
    assert_eq!(store.ledger.open(0).await.unwrap(), Opened::default());
    for offset in 1..=3 {
        store.ledger.apply(full_step(offset)).await.unwrap();
    }
    assert_eq!(store.ledger.sync(0).await.unwrap(), position(3));
    let before = picture(&store).await;
    let levels = store.pool.levels(after(9), RULES).await.unwrap();
    assert!(levels[0].counts.contains(&(PoolState::Given, 3)), "{levels:?}");
    assert_eq!(store.reports.dead_letter_count().await.unwrap(), 3);
    assert!(!store.catalog.account(&account()).await.unwrap().unwrap().usable.yes);
    drop(store);
    backend.restart().await;
    let store = backend.open().await;
    assert_eq!(picture(&store).await, before);
    let opened = store.ledger.open(0).await.unwrap();
    assert_eq!(opened, Opened { position: position(3), applied: Applied::from_iter([(JournalId(9), 3)]) });
}

/// Promise 5: a step that comes again after a crash, last or older, changes nothing.
pub async fn a_step_that_comes_again_changes_nothing(backend: &dyn Backend) {
    let store = with_account_and_links(backend).await;
    store.ledger.open(0).await.unwrap();
    for offset in 1..=3 {
        store.ledger.apply(full_step(offset)).await.unwrap();
    }
    let before = picture(&store).await;
    store.ledger.apply(full_step(3)).await.unwrap();
    store.ledger.apply(full_step(1)).await.unwrap();
    assert_eq!(picture(&store).await, before);
    assert_eq!(store.ledger.open(0).await.unwrap().position, position(3));
}

/// Whoever opened a partition last has it; the one before is fenced and leaves no trace.
pub async fn the_last_to_open_a_partition_has_it(backend: &dyn Backend) {
    let first = with_account_and_links(backend).await;
    let second = backend.open().await;
    first.ledger.open(0).await.unwrap();
    first.ledger.apply(full_step(1)).await.unwrap();
    let opened = second.ledger.open(0).await.unwrap();
    assert_eq!(opened.position, position(1), "the second one goes on behind the first");
    let before = picture(&second).await;
    let refused = first.ledger.apply(full_step(2)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Fenced(_)), "{refused:?}");
    assert_eq!(picture(&second).await, before);
    second.ledger.apply(full_step(2)).await.unwrap();
    first.ledger.open(0).await.unwrap();
    first.ledger.apply(full_step(3)).await.unwrap();
    assert!(second.ledger.apply(full_step(4)).await.is_err());
}

/// State is read in the order asked for, per partition; `None` forgets.
pub async fn state_is_read_in_order_per_partition(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    store.ledger.open(1).await.unwrap();
    let key = |name: &[u8]| StateKey(name.to_vec());
    let value = |text: &[u8]| Some(StateBytes(text.to_vec()));
    let write = |partition, offset, state: Vec<_>| Step {
        partition,
        state: state.into_iter().collect(),
        ..sample::step(offset)
    };
    store.ledger.apply(write(0, 1, vec![(key(b"a"), value(b"1")), (key(b"b"), value(b""))])).await.unwrap();
    store.ledger.apply(write(1, 1, vec![(key(b"a"), value(b"other"))])).await.unwrap();
    let asked = vec![key(b"b"), key(b"none"), key(b"a")];
    let found = store.ledger.load(0, asked.clone()).await.unwrap();
    assert_eq!(found, [value(b""), None, value(b"1")]);
    store.ledger.apply(write(0, 2, vec![(key(b"a"), None)])).await.unwrap();
    assert_eq!(store.ledger.load(0, asked.clone()).await.unwrap(), [value(b""), None, None]);
    assert_eq!(store.ledger.load(1, asked).await.unwrap(), [None, None, value(b"other")]);
    let many: Vec<_> = (0..300).map(|_| key(b"b")).collect();
    assert!(store.ledger.load(0, many).await.unwrap().into_iter().all(|found| found == value(b"")));
}

/// Positions of a new epoch come after all of the old one (decisions 47), to which no step goes back: who still reads the
/// stream as it was is told so, instead of being told that its records are applied.
pub async fn a_new_epoch_goes_on_from_its_own_start(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    store.ledger.apply(sample::step(500)).await.unwrap();
    let fresh = sl_core::event::Position { epoch: 1, offset: 2 };
    let step = Step { applied: Applied::from_iter([(JournalId(1), 1)]), ..Step::default() };
    store.ledger.apply(Step { position: fresh, ..step.clone() }).await.unwrap();
    let again =
        Step { position: position(501), applied: Applied::from_iter([(JournalId(1), 77)]), ..step.clone() };
    let refused = store.ledger.apply(again).await.unwrap_err();
    assert!(matches!(refused, StoreError::Fenced(_)), "{refused:?}");
    let earlier = sl_core::event::Position { offset: 1, ..fresh };
    store.ledger.apply(Step { position: earlier, ..step }).await.unwrap();
    let opened = store.ledger.open(0).await.unwrap();
    assert_eq!(opened, Opened { position: fresh, applied: Applied::from_iter([(JournalId(1), 1)]) });
}

/// Marks change the rows they name, in the step of the row or later.
pub async fn marks_change_click_rows(backend: &dyn Backend) {
    let store = backend.open().await;
    store.ledger.open(0).await.unwrap();
    let link = link_id(1);
    let rows = [sample::click(1, link, after(1)), sample::click(2, link, after(2))];
    let mark = |row: usize, gross_clicks, is_duplicate| ClickMark {
        click: rows[row].click.id,
        link,
        at: rows[row].click.at,
        gross_clicks,
        is_duplicate,
    };
    let marks = vec![mark(0, 2, false)];
    let step = Step { clicks: rows.to_vec(), click_marks: marks, ..sample::step(1) };
    store.ledger.apply(step).await.unwrap();
    let step = Step { click_marks: vec![mark(0, 5, false), mark(1, 1, true)], ..sample::step(2) };
    store.ledger.apply(step).await.unwrap();
    let first = store.reports.click(TEAM, rows[0].click.id).await.unwrap().unwrap();
    assert_eq!((first.gross_clicks, first.is_duplicate), (5, false));
    let second = store.reports.click(TEAM, rows[1].click.id).await.unwrap().unwrap();
    assert_eq!((second.gross_clicks, second.is_duplicate), (1, true));
    assert_eq!(second.click, rows[1].click);
}
