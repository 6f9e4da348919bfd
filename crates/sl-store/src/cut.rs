//! A part of an hour, counted from that hour's raw rows (decisions 57). Backends bring the rows.

use std::time::Duration;

use sl_core::{click::ClickRow, conversion::Conversion, money::Cents, step::Rollup, time::Timestamp};

use crate::reports::Range;

/// Counts a part of an hour of one link.
#[derive(Debug, Clone)]
pub struct CutHour {
    hour: Range,
    part: Range,
    sums: Rollup,
    /// What moved in the hour, gross and net, less what the rows so far explain.
    open: (Cents, Cents),
}

impl CutHour {
    /// What of the hour that begins at `hour` lies in `range`; `None` when all of it does: then the sums are `whole`.
    #[must_use]
    pub fn new(hour: Timestamp, range: Range, whole: &Rollup) -> Option<Self> {
        let end = hour.plus(Duration::from_secs(3600));
        let all = Range { from: Some(hour), to: Some(end) };
        let part = Range {
            from: Some(range.from.map_or(hour, |from| from.max(hour))),
            to: Some(range.to.map_or(end, |to| to.min(end))),
        };
        (part != all).then(|| Self {
            hour: all,
            part,
            sums: Rollup::default(),
            open: (whole.gross, whole.net),
        })
    }

    /// The part of the hour whose clicks are wanted.
    #[must_use]
    pub fn part(&self) -> Range {
        self.part
    }

    /// The hour whose conversions are wanted.
    #[must_use]
    pub fn hour(&self) -> Range {
        self.hour
    }

    /// A click of the part.
    pub fn click(&mut self, row: &ClickRow) {
        self.sums.add_click(row);
    }

    /// A conversion of the hour.
    pub fn conversion(&mut self, row: &Conversion) {
        if self.part.contains(row.at) {
            self.sums.add_conversion(row);
        }
        self.earlier(row);
    }

    /// After those of the hour: the range of conversions from before it that are wanted, too. Some were taken back, or given again, in
    /// this hour; such that cancel out to the cent over the whole of it are not looked for.
    #[must_use]
    pub fn wants_earlier(&self) -> Option<Range> {
        (self.open != (Cents::ZERO, Cents::ZERO)).then_some(Range { from: None, to: self.hour.from })
    }

    /// A conversion of [`Self::wants_earlier`].
    pub fn earlier(&mut self, row: &Conversion) {
        for (at, sign) in row.moves().filter(|(at, _)| self.hour.contains(*at)) {
            self.open.0 = self.open.0 - Cents(sign * row.gross.0);
            self.open.1 = self.open.1 - Cents(sign * row.net.0);
            if self.part.contains(at) {
                self.sums.add_money(row, sign);
            }
        }
    }

    /// The sums of the part. What no row explains (those of older versions do not say when they were taken back) counts at the
    /// start of the hour, so that the parts of an hour always add up to the whole.
    #[must_use]
    pub fn finish(mut self) -> Rollup {
        if self.hour.from.is_some_and(|start| self.part.contains(start)) {
            self.sums.gross += self.open.0;
            self.sums.net += self.open.1;
        }
        self.sums
    }
}
