//! Logs go to stderr, for people or for machines; traces go where `otel.endpoint` says.

mod damped;

use std::io::IsTerminal;

use tokio::runtime::Handle;
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use self::damped::Damped;
use crate::{
    config::{Config, LogFormat},
    failure::Failure,
    traces::Traces,
};

/// Clients of servers warn of what is so by design: batches over partitions, settings that librdkafka calls experimental.
const QUIET: &str = "scylla=error,librdkafka=error";

/// Starts logging and tracing; keep what it gives until the end. A second call changes nothing. `runtime` sends the traces.
///
/// # Errors
/// [`Failure::Usage`] when `log.level` is no filter or `otel.endpoint` can't be used.
pub(crate) fn start(config: &Config, runtime: &Handle) -> Result<Option<Traces>, Failure> {
    // A filter of the operator's comes later and wins.
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.log.level)).map_err(|error| {
        Failure::Usage(format!(
            "error: log.level: {:?} is no level: {error}; write info, debug or warn",
            config.log.level
        ))
    })?;
    let endpoint = config.otel.endpoint.as_ref();
    let traces = endpoint.map(|endpoint| Traces::to(endpoint, runtime.clone())).transpose()?;
    let output = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let output = match config.log.format {
        LogFormat::Human => {
            output.with_ansi(std::io::stderr().is_terminal()).map_event_format(Damped::over).boxed()
        }
        LogFormat::Json => output.json().map_event_format(Damped::over).boxed(),
    };
    let registry = tracing_subscriber::registry().with(output.with_filter(filter));
    let _ = registry.with(traces.as_ref().map(Traces::layer)).try_init();
    Ok(traces)
}
