//! A link with more rows a day than one partition takes.

use sl_core::step::{ClickMark, Step};
use sl_store::{
    reports::{ClickFilter, Range},
    suite::{
        Backend as _,
        sample::{self, TEAM, after, link_id},
    },
};

use crate::backend::Cluster;

/// A part has 65,536 rows. Lists and single rows come out of both, and what is said later of a row of the first one reaches
/// it, also when a new owner says it.
#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn a_busy_links_rows_are_listed_out_of_all_parts() {
    const ROWS: u64 = 66_000;
    let cluster = Cluster::fresh();
    let (link, mut store) = (link_id(1), cluster.open().await);
    store.ledger.open(0).await.unwrap();
    let row = |number: u64| sample::click(number, link, after(number / 100));
    let mark = |number: u64, gross_clicks| ClickMark {
        click: row(number).click.id,
        link,
        at: row(number).click.at,
        gross_clicks,
        is_duplicate: false,
    };
    for step in 0..ROWS / 1_000 {
        let clicks = (step * 1_000..(step + 1) * 1_000).map(row).collect();
        // Of a row of the step before: in the last step that is one of the first part.
        let click_marks = step.checked_sub(1).map(|before| mark(before * 1_000, 7)).into_iter().collect();
        store.ledger.apply(Step { clicks, click_marks, ..sample::step(step + 1) }).await.unwrap();
    }
    drop(store);
    store = cluster.open().await;
    store.ledger.open(0).await.unwrap();
    let click_marks = vec![mark(3, 9), mark(ROWS - 1, 9)];
    store.ledger.apply(Step { click_marks, ..sample::step(1_000) }).await.unwrap();
    let range = Range { from: Some(after(0)), to: None };
    let filter = ClickFilter::all(range);
    let all = store.reports.clicks(link, filter).await.unwrap();
    let ids: Vec<_> = all.iter().map(|row| row.click.id).collect();
    assert_eq!(ids, (0..ROWS).rev().map(|number| row(number).click.id).collect::<Vec<_>>());
    let gross = |number: u64| all[usize::try_from(ROWS - 1 - number).unwrap()].gross_clicks;
    assert_eq!([0, 3, 4, 64_000, ROWS - 1].map(gross), [7, 9, 1, 7, 9]);
    for (number, gross) in [(3, 9), (64_000, 7), (65_999, 9), (65_998, 1)] {
        let found = store.reports.click(TEAM, row(number).click.id).await.unwrap().unwrap();
        assert_eq!((found.click.id, found.gross_clicks), (row(number).click.id, gross));
    }
    let page = ClickFilter { limit: 3, offset: 1_000, ..filter };
    assert_eq!(store.reports.clicks(link, page).await.unwrap(), all[1_000..1_003]);
}
