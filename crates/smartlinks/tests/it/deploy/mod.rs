//! `deploy/`, as far as it can be checked without a container engine, a Kubernetes cluster or systemd as process 1. What a
//! check here can't say is in `deploy/README.md`.

mod compose;
mod figures;
mod image;
mod kubernetes;
mod pods;
mod promql;
mod settings;
mod systemd;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::process::command;

/// The roles of surface 1. Each must run somewhere, and nowhere twice.
const ROLES: [&str; 8] = ["api", "attribution", "dashboard", "edge", "intake", "matcher", "pool", "postback"];

/// The ordered stop takes at most so many seconds (decisions 14).
const STOP_SECONDS: u64 = 15;

/// A path below `deploy/`.
fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(deploy(path)).unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}

/// The documents of a file.
fn yaml(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&text(path)).unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}

/// Every file below a folder of `deploy/` whose name ends so.
fn files(folder: &str, suffix: &str) -> Vec<String> {
    let mut found: Vec<String> = fs::read_dir(deploy(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(suffix))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "deploy/{folder} has no {suffix}");
    found
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// A tool that is not on every machine; its check is said to be skipped where it is missing.
fn tool(name: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(name).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {name} is not on this machine");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The binary takes this command line: `serve` as one role of several is refused by embedded storage and by nothing else.
fn assert_known_roles(roles: &str, whose: &str) {
    let output = command().args(["serve", "--roles", roles]).output().unwrap();
    let text = said(&output);
    assert!(text.contains("storage.backend") && !text.contains("no such role"), "{whose}: {text}");
}

/// Each role runs in exactly one of these sets.
fn assert_every_role_once<'a>(sets: impl IntoIterator<Item = &'a str>, whose: &str) {
    let mut found: Vec<&str> = sets.into_iter().flat_map(|set| set.split(',')).collect();
    found.sort_unstable();
    assert_eq!(found, ROLES, "{whose}");
}

/// Ports of the two listeners, as the default has them.
fn default_ports() -> (u64, u64) {
    let printed = command().arg("print-config").output().unwrap();
    let table: toml::Table = String::from_utf8(printed.stdout).unwrap().parse().unwrap();
    let port = |section: &str| {
        let address = table.get(section).and_then(|section| section.get("listen")).unwrap();
        address.as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap()
    };
    (port("edge"), port("admin"))
}

fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    items.into_iter().collect()
}
