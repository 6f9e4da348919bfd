//! A part of the window: keys in the order of their age, and an index into that order.
//!
//! A new visitor in a full window costs few accesses to memory that is far away: rows are written at their end and let go
//! at their start, one after the other; only the index, eight bytes per slot, is hit at random. So what leaves is not looked
//! up there: numbers of rows that are gone stay for a while, and mean nothing.

use std::{collections::VecDeque, slice::from_ref, sync::Arc, sync::atomic::Ordering, time::Duration};

use prefetch_index::prefetch_index;
use sl_core::{click::VisitorId, time::Timestamp, visitor::Target};

use super::{Inner, Remembered, index::Index};

/// Rows that leave together at most.
const BATCH: usize = 16;
/// Of rows whose time is over so many leave for one that comes: nobody waits for the rest.
const MOST_OVER: usize = 4 * BATCH;
/// A shard may hold one row more than its share for so many that are its share.
const ROWS_PER_EXTRA: usize = 512;
/// A list of rows begins with so many.
const LEAST_ROWS: usize = 16;

/// Keys of some visitors.
#[derive(Default)]
pub(super) struct Shard {
    /// Numbers of rows, by key: a keyed hash of visitor and target.
    index: Index,
    rows: Rows,
    /// Keys held.
    held: usize,
    /// Clicks that have left and that nobody looks at any more: the memory of the next ones.
    spare: Vec<Arc<Remembered>>,
}

/// Rows by age.
#[derive(Default)]
pub(super) struct Rows {
    rows: VecDeque<Row>,
    /// Number of the oldest row. Numbers wrap around; there are never as many rows as numbers.
    oldest: u32,
}

struct Row {
    key: u64,
    /// The visitor whose key that is, in two halves: a number of 128 bits would make a row longer.
    whose: [u64; 2],
    at: Timestamp,
    /// `None` when a newer click has taken its place, or when it was lost.
    click: Option<Arc<Remembered>>,
}

impl Shard {
    /// Keys held.
    pub(super) fn len(&self) -> usize {
        self.held
    }

    /// Makes room for so many keys more.
    pub(super) fn reserve(&mut self, keys: usize) {
        self.rows.rows.reserve(keys);
        self.index.reserve(keys, &self.rows);
    }

    /// Every key that counts, the oldest first.
    pub(super) fn each(&self, mut each: impl FnMut(VisitorId, &Arc<Remembered>)) {
        let rows = self.rows.rows.iter().filter_map(|row| Some((whole(row.whose), row.click.as_ref()?)));
        rows.for_each(|(whose, click)| each(whose, click));
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
        let row = self.rows.get(self.number(key)?)?;
        let fresh = now.since(row.at) < span;
        let click = row.click.as_ref().filter(|_| fresh && row.whose == halves(visitor));
        click.filter(|click| click.target == target && !click.is_lost())
    }

    /// A click to be remembered. In a full window it takes the memory of one that has left: giving that back costs most where
    /// another thread had asked for it.
    pub(super) fn shared(&mut self, click: Remembered) -> Arc<Remembered> {
        if let Some(mut place) = self.spare.pop()
            && let Some(left) = Arc::get_mut(&mut place)
        {
            *left = click;
            return place;
        }
        Arc::new(click)
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
        let row = Row { key, whose: halves(visitor), at: entry.at, click: Some(Arc::clone(entry)) };
        self.rows.make_room(window.bound + BATCH + 1);
        let number = self.rows.push(row);
        let before = self.index.put(key, number, &self.rows);
        // Of two rows with one key only the younger counts.
        if before.and_then(|before| self.rows.take(before)).is_none() {
            self.held += 1;
        }
        self.let_go(window, now);
    }

    /// Fetches what [`Self::put`] will need for these keys, all of it at once.
    pub(super) fn fetch(&self, keys: impl Iterator<Item = u64>) {
        std::hint::black_box(keys.fold(0, |all, key| all ^ self.index.first_slot(key)));
    }

    /// Has what a search for this key needs fetched, and where a new row and its click will stand, while its caller goes on.
    pub(super) fn prefetch(&self, key: u64) {
        self.index.prefetch(key);
        self.rows.prefetch_end();
        if let Some(place) = self.spare.last() {
            prefetch(place);
        }
    }

    /// Lets go of what is over or too much: a few rows at once, so that the processor fetches their clicks from far away
    /// memory together, not one after the other. It is told of them before: of the rows, then of their clicks.
    fn let_go(&mut self, window: &Inner, now: Timestamp) {
        let batch = (window.bound / ROWS_PER_EXTRA).clamp(1, BATCH);
        // A row stands where it was added; of a click that got one more key it may be older than those before it.
        let over = |row: &Row| now.since(row.at) >= window.span;
        let rows = &self.rows.rows;
        let old = rows.get(batch - 1).is_some_and(over) && rows.front().is_some_and(over);
        let room = (window.bound + batch).saturating_sub(rows.len());
        if room > 0 && !old {
            let first = rows.iter().take(batch);
            match room {
                2 => first.for_each(|row| prefetch_index(from_ref(row), 0)),
                1 => first.filter_map(|row| row.click.as_ref()).for_each(prefetch),
                _ => {}
            }
            return;
        }
        let much = if room == 0 { batch } else { 0 };
        let (mut gone, mut evicted) = (0, 0);
        // A quiet time may have passed: what is over goes, too.
        while let Some(is_over) = self.rows.rows.front().map(over)
            && (gone < much || is_over && gone < MOST_OVER)
        {
            gone += 1;
            evicted += u64::from(self.let_one_go() && !is_over);
        }
        if evicted > 0 {
            window.evicted.fetch_add(evicted, Ordering::Relaxed);
        }
    }

    /// Whether it still counted.
    fn let_one_go(&mut self) -> bool {
        let Some(mut click) = self.rows.pop() else { return false };
        self.held -= 1;
        // A click leaves twice, under each of its keys: the count tells the first time without writing to it.
        if self.spare.len() < BATCH
            && Arc::strong_count(&click) == 1
            && let Some(left) = Arc::get_mut(&mut click)
        {
            left.own = None;
            self.spare.push(click);
        }
        true
    }

    /// Forgets `entry` under this key, unless a newer click has taken its place. Its row goes with its age.
    pub(super) fn forget(&mut self, key: u64, entry: &Arc<Remembered>) {
        let Some(number) = self.number(key) else { return };
        let click = self.rows.get(number).and_then(|row| row.click.as_ref());
        if click.is_some_and(|click| Arc::ptr_eq(click, entry)) && self.rows.take(number).is_some() {
            self.held -= 1;
        }
    }

    fn number(&self, key: u64) -> Option<u32> {
        self.index.find(key, &self.rows)
    }
}

/// Has a click fetched that is going to be written, counters included.
fn prefetch(click: &Arc<Remembered>) {
    prefetch_index(from_ref(&click.daily), 0);
    prefetch_index(from_ref(&click.own), 0);
    prefetch_index(from_ref(&click.record), 0);
}

impl Rows {
    /// Grows like any other list, but not beyond what a full window needs: a row then stands where one has just left, and not
    /// where one has left long ago.
    fn make_room(&mut self, most: usize) {
        if self.rows.len() == self.rows.capacity() && self.rows.len() < most {
            let more = (self.rows.len() + 1).max(LEAST_ROWS);
            self.rows.reserve_exact(more.min(most - self.rows.len()));
        }
    }

    /// Has the place of the next row fetched. Only its address is made.
    fn prefetch_end(&self) {
        let (front, back) = self.rows.as_slices();
        let last = if back.is_empty() { front } else { back };
        prefetch_index(last, last.len());
        // A row may cross a line.
        prefetch_index(last, last.len() + 1);
    }

    /// Adds a row; says its number.
    fn push(&mut self, row: Row) -> u32 {
        let number = self.oldest.wrapping_add(u32::try_from(self.rows.len()).unwrap_or(u32::MAX));
        self.rows.push_back(row);
        number
    }

    /// Lets the oldest row go.
    fn pop(&mut self) -> Option<Arc<Remembered>> {
        self.oldest = self.oldest.wrapping_add(1);
        self.rows.pop_front()?.click
    }

    /// The row with this number, unless it is gone.
    fn get(&self, number: u32) -> Option<&Row> {
        self.rows.get(number.wrapping_sub(self.oldest) as usize)
    }

    /// Whether the row with this number is still there.
    pub(super) fn has(&self, number: u32) -> bool {
        (number.wrapping_sub(self.oldest) as usize) < self.rows.len()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The key of a row that is still there.
    pub(super) fn key(&self, number: u32) -> Option<u64> {
        self.get(number).map(|row| row.key)
    }

    /// Numbers and keys of all rows that still count, the oldest first.
    pub(super) fn keys(&self) -> impl Iterator<Item = (u32, u64)> {
        let numbers = (0..=u32::MAX).map(|ordinal| self.oldest.wrapping_add(ordinal));
        let counting = numbers.zip(&self.rows).filter(|(_, row)| row.click.is_some());
        counting.map(|(number, row)| (number, row.key))
    }

    /// Takes the click out of a row.
    pub(super) fn take(&mut self, number: u32) -> Option<Arc<Remembered>> {
        self.rows.get_mut(number.wrapping_sub(self.oldest) as usize)?.click.take()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "its halves")]
fn halves(visitor: VisitorId) -> [u64; 2] {
    [(visitor.0 >> 64) as u64, visitor.0 as u64]
}

fn whole([high, low]: [u64; 2]) -> VisitorId {
    VisitorId(u128::from(high) << 64 | u128::from(low))
}

#[cfg(test)]
impl Rows {
    pub(super) fn starting_at(oldest: u32) -> Self {
        Self { rows: VecDeque::new(), oldest }
    }

    /// A row of a click that nobody looks at.
    pub(super) fn push_key(&mut self, key: u64) -> u32 {
        let entry = super::tests::nobody();
        self.push(Row { key, whose: [0; 2], at: entry.at, click: Some(entry) })
    }

    pub(super) fn pop_number(&mut self) -> u32 {
        let gone = self.oldest;
        self.pop();
        gone
    }
}
