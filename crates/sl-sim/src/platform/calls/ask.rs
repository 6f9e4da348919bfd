//! Parameters of a request and their rules (contract A.4, E).

use serde_json::Value;
use sl_core::time::{DayEdge, Timestamp};

use super::super::reply::{Reply, invalid};
use crate::server::Whole;

/// The query.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(request: &Whole) -> Self {
        Self(request.query())
    }

    /// An empty value is an absent one.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Every value of `name`, `name[]` and `name[0]`, commas split.
    pub(super) fn many(&self, name: &str) -> Vec<String> {
        let mine =
            |key: &str| key == name || key.strip_prefix(name).is_some_and(|rest| rest.starts_with('['));
        let values = self.0.iter().filter(|(key, _)| mine(key));
        values
            .flat_map(|(_, value)| value.split(','))
            .map(str::to_owned)
            .filter(|one| !one.is_empty())
            .collect()
    }

    fn number(&self, name: &str) -> Result<Option<usize>, Reply> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| invalid(name, "must be an integer"))
    }

    /// `limit`, 1 to `most`.
    pub(super) fn limit(&self, default: Option<usize>, most: usize) -> Result<usize, Reply> {
        let limit = self.number("limit")?.or(default).ok_or_else(|| invalid("limit", "is required"))?;
        match limit {
            0 => Err(invalid("limit", "must be at least 1")),
            limit if limit > most => Err(invalid("limit", format!("must not be greater than {most}"))),
            limit => Ok(limit),
        }
    }

    /// `offset`, at least 0.
    pub(super) fn offset(&self, default: Option<usize>) -> Result<usize, Reply> {
        self.number("offset")?.or(default).ok_or_else(|| invalid("offset", "is required"))
    }

    /// One of a few words.
    pub(super) fn word(&self, name: &str, words: &[&str]) -> Result<Option<&str>, Reply> {
        match self.text(name) {
            Some(word) if !words.contains(&word) => {
                Err(invalid(name, format!("must be one of {}", words.join(", "))))
            }
            word => Ok(word),
        }
    }

    /// `true`, `false`, `1`, `0`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Reply> {
        let word = self.word(name, &["true", "false", "1", "0"])?;
        Ok(word.map(|word| matches!(word, "true" | "1")))
    }

    pub(super) fn time(&self, name: &str, edge: DayEdge) -> Result<Option<Timestamp>, Reply> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if text.len() > 255 {
            return Err(invalid(name, "must not be greater than 255 characters"));
        }
        Timestamp::parse(text, edge).map(Some).map_err(|_| invalid(name, "must be a valid date"))
    }

    /// This query with another `offset` or `marker`: the next page.
    pub(super) fn with(&self, name: &str, value: impl ToString) -> String {
        let mut next = form_urlencoded::Serializer::new(String::new());
        next.extend_pairs(self.0.iter().filter(|(key, _)| key != name));
        next.append_pair(name, &value.to_string());
        next.finish()
    }
}

/// A JSON body.
pub(super) struct Body(Value);

impl Body {
    pub(super) fn of(request: &Whole) -> Result<Self, Reply> {
        let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        if body.is_object() { Ok(Self(body)) } else { Err(invalid("body", "must be a JSON object")) }
    }

    /// A text of 1 to `most` characters.
    pub(super) fn text(&self, name: &str, most: usize) -> Result<Option<&str>, Reply> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.chars().count() > most => {
                Err(invalid(name, format!("must not be greater than {most} characters")))
            }
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(invalid(name, "must be a string")),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, Reply> {
        match self.0.get(name) {
            None | Some(Value::Null) => Err(invalid(name, "is required")),
            Some(value) => value.as_u64().ok_or_else(|| invalid(name, "must be an integer")),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Reply> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| invalid(name, "must be true or false")),
        }
    }

    /// An array of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Reply> {
        let rule = || invalid(name, "must be an array of strings");
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(rule)).collect()
            }
            Some(_) => Err(rule()),
        }
    }
}
