//! A part of the window: keys in the order of their age, and an index into that order.
//!
//! A new visitor in a full window costs few accesses to memory that is far away: the order is written at its end and read
//! at its start, one after the other; only the index, four bytes per key, is hit at random.

use std::{collections::VecDeque, sync::Arc, sync::atomic::Ordering, time::Duration};

use hashbrown::{HashTable, hash_table::Entry};
use sl_core::{click::VisitorId, time::Timestamp, visitor::Target};

use super::{Inner, Remembered};

/// Keys of some visitors.
#[derive(Default)]
pub(super) struct Shard {
    /// Numbers of rows, by key: a keyed hash of visitor and target.
    found: HashTable<u32>,
    /// Rows by age.
    rows: VecDeque<Row>,
    /// Number of the oldest row. Numbers wrap around; there are never as many rows as numbers.
    oldest: u32,
}

struct Row {
    key: u64,
    /// Half of the visitor's id: with 64 bits of a keyed hash of all of it, no other visitor is ever met.
    whose: u64,
    at: Timestamp,
    click: Arc<Remembered>,
}

impl Shard {
    /// Keys held.
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// The click of a visitor, unless it is over.
    pub(super) fn get(
        &self,
        key: u64,
        visitor: VisitorId,
        target: Target,
        now: Timestamp,
        span: Duration,
    ) -> Option<&Arc<Remembered>> {
        let row = self.row(self.number(key)?)?;
        let fresh = now.since(row.at) < span;
        (fresh && row.whose == half(visitor) && row.click.target == target).then_some(&row.click)
    }

    /// Remembers a click under one more key, and lets the oldest keys go.
    pub(super) fn put(
        &mut self,
        key: u64,
        visitor: VisitorId,
        entry: &Arc<Remembered>,
        window: &Inner,
        now: Timestamp,
    ) {
        let number = self.oldest.wrapping_add(len(&self.rows));
        let Self { found, rows, oldest } = self;
        let key_of = |number: &u32| rows.get(place(*number, *oldest)).map_or(0, |row| row.key);
        match found.entry(key, |number| key_of(number) == key, key_of) {
            // Its row stays where it is until its age has come.
            Entry::Occupied(mut taken) => *taken.get_mut() = number,
            Entry::Vacant(free) => {
                free.insert(number);
            }
        }
        self.rows.push_back(Row { key, whose: half(visitor), at: entry.at, click: Arc::clone(entry) });
        self.let_go(window, now);
    }

    fn let_go(&mut self, window: &Inner, now: Timestamp) {
        while let Some(first) = self.rows.front() {
            let over = now.since(first.at) >= window.span;
            if !over && self.rows.len() <= window.bound {
                return;
            }
            let (key, number) = (first.key, self.oldest);
            // A newer click may have taken its place under the same key, or it was lost.
            if let Ok(known) = self.found.find_entry(key, |known| *known == number) {
                known.remove();
                if !over {
                    window.evicted.fetch_add(1, Ordering::Relaxed);
                }
            }
            self.rows.pop_front();
            self.oldest = self.oldest.wrapping_add(1);
        }
    }

    /// Forgets `entry` under this key, unless a newer click has taken its place. Its row goes with its age.
    pub(super) fn forget(&mut self, key: u64, entry: &Arc<Remembered>) {
        let Some(number) = self.number(key) else { return };
        let same = self.row(number).is_some_and(|row| Arc::ptr_eq(&row.click, entry));
        if same && let Ok(known) = self.found.find_entry(key, |known| *known == number) {
            known.remove();
        }
    }

    fn number(&self, key: u64) -> Option<u32> {
        self.found.find(key, |number| self.row(*number).is_some_and(|row| row.key == key)).copied()
    }

    fn row(&self, number: u32) -> Option<&Row> {
        self.rows.get(place(number, self.oldest))
    }
}

/// Where a row stands.
fn place(number: u32, oldest: u32) -> usize {
    number.wrapping_sub(oldest) as usize
}

fn len(rows: &VecDeque<Row>) -> u32 {
    u32::try_from(rows.len()).unwrap_or(u32::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "half of it, beside 64 bits of a keyed hash of all of it"
)]
fn half(visitor: VisitorId) -> u64 {
    visitor.0 as u64
}
