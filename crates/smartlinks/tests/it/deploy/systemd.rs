//! systemd units.

use std::fs;

use super::{assert_every_role_once, assert_known_roles, files, set, settings, text, tool};

/// `NAME=VALUE` lines of a file or of the unit's `Environment=`.
fn pairs<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    lines
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once('=').unwrap_or_else(|| panic!("{line}")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Values of a key of a unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let prefix = format!("{key}=");
    unit.lines().filter_map(|line| line.strip_prefix(prefix.as_str())).collect()
}

/// What is the same in both units: everything about rights and bounds.
const SHARED: &str = "DynamicUser=yes";

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["smartlinks.service", "smartlinks@.service"] {
        // The verifier wants a program that is there.
        let unit = text(&format!("systemd/{name}"))
            .replace("/usr/local/bin/smartlinks", env!("CARGO_BIN_EXE_smartlinks"));
        let path = dir.path().join(name.replace("@.", "@edge."));
        fs::write(&path, unit).unwrap();
        if let Some(verified) = tool("systemd-analyze", &["verify", "--man=no", path.to_str().unwrap()]) {
            let said = super::said(&verified);
            let own: Vec<_> = said.lines().filter(|line| line.contains("smartlinks")).collect();
            assert!(verified.status.success() && own.is_empty(), "{name}: {said}");
        }
    }
}

#[test]
fn units_give_the_time_to_stop_and_do_not_start_again_what_is_configured_wrongly() {
    for name in files("systemd", ".service") {
        let unit = text(&name);
        let stop: u64 = values(&unit, "TimeoutStopSec").pop().unwrap().parse().unwrap();
        assert!(stop > super::STOP_SECONDS, "{name}");
        assert_eq!(values(&unit, "RestartPreventExitStatus"), ["2"], "{name}");
        let config = values(&unit, "ExecStart").pop().unwrap();
        assert!(config.contains("--config /etc/smartlinks/smartlinks.toml"), "{name}: {config}");
    }
}

#[test]
fn both_units_have_the_same_rights_and_bounds() {
    let rights = |name: &str| {
        let unit = text(name);
        let (_, rest) = unit.split_once(SHARED).unwrap();
        rest.replace("/%i", "")
    };
    assert_eq!(rights("systemd/smartlinks.service"), rights("systemd/smartlinks@.service"));
}

#[test]
fn the_instances_run_every_role_once_with_settings_that_the_binary_takes() {
    let unit = text("systemd/smartlinks@.service");
    let of_unit = pairs(values(&unit, "Environment").into_iter());
    let loaded =
        set(values(&unit, "LoadCredential").into_iter().map(|value| value.split_once(':').unwrap().0));
    let (mut sets, mut ports) = (Vec::new(), Vec::new());
    for file in files("systemd/roles", ".env") {
        let of_file = text(&file);
        let mut variables = of_unit.clone();
        variables.extend(pairs(of_file.lines()));
        for (_, value) in &variables {
            if let Some(credential) = value.strip_prefix("%d/") {
                assert!(loaded.contains(credential), "{file}: {credential}");
            }
        }
        let one = |name: &str| variables.iter().find(|(key, _)| key == name).unwrap().1.clone();
        let roles = one("ROLES");
        assert_known_roles(&roles, &file);
        sets.push(roles);
        ports.push(one("SMARTLINKS_ADMIN__LISTEN"));
        settings::assert_taken(&file, Some("systemd/cluster.toml"), &variables);
    }
    assert_every_role_once(sets.iter().map(String::as_str), "systemd/roles");
    assert_eq!(set(&ports).len(), ports.len(), "two instances on one machine: {ports:?}");
}
