//! Rollups and totals, absolute values (decisions 57), and the sums of clicks by dimension (decisions 52).

use std::sync::Arc;

use hashbrown::HashMap;

use super::{
    Decider,
    key::Key,
    record::{FanDayRecord, SpreadRecord},
};
use crate::{
    click::Click,
    conversion::Conversion,
    ids::{FanId, SmartLinkId},
    money::Cents,
    step::{Dimension, DimensionKey, DimensionRollup, LinkTotals, Rollup},
    time::Timestamp,
};

/// Distinct values per dimension, link and day (decisions 52).
const VALUES: u16 = 1000;
/// Stands for all values beyond.
const OTHER: &str = "(other)";
/// Longest value that is told apart, bytes.
const VALUE_BYTES: usize = 128;

/// Clicks of the slice at hand, summed before they are added to memory.
#[derive(Debug, Default)]
pub(super) struct ClickSums {
    hours: HashMap<(SmartLinkId, Timestamp), Rollup>,
    dimensions: HashMap<(SmartLinkId, Timestamp, Dimension), HashMap<Arc<str>, u64>>,
    /// Keys in the order they came: the first thousand of a day count by name.
    order: Vec<DimensionKey>,
    /// Rough size of what they will change.
    pub(super) bytes: usize,
}

impl ClickSums {
    fn hour(&mut self, click: &Click) -> &mut Rollup {
        self.bytes += 8;
        self.hours.entry((click.link, click.at.hour())).or_default()
    }

    pub(super) fn bot(&mut self, click: &Click) {
        self.hour(click).bots += 1;
    }

    pub(super) fn person(&mut self, click: &Click, is_duplicate: bool) {
        if is_duplicate {
            self.hour(click).duplicates += 1;
            return;
        }
        self.hour(click).clicks += 1;
        let day = click.at.day();
        for (dimension, value) in values(click) {
            let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
            let value = cut(value);
            let values = self.dimensions.entry((click.link, day, dimension)).or_default();
            if let Some(clicks) = values.get_mut(value) {
                *clicks += 1;
            } else {
                self.bytes += 192;
                let value: Arc<str> = Arc::from(value);
                values.insert(Arc::clone(&value), 1);
                self.order.push(DimensionKey { link: click.link, day, dimension, value });
            }
        }
    }
}

/// At most [`VALUE_BYTES`], ending at a character.
fn cut(value: &str) -> &str {
    let end = (0..=VALUE_BYTES.min(value.len())).rev().find(|end| value.is_char_boundary(*end));
    end.and_then(|end| value.get(..end)).unwrap_or_default()
}

fn values(click: &Click) -> [(Dimension, Option<&str>); 9] {
    let params = &click.params;
    [
        (Dimension::Country, click.place.country.as_deref()),
        (Dimension::Device, Some(click.device.kind.as_str())),
        (Dimension::Browser, Some(click.device.browser.as_str())),
        (Dimension::UtmSource, params.utm_source.as_deref()),
        (Dimension::UtmMedium, params.utm_medium.as_deref()),
        (Dimension::UtmCampaign, params.utm_campaign.as_deref()),
        (Dimension::UtmContent, params.utm_content.as_deref()),
        (Dimension::UtmTerm, params.utm_term.as_deref()),
        (Dimension::Ecid, params.ecid.as_deref()),
    ]
}

impl Decider<'_> {
    /// Adds the clicks of the slice to memory.
    pub(super) fn sum_clicks(&mut self) {
        let sums = std::mem::take(&mut self.clicks);
        for ((link, hour), add) in sums.hours {
            self.rollup(link, hour, |rollup| {
                rollup.clicks += add.clicks;
                rollup.bots += add.bots;
                rollup.duplicates += add.duplicates;
            });
            if add.clicks > 0 {
                self.totals(link, |totals| totals.clicks += add.clicks);
            }
        }
        for key in sums.order {
            let values = sums.dimensions.get(&(key.link, key.day, key.dimension));
            let clicks = values.and_then(|values| values.get(&key.value)).copied().unwrap_or(0);
            self.sum_dimension(key, clicks);
        }
    }

    fn sum_dimension(&mut self, mut key: DimensionKey, clicks: u64) {
        let mut memory_key = Key::Dimension(key.clone());
        if self.memory.read::<DimensionRollup>(&memory_key).is_none() {
            let spread_key = Key::Spread(key.link, key.day);
            let mut spread: SpreadRecord = self.memory.take(&spread_key);
            let index = key.dimension as usize;
            if spread.values.len() <= index {
                spread.values.resize(index + 1, 0);
            }
            match spread.values.get_mut(index) {
                Some(values) if *values < VALUES => {
                    *values += 1;
                    self.memory.put(&spread_key, spread);
                }
                _ => {
                    key.value = Arc::from(OTHER);
                    memory_key = Key::Dimension(key);
                }
            }
        }
        self.memory.edit(&memory_key, |rollup: &mut DimensionRollup| rollup.clicks += clicks);
    }

    /// A new conversion: row, counters, deliveries.
    pub(super) fn convert(&mut self, conversion: Conversion) {
        *self.effects.counts.conversions.entry(conversion.kind).or_default() += 1;
        self.rollup(conversion.link, conversion.at.hour(), |rollup| rollup.conversions += 1);
        self.totals(conversion.link, |totals| totals.conversions += 1);
        self.tell(&conversion);
        self.effects.conversion(conversion);
    }

    pub(super) fn sum_subscriber(&mut self, link: SmartLinkId, at: Timestamp, is_new: bool) {
        self.rollup(link, at.hour(), |rollup| rollup.subscribers += 1);
        self.totals(link, |totals| totals.subscribers += u64::from(is_new));
    }

    pub(super) fn sum_revenue(
        &mut self,
        link: SmartLinkId,
        on: Timestamp,
        gross: Cents,
        net: Cents,
        spenders: i64,
    ) {
        self.rollup(link, on.hour(), |rollup| {
            rollup.gross += gross;
            rollup.net += net;
        });
        self.totals(link, |totals| {
            totals.revenue = Some(totals.revenue.unwrap_or_default() + gross);
            totals.spenders = totals.spenders.saturating_add_signed(spenders);
        });
    }

    pub(super) fn sum_day(
        &mut self,
        link: SmartLinkId,
        fan: &FanId,
        on: Timestamp,
        gross: Cents,
        net: Cents,
    ) {
        self.memory.edit(&Key::FanDay(link, fan.clone(), on.day()), |day: &mut FanDayRecord| {
            day.gross += gross;
            day.net += net;
        });
    }

    fn rollup(&mut self, link: SmartLinkId, hour: Timestamp, change: impl FnOnce(&mut Rollup)) {
        self.memory.edit(&Key::Hour(link, hour), change);
    }

    fn totals(&mut self, link: SmartLinkId, change: impl FnOnce(&mut LinkTotals)) {
        self.memory.edit(&Key::Link(link), change);
    }
}
