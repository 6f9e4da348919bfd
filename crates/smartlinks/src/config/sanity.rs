//! What a part of the service would refuse when it starts, or quietly do without: said before it starts.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{Config, Problem, check::has_host};
use crate::service::control;

/// Each is a thread with a runtime and a listener of its own.
const MOST_THREADS: usize = 1024;

/// Adds what is wrong or will be missing.
pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    listeners(config, problems);
    addresses(config, problems);
    retention(config, problems);
    files(config, problems);
    directory(config, problems);
    if let Err(error) = filter(&config.log.level) {
        let text = format!("{:?} is no level: {error}; write info, debug or warn", config.log.level);
        problems.push(Problem::error("log.level", text));
    }
}

/// Alone, a word that is no level would be taken for the name of a part that may say everything, while all others say nothing.
fn filter(level: &str) -> Result<(), String> {
    EnvFilter::try_new(level).map_err(|error| error.to_string())?;
    let words = level.split(',').map(str::trim).filter(|word| !word.contains(['=', '[']));
    let (levels, others): (Vec<&str>, Vec<&str>) =
        words.partition(|word| word.parse::<LevelFilter>().is_ok());
    match others.first().filter(|_| levels.is_empty()) {
        Some(word) => Err(format!("nothing is called {word:?}")),
        None => Ok(()),
    }
}

fn directory(config: &Config, problems: &mut Vec<Problem>) {
    let dir = &config.data_dir;
    if dir.as_os_str().is_empty() {
        let text =
            "is empty, so that keys and store would lie wherever the service is started; name a directory";
        problems.push(Problem::error("data_dir", text));
    } else if dir.exists() && !dir.is_dir() {
        problems.push(Problem::error("data_dir", format!("{dir:?} is no directory; name one, or a new one")));
    } else if let Some(barred) = barred(dir) {
        let text = format!(
            "this user can't write in {barred:?}: whoever runs the service must be able to; give it to them, or name another directory"
        );
        problems.push(Problem::warning("data_dir", text));
    }
}

/// Where files would have to be made, if this user may not: the directory itself, or what there is above it.
fn barred(dir: &Path) -> Option<&Path> {
    // Of a name without a parent the parent is empty, and means this one.
    let above = dir.ancestors().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    let nearest = above.into_iter().find(|dir| dir.exists())?;
    access(nearest, Access::WRITE_OK | Access::EXEC_OK).is_err().then_some(nearest)
}

fn listeners(config: &Config, problems: &mut Vec<Problem>) {
    let Config { edge, admin, .. } = config;
    if collide(edge.listen, admin.listen) {
        let text =
            format!("{}: edge.listen = {} is on the same port; choose another", admin.listen, edge.listen);
        problems.push(Problem::error("admin.listen", text));
    }
    if let Some(threads) = edge.threads.filter(|threads| *threads > MOST_THREADS) {
        let text = format!(
            "{threads}: more than cores are no use; set about as many as cores, at most {MOST_THREADS}"
        );
        problems.push(Problem::error("edge.threads", text));
    }
    if http::HeaderName::from_bytes(edge.client_ip_header.as_bytes()).is_err() {
        let text = format!("{:?} is no name of a header; write x-forwarded-for", edge.client_ip_header);
        problems.push(Problem::error("edge.client_ip_header", text));
    }
}

/// Port 0 is one that the system chooses.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (everywhere || one.ip() == other.ip())
}

fn addresses(config: &Config, problems: &mut Vec<Problem>) {
    if let Some(url) = config.otel.endpoint.as_ref().filter(|url| !has_host(url)) {
        problems.push(Problem::error("otel.endpoint", format!("{url}: it must be an http or https address")));
    }
}

fn retention(config: &Config, problems: &mut Vec<Problem>) {
    for (key, kept) in
        [("retention.clicks", config.retention.clicks), ("retention.deliveries", config.retention.deliveries)]
    {
        if kept.is_zero() {
            problems.push(Problem::error(key, "0: everything would be forgotten at once; set days"));
        }
    }
}

/// Databases of addresses by key, as configured, and what is without them.
fn databases(config: &Config) -> [(&'static str, Option<&PathBuf>, &'static str); 3] {
    let geo = &config.geo;
    [
        ("geo.country_db", geo.country_db.as_ref(), "the shipped country file is used"),
        ("geo.city_db", geo.city_db.as_ref(), "cities are not known"),
        ("geo.asn_db", geo.asn_db.as_ref(), "crawlers are not told by their network"),
    ]
}

/// A file that is not there yet may come: it is read then.
fn files(config: &Config, problems: &mut Vec<Problem>) {
    if !control::fits(&config.data_dir) {
        let socket = control::path(&config.data_dir);
        let text = format!(
            "{:?}: no socket can be made at {socket:?}, whose {} bytes are more than a system takes (107 on Linux); choose a shorter directory",
            config.data_dir,
            socket.as_os_str().len()
        );
        problems.push(Problem::error("data_dir", text));
    }
    for (key, path, without) in databases(config) {
        if let Some(path) = path
            && let Err(error) = std::fs::File::open(path)
        {
            let text = format!("{path:?} can't be read: {error}; until it can, {without}");
            problems.push(Problem::warning(key, text));
        }
    }
}

/// Databases that can be opened but are none. They are read whole, which is more than every command should do.
pub(crate) fn unusable(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, path, without) in databases(config) {
        // One that can't be opened has been named.
        if let Some(path) = path
            && std::fs::File::open(path).is_ok()
            && let Err(reason) = sl_edge::check_database(path)
        {
            let text = format!("{path:?}: {reason}; until it is replaced, {without}");
            problems.push(Problem::warning(key, text));
        }
    }
    problems
}
