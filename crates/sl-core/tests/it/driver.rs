//! The state machine behind a store made of maps, driven with any slices, a small cache, and crashes.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sl_core::{
    attribution::{Destinations, Guess, Key, Memory, Rules, guess, needs, needs_behind},
    click::ClickRow,
    conversion::Conversion,
    delivery::Job,
    event::Recorded,
    ids::{AccountId, ClickId, ConversionId, DeliveryId, FanId, PoolLinkId, SmartLinkId},
    pool::Given,
    step::{FanDay, FanUnderLink, LinkTotals, Rollup, RollupKey, StateBytes, StateKey, Step},
    time::Timestamp,
};

use crate::history::{Happening, catalog};

/// Everything a store would show.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Shown {
    state: BTreeMap<StateKey, StateBytes>,
    pub(crate) clicks: BTreeMap<ClickId, ClickRow>,
    pub(crate) conversions: BTreeMap<ConversionId, Conversion>,
    pub(crate) fans: BTreeMap<(SmartLinkId, FanId), FanUnderLink>,
    pub(crate) rollups: BTreeMap<RollupKey, Rollup>,
    pub(crate) fan_days: BTreeMap<(SmartLinkId, FanId, Timestamp), FanDay>,
    pub(crate) totals: BTreeMap<SmartLinkId, LinkTotals>,
    pub(crate) jobs: BTreeMap<DeliveryId, Job>,
    pub(crate) given: BTreeMap<(AccountId, PoolLinkId), Given>,
    pub(crate) lists: Vec<FanId>,
}

impl Shown {
    fn apply(&mut self, step: Step) {
        for (key, value) in step.state.pieces() {
            match value {
                Some(value) => self.state.insert(key, value),
                None => self.state.remove(&key),
            };
        }
        self.clicks.extend(step.clicks.into_iter().map(|row| (row.click.id, row)));
        for mark in step.click_marks {
            let row = self.clicks.get_mut(&mark.click).expect("a mark has its row");
            (row.gross_clicks, row.is_duplicate) = (mark.gross_clicks, mark.is_duplicate);
        }
        self.conversions.extend(step.conversions.into_iter().map(|row| (row.id, row)));
        self.fans.extend(step.fans.into_iter().map(|row| ((row.link, row.fan.clone()), row)));
        self.rollups.extend(step.rollups);
        self.fan_days
            .extend(step.fan_days.into_iter().map(|row| ((row.link, row.fan.clone(), row.day), row)));
        self.totals.extend(step.totals);
        for job in step.jobs {
            self.jobs.entry(job.id).or_insert(job);
        }
        self.given.extend(step.given.into_iter().map(|(account, link, given)| ((account, link), given)));
        self.lists.extend(step.list_adds.into_iter().map(|add| add.fan));
    }
}

/// Hands over what the store has, and says whether that was anything.
fn load(memory: &mut Memory, shown: &Shown, keys: Vec<Key>) -> bool {
    let mut present = false;
    for key in keys {
        let value = shown.state.get(&key.to_state_key());
        present |= value.is_some();
        memory.insert(key, value).unwrap();
    }
    present
}

/// Plays a history; `seed` chooses slices, size of cache and crashes. Seed 0: one record at a time, nothing forgotten.
pub(crate) fn play(history: &[Happening], seed: u64) -> Shown {
    let records: Vec<Recorded> = (0..).zip(history).map(|(number, event)| event.record(number)).collect();
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let (links, pixels, postbacks) = catalog();
    let destinations = Destinations::new(&links, &pixels, &postbacks);
    let step_bytes = if seed % 3 == 1 { 2000 } else { 256 * 1024 };
    let rules = Rules { step_bytes, ..Rules::default() };
    let cache = if seed == 0 { 100_000 } else { chance.random_range(2..200) };
    let most = if seed == 0 { 1 } else { *[1, 2, 7, 1000].get(chance.random_range(0..4)).unwrap() };
    let mut shown = Shown::default();
    let mut memory = Memory::new(cache);
    let mut rest = records.as_slice();
    while !rest.is_empty() {
        let slice = &rest[..chance.random_range(1..=most).min(rest.len())];
        let wanted = needs(slice, &memory);
        load(&mut memory, &shown, wanted);
        if chance.random() {
            let wanted = needs_behind(slice, &memory);
            load(&mut memory, &shown, wanted);
        }
        let guesses = chance.random();
        let decision = loop {
            let Guess { missing, decision } = guess(slice, &memory, &rules, &destinations);
            let complete = missing.is_empty();
            let present = load(&mut memory, &shown, missing);
            if complete || (guesses && !present) {
                break decision;
            }
        };
        if seed != 0 && chance.random_ratio(1, 20) {
            // Killed before the step was in the store.
            memory = Memory::new(cache);
            continue;
        }
        rest = &rest[decision.taken..];
        if seed != 0 && chance.random_ratio(1, 20) {
            // Killed right after, or the step was written twice.
            let lists = shown.lists.clone();
            shown.apply(decision.step.clone());
            shown.lists = lists;
            memory = Memory::new(cache);
            shown.apply(decision.step);
        } else {
            shown.apply(decision.step);
            memory.absorb(decision.changes);
        }
    }
    shown
}
