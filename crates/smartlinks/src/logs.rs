//! Logs go to stderr, for people or for machines.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

use crate::{
    config::{Config, LogFormat},
    failure::Failure,
};

/// Starts logging. A second call changes nothing.
///
/// # Errors
/// [`Failure::Usage`] when `log.level` is no filter.
pub(crate) fn start(config: &Config) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.log.level).map_err(|error| {
        Failure::Usage(format!(
            "error: log.level: {:?} is no level: {error}; write info, debug or warn",
            config.log.level
        ))
    })?;
    let output = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let _ = match config.log.format {
        LogFormat::Human => output.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => output.json().try_init(),
    };
    Ok(())
}
