//! `/_sim/…`: what simulated people do, and the switches.

use axum::response::Response;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sl_core::time::Timestamp;

use super::{
    Shared,
    reply::respond,
    state, webhooks,
    world::{Person, Refusal, Spend},
};
use crate::server::Whole;

/// How an account stands with the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Login {
    /// Everything works.
    LoggedIn,
    /// Every call answers 503 (contract E.6).
    Reconnecting,
    /// Every call answers 403; somebody must act.
    LoggedOut,
}

#[derive(Deserialize)]
struct Subscribe {
    /// The address of a link or profile, whole or its path.
    link: String,
    fan: Person,
}

#[derive(Deserialize)]
struct Write {
    account: String,
    fan: u64,
    text: String,
}

#[derive(Deserialize)]
struct Change {
    account: String,
    transaction: String,
    status: String,
}

/// `at`: from then on nobody subscribes through it, from now on without one.
#[derive(Deserialize)]
struct EndLink {
    link: String,
    at: Option<Timestamp>,
}

/// `gone`: not even a list that is asked for deleted links shows it.
#[derive(Deserialize)]
struct DeleteLink {
    link: String,
    #[serde(default)]
    gone: bool,
}

/// `hidden`: lists lack it although it is there.
#[derive(Deserialize)]
struct HideLink {
    link: String,
    hidden: bool,
}

#[derive(Deserialize)]
struct SetLogin {
    account: String,
    login: Login,
}

#[derive(Deserialize)]
struct Paused {
    paused: bool,
}

#[derive(Deserialize)]
struct WebhookUrl {
    url: Option<url::Url>,
}

pub(super) fn answer(shared: &Shared, request: &Whole, path: &[&str]) -> Response {
    let done = match (request.method.as_str(), path) {
        ("GET", ["state"]) => serde_json::to_value(state::read(shared)).map_err(broken),
        ("POST", [what]) => act(shared, request, what).or_else(|refusal| match refusal {
            None => switch(shared, request, what),
            Some(refusal) => Err(refusal),
        }),
        _ => Err(unknown(request.uri.path())),
    };
    match done {
        Ok(body) => respond(200, &body),
        Err(Refusal { status, why }) => respond(status, &json!({"error": why, "message": why})),
    }
}

/// What people do. `Err(None)`: this is no doing of theirs.
fn act(shared: &Shared, request: &Whole, what: &str) -> Result<Value, Option<Refusal>> {
    let now = shared.now();
    let mut world = shared.world.lock();
    let (body, account, happened) = match what {
        "subscribe" => {
            let Subscribe { link, fan } = read(request)?;
            let place = world.place(&link);
            let place = place.ok_or_else(|| Refusal::new(404, format!("link: nothing is at {link:?}")))?;
            let (said, happened) = world.subscribe(&place, &fan, now)?;
            (to_value(&said)?, said.account, happened)
        }
        "spend" => {
            let spend: Spend = read(request)?;
            let (said, happened) = world.spend(&spend, now)?;
            (to_value(&said)?, spend.account, happened)
        }
        "message" => {
            let Write { account, fan, text } = read(request)?;
            let (id, at, happened) = world.write(&account, fan, &text, now)?;
            (json!({"message": id, "at": at}), account, vec![happened])
        }
        "chargeback" => {
            let Change { account, transaction, status } = read(request)?;
            let happened = world.change(&account, &transaction, &status)?;
            (json!({"transaction": transaction, "status": status}), account, vec![happened])
        }
        _ => return Err(None),
    };
    let creator = world.account(&account)?.setup.clone();
    drop(world);
    webhooks::announce(shared, &creator, happened, now);
    Ok(body)
}

fn switch(shared: &Shared, request: &Whole, what: &str) -> Result<Value, Refusal> {
    if shared.knobs.lock().turn(what, request).map_err(|why| Refusal::new(422, why))? {
        return Ok(json!({"ok": true}));
    }
    match what {
        "pause-webhooks" => shared.outbox.pause(read::<Paused>(request)?.paused),
        "webhook" => shared.outbox.set_url(read::<WebhookUrl>(request)?.url),
        "login" => {
            let SetLogin { account, login } = read(request)?;
            let mut world = shared.world.lock();
            let found = world.account(&account)?;
            found.login = login;
            found.setup.is_authenticated = login != Login::LoggedOut;
            let event = world.next_event();
            drop(world);
            webhooks::announce_login(shared, &account, login, event, shared.config.clock.now());
        }
        "end-link" => {
            let EndLink { link, at } = read(request)?;
            shared.world.lock().end(&link, at.unwrap_or_else(|| shared.now()))?;
        }
        "delete-link" => {
            let DeleteLink { link, gone } = read(request)?;
            shared.world.lock().delete(&link, gone, shared.now())?;
        }
        "hide-link" => {
            let HideLink { link, hidden } = read(request)?;
            shared.world.lock().hide(&link, hidden)?;
        }
        _ => return Err(unknown(request.uri.path())),
    }
    Ok(json!({"ok": true}))
}

fn read<T: DeserializeOwned>(request: &Whole) -> Result<T, Refusal> {
    request.json().map_err(|why| Refusal::new(422, why))
}

fn to_value<T: Serialize>(value: &T) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(broken)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn broken(error: serde_json::Error) -> Refusal {
    Refusal::new(500, error.to_string())
}

fn unknown(path: &str) -> Refusal {
    Refusal::new(
        404,
        format!(
            "{path}: there is GET state and POST subscribe, spend, message, chargeback, fail, stall, latency, rate, \
             pause-webhooks, webhook, login, end-link, delete-link, hide-link"
        ),
    )
}
