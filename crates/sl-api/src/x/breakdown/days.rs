//! Whole UTC days, as clicks are summed by value.

use std::time::Duration;

use sl_core::{catalog::SmartLink, time::Timestamp};
use sl_store::reports::Range;

use crate::query::{Dates, Query};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SECOND: Duration = Duration::from_secs(1);

/// The asked range.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Days {
    dates: Dates,
    /// When today ends.
    tomorrow: Timestamp,
}

// === impl Days ===

impl Days {
    /// A range that cuts a day is refused: what it cuts off is not known by value.
    pub(crate) fn read(query: &mut Query, now: Timestamp) -> Self {
        let days = Self { dates: query.dates("date_start", "date_end"), tomorrow: now.day().plus(DAY) };
        let Range { from, to } = days.range();
        let is_cut = |end: Option<Timestamp>| end.is_some_and(|at| at.day() != at);
        for (key, end, edge) in [("date_start", from, "first"), ("date_end", to, "last")] {
            if is_cut(end) {
                let what = format!(
                    "must be a date, or the {edge} second of a day in UTC: clicks are kept by value for whole days only."
                );
                query.wrong(key, what);
            }
        }
        days
    }

    /// An end after today is none: nothing is known of it, and `9999-12-31` is no whole day.
    pub(crate) fn range(&self) -> Range {
        let Range { from, to } = self.dates.range();
        Range { from, to: to.filter(|to| *to <= self.tomorrow) }
    }

    /// As in `filters`; without dates the whole life of the link.
    pub(crate) fn first_second(&self, link: &SmartLink) -> Timestamp {
        self.dates.start.unwrap_or_else(|| link.created_at.day())
    }

    /// As in `filters`.
    pub(crate) fn last_second(&self) -> Timestamp {
        self.dates.end.unwrap_or_else(|| self.tomorrow.minus(SECOND))
    }
}

#[cfg(test)]
mod tests {
    use sl_core::time::DayEdge;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text, DayEdge::Start).unwrap()
    }

    fn range(text: &str) -> Result<Range, String> {
        let mut query = Query::read(text);
        let days = Days::read(&mut query, at("2026-03-04T20:00:00Z"));
        query.finish().map_err(|error| error.sentence())?;
        Ok(days.range())
    }

    #[test]
    fn dates_and_the_edges_of_days_are_taken() {
        let whole = Range { from: Some(at("2026-03-03")), to: Some(at("2026-03-05")) };
        for text in [
            "date_start=2026-03-03&date_end=2026-03-04",
            "date_start=2026-03-03T00:00:00Z&date_end=2026-03-04T23:59:59Z",
            "date_start=2026-03-03T01:00:00%2B01:00&date_end=2026-03-04%2023:59:59",
        ] {
            assert_eq!(range(text), Ok(whole), "{text}");
        }
        assert_eq!(range(""), Ok(Range::default()));
    }

    #[test]
    fn an_end_after_today_is_none() {
        for text in ["date_end=9999-12-31", "date_end=2026-03-05", "date_end=2026-03-05T12:00:00Z"] {
            assert_eq!(range(text), Ok(Range::default()), "{text}");
        }
    }

    #[test]
    fn a_range_that_cuts_a_day_is_refused_with_the_reason() {
        for (text, field) in [
            ("date_start=2026-03-03T00:00:01Z", "date_start"),
            ("date_start=2026-03-03T00:00:00%2B01:00", "date_start"),
            ("date_end=2026-03-04T00:00:00Z", "date_end"),
            ("date_end=2026-03-04T21:00:00Z", "date_end"),
        ] {
            let sentence = range(text).unwrap_err();
            assert!(sentence.contains(field) && sentence.contains("whole days only"), "{text}: {sentence}");
        }
    }
}
