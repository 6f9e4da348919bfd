//! Values as people write them: durations, sizes, secrets.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};
use sl_core::seal::Secret;

/// A span of time such as `250ms`, `6h` or `13mo`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text).map_err(D::Error::custom)
}

/// The same outside the configuration file. Days are 24 hours, months 30.44 days.
///
/// # Errors
/// Words with the forms that work.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const MONTH: f64 = 30.44 * 24.0 * 3600.0;
    let bad = || format!("{text:?} is not a duration; write \"250ms\", \"20s\", \"6h\", \"30d\" or \"13mo\"");
    let span: jiff::Span = text.parse().map_err(|_| bad())?;
    if span.is_negative() {
        return Err(bad());
    }
    let months = f64::from(span.get_months()) + 12.0 * f64::from(span.get_years());
    let rest =
        span.months(0).years(0).to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| bad())?;
    let rest = Duration::try_from(rest).map_err(|_| bad())?;
    Ok(rest + Duration::from_secs_f64(months * MONTH))
}

/// A secret given here or in a file; never printed.
#[derive(Debug, Clone, Default)]
pub(crate) struct MaybeSecret(pub(crate) Option<Secret>);

impl MaybeSecret {
    /// The secret: from the key itself, else the trimmed content of the file.
    pub(crate) fn resolve(&mut self, key: &str, file: Option<&PathBuf>) -> Result<(), String> {
        let Some(path) = file else { return Ok(()) };
        if self.0.is_some() {
            return Err(format!("given twice, as {key} and {key}_file; keep one"));
        }
        self.0 = Some(Secret::new(read(key, path)?.trim()));
        Ok(())
    }
}

/// Several secrets, one per line of the file.
pub(crate) fn secrets(key: &str, listed: &mut Vec<Secret>, file: Option<&PathBuf>) -> Result<(), String> {
    let Some(path) = file else { return Ok(()) };
    let text = read(key, path)?;
    listed.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Secret::new));
    Ok(())
}

fn read(key: &str, path: &PathBuf) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| {
        format!("{key}_file = {path:?} can't be read: {error}; correct the path or its rights")
    })
}

impl<'de> Deserialize<'de> for MaybeSecret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        Ok(Self(text.filter(|text| !text.is_empty()).map(Secret::new)))
    }
}

/// A list of secrets.
pub(crate) fn secret_list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Secret>, D::Error> {
    Ok(Vec::<String>::deserialize(from)?.into_iter().map(Secret::new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_the_guide_writes_them() {
        let seconds = |text| parse_duration(text).map(|span| span.as_secs_f64());
        assert_eq!(seconds("250ms"), Ok(0.25));
        assert_eq!(seconds("6h"), Ok(21_600.0));
        assert_eq!(seconds("30d"), Ok(2_592_000.0));
        assert_eq!(seconds("1h 30m"), Ok(5_400.0));
        assert_eq!(seconds("13mo").map(|span| (span / 86_400.0).round()), Ok(396.0));
        for bad in ["", "6", "-6h", "six hours", "6 parsecs"] {
            assert!(parse_duration(bad).unwrap_err().contains("\"6h\""), "{bad}");
        }
    }
}
