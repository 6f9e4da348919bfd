//! Every configuration that `deploy/` hands to the binary is one that the binary takes.

use std::fs;

use serde_json::Value;

use super::text;
use crate::process::command;

/// Where the deployments put secrets. The test has a folder of its own instead.
const SECRETS: [&str; 3] = ["/run/secrets/", "/run/credentials/", "%d/"];

/// `check-config` takes the file with these variables. Files of secrets exist and hold something of the right shape.
pub(super) fn assert_taken(whose: &str, file: Option<&str>, variables: &[(String, String)]) {
    let dir = tempfile::tempdir().unwrap();
    let secret = |value: &str| {
        let name = value.rsplit('/').next().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, "5e".repeat(32)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let placed = |value: &str| {
        if SECRETS.iter().any(|prefix| value.starts_with(prefix)) { secret(value) } else { value.to_owned() }
    };
    let mut checking = command();
    checking.args(["check-config", "--json"]);
    if let Some(file) = file {
        let table: toml::Table = text(file).parse().unwrap_or_else(|error| panic!("deploy/{file}: {error}"));
        let path = dir.path().join("smartlinks.toml");
        fs::write(&path, toml::to_string(&replaced(table, &placed)).unwrap()).unwrap();
        checking.arg("--config").arg(path);
    }
    for (name, value) in variables.iter().filter(|(name, _)| name != "SMARTLINKS_CONFIG") {
        checking.env(name, placed(value));
    }
    let checked = checking.output().unwrap();
    let problems: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let errors: Vec<(&str, &str)> = problems
        .as_array()
        .unwrap()
        .iter()
        .filter(|problem| problem["level"] == "error")
        .map(|problem| (problem["key"].as_str().unwrap(), problem["text"].as_str().unwrap()))
        .collect();
    // Until this version knows the cluster it refuses it, and the cluster's own keys, and nothing else.
    let unknown = errors.iter().any(|(key, why)| *key == "storage.backend" && why.contains("not part of"));
    let of_cluster =
        |key: &str| ["storage.backend", "kafka.", "scylla."].iter().any(|own| key.starts_with(own));
    let wrong: Vec<_> = errors.iter().filter(|(key, _)| !(unknown && of_cluster(key))).collect();
    assert!(wrong.is_empty(), "{whose}: {wrong:#?}");
}

/// The same configuration with its secrets elsewhere.
fn replaced(table: toml::Table, placed: &impl Fn(&str) -> String) -> toml::Table {
    let value = |value: toml::Value| match value {
        toml::Value::String(text) => toml::Value::String(placed(&text)),
        toml::Value::Table(inner) => toml::Value::Table(replaced(inner, placed)),
        other => other,
    };
    table.into_iter().map(|(key, inner)| (key, value(inner))).collect()
}

#[test]
fn a_key_that_the_binary_does_not_know_is_found() {
    let wrong = [("SMARTLINKS_EDGE__COLOUR".to_owned(), "red".to_owned())];
    assert!(std::panic::catch_unwind(|| assert_taken("a test", None, &wrong)).is_err());
}
