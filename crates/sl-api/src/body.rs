//! JSON bodies, read field by field so that every problem is told at once.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{
    error::{ApiError, Problems, Result, shown},
    parts::App,
};

/// Management bodies are small; a postback template is the largest (contract A.9.1).
pub(crate) const BODY_LIMIT: usize = 1 << 20;

/// Fields that are none and are named; a body has room for a hundred thousand of them.
pub(crate) const MOST_UNKNOWN: usize = 10;

/// Whether a text holds what belongs in no name, address or header.
pub(crate) fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// The one field whose value is a secret.
pub(crate) const TOKEN_FIELD: &str = "pixel_access_token";

/// A JSON object with what was wrong in it so far.
#[derive(Debug)]
pub(crate) struct Body {
    fields: Map<String, Value>,
    problems: Problems,
}

/// A field of a partial update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given<T> {
    /// Not sent: keep.
    Absent,
    /// `null`: clear.
    Null,
    /// Set.
    Value(T),
}

impl<T> Given<T> {
    /// The value; `null` and absent are the same.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Changes `slot` as asked.
    pub(crate) fn apply(self, slot: &mut Option<T>) {
        match self {
            Self::Absent => {}
            Self::Null => *slot = None,
            Self::Value(value) => *slot = Some(value),
        }
    }
}

impl FromRequest<App> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        Self::read(&raw(request, app).await?)
    }
}

/// The bytes of a body within [`BODY_LIMIT`].
pub(crate) async fn raw(request: Request, app: &App) -> Result<Bytes> {
    Bytes::from_request(request, app).await.map_err(|_| ApiError::TooLarge(BODY_LIMIT))
}

impl Body {
    /// An empty body is an empty object (contract A.4.3).
    ///
    /// # Errors
    /// 400 when it is no JSON object.
    fn read(bytes: &Bytes) -> Result<Self> {
        let fields = if bytes.iter().all(u8::is_ascii_whitespace) {
            Map::new()
        } else {
            match serde_json::from_slice(bytes) {
                Ok(Value::Object(fields)) => fields,
                Ok(_) => {
                    return Err(ApiError::BadRequest(
                        "The body must be a JSON object, such as {\"name\": \"…\"}.".into(),
                    ));
                }
                Err(error) => {
                    let at = format!("line {} column {}", error.line(), error.column());
                    return Err(ApiError::BadRequest(format!("The body is not valid JSON at {at}.")));
                }
            }
        };
        Ok(Self { fields, problems: Problems::default() })
    }

    /// The value as sent; `null` too.
    pub(crate) fn raw(&self, key: &str) -> Option<&Value> {
        self.fields.get(key)
    }

    /// Names the fields, ten at most, that are none of these: where a misspelt one would widen what is done, or look like success.
    pub(crate) fn only(&mut self, known: &[&str]) {
        for key in self.fields.keys().filter(|key| !known.contains(&key.as_str())).take(MOST_UNKNOWN) {
            let name: String = key.chars().take(64).collect();
            self.problems.add(name, format!("is no field here; there are {}.", known.join(", ")));
        }
    }

    /// Whether it was not sent, or as `null`.
    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.fields.get(key).is_none_or(Value::is_null)
    }

    /// Text of at most `max` characters, trimmed; an empty one is `null`.
    pub(crate) fn text(&mut self, key: &str, max: usize) -> Given<String> {
        match self.fields.get(key) {
            None => Given::Absent,
            Some(Value::Null) => Given::Null,
            Some(Value::String(text)) if text.trim().is_empty() => Given::Null,
            Some(Value::String(text)) if text.chars().count() > max => {
                self.problems.add(key, format!("must not be longer than {max} characters."));
                Given::Absent
            }
            Some(Value::String(text)) if has_control(text) => {
                self.problems.add(key, "must not hold control characters.");
                Given::Absent
            }
            Some(Value::String(text)) => Given::Value(text.trim().to_owned()),
            // Clients put error bodies into their logs (contract A.13): a token in any form is not repeated.
            Some(_) if key == TOKEN_FIELD => {
                self.problems.add(key, "must be a string.");
                Given::Absent
            }
            Some(other) => {
                let what = format!("must be a string, not {}.", shown(&other.to_string()));
                self.problems.add(key, what);
                Given::Absent
            }
        }
    }

    /// Text that must be there.
    pub(crate) fn required(&mut self, key: &str, max: usize) -> Option<String> {
        match self.text(key, max) {
            Given::Value(text) => Some(text),
            Given::Null => self.missing(key),
            Given::Absent if self.fields.contains_key(key) => None,
            Given::Absent => self.missing(key),
        }
    }

    /// One of `words` that must be there.
    pub(crate) fn choice<T>(
        &mut self,
        key: &str,
        words: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.required(key, 255)?;
        let value = read(&text);
        if value.is_none() {
            self.wrong(key, format!("must be one of {words}, not {}.", shown(&text)));
        }
        value
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        match self.fields.get(key)? {
            Value::Bool(flag) => Some(*flag),
            other => {
                let what = format!("must be true or false, not {}.", shown(&other.to_string()));
                self.problems.add(key, what);
                None
            }
        }
    }

    /// An array; also a string that holds a JSON array, as some samples write it (contract A.4.3).
    pub(crate) fn array(&mut self, key: &str) -> Option<Vec<Value>> {
        let value = self.fields.get(key)?;
        let array = match value {
            Value::Array(items) => Some(items.clone()),
            Value::String(text) => serde_json::from_str::<Vec<Value>>(text).ok(),
            _ => None,
        };
        if array.is_none() && !value.is_null() {
            let what = format!("must be an array, not {}.", shown(&value.to_string()));
            self.problems.add(key, what);
        }
        array
    }

    /// An array of strings, each of at most `max` characters.
    pub(crate) fn strings(&mut self, key: &str, max: usize) -> Option<Vec<String>> {
        let items = self.array(key)?;
        let mut texts = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text)
                    if !text.trim().is_empty() && text.chars().count() <= max && !has_control(&text) =>
                {
                    texts.push(text.trim().to_owned());
                }
                other => {
                    let what = format!(
                        "must be a string of 1 to {max} characters, none of them a control character, not {}.",
                        shown(&other.to_string())
                    );
                    self.problems.add(format!("{key}.{at}"), what);
                }
            }
        }
        Some(texts)
    }

    /// Notes that a field is missing.
    pub(crate) fn missing<T>(&mut self, key: &str) -> Option<T> {
        self.wrong(key, "is required.");
        None
    }

    /// Notes a problem.
    pub(crate) fn wrong(&mut self, key: impl Into<String>, what: impl AsRef<str>) {
        self.problems.add(key, what);
    }

    /// # Errors
    /// 422 with everything that was wrong.
    pub(crate) fn finish(self) -> Result<()> {
        self.problems.finish()
    }
}
