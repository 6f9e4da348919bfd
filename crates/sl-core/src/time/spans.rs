//! Spans of time as people write them: in the configuration and on the command line.

use std::time::Duration;

use jiff::{
    Unit,
    fmt::friendly::{Designator, Spacing, SpanPrinter},
};

/// A text is no span of time in one of the accepted forms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write \"250ms\", \"20s\", \"6h\", \"30d\" or \"13mo\"")]
pub struct BadDuration(pub String);

/// No form gives more (20,000 years), so that sums of spans and times stay in range.
const LONGEST: Duration = Duration::from_secs(20_000 * 366 * 86_400);

/// Reads a span of time, up to 20,000 years. Days are 24 hours, months 30.44 days. What jiff does not read (units out of
/// order, `1.5d`, `1M`) humantime does.
///
/// # Errors
/// [`BadDuration`] with the text.
pub fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    let span = spelled(text).or_else(|| humantime::parse_duration(text).ok());
    span.filter(|span| *span <= LONGEST).ok_or_else(|| BadDuration(text.to_owned()))
}

/// A span as people write it, in as few units of hours and below as are exact: `900h`, `20ms`, `1h30m`. [`parse_duration`] reads it.
#[must_use]
pub fn written(span: Duration) -> String {
    const PRINTER: SpanPrinter = SpanPrinter::new()
        .designator(Designator::HumanTime)
        .spacing(Spacing::None)
        .zero_unit(Unit::Millisecond);
    PRINTER.unsigned_duration_to_string(&span)
}

fn spelled(text: &str) -> Option<Duration> {
    const MONTH: f64 = 30.44 * 24.0 * 3600.0;
    let span: jiff::Span = text.parse().ok()?;
    if span.is_negative() {
        return None;
    }
    let months = f64::from(span.get_months()) + 12.0 * f64::from(span.get_years());
    let rest = span.months(0).years(0).to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    Some(Duration::try_from(rest).ok()? + Duration::from_secs_f64(months * MONTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_they_are_read() {
        for text in ["0ms", "20ms", "900h", "1h30m", "59m59s", "1s500ms", "7us", "3ns", "8760h"] {
            assert_eq!(written(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn durations_are_read_as_the_guide_writes_them() {
        let seconds = |text| parse_duration(text).map(|span| span.as_secs_f64());
        assert_eq!(seconds("250ms"), Ok(0.25));
        assert_eq!(seconds("6h"), Ok(21_600.0));
        assert_eq!(seconds("30d"), Ok(2_592_000.0));
        assert_eq!(seconds("1h 30m"), Ok(5_400.0));
        assert_eq!(seconds("13mo").map(|span| (span / 86_400.0).round()), Ok(396.0));
        for bad in ["", "6", "-6h", "six hours", "6 parsecs", "30000y"] {
            assert!(parse_duration(bad).unwrap_err().to_string().contains("\"6h\""), "{bad}");
        }
    }

    #[test]
    fn what_either_library_reads_is_read() {
        let seconds = |text| parse_duration(text).map(|span| span.as_secs());
        for (text, want) in [
            ("1 hour, 30 minutes", 5_400),
            ("PT1H30M", 5_400),
            ("01:30:00", 5_400),
            ("30m 1h", 5_400),
            ("1.5d", 129_600),
            ("1M", 2_630_016),
            ("1500 millis", 1),
        ] {
            assert_eq!(seconds(text), Ok(want), "{text}");
        }
    }
}
