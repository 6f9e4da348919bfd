//! Members of JSON bodies, as ad platforms look at them.

use serde_json::Value;

use super::receiver::Sighted;

/// A text that is not empty; `Some(None)`: absent; `None`: of another shape.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> Option<Option<&'a str>> {
    match object.get(name) {
        None => Some(None),
        Some(Value::String(text)) if !text.is_empty() => Some(Some(text)),
        Some(_) => None,
    }
}

/// A text, or a list of texts; empty when absent; `None`: of another shape.
pub(super) fn many<'a>(object: &'a Value, name: &str) -> Option<Vec<&'a str>> {
    match object.get(name) {
        None => Some(Vec::new()),
        Some(Value::String(text)) => Some(vec![text]),
        Some(Value::Array(items)) if !items.is_empty() => items.iter().map(Value::as_str).collect(),
        Some(_) => None,
    }
}

/// SHA-256 in lower-case hex.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// SHA-256 of nothing: the classic bug (ad-platforms 13.5).
pub(super) fn is_hash_of_nothing(text: &str) -> bool {
    text == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
}

/// Three upper-case letters, as in ISO 4217.
pub(super) fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Members of `object` that nobody knows, under the path they stand at.
pub(super) fn strangers(at: &str, object: &Value, known: &[&str]) -> Vec<String> {
    let names = object.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let unknown = names.filter(|name| !known.contains(name));
    unknown.map(|name| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }).collect()
}

/// The events of `data`, under the destination they were sent to. `name` is the member with an event's name.
pub(super) fn events(body: &Value, destination: &str, name: &str) -> Vec<Sighted> {
    let events = body.get("data").and_then(Value::as_array).into_iter().flatten();
    let sighted = events.map(|event| {
        let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, id) = (text(name), text("event_id"));
        Sighted { key: format!("{destination}\n{name}\n{id}"), name, id }
    });
    sighted.collect()
}
