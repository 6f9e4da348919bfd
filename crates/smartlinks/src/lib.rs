//! `smartlinks`: configuration, wiring, commands, ordered shutdown. Nothing here decides anything about clicks or money.

mod cli;
mod clock;
mod config;
mod demo;
mod embedded;
mod failure;
mod files;
mod inspect;
mod keys;
mod lock;
mod logs;
mod metrics;
mod migrate;
mod out;
mod roles;
mod secrets;
mod serve;
mod service;
mod sim;
mod traces;

use std::{path::Path, process::ExitCode};

use crate::{
    cli::{Cli, Command},
    config::{Config, LoadError, Problem},
    out::{print, say, tell},
};
pub use crate::{embedded::Embedded, failure::Failure};

/// The command of this process; gives its exit status.
#[must_use]
pub fn main() -> ExitCode {
    // Whatever is made here is of its owner alone, also in a directory that somebody made for everybody.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    match run(Cli::given()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell!("{failure}");
            failure.code()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { command, config, json } = cli;
    let file = config.as_deref();
    match command {
        Command::PrintConfig => {
            print(format_args!("{}", config::DEFAULT));
            Ok(())
        }
        Command::CheckConfig => check_config(file, json),
        Command::Journal(command) => inspect::run(command, json),
        Command::Keys(command) => runtime()?.block_on(keys::run(&load(file)?.0, command, json)),
        Command::Demo(_) if file.is_some() => Err(Failure::Usage(
            "error: --config: the demo has a configuration of its own; `serve` takes a file".to_owned(),
        )),
        Command::Demo(args) => runtime()?.block_on(demo::run(&args, json)),
        Command::Sim(sim) => runtime()?.block_on(sim::run(sim)),
        Command::Migrate(command) => {
            migrate::check(&command)?;
            let config = load(file)?.0;
            files::allow(config.edge.max_connections);
            runtime()?.block_on(migrate::run(&config, json))
        }
        Command::Serve { roles } => {
            let (mut config, warnings) = load(file)?;
            for warning in warnings {
                tell!("{warning}");
            }
            let roles = roles::RoleSet::parse(&roles, config.storage.backend)?;
            let runtime = runtime()?;
            let traces = logs::start(&config, runtime.handle())?;
            config.edge.max_connections = files::allow(config.edge.max_connections);
            let ended = runtime.block_on(serve::run(&config, &roles));
            // While the runtime is there that sends them.
            drop(traces);
            // All that must be safe is. A client of a server that is away may hold its thread for as long as it is.
            runtime.shutdown_timeout(LAST);
            ended
        }
    }
}

/// At the very end, how long threads are waited for.
const LAST: std::time::Duration = std::time::Duration::from_secs(2);

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::run)
}

/// The configuration, and what whoever runs the service should know of it.
fn load(file: Option<&Path>) -> Result<(Config, Vec<Problem>), Failure> {
    config::load(file, std::env::vars_os()).map_err(|LoadError(problems)| Failure::Usage(lines(&problems)))
}

fn check_config(file: Option<&Path>, json: bool) -> Result<(), Failure> {
    let (problems, fails) = match config::load(file, std::env::vars_os()) {
        Ok((config, mut warnings)) => {
            warnings.extend(config::unusable(&config));
            (warnings, false)
        }
        Err(LoadError(problems)) => (problems, true),
    };
    let text = if json {
        serde_json::to_string(&problems).map_err(Failure::run)?
    } else if problems.is_empty() {
        "no problems".to_owned()
    } else {
        lines(&problems)
    };
    // For programs the answer is on stdout whatever it says.
    if json || !fails {
        say!("{text}");
    }
    match (fails, json) {
        (false, _) => Ok(()),
        (true, false) => Err(Failure::Usage(text)),
        (true, true) => Err(Failure::Usage(format!("{} problems", problems.len()))),
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
