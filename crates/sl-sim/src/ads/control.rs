//! `/_sim/…` of the ad platforms.

use axum::response::Response;
use serde_json::{Value, json};

use super::{Shared, receiver::Answer};
use crate::server::Whole;

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
    let known = shared.knobs.lock().turn(what, request)?;
    if known { Ok(json!({"ok": true})) } else { Err(unknown(request.uri.path())) }
}

fn unknown(path: &str) -> String {
    format!("{path}: there is GET state, GET events/{{receiver}}/{{id}} and POST fail, stall, latency, rate")
}
