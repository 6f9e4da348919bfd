//! The cache of records, and the overlay one decision works on.

use std::collections::BTreeSet;

use hashbrown::{DefaultHashBuilder, HashMap};
use indexmap::IndexMap;

use super::{
    key::{Key, Names},
    record::{BadRecord, Kept, Record},
};
use crate::step::{StateBytes, StateRows};

/// Records known to be in the store, or known to be absent. Two generations: what was not touched while the younger one
/// filled up is forgotten. What belongs to one visitor is kept for one decision only: there is as much of it as there are
/// clicks, and hardly any of it is asked for again soon.
#[derive(Debug)]
pub struct Memory {
    young: HashMap<Key, Option<Record>>,
    old: HashMap<Key, Option<Record>>,
    visitors: HashMap<Key, Option<Record>>,
    limit: usize,
}

impl Memory {
    /// Keeps between `limit / 2` and `limit` records, and more only while one slice needs more at once.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), visitors: HashMap::new(), limit: limit.max(2) }
    }

    /// Takes over what the store answered for a key.
    ///
    /// # Errors
    /// [`BadRecord`] when the bytes are of another version, or damaged: the piece then counts as absent.
    pub fn insert(&mut self, key: Key, value: Option<&StateBytes>) -> Result<(), BadRecord> {
        let read = value.map(|bytes| Record::decode(&key, bytes)).transpose();
        let (record, bad) = match read {
            Ok(record) => (record, Ok(())),
            Err(bad) => (None, Err(bad)),
        };
        if key.is_of_visitor() { &mut self.visitors } else { &mut self.young }.insert(key, record);
        bad
    }

    /// Takes over what a decision changed. Call it once its step is in the store.
    pub fn absorb(&mut self, changes: Changes) {
        self.visitors.clear();
        self.young.extend(changes.0.into_iter().filter(|(key, _)| !key.is_of_visitor()));
        if self.young.len() > self.limit / 2 {
            // Both keep their room: growing again would move every record several times.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
    }

    /// Whether the record under `key` is known, absent or not.
    #[must_use]
    pub fn knows(&self, key: &Key) -> bool {
        self.get(key).is_some()
    }

    /// A record that is known and there.
    pub(super) fn record<T: Kept>(&self, key: &Key) -> Option<&T> {
        self.get(key)?.as_ref().and_then(T::of)
    }

    fn get(&self, key: &Key) -> Option<&Option<Record>> {
        if key.is_of_visitor() {
            return self.visitors.get(key);
        }
        self.young.get(key).or_else(|| self.old.get(key))
    }
}

/// What a decision changed in memory, in the order it was first changed.
#[derive(Debug, Default)]
pub struct Changes(IndexMap<Key, Option<Record>, DefaultHashBuilder>);

impl Changes {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, Option<&Record>)> {
        self.0.iter().map(|(key, record)| (key, record.as_ref()))
    }

    /// The changes as rows of bytes, as a step carries them.
    pub(super) fn encode(&self) -> StateRows {
        // A piece of a click has about 80 bytes.
        let mut rows = StateRows::with_capacity(self.0.len(), 128 * self.0.len());
        let mut names = Names::default();
        for (key, record) in &self.0 {
            let value = record.as_ref().map(|record| |into: &mut Vec<u8>| record.encode(into));
            rows.push(|into| names.append(key, into), value);
        }
        rows
    }
}

/// Memory with the changes of one decision over it. A record that is not known reads as absent and is noted.
pub(super) struct Overlay<'a> {
    base: &'a Memory,
    changes: Changes,
    missing: BTreeSet<Key>,
    /// Rough size of what changed.
    pub(super) bytes: usize,
}

impl<'a> Overlay<'a> {
    /// No changes yet, with room for `room`.
    pub(super) fn new(base: &'a Memory, room: usize) -> Self {
        let changes = Changes(IndexMap::with_capacity_and_hasher(room, DefaultHashBuilder::default()));
        Self { base, changes, missing: BTreeSet::new(), bytes: 0 }
    }

    pub(super) fn read<T: Kept>(&mut self, key: &Key) -> Option<&T> {
        let found = match self.changes.0.get(key) {
            Some(found) => found,
            None => match self.base.get(key) {
                Some(found) => found,
                None => {
                    self.missing.insert(key.clone());
                    return None;
                }
            },
        };
        found.as_ref().and_then(T::of)
    }

    pub(super) fn take<T: Kept>(&mut self, key: &Key) -> T {
        self.read::<T>(key).cloned().unwrap_or_default()
    }

    pub(super) fn put<T: Kept>(&mut self, key: &Key, record: T) {
        self.keep(key.clone(), record);
    }

    /// [`Self::put`] with a key of the caller's that it needs no longer: saves a copy.
    pub(super) fn keep<T: Kept>(&mut self, key: Key, record: T) {
        self.bytes += 96;
        self.changes.0.insert(key, Some(record.record()));
    }

    /// Changes the record in place; it is made when it is absent.
    pub(super) fn edit<T: Kept>(&mut self, key: &Key, change: impl FnOnce(&mut T)) {
        if let Some(record) = self.changes.0.get_mut(key).and_then(Option::as_mut).and_then(T::of_mut) {
            return change(record);
        }
        let mut copy = self.take::<T>(key);
        change(&mut copy);
        self.put(key, copy);
    }

    pub(super) fn forget(&mut self, key: &Key) {
        self.bytes += 48;
        self.changes.0.insert(key.clone(), None);
    }

    /// What changed, and the keys that were asked for and not known.
    pub(super) fn finish(self) -> (Changes, Vec<Key>) {
        (self.changes, self.missing.into_iter().collect())
    }
}
