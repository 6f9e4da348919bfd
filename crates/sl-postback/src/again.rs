//! What has been sent must be recorded: the store is asked until it answers.

use std::{future::Future, time::Duration};

use sl_store::Result;
use tokio_util::sync::CancellationToken;

/// First and longest wait before the store is asked again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Asks until the store answers, or says that it never will, or the worker is told to stop: a store that must be opened again waits for
/// that.
pub(crate) async fn again<T, F: Future<Output = Result<T>>>(
    shutdown: &CancellationToken,
    ask: impl Fn() -> F,
) -> Result<T> {
    let mut wait = BACKOFF.0;
    loop {
        match ask().await {
            Err(error) if error.is_temporary() && !shutdown.is_cancelled() => {
                tracing::warn!(%error, wait_ms = wait.as_millis(), "outbox: an answer can't be recorded; trying again");
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = shutdown.cancelled() => {}
                }
                wait = (wait * 2).min(BACKOFF.1);
            }
            told => return told,
        }
    }
}
