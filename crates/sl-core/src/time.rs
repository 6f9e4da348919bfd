//! Time: UTC, in milliseconds, and always an argument.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use self::spans::{BadDuration, parse_duration, written};

mod spans;

/// An instant, UTC, milliseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// Where the time comes from: the system in the binary, a value in tests. Only loops hold one; decisions take a
/// [`Timestamp`].
pub trait Clock: Send + Sync + 'static {
    /// Now, UTC.
    fn now(&self) -> Timestamp;

    /// Now, for who read `last` so long `ago`. A clock that takes long to read may say the same again for [`MOMENT`].
    fn now_after(&self, last: Timestamp, ago: Duration) -> Timestamp {
        let _ = (last, ago);
        self.now()
    }
}

/// Times are whole milliseconds: within one nothing is lost by not looking.
pub const MOMENT: Duration = Duration::from_millis(1);

/// A clock that only moves when it is told to, for tests and replays.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Sets it, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Moves it on.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(millis(span), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A text is no time in one of the accepted forms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time; write 2026-03-04T20:11:09Z, 2026-03-04 20:11:09 or 2026-03-04")]
pub struct BadTime(pub String);

/// Which end of the day a bare date means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayEdge {
    /// 00:00:00.000.
    Start,
    /// 23:59:59.999.
    End,
}

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

impl Timestamp {
    /// Whole seconds since 1970, rounded down (decisions 26: times are compared in whole seconds).
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// From whole seconds since 1970.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Later by `span`; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// Earlier by `span`.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// How long after `earlier`; zero when it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whether the clock was set back since it gave `stamp`: a stamp of our own that lies more than a minute ahead.
    #[must_use]
    pub fn is_set_back_since(self, stamp: Self) -> bool {
        self.plus(crate::steady::LEAP) < stamp
    }

    /// Whether `span` has passed since `earlier`. When the clock was set back since, nobody knows; then it has, so that
    /// what is done now and then does not stand still until the clock is there again.
    #[must_use]
    pub fn is_past(self, earlier: Self, span: Duration) -> bool {
        self.is_set_back_since(earlier) || self.since(earlier) >= span
    }

    /// Now, but later than `before`: versions of a row grow also when the clock was set back.
    #[must_use]
    pub fn newer_than(self, before: Self) -> Self {
        self.max(Self(before.0.saturating_add(1)))
    }

    /// Start of the UTC hour.
    #[must_use]
    pub fn hour(self) -> Self {
        Self(self.0.div_euclid(HOUR_MS) * HOUR_MS)
    }

    /// Start of the UTC day.
    #[must_use]
    pub fn day(self) -> Self {
        Self(self.0.div_euclid(DAY_MS) * DAY_MS)
    }

    /// Contract 0.2: ISO 8601, whole seconds, explicit `+00:00`.
    #[must_use]
    pub fn iso(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S+00:00")
    }

    /// Contract 0.2: day bucket, `YYYY-MM-DD`.
    #[must_use]
    pub fn date(self) -> String {
        self.format("%Y-%m-%d")
    }

    /// Contract 0.2: month bucket, first day of the month.
    #[must_use]
    pub fn month(self) -> String {
        self.format("%Y-%m-01")
    }

    fn format(self, pattern: &str) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .map(|at| at.strftime(pattern).to_string())
            .unwrap_or_else(|_| "9999-12-31T23:59:59+00:00".to_owned())
    }

    /// Reads every form clients send (contract 0.2): ISO 8601 with `Z` or an offset, `YYYY-MM-DD HH:MM:SS` meaning
    /// UTC, and a bare date.
    ///
    /// # Errors
    /// [`BadTime`] with the text.
    pub fn parse(text: &str, edge: DayEdge) -> Result<Self, BadTime> {
        let text = text.trim();
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(at.as_millisecond()));
        }
        if text.len() > 10
            && let Ok(at) = text.parse::<jiff::civil::DateTime>()
        {
            return civil(at).ok_or_else(|| BadTime(text.to_owned()));
        }
        let day: jiff::civil::Date = text.parse().map_err(|_| BadTime(text.to_owned()))?;
        // The last day there is, 9999-12-31, is how many write "no end"; it is not whole.
        let latest = Self(jiff::Timestamp::MAX.as_millisecond());
        let start = civil(day.at(0, 0, 0, 0)).or((day.year() == 9999).then_some(latest));
        let start = start.ok_or_else(|| BadTime(text.to_owned()))?;
        Ok(match edge {
            DayEdge::Start => start,
            DayEdge::End => Self(start.0.saturating_add(DAY_MS - 1)).min(latest),
        })
    }
}

fn civil(at: jiff::civil::DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(at).ok().map(|at| Timestamp(at.as_millisecond()))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_stops_nothing_that_is_done_now_and_then() {
        let (then, minute) = (Timestamp(3_600_000), Duration::from_secs(60));
        assert!(!then.is_past(then, minute) && then.plus(minute).is_past(then, minute));
        assert!(!then.minus(minute).is_past(then, minute), "a correction is no step");
        assert!(then.minus(minute * 2).is_past(then, minute));
        assert_eq!(then.minus(minute).newer_than(then), Timestamp(3_600_001));
        assert_eq!(then.plus(minute).newer_than(then), then.plus(minute));
    }

    #[test]
    fn every_spelling_that_clients_send_is_the_same_instant() {
        let want = Timestamp(1_772_655_069_000);
        for text in [
            "2026-03-04T20:11:09Z",
            "2026-03-04T20:11:09+00:00",
            "2026-03-04T21:11:09+01:00",
            "2026-03-04 20:11:09",
        ] {
            assert_eq!(Timestamp::parse(text, DayEdge::Start), Ok(want), "{text}");
        }
        assert_eq!(want.iso(), "2026-03-04T20:11:09+00:00");
    }

    #[test]
    fn a_bare_date_is_the_edge_of_its_day() {
        let start = Timestamp::parse("2026-03-04", DayEdge::Start).unwrap();
        let end = Timestamp::parse("2026-03-04", DayEdge::End).unwrap();
        assert_eq!(start.iso(), "2026-03-04T00:00:00+00:00");
        assert_eq!(end.iso(), "2026-03-04T23:59:59+00:00");
        assert_eq!(end.day(), start);
        assert_eq!(start.month(), "2026-03-01");
    }

    #[test]
    fn nonsense_is_refused_with_the_forms_that_work() {
        let error = Timestamp::parse("tomorrow", DayEdge::Start).unwrap_err();
        assert!(error.to_string().contains("2026-03-04T20:11:09Z"));
    }
}
