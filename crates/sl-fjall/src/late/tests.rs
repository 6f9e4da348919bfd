//! A late row is where its last word put it, whatever is still in memory.

use std::collections::HashMap;

use tempfile::TempDir;

use super::LateTable;
use crate::{FjallOptions, db::Db};

fn open(dir: &TempDir) -> Db {
    Db::open(dir.path(), &FjallOptions::default()).unwrap()
}

fn key(number: u64) -> Vec<u8> {
    // Some short, some long; every third key is the beginning of another.
    let length = 5 + (number % 4) as usize * 9;
    let mut key = vec![b'k'; length];
    key.extend_from_slice(&number.to_be_bytes());
    if number.is_multiple_of(3) {
        key.push(0);
    }
    key
}

/// Rows by what was said of them last: written, written again, removed, written after that; in two tables.
#[test]
fn rows_are_found_in_memory_in_a_table_and_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let mut db = open(&dir);
    let mut want: HashMap<(u8, u64), Option<Vec<u8>>> = HashMap::new();
    for round in 0_u64..12 {
        let mut rows = db.late.rows();
        for number in 0..200 {
            let table = if (number + round).is_multiple_of(2) { LateTable::State } else { LateTable::Given };
            let value = format!("{round} {number}").repeat((number % 5) as usize).into_bytes();
            let goes = (number + round).is_multiple_of(7);
            if goes {
                rows.remove(table, &key(number));
            } else {
                rows.put(table, &key(number), &value);
            }
            want.insert((table as u8, number), (!goes).then_some(value));
        }
        db.commit(db.batch(), rows).unwrap();
        match round % 4 {
            1 => db.late.settle(&db.database).unwrap(),
            3 => {
                drop(db);
                db = open(&dir);
            }
            _ => {}
        }
        for ((table, number), value) in &want {
            let table = if *table == LateTable::State as u8 { LateTable::State } else { LateTable::Given };
            let found = db.late.get(table, &key(*number)).unwrap();
            assert_eq!(found.as_deref(), value.as_deref(), "{table:?} {number} in round {round}");
        }
    }
    assert_eq!(db.late.get(LateTable::State, b"never written").unwrap(), None);
}

/// A crash after the rows reached their tables, but before their records went: they are read and written again.
#[test]
fn records_that_stay_behind_change_nothing() {
    let dir = TempDir::new().unwrap();
    let db = open(&dir);
    for value in [b"first", b"later"] {
        let mut rows = db.late.rows();
        rows.put(LateTable::State, b"a", value);
        db.commit(db.batch(), rows).unwrap();
    }
    let mut rows = db.late.rows();
    rows.remove(LateTable::State, b"b");
    rows.put(LateTable::State, b"c", b"stays");
    db.commit(db.batch(), rows).unwrap();
    // What settling does before the records go.
    db.late.waiting.read().young.ingest(LateTable::State, db.late.table(LateTable::State)).unwrap();
    drop(db);
    for _ in 0..2 {
        let db = open(&dir);
        let get = |key: &[u8]| db.late.get(LateTable::State, key).unwrap();
        assert_eq!(get(b"a").as_deref(), Some(b"later".as_slice()));
        assert_eq!(get(b"b"), None);
        assert_eq!(get(b"c").as_deref(), Some(b"stays".as_slice()));
        assert_eq!(db.late.records.iter().count(), 0);
    }
}
