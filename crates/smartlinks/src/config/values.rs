//! Values as people write them: durations, sizes, secrets.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};
use sl_core::{seal::Secret, time::parse_duration};

/// A span of time such as `250ms`, `6h` or `13mo`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text).map_err(D::Error::custom)
}

/// A span of time that may be absent.
pub(crate) fn some_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
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

/// What a file holds that must hold something.
fn read(key: &str, path: &PathBuf) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!("{key}_file = {path:?} can't be read: {error}; correct the path or its rights")
    })?;
    if text.trim().is_empty() {
        return Err(format!("{key}_file = {path:?} is empty; write {key} into it, or take {key}_file out"));
    }
    Ok(text)
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
