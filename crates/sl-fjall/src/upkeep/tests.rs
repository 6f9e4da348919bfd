//! A round of retention reads each row once, a bounded piece at a time.

use sl_core::{ids::SmartLinkId, step::Step};
use sl_store::suite::sample::{after, click, link_id};
use tempfile::TempDir;

use super::*;
use crate::FjallOptions;

/// `count` clicks, one a minute, on three links in turn.
fn with_clicks(count: u64) -> (TempDir, Db) {
    let dir = TempDir::new().unwrap();
    let db = Db::open(dir.path(), &FjallOptions::default()).unwrap();
    let rows: Vec<_> = (0..count).map(|n| click(n, link_id(1 + n % 3), after(n * 60))).collect();
    let mut batch = db.batch();
    clicks::stage(&db, &mut batch, &Step { clicks: rows, ..sl_store::suite::sample::step(1) }).unwrap();
    commit(batch).unwrap();
    (dir, db)
}

/// How many rows of the link have their whole address.
fn whole(db: &Db, link: SmartLinkId) -> usize {
    let rows = db.snapshot().prefix(&db.clicks, link.to_bytes());
    let whole = |block: &[u8]| {
        let rows = Block::read(block).unwrap().rows(|_| true).unwrap();
        rows.into_iter().filter(|row| cut(&mut row.clone())).count()
    };
    rows.map(|row| whole(&row.value().unwrap())).sum()
}

#[test]
fn a_round_does_not_come_back_to_rows_whose_addresses_it_has_cut() {
    let (_dir, db) = with_clicks(30);
    let mut round = Sweep::default();
    assert_eq!(cut_addresses(&db, &mut round, after(30 * 60), 10).unwrap(), 10);
    // Whoever reads them again stumbles.
    let mut batch = db.batch();
    for row in db.snapshot().prefix(&db.clicks, link_id(1).to_bytes()) {
        batch.insert(&db.clicks, row.key().unwrap(), b"read twice");
    }
    commit(batch).unwrap();
    let mut count = 10;
    while !round.is_over() {
        count += cut_addresses(&db, &mut round, after(30 * 60), 10).unwrap();
    }
    assert_eq!((count, whole(&db, link_id(2)), whole(&db, link_id(3))), (30, 0, 0));
}

#[test]
fn what_needs_no_cutting_is_read_in_bounded_pieces_too() {
    let (_dir, db) = with_clicks(30);
    let (mut first, horizon) = (Sweep::default(), after(30 * 60));
    assert_eq!(cut_addresses(&db, &mut first, horizon, 20).unwrap(), 19, "a link is work, too");
    // A start anew knows nothing of the round.
    let (mut second, mut pieces) = (Sweep::default(), Vec::new());
    while pieces.is_empty() || !second.is_over() {
        pieces.push(cut_addresses(&db, &mut second, horizon, 5).unwrap());
    }
    assert!(pieces.len() > 5, "{pieces:?}");
    assert_eq!((pieces[0], pieces.iter().sum::<u64>()), (0, 11));
    assert_eq!(cut_addresses(&db, &mut second, horizon, 5).unwrap(), 0, "once");
    // A clock that was set back has no round under way.
    assert_eq!(cut_addresses(&db, &mut second, after(60), 5).unwrap(), 0);
    assert!(second.is_over());
}

#[test]
fn marks_go_behind_the_rows_they_are_of() {
    let (_dir, db) = with_clicks(30);
    let mut batch = db.batch();
    for n in 0..30 {
        let row = click(n, link_id(1 + n % 3), after(n * 60));
        batch.insert(&db.marks, clicks::row_key(row.click.link, row.click.at, row.click.id), b"");
    }
    commit(batch).unwrap();
    let (mut rounds, mut count) = (Rounds::default(), 0);
    while count == 0 || !rounds.clicks.is_over() || !rounds.marks.is_over() {
        count += remove_clicks(&db, &mut rounds, after(12 * 60), 5).unwrap();
        let left = |rows| db.snapshot().prefix(rows, b"").count();
        assert!(left(&db.marks) >= left(&db.clicks));
    }
    let left = |rows| db.snapshot().prefix(rows, b"").count();
    assert_eq!((count, left(&db.clicks), left(&db.marks)), (12, 18, 18));
}
