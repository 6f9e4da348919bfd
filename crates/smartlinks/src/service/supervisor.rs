//! A role that ends by itself ends the service: a process that looks well with a dead role in it loses more than time.

use std::{fmt, future::Future};

use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Starts roles and reports their failures.
#[derive(Clone)]
pub(crate) struct Supervisor(pub(crate) mpsc::Sender<Failure>);

impl Supervisor {
    /// Starts a role that runs until `stop`.
    pub(crate) fn start(
        &self,
        name: &'static str,
        stop: &CancellationToken,
        role: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        self.start_fallible(name, stop, async {
            role.await;
            Ok::<_, Failure>(())
        })
    }

    /// Starts a role that may fail before `stop`.
    pub(crate) fn start_fallible<E: fmt::Display + Send + 'static>(
        &self,
        name: &'static str,
        stop: &CancellationToken,
        role: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> JoinHandle<()> {
        let (report, stop, role) = (self.0.clone(), stop.clone(), tokio::spawn(role));
        tokio::spawn(async move {
            let why = match role.await {
                Ok(Ok(())) if stop.is_cancelled() => return,
                // Whoever stopped it goes on without it: this must not end what was started in its place.
                Ok(Err(error)) if stop.is_cancelled() => {
                    tracing::warn!(%error, "{name} could not end as it should have");
                    return;
                }
                Ok(Ok(())) => format!("{name} ended by itself"),
                Ok(Err(error)) => format!("{name}: {error}"),
                Err(panicked) => format!("{name} ended by itself: {panicked}"),
            };
            // Past the channel's room the service is ending already.
            let _ = report.try_send(Failure::Run(why));
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reported(role: impl Future<Output = ()> + Send + 'static, stopped: bool) -> Option<String> {
        let (report, mut failures) = mpsc::channel(1);
        let stop = CancellationToken::new();
        if stopped {
            stop.cancel();
        }
        Supervisor(report).start("role", &stop, role).await.unwrap();
        failures.recv().await.map(|failure| failure.to_string())
    }

    #[tokio::test]
    async fn a_role_that_ends_or_panics_is_reported() {
        assert_eq!(reported(async {}, false).await.as_deref(), Some("role ended by itself"));
        let panicked = reported(async { panic!("a defect") }, false).await.unwrap();
        assert!(panicked.starts_with("role ended by itself: "), "{panicked}");
    }

    #[tokio::test]
    async fn a_role_that_was_stopped_is_not_however_it_ends() {
        assert_eq!(reported(async {}, true).await, None);
        let (report, mut failures) = mpsc::channel(1);
        let stop = CancellationToken::new();
        stop.cancel();
        let role = async { Err::<(), _>("the store could not write") };
        Supervisor(report).start_fallible("role", &stop, role).await.unwrap();
        assert!(failures.recv().await.is_none());
    }
}
