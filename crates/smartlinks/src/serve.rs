//! `smartlinks serve`: the service until a signal.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use sl_core::time::Clock;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    clock,
    config::Config,
    failure::Failure,
    roles::RoleSet,
    service::{Service, creators::Pace, first_key, starting::Starting},
};

/// Signals this close together are one.
const ECHO: Duration = Duration::from_millis(500);
/// Between two tries to open the store.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two words about the same reason why that fails.
const WORD: Duration = Duration::from_secs(60);

/// Runs until SIGTERM or SIGINT, then stops in order. A second signal ends the process at once with 1 (decisions 14).
/// After a full disk that has room again the store is opened anew; visitors are redirected meanwhile.
///
/// # Errors
/// [`Failure::Run`] when it can't start, a role fails, or the last sync does.
pub(crate) async fn run(config: &Config, roles: &RoleSet) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let (pace, clock) = (Pace::default(), clock::system());
    let Some(mut service) = start(config, roles, &pace, &clock, &mut signals).await? else { return Ok(()) };
    // A port of the system's choice stays the same when the store is opened anew.
    let mut pinned = config.clone();
    pinned.admin.listen = service.admin;
    loop {
        if let Some(secret) = &service.owner_key {
            first_key::show(secret);
        }
        let edge = service.edge.map(tracing::field::display);
        tracing::info!(edge, admin = %service.admin, "ready");
        let failure = tokio::select! {
            () = signals.next() => None,
            failure = service.failed() => Some(failure),
        };
        let stopped = if let Some(Failure::Reopen(why)) = failure {
            tracing::warn!("{why}");
            let starting = service.without_store(&pinned, roles).await?;
            match reopen(starting, &pace, &mut signals).await? {
                Some(started) => {
                    service = started;
                    continue;
                }
                None => return Ok(()),
            }
        } else {
            in_order(service.shutdown(), &mut signals).await
        };
        return failure.map_or(stopped, Err);
    }
}

/// Starts it; `None` when a signal comes first. What runs already is then ended in order.
async fn start(
    config: &Config,
    roles: &RoleSet,
    pace: &Pace,
    clock: &Arc<dyn Clock>,
    signals: &mut Signals,
) -> Result<Option<Service>, Failure> {
    let mut starting = tokio::select! {
        begun = Starting::begin(config, roles, clock) => begun?,
        () = signals.next() => return Ok(None),
    };
    let reached = tokio::select! {
        reached = starting.reach() => Some(reached),
        () = signals.next() => None,
    };
    match reached {
        Some(Ok(())) => {}
        Some(Err(failure)) => return starting.stop().await.and(Err(failure)),
        None => return starting.stop().await.map(|()| None),
    }
    tokio::select! {
        started = Service::finish(starting, pace) => started.map(Some),
        () = signals.next() => Ok(None),
    }
}

/// Opens the store until that succeeds, under an edge that goes on; `None` when a signal comes first.
async fn reopen(
    mut starting: Starting,
    pace: &Pace,
    signals: &mut Signals,
) -> Result<Option<Service>, Failure> {
    let mut told: Option<(String, Instant)> = None;
    loop {
        if let Some(failure) = starting.edge_failure() {
            return in_order(starting.stop(), signals).await.and(Err(failure));
        }
        let reached = tokio::select! {
            reached = starting.reach() => reached,
            () = signals.next() => break,
        };
        let Err(error) = reached else { return Service::finish(starting, pace).await.map(Some) };
        let error = error.to_string();
        if told.as_ref().is_none_or(|(said, at)| *said != error || at.elapsed() >= WORD) {
            tracing::error!("{error}; tried again every {AGAIN:?}");
            told = Some((error, Instant::now()));
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = signals.next() => break,
        }
    }
    in_order(starting.stop(), signals).await.map(|()| None)
}

/// Waits for a stop in order; a second signal ends it.
async fn in_order(
    stop: impl Future<Output = Result<(), Failure>>,
    signals: &mut Signals,
) -> Result<(), Failure> {
    tracing::info!("stopping; a second signal ends at once");
    tokio::select! {
        stopped = stop => stopped.inspect(|()| tracing::info!("stopped")),
        () = signals.again() => Err(Failure::Run("ended at once by a second signal".to_owned())),
    }
}

/// What asks the process to end.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Its terminal has gone; `None` when that is to be ignored (`nohup`).
    hangup: Option<Signal>,
    /// Whether it has a terminal that could go.
    has_terminal: bool,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Failure> {
        let take = |kind| signal(kind).map_err(Failure::run);
        // Listening for it would undo what `nohup` asked for.
        let hangup = if ignores_hangup() { None } else { Some(take(SignalKind::hangup())?) };
        Ok(Self {
            terminate: take(SignalKind::terminate())?,
            interrupt: take(SignalKind::interrupt())?,
            hangup,
            has_terminal: std::fs::File::open("/dev/tty").is_ok(),
        })
    }

    /// One that comes well after the last: `timeout` and some terminals send the same one twice.
    pub(crate) async fn again(&mut self) {
        tokio::time::sleep(ECHO).await;
        // What came meanwhile is told once.
        let _ = self.came().now_or_never();
        self.came().await;
    }

    pub(crate) async fn next(&mut self) {
        let signal = self.came().await;
        tracing::info!("{signal} came");
    }

    /// Its name. Under a supervisor SIGHUP asks other programs for their configuration, and ends none.
    async fn came(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                () = hung_up(&mut self.hangup) => {
                    if self.has_terminal {
                        return "SIGHUP";
                    }
                    tracing::warn!("SIGHUP changes nothing: configuration and secrets are read at the start, so restart the service for others");
                }
            }
        }
    }
}

async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether the process was started with SIGHUP ignored; where the system does not tell, it was not.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1)
}
