//! Spans of time that name partitions, and the parts of them.

use sl_core::{step::Dimension, time::Timestamp};
use sl_store::reports::Range;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Days since 1970, UTC.
pub(crate) fn day(at: Timestamp) -> i32 {
    i32::try_from(at.0.div_euclid(DAY)).unwrap_or(i32::MAX)
}

/// Hours since 1970, UTC.
pub(crate) fn hour(at: Timestamp) -> i32 {
    i32::try_from(at.0.div_euclid(HOUR)).unwrap_or(i32::MAX)
}

/// Start of a day.
pub(crate) fn start(day: i32) -> Timestamp {
    Timestamp(i64::from(day) * DAY)
}

/// What of a link lies in parts, and how long their spans are: `link_parts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum PartKind {
    Clicks,
    Conversions,
    FanDays,
    Dimension(u8),
}

// === impl PartKind ===

impl PartKind {
    pub(crate) fn of(dimension: Dimension) -> Self {
        Self::Dimension(dimension.code())
    }

    /// The number in column `sort`.
    pub(crate) fn number(self) -> i8 {
        match self {
            Self::Clicks => 0,
            Self::Conversions => 1,
            Self::FanDays => 2,
            Self::Dimension(number) => 3 + i8::try_from(number).unwrap_or(i8::MAX - 3),
        }
    }

    fn days(self) -> i32 {
        match self {
            Self::Clicks | Self::Conversions => 1,
            Self::FanDays => 30,
            Self::Dimension(_) => 365,
        }
    }

    /// The span a time lies in.
    pub(crate) fn span(self, at: Timestamp) -> i32 {
        day(at).div_euclid(self.days())
    }

    /// First and last span of a range, both included.
    pub(crate) fn spans(self, range: Range) -> (i32, i32) {
        let from = range.from.map_or(i32::MIN, |from| self.span(from));
        // The end is not in the range, and may be the start of a span.
        let to = range.to.map_or(i32::MAX, |to| self.span(Timestamp(to.0.saturating_sub(1))));
        (from, to)
    }
}

/// First and last day of a range of whole days: those whose start is in it.
pub(crate) fn whole_days(range: Range) -> (i32, i32) {
    let from = range.from.map_or(i32::MIN, |from| day(Timestamp(from.0.saturating_add(DAY - 1))));
    let to = range.to.map_or(i32::MAX, |to| day(Timestamp(to.0.saturating_sub(1))));
    (from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_in_a_range_when_its_start_is() {
        let at = |ms| Some(Timestamp(ms));
        assert_eq!(whole_days(Range { from: at(0), to: at(DAY) }), (0, 0));
        assert_eq!(whole_days(Range { from: at(1), to: at(DAY + 1) }), (1, 1));
        assert_eq!(whole_days(Range { from: at(-1), to: at(0) }), (0, -1));
        assert_eq!(whole_days(Range::default()), (i32::MIN, i32::MAX));
    }

    #[test]
    fn spans_of_a_range_hold_both_ends() {
        let range = Range { from: Some(Timestamp(DAY - 1)), to: Some(Timestamp(2 * DAY)) };
        assert_eq!(PartKind::Clicks.spans(range), (0, 1));
        assert_eq!(PartKind::FanDays.spans(range), (0, 0));
        assert_eq!(PartKind::Clicks.span(Timestamp(-1)), -1);
    }
}
