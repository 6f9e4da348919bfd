//! A store made of maps.

use std::collections::BTreeMap;

use crate::{
    click::ClickRow,
    conversion::Conversion,
    delivery::Job,
    ids::{AccountId, ClickId, ConversionId, DeliveryId, FanId, PoolLinkId, SmartLinkId},
    pool::Given,
    step::{
        DeadLetter, DimensionKey, DimensionRollup, FanDay, FanUnderLink, LinkTotals, ListAdd, Rollup,
        RollupKey, StateBytes, StateKey, Step, Unmatched,
    },
    time::Timestamp,
};

/// Everything a store would show.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Shown {
    pub(super) state: BTreeMap<StateKey, StateBytes>,
    pub(super) clicks: BTreeMap<ClickId, ClickRow>,
    pub(super) conversions: BTreeMap<ConversionId, Conversion>,
    pub(super) fans: BTreeMap<(SmartLinkId, FanId), FanUnderLink>,
    pub(super) rollups: BTreeMap<RollupKey, Rollup>,
    pub(super) dimensions: BTreeMap<DimensionKey, DimensionRollup>,
    pub(super) fan_days: BTreeMap<(SmartLinkId, FanId, Timestamp), FanDay>,
    pub(super) totals: BTreeMap<SmartLinkId, LinkTotals>,
    pub(super) jobs: BTreeMap<DeliveryId, Job>,
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) given: BTreeMap<(AccountId, PoolLinkId), Given>,
    pub(super) unmatched: BTreeMap<(AccountId, FanId), Unmatched>,
    pub(super) list_adds: Vec<ListAdd>,
}

impl Shown {
    pub(super) fn apply(&mut self, step: Step) {
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
        self.dimensions.extend(step.dimensions);
        self.fan_days
            .extend(step.fan_days.into_iter().map(|row| ((row.link, row.fan.clone(), row.day), row)));
        self.totals.extend(step.totals);
        for job in step.jobs {
            self.jobs.entry(job.id).or_insert(job);
        }
        self.dead_letters.retain(|letter| !step.revived.contains(&letter.id));
        for letter in step.dead_letters {
            self.dead_letters.retain(|other| other.id != letter.id);
            self.dead_letters.push(letter);
        }
        self.given.extend(step.given.into_iter().map(|(account, link, given)| ((account, link), given)));
        for row in step.unmatched {
            self.unmatched.insert((row.account.clone(), row.fan.clone()), row);
        }
        for key in step.matched {
            self.unmatched.remove(&key);
        }
        self.list_adds.extend(step.list_adds);
    }
}
