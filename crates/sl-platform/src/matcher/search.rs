//! Subscribers whose webhook came and whose link is unknown: who is sought when (decisions 48).

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use sl_core::{
    ids::FanId,
    matching::{Looks, Searched},
    step::Unmatched,
    time::Timestamp,
};

/// The searches of one account. Where a search stands is kept in memory: after a start a subscriber is sought anew.
#[derive(Debug, Default)]
pub(super) struct Searches {
    waiting: Vec<Unmatched>,
    searched: HashMap<FanId, Searched>,
    found: HashSet<FanId>,
}

// === impl Searches ===

impl Searches {
    /// Takes over who waits.
    pub(super) fn refresh(&mut self, waiting: Vec<Unmatched>) {
        let fans: HashSet<&FanId> = waiting.iter().map(|row| &row.fan).collect();
        self.searched.retain(|fan, _| fans.contains(fan));
        self.found.retain(|fan| fans.contains(fan));
        self.waiting = waiting;
    }

    /// A look has seen the fan. Attribution takes the row away when it has read that.
    pub(super) fn found(&mut self, fan: &FanId) {
        if self.waiting.iter().any(|row| row.fan == *fan) {
            self.found.insert(fan.clone());
        }
    }

    /// When the next search is due.
    pub(super) fn next(&self, looks: &Looks, debounce: Duration) -> Option<Timestamp> {
        self.open().filter_map(|row| self.next_of(row, looks, debounce)).min()
    }

    /// Whether somebody was not sought yet.
    pub(super) fn has_new(&self) -> bool {
        self.open().any(|row| !self.searched.contains_key(&row.fan))
    }

    /// Whom to seek now; the search counts from here.
    pub(super) fn begin(&mut self, looks: &Looks, debounce: Duration, now: Timestamp) -> Vec<Unmatched> {
        let due = |row: &&Unmatched| self.next_of(row, looks, debounce).is_some_and(|at| at <= now);
        let due: Vec<_> = self.open().filter(due).cloned().collect();
        for row in &due {
            let searched = self.searched.entry(row.fan.clone());
            searched.or_insert(Searched { first_at: now, last_at: now }).last_at = now;
        }
        due
    }

    /// A search was not finished: it is due again.
    pub(super) fn undo(&mut self, rows: &[Unmatched]) {
        for row in rows {
            self.searched.remove(&row.fan);
        }
    }

    /// The clock was set back: everybody is sought as if for the first time.
    pub(super) fn forget_times(&mut self) {
        self.searched.clear();
    }

    /// Whether it is still sought.
    pub(super) fn is_open(&self, fan: &FanId) -> bool {
        !self.found.contains(fan)
    }

    /// Whether there will be no other search.
    pub(super) fn is_last(&self, row: &Unmatched, looks: &Looks, debounce: Duration) -> bool {
        self.next_of(row, looks, debounce).is_none()
    }

    fn open(&self) -> impl Iterator<Item = &Unmatched> {
        self.waiting.iter().filter(|row| self.is_open(&row.fan))
    }

    fn next_of(&self, row: &Unmatched, looks: &Looks, debounce: Duration) -> Option<Timestamp> {
        looks.next_search(row.known_at, debounce, self.searched.get(&row.fan).copied())
    }

    /// Found, and not yet applied by attribution, or due.
    pub(super) fn backlog(&self, looks: &Looks, debounce: Duration, now: Timestamp) -> usize {
        let soon = now.plus(debounce);
        let due = |row: &&Unmatched| {
            !self.is_open(&row.fan)
                || (!self.searched.contains_key(&row.fan))
                || self.next_of(row, looks, debounce).is_some_and(|at| at <= soon)
        };
        self.waiting.iter().filter(due).count()
    }
}
