//! Values as people write them: durations, sizes, secrets.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};
use sl_core::seal::Secret;

/// A span of time such as `250ms`, `6h` or `13mo`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text).map_err(D::Error::custom)
}

/// A span of time that may be absent.
pub(crate) fn some_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
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

/// Keys of another program, whose dots TOML takes for sections: `security.protocol = "ssl"` and `"security.protocol" =
/// "ssl"` are the same. Any of the values may be a secret.
pub(crate) fn dotted_secrets<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, Secret>, D::Error> {
    fn flatten(before: &str, table: toml::Table, flat: &mut BTreeMap<String, Secret>) -> Result<(), String> {
        for (key, value) in table {
            let key = if before.is_empty() { key } else { format!("{before}.{key}") };
            match value {
                toml::Value::Table(inner) => flatten(&key, inner, flat)?,
                toml::Value::String(text) => {
                    flat.insert(key, Secret::new(text));
                }
                toml::Value::Boolean(_) | toml::Value::Integer(_) => {
                    flat.insert(key, Secret::new(value.to_string()));
                }
                _ => return Err(format!("{key} must be a text, a number, true or false")),
            }
        }
        Ok(())
    }
    let mut flat = BTreeMap::new();
    flatten("", toml::Table::deserialize(from)?, &mut flat).map_err(D::Error::custom)?;
    Ok(flat)
}

/// Such keys, one `key=value` per line of the file; lines that begin with `#` say nothing.
pub(crate) fn properties(
    key: &str,
    into: &mut BTreeMap<String, Secret>,
    file: Option<&PathBuf>,
) -> Result<(), String> {
    let Some(path) = file else { return Ok(()) };
    let text = read(key, path)?;
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| format!("line {} of {path:?} is not key=value; correct it", number + 1))?;
        into.insert(name.trim().to_owned(), Secret::new(value.trim()));
    }
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
