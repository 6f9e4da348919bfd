//! `/_sim/…` of the ad platforms.

use axum::response::Response;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Shared, receiver::Answer};
use crate::{
    knobs::{Fail, Stall},
    server::Whole,
};

#[derive(Deserialize)]
struct Rate {
    per_minute: Option<u32>,
}

#[derive(Deserialize)]
struct Latency {
    ms: u64,
}

pub(super) fn answer(shared: &Shared, request: &Whole, path: &[&str]) -> Response {
    let done = match (request.method.as_str(), path) {
        ("GET", ["state"]) => {
            serde_json::to_value(shared.ledger.lock().state()).map_err(|error| error.to_string())
        }
        ("GET", ["events", receiver, id]) => Ok(events(shared, receiver, id)),
        ("POST", [what]) => switch(shared, request, what),
        _ => Err(unknown(request.uri.path())),
    };
    match done {
        Ok(body) => Answer::json(200, body).send(),
        Err(why) => Answer::json(422, json!({"error": why})).send(),
    }
}

fn events(shared: &Shared, receiver: &str, id: &str) -> Value {
    let events = shared.ledger.lock().events(receiver, id);
    let shown = events.iter().map(|event| {
        let versions: Vec<_> = event.versions.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
        json!({
            "name": event.name, "attempts": event.attempts, "taken": event.taken,
            "different": event.different, "versions": versions,
        })
    });
    shown.collect()
}

fn switch(shared: &Shared, request: &Whole, what: &str) -> Result<Value, String> {
    let mut knobs = shared.knobs.lock();
    match what {
        // An empty object ends a failure or stall.
        "fail" => knobs.fail = optional::<Fail>(request)?,
        "stall" => knobs.stall = optional::<Stall>(request)?,
        "latency" => knobs.latency = std::time::Duration::from_millis(read::<Latency>(request)?.ms),
        "rate" => knobs.per_minute = read::<Rate>(request)?.per_minute,
        _ => return Err(unknown(request.uri.path())),
    }
    Ok(json!({"ok": true}))
}

fn read<T: DeserializeOwned>(request: &Whole) -> Result<T, String> {
    serde_json::from_slice(&request.body).map_err(|error| format!("body: {error}"))
}

fn optional<T: DeserializeOwned>(request: &Whole) -> Result<Option<T>, String> {
    let empty = request.body.is_empty() || request.body.as_ref() == b"{}";
    if empty { Ok(None) } else { read(request).map(Some) }
}

fn unknown(path: &str) -> String {
    format!("{path}: there is GET state, GET events/{{receiver}}/{{id}} and POST fail, stall, latency, rate")
}
