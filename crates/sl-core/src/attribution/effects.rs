//! What a decision leaves in the step beside memory.

use std::{collections::BTreeMap, hash::BuildHasher as _};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::{
    key::Key,
    memory::Changes,
    record::{FanDayRecord, Kept},
};
use crate::{
    click::ClickRow,
    conversion::{Conversion, ConversionKind},
    delivery::Job,
    ids::{AccountId, ClickId, ConversionId, DeadLetterId, FanId, PoolLinkId, SmartLinkId},
    pool::Given,
    step::{
        ClickMark, DeadLetter, DimensionRollup, FanDay, FanUnderLink, LinkTotals, Rollup, RollupKey, Step,
        Unmatched,
    },
};

/// What happened, for metrics: not part of the state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// New conversions by type.
    pub conversions: BTreeMap<ConversionKind, u64>,
    /// Webhooks by event and outcome: `applied`, `duplicate`, `ignored`, `dead_letter`.
    pub webhooks: BTreeMap<(String, &'static str), u64>,
    /// Jumps of the append time above 15 minutes that were ignored.
    pub jumps: u64,
    /// Dates further ahead than 5 minutes, taken as now.
    pub future_dates: u64,
    /// Transactions about which two words disagree: webhook and reconciliation, or an earlier and a later webhook.
    pub differences: u64,
    /// Held things given up because a fan had too many.
    pub dropped: u64,
}

/// Effects under way. A row changed twice is written once, in its last state.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) step: Step,
    pub(super) counts: Counts,
    /// Rough size of the step so far.
    pub(super) bytes: usize,
    rows: HashMap<ClickId, usize>,
    marks: BTreeMap<ClickId, ClickMark>,
    conversions: BTreeMap<ConversionId, Conversion>,
    fans: BTreeMap<(SmartLinkId, FanId), FanUnderLink>,
    /// Places in the step, by link: hardly ever do two accounts share a number.
    given: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

impl Effects {
    /// No effects yet, with room for `clicks` clicks.
    pub(super) fn new(clicks: usize) -> Self {
        let step =
            Step { clicks: Vec::with_capacity(clicks), given: Vec::with_capacity(clicks), ..Step::default() };
        let (rows, given) = (HashMap::with_capacity(clicks), HashTable::with_capacity(clicks));
        Self { step, rows, given, ..Self::default() }
    }

    pub(super) fn row(&mut self, row: ClickRow) {
        // 320 bytes: the fixed part of a click.
        self.bytes += 320 + row.click.request.target.len() + row.click.request.user_agent.len();
        self.rows.insert(row.click.id, self.step.clicks.len());
        self.step.clicks.push(row);
    }

    pub(super) fn mark(&mut self, mark: ClickMark) {
        match self.rows.get(&mark.click).and_then(|index| self.step.clicks.get_mut(*index)) {
            Some(row) => row.gross_clicks = mark.gross_clicks,
            None => {
                self.bytes += 48;
                self.marks.insert(mark.click, mark);
            }
        }
    }

    pub(super) fn conversion(&mut self, conversion: Conversion) {
        self.bytes += 256;
        self.conversions.insert(conversion.id, conversion);
    }

    pub(super) fn fan(&mut self, fan: FanUnderLink) {
        self.bytes += 256;
        self.fans.insert((fan.link, fan.fan.clone()), fan);
    }

    pub(super) fn given(&mut self, account: &AccountId, link: PoolLinkId, given: Given) {
        let all = &mut self.step.given;
        let hash = |link: PoolLinkId| self.hasher.hash_one(link);
        let same =
            |place: &usize| all.get(*place).is_some_and(|(of, other, _)| (of, *other) == (account, link));
        let of = |place: &usize| all.get(*place).map_or(0, |(_, link, _)| hash(*link));
        let next = all.len();
        let place = *self.given.entry(hash(link), same, of).or_insert(next).get();
        if let Some((_, _, known)) = all.get_mut(place) {
            *known = given;
            return;
        }
        self.bytes += 80;
        all.push((account.clone(), link, given));
    }

    pub(super) fn job(&mut self, job: Job) {
        self.bytes += 256;
        self.step.jobs.push(job);
    }

    /// The fan's link is to be found. Of one fan, the last word of the step counts.
    pub(super) fn unmatched(&mut self, row: Unmatched) {
        self.bytes += 96;
        self.step.matched.retain(|(account, fan)| (account, fan) != (&row.account, &row.fan));
        self.step.unmatched.retain(|other| (&other.account, &other.fan) != (&row.account, &row.fan));
        self.step.unmatched.push(row);
    }

    /// The fan's link was found.
    pub(super) fn matched(&mut self, account: &AccountId, fan: &FanId) {
        self.bytes += 48;
        self.step.unmatched.retain(|other| (&other.account, &other.fan) != (account, fan));
        let known = self.step.matched.iter().any(|(of, other)| (of, other) == (account, fan));
        if !known {
            self.step.matched.push((account.clone(), fan.clone()));
        }
    }

    /// A webhook could not be used. Of one letter, the last word of the step counts.
    pub(super) fn dead_letter(&mut self, letter: DeadLetter) {
        self.bytes += 128 + letter.body.len();
        self.step.revived.retain(|other| *other != letter.id);
        self.step.dead_letters.retain(|other| other.id != letter.id);
        self.step.dead_letters.push(letter);
    }

    /// A dead letter was used after all.
    pub(super) fn revived(&mut self, id: DeadLetterId) {
        self.step.dead_letters.retain(|other| other.id != id);
        self.step.revived.push(id);
    }

    pub(super) fn webhook(&mut self, event: &str, outcome: &'static str) {
        *self.counts.webhooks.entry((event.to_owned(), outcome)).or_default() += 1;
    }

    /// The whole step, with the memory behind it.
    pub(super) fn finish(self, changes: &Changes) -> (Step, Counts) {
        let mut step = self.step;
        step.click_marks = self.marks.into_values().collect();
        step.conversions = self.conversions.into_values().collect();
        step.fans = self.fans.into_values().collect();
        for (key, record) in changes.iter() {
            let Some(record) = record else { continue };
            match key {
                Key::Hour(link, hour) => {
                    let key = RollupKey { link: *link, hour: *hour };
                    step.rollups.extend(Rollup::of(record).map(|rollup| (key, *rollup)));
                }
                Key::Link(link) => step.totals.extend(LinkTotals::of(record).map(|totals| (*link, *totals))),
                Key::FanDay(link, fan, day) => step.fan_days.extend(FanDayRecord::of(record).map(|sum| {
                    FanDay { link: *link, fan: fan.clone(), day: *day, net: sum.net, gross: sum.gross }
                })),
                Key::Dimension(key) => {
                    step.dimensions.extend(DimensionRollup::of(record).map(|rollup| (key.clone(), *rollup)));
                }
                _ => {}
            }
        }
        step.rollups.sort_unstable_by_key(|(key, _)| *key);
        step.totals.sort_unstable_by_key(|(link, _)| *link);
        step.fan_days.sort_unstable_by(|a, b| (a.link, &a.fan, a.day).cmp(&(b.link, &b.fan, b.day)));
        step.dimensions.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        step.state = changes.encode();
        (step, self.counts)
    }
}
