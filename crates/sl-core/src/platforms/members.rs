//! Members of a platform's object about the person.

use serde_json::{Map, Value};

use crate::identity::digest;

/// What is absent has no member: no `null`, no empty text (ad-platforms 1.4).
#[derive(Default)]
pub(super) struct Members(Map<String, Value>);

impl Members {
    /// Adds a member with the value as it is.
    pub(super) fn plain(&mut self, name: &str, value: Option<String>) -> &mut Self {
        if let Some(value) = value.filter(|text| !text.is_empty()) {
            self.0.insert(name.to_owned(), Value::String(value));
        }
        self
    }

    /// Adds a member with the SHA-256 of the value, as a text.
    pub(super) fn hashed(&mut self, name: &str, value: Option<String>) -> &mut Self {
        self.plain(name, value.and_then(|value| digest(&value)))
    }

    /// Adds a member with the SHA-256 of the value, as a list of one.
    pub(super) fn hashed_list(&mut self, name: &str, value: Option<String>) -> &mut Self {
        if let Some(digest) = value.and_then(|value| digest(&value)) {
            self.0.insert(name.to_owned(), Value::from(vec![digest]));
        }
        self
    }

    /// Whether any of these is there.
    pub(super) fn any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.0.contains_key(*name))
    }

    /// Whether all of these are there.
    pub(super) fn all(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.0.contains_key(*name))
    }

    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}
