//! `smartlinks keys`: on the store when the service is stopped, through the control socket when it runs.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sl_api::{create_key, list_keys, revoke_key};
use sl_core::{
    apikey::Role,
    catalog::ApiKey,
    ids::{ApiKeyId, TeamId},
    time::Clock,
};
use sl_store::Store;

use crate::{
    cli::Keys,
    clock,
    config::{Backend, Config},
    failure::Failure,
    lock,
    migrate::marker,
    out::say,
    service::{cluster::Addresses, control, first_key},
};

/// What is asked; also the line that goes through the control socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyCommand {
    Create { name: String, role: String },
    List,
    Revoke { id: u64 },
}

/// What the running service answers to a command about keys.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyAnswer {
    /// JSON rows of keys; a created one carries its `secret`.
    Keys(Vec<Value>),
    /// Why not.
    Refused(String),
}

impl From<Keys> for KeyCommand {
    fn from(command: Keys) -> Self {
        match command {
            Keys::Create { name, role } => Self::Create { name, role },
            Keys::List => Self::List,
            Keys::Revoke { id } => Self::Revoke { id },
        }
    }
}

/// Runs the command and prints.
///
/// # Errors
/// [`Failure::Run`] when it is refused.
pub(crate) async fn run(config: &Config, command: Keys, json: bool) -> Result<(), Failure> {
    let command = KeyCommand::from(command);
    let dir = &config.data_dir;
    let answer = if lock::is_taken(dir) {
        control::ask(dir, &command).await?
    } else if config.storage.backend == Backend::Cluster {
        // Keys are everybody's: no process has to run, and no directory is needed.
        let clock = clock::system();
        let (_cluster, store) = Addresses::of(config)?.reach_now().await?;
        on(&store, config, command, &*clock).await?
    } else {
        let store = store_of(dir)?;
        let _lock = lock::take(dir)?;
        marker::refuse(dir)?;
        let opened = sl_fjall::open(store, sl_fjall::FjallOptions::default()).map_err(Failure::run)?;
        let answer = on(&opened.store(), config, command, &*clock::system()).await?;
        opened.close().await.map_err(Failure::run)?;
        answer
    };
    match answer {
        KeyAnswer::Keys(keys) => {
            print(&keys, json);
            Ok(())
        }
        KeyAnswer::Refused(why) => Err(Failure::Run(why)),
    }
}

/// The store that a service has made. Keys of one made here would open nothing that anybody runs.
///
/// # Errors
/// [`Failure::Run`] when there is none, naming the directory.
fn store_of(data_dir: &Path) -> Result<PathBuf, Failure> {
    let store = data_dir.join("store");
    let place = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    match std::fs::metadata(&store) {
        Ok(_) => Ok(store),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::Run(format!(
            "data_dir = {place:?}: no service has been started here yet; name the directory of yours with --config FILE or \
             SMARTLINKS_DATA_DIR, as it is started with, or start it once: it prints an owner key"
        ))),
        Err(error) => Err(Failure::Run(format!(
            "data_dir = {place:?} can't be read: {error}; run this as the user that the service runs as, or as root while it runs"
        ))),
    }
}

/// Does it on a store that may have neither team nor key yet.
async fn on(
    store: &Store,
    config: &Config,
    command: KeyCommand,
    clock: &dyn Clock,
) -> Result<KeyAnswer, Failure> {
    let team = &config.team;
    let first = sl_api::ensure_team_and_owner_key(store, &team.name, &team.slug, clock, &rand::fill::<u8>);
    if let Some(secret) = first.await.map_err(Failure::run)? {
        first_key::show(&secret);
    }
    Ok(execute(store, command, clock).await)
}

/// Does it.
pub(crate) async fn execute(store: &Store, command: KeyCommand, clock: &dyn Clock) -> KeyAnswer {
    match try_execute(store, command, clock).await {
        Ok(keys) => KeyAnswer::Keys(keys),
        Err(why) => KeyAnswer::Refused(why),
    }
}

async fn try_execute(store: &Store, command: KeyCommand, clock: &dyn Clock) -> Result<Vec<Value>, String> {
    let say = |error: sl_api::KeyError| error.to_string();
    let teams = store.catalog.teams().await.map_err(|error| error.to_string())?;
    let team = teams.first().map_or(TeamId(1), |team| team.id);
    let now = clock.now();
    match command {
        KeyCommand::Create { name, role } => {
            let role = Role::from_word(&role).ok_or_else(|| {
                format!("role = {role:?}: it is one of {}", Role::ALL.map(Role::as_str).join(", "))
            })?;
            let made = create_key(store, team, &name, role.permissions(), now, &rand::fill::<u8>)
                .await
                .map_err(say)?;
            let mut row = row(&made.key);
            if let Some(fields) = row.as_object_mut() {
                fields.insert("secret".to_owned(), made.secret.expose().into());
            }
            Ok(vec![row])
        }
        KeyCommand::List => Ok(list_keys(store, team).await.map_err(say)?.iter().map(row).collect()),
        KeyCommand::Revoke { id } => {
            Ok(vec![row(&revoke_key(store, team, ApiKeyId(id), now).await.map_err(say)?)])
        }
    }
}

fn row(key: &ApiKey) -> Value {
    json!({
        "id": key.id.0,
        "name": key.name,
        "permissions": key.permissions,
        "created_at": key.created_at.iso(),
        "last_used_at": key.last_used_at.map(sl_core::time::Timestamp::iso),
        "revoked_at": key.revoked_at.map(sl_core::time::Timestamp::iso),
    })
}

fn print(keys: &[Value], json: bool) {
    if json {
        say!("{}", Value::from(keys.to_vec()));
        return;
    }
    for key in keys {
        let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
        let id = key.get("id").and_then(Value::as_u64).unwrap_or_default();
        let state = if key.get("revoked_at").is_some_and(Value::is_string) { "revoked" } else { "active" };
        say!(
            "{id:>4}  {:<24} {state:<8} created {}  last used {}",
            text("name"),
            text("created_at"),
            text("last_used_at")
        );
        if let Some(secret) = key.get("secret").and_then(Value::as_str) {
            say!("      {secret}  (shown once)");
        }
    }
}
