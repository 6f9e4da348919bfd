//! What only a cluster asks of the configuration.

use super::{Config, Problem};

/// Adds everything that is wrong or surprising.
pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let Config { kafka, scylla, secrets, .. } = config;
    let mut wrong = |bad: bool, key: &str, text: String| {
        if bad {
            problems.push(Problem::error(key, text));
        }
    };
    wrong(
        secrets.key.0.is_none(),
        "secrets.key",
        "not set: every machine of a cluster needs the same one; `openssl rand -hex 32` makes it".into(),
    );
    for address in scylla.nodes.split(',').map(str::trim) {
        let text = format!("{address:?}: write host:port, with commas between several");
        wrong(!is_address(address), "scylla.nodes", text);
    }
    wrong(
        !(1..=15).contains(&scylla.replication),
        "scylla.replication",
        format!("{}: set 3, or 1 for a single machine", scylla.replication),
    );
    wrong(
        !is_keyspace(&scylla.keyspace),
        "scylla.keyspace",
        format!("{:?}: use letters, digits and underscores, at most 48, a letter first", scylla.keyspace),
    );
    wrong(
        scylla.local_dc.as_deref().is_some_and(|name| !is_datacentre(name)),
        "scylla.local_dc",
        "use letters, digits, dots, hyphens and underscores".into(),
    );
    wrong(
        scylla.user.is_some() != scylla.password.0.is_some(),
        "scylla.user",
        "user and password belong together; set both or neither".into(),
    );
    for (key, copies) in
        [("kafka.replication", kafka.replication), ("scylla.replication", scylla.replication)]
    {
        if copies == 1 {
            let text = "1: a machine that is lost takes its data with it; set 3";
            problems.push(Problem::warning(key, text));
        }
    }
}

fn is_address(text: &str) -> bool {
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    text.rsplit_once(':').is_some_and(|(host, number)| !host.is_empty() && port(number))
}

fn is_keyspace(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    first && text.len() <= 48 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a text may stand in a statement as the name of a data centre.
fn is_datacentre(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
