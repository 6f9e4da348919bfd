//! Members of JSON bodies, as ad platforms look at them.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, value::RawValue};

use super::receiver::Sighted;
use crate::server::Whole;

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
pub(super) fn events(request: &Whole, destination: &str, name: &str) -> Vec<Sighted> {
    let mut around: BTreeMap<String, &RawValue> = serde_json::from_slice(&request.body).unwrap_or_default();
    let data = around.remove("data").map_or("[]", RawValue::get);
    let events: Vec<&RawValue> = serde_json::from_str(data).unwrap_or_default();
    let around = around.iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>().join(",");
    let sighted = events.into_iter().map(|raw| {
        let event: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, id) = (text(name), text("event_id"));
        let wire = format!("{} {}\n{around}\n{raw}", request.method, request.uri).into();
        Sighted { key: format!("{destination}\n{name}\n{id}"), also: None, name, id, wire }
    });
    sighted.collect()
}

/// All of a request that holds one event: method, target and body.
pub(super) fn whole(request: &Whole) -> Bytes {
    let mut bytes = format!("{} {}\n", request.method, request.uri).into_bytes();
    bytes.extend_from_slice(&request.body);
    bytes.into()
}
