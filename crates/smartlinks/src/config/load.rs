//! Reading: the default, then the file, then the environment; every key that can't be used is named.

use std::{ffi::OsString, path::Path};

use serde::Deserialize;
use toml::{Table, Value};

use super::{Config, DEFAULT, Problem, values};

/// The configuration can't be used.
#[derive(Debug)]
pub(crate) struct LoadError(pub(crate) Vec<Problem>);

/// Prefix of environment overrides.
const PREFIX: &str = "SMARTLINKS_";
/// Variables with the prefix that are no configuration keys.
const NOT_KEYS: [&str; 4] =
    ["SMARTLINKS_CONFIG", "SMARTLINKS_HISTORIES", "SMARTLINKS_HISTORY", "SMARTLINKS_CRASH_ROUNDS"];

/// For tests and benches: where the servers of the dev cluster are, and how much is asked of them.
const TESTS: &str = "SMARTLINKS_TEST_";

fn is_for_tests(name: &str) -> bool {
    NOT_KEYS.contains(&name) || name.starts_with(TESTS)
}

/// A key with its path, and what was written.
type Leaf = (Vec<String>, Value);

/// Loads and checks. `file` must exist when it is given; `environment` is the process's.
///
/// # Errors
/// [`LoadError`] with every problem found, warnings included.
pub(crate) fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
) -> Result<(Config, Vec<Problem>), LoadError> {
    let stop = |key: &str, text: String| LoadError(vec![Problem::error(key, text)]);
    let base: Table = DEFAULT.parse().map_err(|error| stop("default", format!("{error}")))?;
    let mut merged = base.clone();
    let mut problems = Vec::new();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| stop("--config", format!("{path:?} can't be read: {error}")))?;
        let table: Table = text
            .parse()
            .map_err(|error| stop("--config", format!("{path:?}, {}", not_toml(&text, &error))))?;
        let mut leaves = Vec::new();
        collect(&mut Vec::new(), table, &mut leaves);
        for leaf in leaves {
            take(&base, &mut merged, leaf, &mut problems);
        }
    }
    for (name, text) in environment {
        let (name, text): (OsString, OsString) = (name.into(), text.into());
        // A name of ours is plain text; what others put into the environment is no concern.
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX) && !is_for_tests(name)) else {
            continue;
        };
        let path: Vec<_> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        match text.to_str() {
            Some(text) => {
                let value = spelled(&base, &path, text);
                take(&base, &mut merged, (path, value), &mut problems);
            }
            None => {
                problems.push(Problem::error(path.join("."), format!("{name} is not UTF-8; write it anew")))
            }
        }
    }
    let mut config: Config = Config::deserialize(Value::Table(merged))
        .map_err(|error| stop("configuration", error.message().to_owned()))?;
    resolve(&mut config, &mut problems);
    super::check::check(&config, &mut problems);
    if problems.iter().any(Problem::is_error) { Err(LoadError(problems)) } else { Ok((config, problems)) }
}

/// Every value of the file with its path; tables are walked, everything else is a value.
fn collect(path: &mut Vec<String>, table: Table, leaves: &mut Vec<Leaf>) {
    for (key, value) in table {
        path.push(key);
        match value {
            Value::Table(inner) => collect(path, inner, leaves),
            value => leaves.push((path.clone(), value)),
        }
        path.pop();
    }
}

/// Takes a value over if it works on top of the default; says what is wrong with it otherwise.
fn take(base: &Table, merged: &mut Table, (path, value): Leaf, problems: &mut Vec<Problem>) {
    let mut alone = base.clone();
    let placed = place(&mut alone, &path, value.clone());
    let tried = if placed {
        Config::deserialize(Value::Table(alone)).map(drop).map_err(|error| error.message().to_owned())
    } else {
        Err("a value stands where a section is needed".to_owned())
    };
    match tried {
        Ok(()) => {
            place(merged, &path, value);
        }
        Err(message) => problems.push(Problem::error(path.join("."), explain(&path, &value, &message))),
    }
}

/// The value is left out where it may be a secret.
fn explain(path: &[String], value: &Value, message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    if message.starts_with("unknown field") {
        return format!("there is no such key; {}", message.replacen("unknown field", "unknown", 1));
    }
    let hidden = path
        .last()
        .is_some_and(|key| ["key", "token", "secret", "password"].iter().any(|word| key.contains(word)));
    if hidden {
        // What was expected comes last; before it the message may quote the value.
        let expected = message.rsplit_once(", expected ").map_or("another", |(_, expected)| expected);
        let remedy = if expected.contains("sequence") { "[\"…\", \"…\"]" } else { "\"…\"" };
        return format!(
            "of type {}, which can't be used: expected {expected}; write {remedy}",
            value.type_str()
        );
    }
    let remedy = match message {
        message if message.contains("socket address") => "; write an address and a port, as 127.0.0.1:8080",
        message if message.contains("IP address") => "; write networks, as 10.0.0.0/8",
        _ => "",
    };
    format!("{value} can't be used: {message}{remedy}")
}

/// Where a file is no TOML and why, without the line itself: a secret may stand there.
fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {}; texts stand in quotes, lists in brackets", error.message())
}

/// Puts the value at its path; `false` when something on the way is no table.
fn place(table: &mut Table, path: &[String], value: Value) -> bool {
    match path {
        [] => false,
        [key] => {
            table.insert(key.clone(), value);
            true
        }
        [key, rest @ ..] => match table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => place(inner, rest, value),
            _ => false,
        },
    }
}

/// What a variable's text means: a text where a text works, else a TOML value, else a list separated by commas.
fn spelled(base: &Table, path: &[String], text: &str) -> Value {
    let works = |value: &Value| {
        let mut alone = base.clone();
        place(&mut alone, path, value.clone()) && Config::deserialize(Value::Table(alone)).is_ok()
    };
    let plain = Value::String(text.to_owned());
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let list = Value::Array(items.map(|item| Value::String(item.to_owned())).collect());
    [Some(plain.clone()), parsed, Some(list)]
        .into_iter()
        .flatten()
        .find(|value| works(value))
        .unwrap_or(plain)
}

/// Reads the files that secrets are in.
fn resolve(config: &mut Config, problems: &mut Vec<Problem>) {
    let Config { admin, platform, secrets, kafka, scylla, .. } = config;
    let results = [
        (
            "admin.metrics_token",
            admin.metrics_token.resolve("admin.metrics_token", admin.metrics_token_file.as_ref()),
        ),
        ("platform.api_key", platform.api_key.resolve("platform.api_key", platform.api_key_file.as_ref())),
        ("scylla.password", scylla.password.resolve("scylla.password", scylla.password_file.as_ref())),
        ("secrets.key", secrets.key.resolve("secrets.key", secrets.key_file.as_ref())),
        (
            "secrets.visitors_key",
            secrets.visitors_key.resolve("secrets.visitors_key", secrets.visitors_key_file.as_ref()),
        ),
        (
            "platform.webhook_secrets",
            values::secrets(
                "platform.webhook_secrets",
                &mut platform.webhook_secrets,
                platform.webhook_secrets_file.as_ref(),
            ),
        ),
        (
            "kafka.security",
            values::properties("kafka.security", &mut kafka.security, kafka.security_file.as_ref()),
        ),
    ];
    for (key, result) in results {
        if let Err(text) = result {
            problems.push(Problem::error(key, text));
        }
    }
}
