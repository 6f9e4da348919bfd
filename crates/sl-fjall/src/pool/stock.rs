//! One stock in memory: slots by ordinal, and the ordered sets that answer without reading all of them.

use std::collections::BTreeSet;

use sl_core::{
    ids::LinkKind,
    pool::{PoolState, StockKey},
    time::Timestamp,
};
use sl_store::pool::{Level, PoolRules};

use super::slot::{Phase, Slot};

/// Links of one stock. Every slot is filed in the sets that fit it; `change` is the only way to alter one.
#[derive(Debug)]
pub(crate) struct Stock {
    pub(crate) key: StockKey,
    /// Facts of each link, by ordinal.
    slots: Vec<Slot>,
    pub(crate) fresh: BTreeSet<u32>,
    /// Held tracking links that a look has cleared.
    pub(crate) recycled: BTreeSet<u32>,
    /// The same by the end of their quarantine: a clock that was set back may be before it.
    cleared: BTreeSet<(Timestamp, u32)>,
    /// Links to look at.
    pub(crate) watched: BTreeSet<u32>,
    /// Held links with a holder, by the end of its window.
    open: BTreeSet<(Timestamp, u32)>,
    /// Held trial links by the end of their quarantine: those ahead of the last question, and those behind it.
    ending: BTreeSet<(Timestamp, u32)>,
    ended: BTreeSet<(Timestamp, u32)>,
    leased: u64,
    held: u64,
    used: u64,
    retired: u64,
    given_total: u64,
}

/// In which sets a slot is, and under which times.
struct Filed {
    phase: Phase,
    is_watched: bool,
    open: Option<Timestamp>,
    ending: Option<Timestamp>,
    cleared: Option<Timestamp>,
}

impl Filed {
    fn of(slot: &Slot, kind: LinkKind, rules: PoolRules) -> Self {
        let phase = slot.phase();
        let free_at = slot.free_at(rules).filter(|_| phase == Phase::Held);
        let is_trial = kind == LinkKind::FreeTrial;
        Self {
            phase,
            is_watched: slot.is_watched(kind, rules),
            open: slot.holder.filter(|_| phase == Phase::Held).map(|holder| holder.open_until),
            ending: free_at.filter(|_| is_trial),
            cleared: free_at.filter(|_| !is_trial && slot.is_cleared(rules)),
        }
    }
}

// === impl Stock ===

impl Stock {
    pub(crate) fn new(key: StockKey) -> Self {
        Self {
            key,
            slots: Vec::new(),
            fresh: BTreeSet::new(),
            recycled: BTreeSet::new(),
            cleared: BTreeSet::new(),
            watched: BTreeSet::new(),
            open: BTreeSet::new(),
            ending: BTreeSet::new(),
            ended: BTreeSet::new(),
            leased: 0,
            held: 0,
            used: 0,
            retired: 0,
            given_total: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn slot(&self, ordinal: u32) -> Option<&Slot> {
        self.slots.get(ordinal as usize)
    }

    /// Adds the next link.
    pub(crate) fn push(&mut self, slot: Slot, rules: PoolRules) {
        let ordinal = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(slot);
        self.file(ordinal, slot, rules);
    }

    /// All links, in a stock that has none yet: each set is made at once, of as many nodes as it needs.
    pub(crate) fn fill(&mut self, slots: Vec<Slot>, rules: PoolRules) {
        let (mut fresh, mut recycled, mut watched) = (Vec::new(), Vec::new(), Vec::new());
        let (mut open, mut ending, mut cleared) = (Vec::new(), Vec::new(), Vec::new());
        for (ordinal, slot) in (0..).zip(&slots) {
            let filed = Filed::of(slot, self.key.kind, rules);
            self.count(slot, filed.phase);
            fresh.extend((filed.phase == Phase::Fresh).then_some(ordinal));
            watched.extend(filed.is_watched.then_some(ordinal));
            recycled.extend(filed.cleared.map(|_| ordinal));
            cleared.extend(filed.cleared.map(|at| (at, ordinal)));
            open.extend(filed.open.map(|at| (at, ordinal)));
            ending.extend(filed.ending.map(|at| (at, ordinal)));
        }
        self.slots = slots;
        (self.fresh, self.recycled) = (fresh.into_iter().collect(), recycled.into_iter().collect());
        (self.watched, self.cleared) = (watched.into_iter().collect(), cleared.into_iter().collect());
        (self.open, self.ending) = (open.into_iter().collect(), ending.into_iter().collect());
    }

    /// Alters one slot and files it anew.
    pub(crate) fn change(&mut self, ordinal: u32, rules: PoolRules, change: impl FnOnce(&mut Slot)) {
        let Some(slot) = self.slots.get_mut(ordinal as usize) else { return };
        let before = *slot;
        change(slot);
        let after = *slot;
        self.unfile(ordinal, before, rules);
        self.file(ordinal, after, rules);
    }

    /// Files everything anew under other rules.
    pub(crate) fn refile(&mut self, before: PoolRules, after: PoolRules) {
        for ordinal in 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX) {
            if let Some(&slot) = self.slot(ordinal) {
                self.unfile(ordinal, slot, before);
                self.file(ordinal, slot, after);
            }
        }
    }

    fn file(&mut self, ordinal: u32, slot: Slot, rules: PoolRules) {
        let filed = Filed::of(&slot, self.key.kind, rules);
        self.count(&slot, filed.phase);
        if filed.phase == Phase::Fresh {
            self.fresh.insert(ordinal);
        }
        if filed.is_watched {
            self.watched.insert(ordinal);
        }
        if let Some(at) = filed.cleared {
            self.recycled.insert(ordinal);
            self.cleared.insert((at, ordinal));
        }
        self.open.extend(filed.open.map(|at| (at, ordinal)));
        self.ending.extend(filed.ending.map(|at| (at, ordinal)));
    }

    fn count(&mut self, slot: &Slot, phase: Phase) {
        self.given_total += u64::from(slot.handouts);
        match phase {
            Phase::Fresh => {}
            Phase::Leased => self.leased += 1,
            Phase::Used => self.used += 1,
            Phase::Retired => self.retired += 1,
            Phase::Held => self.held += 1,
        }
    }

    fn unfile(&mut self, ordinal: u32, slot: Slot, rules: PoolRules) {
        self.given_total -= u64::from(slot.handouts);
        self.watched.remove(&ordinal);
        match slot.phase() {
            Phase::Fresh => drop(self.fresh.remove(&ordinal)),
            Phase::Leased => self.leased -= 1,
            Phase::Used => self.used -= 1,
            Phase::Retired => self.retired -= 1,
            Phase::Held => {
                self.held -= 1;
                if let Some(holder) = slot.holder {
                    self.open.remove(&(holder.open_until, ordinal));
                }
                if let Some(free_at) = slot.free_at(rules) {
                    self.ending.remove(&(free_at, ordinal));
                    self.ended.remove(&(free_at, ordinal));
                    self.cleared.remove(&(free_at, ordinal));
                }
                self.recycled.remove(&ordinal);
            }
        }
    }

    /// Counts at `now`. What it reads is what changed since the last question, and the links whose window is open.
    pub(crate) fn level(&mut self, now: Timestamp) -> Level {
        let later = (Timestamp(now.0.saturating_add(1)), 0);
        let still_ahead = self.ending.split_off(&later);
        self.ended.append(&mut std::mem::replace(&mut self.ending, still_ahead));
        self.ending.append(&mut self.ended.split_off(&later));

        let given = self.open.range(later..).count() as u64;
        let recycled = (self.cleared.len() - self.cleared.range(later..).count()) as u64;
        let ended = self.ended.len() as u64;
        let counts = PoolState::ALL.map(|state| {
            let count = match state {
                PoolState::Fresh => self.fresh.len() as u64,
                PoolState::Leased => self.leased,
                PoolState::Given => given,
                PoolState::Quarantined => self.held - given - recycled - ended,
                PoolState::Recycled => recycled,
                PoolState::Used => self.used,
                PoolState::Retired => self.retired + ended,
            };
            (state, count)
        });
        Level { stock: self.key.clone(), counts: counts.to_vec(), given_total: self.given_total }
    }
}
