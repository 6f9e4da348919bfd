//! What types can't say: ranges, contradictions, and settings that work but surprise.

use ipnet::IpNet;
use serde::Serialize;
use sl_core::{batch, pace::Pace, time::written};
use std::{fmt, time::Duration};

use super::{Backend, Config};

/// One line of `check-config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    pub(crate) level: Level,
    /// Such as `edge.listen`.
    pub(crate) key: String,
    /// What is wrong, the consequence and the remedy.
    pub(crate) text: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// The service does not start.
    Error,
    /// It starts, and does what the line says.
    Warning,
}

impl Problem {
    pub(crate) fn error(key: impl Into<String>, text: impl Into<String>) -> Self {
        Self { level: Level::Error, key: key.into(), text: text.into() }
    }

    pub(super) fn warning(key: &str, text: impl Into<String>) -> Self {
        Self { level: Level::Warning, key: key.to_owned(), text: text.into() }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.level == Level::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        write!(f, "{level}: {}: {}", self.key, self.text)
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR_MINUTES: u64 = 60;

/// Adds everything that is wrong or surprising.
pub(crate) fn check(config: &Config, problems: &mut Vec<Problem>) {
    ranges(config, problems);
    ad_platforms(config, problems);
    secrets(config, problems);
    exceptions(config, problems);
    kafka(config, problems);
    if config.storage.backend == Backend::Cluster {
        super::cluster::check(config, problems);
    }
    surprises(config, problems);
    super::sanity::check(config, problems);
}

fn ranges(config: &Config, problems: &mut Vec<Problem>) {
    let Config { team, edge, journal, platform, pool, attribution, postback, .. } = config;
    let mut wrong = |bad: bool, key: &str, text: String| {
        if bad {
            problems.push(Problem::error(key, text));
        }
    };
    wrong(team.name.trim().is_empty(), "team.name", "empty; give the team a name".into());
    wrong(
        !is_slug(&team.slug),
        "team.slug",
        format!("{:?}: use lower-case letters, digits and hyphens", team.slug),
    );
    wrong(
        edge.threads == Some(0),
        "edge.threads",
        "0: nobody would accept connections; set at least 1".into(),
    );
    wrong(
        edge.max_connections == 0,
        "edge.max_connections",
        "0: every visitor would get 503; set at least 1".into(),
    );
    wrong(
        edge.header_timeout.is_zero(),
        "edge.header_timeout",
        "0: every request would be too slow; set about 5s".into(),
    );
    wrong(
        edge.max_header_bytes.as_u64() < 1024,
        "edge.max_header_bytes",
        format!("{}: browsers send about 1 KiB; set at least 1KiB", edge.max_header_bytes),
    );
    wrong(
        edge.durable_wait < Duration::from_millis(1),
        "edge.durable_wait",
        format!(
            "{}: no disk is that fast and every click would be late; set at least 1ms",
            written(edge.durable_wait)
        ),
    );
    wrong(
        edge.durable_wait >= edge.header_timeout,
        "edge.durable_wait",
        format!(
            "{}: not below edge.header_timeout, so a stalled disk would hold every visitor; lower it",
            written(edge.durable_wait)
        ),
    );
    wrong(
        edge.visitor_window.is_zero() || edge.visitor_window > DAY,
        "edge.visitor_window",
        format!("{}: it must be above 0 and at most 24h", written(edge.visitor_window)),
    );
    wrong(
        edge.window_entries == 0,
        "edge.window_entries",
        "0: no repeat would be recognised; set at least 1".into(),
    );
    wrong(
        !has_host(&edge.public_url),
        "edge.public_url",
        format!("{}: it must be an http or https address", edge.public_url),
    );
    wrong(
        edge.public_url.query().is_some() || edge.public_url.fragment().is_some(),
        "edge.public_url",
        format!("{}: links are this address with /go/ID behind it; leave ? and # out", edge.public_url),
    );
    wrong(
        !(16 << 10..=1 << 30).contains(&journal.segment.as_u64()),
        "journal.segment",
        format!("{}: it must be between 16KiB and 1GiB", journal.segment),
    );
    wrong(
        journal.max_disk.as_u64() < 3 * journal.segment.as_u64(),
        "journal.max_disk",
        format!("{}: it must hold three segments; raise it or lower journal.segment", journal.max_disk),
    );
    wrong(
        !has_host(&platform.base_url),
        "platform.base_url",
        format!("{}: it must be an http or https address", platform.base_url),
    );
    wrong(
        platform.base_url.path().trim_end_matches('/').ends_with("/api"),
        "platform.base_url",
        format!("{}: calls have /api in front of their paths already; leave it out", platform.base_url),
    );
    wrong(
        platform.requests_per_minute == 0,
        "platform.requests_per_minute",
        "0: the platform would never be asked; set at least 1".into(),
    );
    wrong(
        platform.poll < Duration::from_secs(1),
        "platform.poll",
        format!("{}: it must be at least 1s", written(platform.poll)),
    );
    wrong(
        pool.min > pool.max,
        "pool.min",
        format!("{} is above pool.max = {}; lower it or raise that", pool.min, pool.max),
    );
    wrong(
        attribution.window.is_zero() || attribution.window > 30 * DAY,
        "attribution.window",
        format!("{}: it must be above 0 and at most 30d", written(attribution.window)),
    );
    wrong(
        attribution.gather > Duration::from_secs(1),
        "attribution.gather",
        format!("{}: nothing is won above 1s; every click waits for so long", written(attribution.gather)),
    );
    wrong(
        postback.concurrency == 0,
        "postback.concurrency",
        "0: nothing would be delivered; set at least 1".into(),
    );
    wrong(
        !(1..=batch::MOST).contains(&postback.max_batch),
        "postback.max_batch",
        format!("{}: 1 to {}; 1 sends every event alone", postback.max_batch, batch::MOST),
    );
    wrong(
        postback.max_per_minute > Pace::MOST,
        "postback.max_per_minute",
        format!("{}: at most {}; 0 for no limit of ours", postback.max_per_minute, Pace::MOST),
    );
    wrong(
        postback.timeout < Duration::from_millis(100),
        "postback.timeout",
        format!("{}: no receiver is that fast; set about 10s", written(postback.timeout)),
    );
}

/// Each platform has the keys it knows, and values it can use.
fn ad_platforms(config: &Config, problems: &mut Vec<Problem>) {
    for (kind, set) in &config.ad_platforms {
        let facts = kind.facts();
        let mut wrong = |key: &str, text: String| {
            problems.push(Problem::error(format!("ad_platforms.{}.{key}", facts.word), text));
        };
        let address = &set.base_url;
        let good = |url: url::Url| ["http", "https"].contains(&url.scheme()) && has_host(&url);
        // Ours has the paths; a whole address is only what somebody was given (decisions 38).
        let good = |url: url::Url| good(url.clone()) && (!facts.has_public_address || is_origin(&url));
        let none = address.is_empty() && !facts.has_public_address;
        let spaced = address.contains(char::is_whitespace);
        if !none && (spaced || !url::Url::parse(address).is_ok_and(good)) {
            let remedy = if facts.has_public_address {
                "it must be an http or https address without a path, as https://graph.facebook.com".to_owned()
            } else {
                format!("set the whole https:// address that {} gave you, or leave it empty", facts.name)
            };
            wrong("base_url", format!("{address:?}: {remedy}"));
        }
        match set.version.as_deref() {
            Some(_) if !facts.has_version => {
                wrong("version", format!("{} has no versions; remove this key", facts.name));
            }
            version if facts.has_version && !version.is_some_and(sl_core::platforms::is_version) => {
                let said = version.filter(|version| !version.is_empty());
                let said = said.map_or_else(|| "nothing".to_owned(), |said| format!("{said:?}"));
                wrong(
                    "version",
                    format!("{said}; write the version of {}'s interface, as v26.0", facts.name),
                );
            }
            _ => {}
        }
        match (set.max_age, facts.most_days) {
            // An age below an hour or two sends nothing, since the last hour is never used (ad-platforms 14, rule 1).
            (Some(age), Some(most)) if age < 2 * Duration::from_secs(3600) || age > most * DAY => {
                let text = format!(
                    "{}: set from 2h to {most}d, beyond which the platform refuses events",
                    written(age)
                );
                wrong("max_age", text);
            }
            (None, Some(most)) => wrong("max_age", format!("nothing; set from 2h to {most}d")),
            (Some(_), None) => wrong("max_age", format!("{} has a fixed age; remove this key", facts.name)),
            _ => {}
        }
    }
}

fn secrets(config: &Config, problems: &mut Vec<Problem>) {
    let keys = [("secrets.key", &config.secrets.key), ("secrets.visitors_key", &config.secrets.visitors_key)];
    for (name, key) in keys {
        if let Some(key) = &key.0
            && (key.expose().len() != 64 || !key.expose().bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            let text = "it must be 64 hex digits; `openssl rand -hex 32` makes one";
            problems.push(Problem::error(name, text));
        }
    }
    let platform = &config.platform;
    if platform.api_key.0.is_none() {
        problems.push(Problem::warning(
            "platform.api_key",
            "not set: the roles pool and matcher make no links and match nobody; visitors go to the creator's page",
        ));
    }
    if platform.webhook_secrets.iter().any(|secret| secret.expose().trim().is_empty()) {
        let text =
            "one of them is empty: whoever signs with nothing could invent revenue; remove it or fill it in";
        problems.push(Problem::error("platform.webhook_secrets", text));
    }
    match (platform.webhook_secrets.is_empty(), platform.accept_unsigned) {
        (true, false) => problems.push(Problem::warning(
            "platform.webhook_secrets",
            "empty: the role intake refuses every webhook with 401",
        )),
        (_, true) => problems.push(Problem::warning(
            "platform.accept_unsigned",
            "true: whoever reaches admin.listen can invent revenue",
        )),
        _ => {}
    }
}

fn exceptions(config: &Config, problems: &mut Vec<Problem>) {
    if let Err(error) = sl_postback::Egress::new(&config.egress.allow) {
        problems.push(Problem::error("egress.allow", error.to_string()));
    }
    if let Some(network) = config.edge.trusted_proxies.iter().find(|network| is_wide(network)) {
        let text = format!(
            "{network}: whoever connects from there chooses the address, country and fingerprint of a click; list the proxies alone"
        );
        problems.push(Problem::warning("edge.trusted_proxies", text));
    }
    let allowed = config.egress.allow.iter().filter_map(|text| text.parse().ok());
    if let Some(network) = allowed.into_iter().find(is_wide) {
        let text = format!(
            "{network}: postbacks may reach whatever private network lies in it; list the receivers alone"
        );
        problems.push(Problem::warning("egress.allow", text));
    }
}

/// Wider than any private network.
fn is_wide(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() < 8,
        IpNet::V6(network) => network.prefix_len() < 7,
    }
}

fn kafka(config: &Config, problems: &mut Vec<Problem>) {
    let wrong = config.kafka.settings().problems().into_iter();
    problems.extend(wrong.map(|wrong| Problem::error(wrong.key, wrong.problem)));
}

fn surprises(config: &Config, problems: &mut Vec<Problem>) {
    let Config { edge, journal, admin, platform, pool, .. } = config;
    let mut note = |odd: bool, key: &str, text: String| {
        if odd {
            problems.push(Problem::warning(key, text));
        }
    };
    let local = edge.public_url.host_str().is_some_and(|host| host == "127.0.0.1" || host == "localhost");
    note(
        edge.public_url.scheme() != "https" && !local,
        "edge.public_url",
        "not https: browsers drop the visitor cookie, repeats are told by fingerprint only".into(),
    );
    note(
        edge.public_url.scheme() == "https" && edge.trusted_proxies.is_empty(),
        "edge.trusted_proxies",
        "empty, although edge.public_url is https and the edge speaks no TLS: every visitor has the address, and so the country and the fingerprint, of the proxy before it; list the proxy's addresses".into(),
    );
    // Quarantine begins with the end of the link's attribution window, which may be as short as a minute; the visitor window with the
    // hand-out, and it does not slide.
    note(
        pool.quarantine < edge.visitor_window,
        "pool.quarantine",
        format!(
            "{}: below edge.visitor_window = {}, so a link could go to a second visitor while the first is still sent to it; raise it or lower that",
            written(pool.quarantine),
            written(edge.visitor_window)
        ),
    );
    note(
        journal.retention < edge.visitor_window,
        "journal.retention",
        "shorter than edge.visitor_window: after a restart earlier visitors are new ones".into(),
    );
    note(
        journal.segment.as_u64() < 2 << 20,
        "journal.segment",
        format!(
            "{}: a webhook that does not fit into it is refused with 503; set at least 2MiB",
            journal.segment
        ),
    );
    note(
        !admin.listen.ip().is_loopback(),
        "admin.listen",
        format!("{} is reachable from outside; put TLS in front, and set admin.metrics_token", admin.listen),
    );
    let reach = u64::from(platform.requests_per_minute) * HOUR_MINUTES * pool.cover.as_secs().max(1) / 3600;
    note(
        u64::from(pool.max) < reach / 8,
        "pool.max",
        format!(
            "{}: platform.requests_per_minute could fill pool.cover = {} with {reach} links; above pool.max visitors get the overflow link",
            pool.max,
            written(pool.cover)
        ),
    );
}

fn is_slug(slug: &str) -> bool {
    !slug.is_empty()
        && slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

pub(super) fn has_host(url: &url::Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// Scheme, host and port alone.
fn is_origin(url: &url::Url) -> bool {
    let bare = url.username().is_empty() && url.password().is_none();
    bare && url.path() == "/" && url.query().is_none() && url.fragment().is_none()
}
