//! Where a key's row is: an open table of numbers, eight to a cache line.
//!
//! A new visitor costs one line of far away memory per key here: the slot says enough of the key to tell it from others, and
//! whether its row is gone is arithmetic. Nothing is removed when a row goes; a later key takes the slot.

use super::shard::Rows;

/// Numbers of rows by key.
#[derive(Default)]
pub(super) struct Index {
    /// Part of the key, never 0, above the number of its row; 0 is a slot that nobody has used. A power of two of them.
    slots: Box<[u64]>,
    used: usize,
}

/// Slots of the smallest table.
const LEAST: usize = 64;

impl Index {
    /// The row of `key`, if it is still there.
    pub(super) fn find(&self, key: u64, rows: &Rows) -> Option<u32> {
        let mut at = self.home(key);
        loop {
            match self.slots.get(at).copied() {
                None | Some(0) => return None,
                Some(slot) if tag(slot) == tag_of(key) && rows.key(number(slot)) == Some(key) => {
                    return Some(number(slot));
                }
                Some(_) => at = self.after(at),
            }
        }
    }

    /// Where a search for the key begins: of many keys at once these are fetched from far away memory together.
    pub(super) fn first_slot(&self, key: u64) -> u64 {
        self.slots.get(self.home(key)).copied().unwrap_or_default()
    }

    /// Has the processor fetch the place where a search for the key begins, while its caller goes on.
    pub(super) fn prefetch(&self, key: u64) {
        prefetch_index::prefetch_index(&self.slots, self.home(key));
    }

    /// Puts the youngest row under its key; says which row that was before, if it is still there. That one counts no more:
    /// its click is taken out.
    pub(super) fn put(&mut self, key: u64, new: u32, rows: &Rows) -> Option<u32> {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.rebuild(rows, Some(new), rows.len());
        }
        let (mut at, mut free) = (self.home(key), None);
        let before = loop {
            match self.slots.get(at).copied().unwrap_or_default() {
                0 => break None,
                slot if !rows.has(number(slot)) => free = free.or(Some(at)),
                slot if tag(slot) == tag_of(key) && rows.key(number(slot)) == Some(key) => {
                    break Some(number(slot));
                }
                _ => {}
            }
            at = self.after(at);
        };
        if before.is_none() && free.is_none() {
            self.used += 1;
        }
        let place = if before.is_some() { at } else { free.unwrap_or(at) };
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = tag_of(key) << 32 | u64::from(new);
        }
        before
    }

    /// Makes room for so many keys more.
    pub(super) fn reserve(&mut self, keys: usize, rows: &Rows) {
        if (self.used + keys) * 4 > self.slots.len() * 3 {
            self.rebuild(rows, None, rows.len() + keys);
        }
    }

    /// Only rows that are there, all but `new`, in a table that so many fill half at most.
    #[cold]
    fn rebuild(&mut self, rows: &Rows, new: Option<u32>, keys: usize) {
        let length = (keys * 2).next_power_of_two().max(LEAST);
        *self = Self { slots: vec![0; length].into(), used: 0 };
        for (number, key) in rows.keys().filter(|(number, _)| Some(*number) != new) {
            let mut at = self.home(key);
            while self.slots.get(at).is_some_and(|slot| *slot != 0) {
                at = self.after(at);
            }
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = tag_of(key) << 32 | u64::from(number);
                self.used += 1;
            }
        }
    }

    fn home(&self, key: u64) -> usize {
        usize::try_from(key & 0xffff_ffff).unwrap_or(0) & self.mask()
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & self.mask()
    }

    fn mask(&self) -> usize {
        self.slots.len().saturating_sub(1)
    }
}

/// Bits of the key that say neither the shard nor, in a table of a million slots, the place.
fn tag_of(key: u64) -> u64 {
    (key >> 20 | 1) & 0xffff_ffff
}

fn tag(slot: u64) -> u64 {
    slot >> 32
}

fn number(slot: u64) -> u32 {
    u32::try_from(slot & 0xffff_ffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    /// Keys that all want one of four slots, and differ in what a slot keeps of them, or above it.
    fn key(chance: &mut StdRng) -> u64 {
        let (home, kept, above) =
            (chance.random_range(0..4), chance.random_range(0..9), chance.random_range(0..9));
        above << 56 | kept << 21 | home
    }

    #[test]
    fn it_knows_what_a_map_knows_while_rows_come_and_go() {
        let chance = &mut StdRng::seed_from_u64(1);
        let (mut index, mut rows) = (Index::default(), Rows::starting_at(u32::MAX - 1000));
        let mut model: HashMap<u64, u32> = HashMap::new();
        for round in 0..20_000_u32 {
            let new = key(chance);
            let number = rows.push_key(new);
            let before = index.put(new, number, &rows);
            assert_eq!(before, model.insert(new, number), "round {round}");
            before.and_then(|before| rows.take(before));
            // Between 1 and 200 rows, more and fewer of them as time goes by.
            let most = 1 + round as usize / 7 % 200;
            while rows.len() > most {
                let gone = rows.pop_number();
                model.retain(|_, number| *number != gone);
            }
            let asked = key(chance);
            assert_eq!(index.find(asked, &rows), model.get(&asked).copied(), "round {round}");
            assert!(index.used < index.slots.len(), "a search always ends");
        }
        assert!(index.slots.len() <= 1024, "what is gone makes room");
    }
}
