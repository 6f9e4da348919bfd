//! Being told to stop, and the time that leaves.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ClusterError;

/// When it is time to stop, and how long that may take.
pub(super) struct Stop {
    token: CancellationToken,
    wait: Duration,
    deadline: Option<Instant>,
}

impl Stop {
    /// Stops when `token` is cancelled, at most `wait` after that.
    pub(super) fn new(token: &CancellationToken, wait: Duration) -> Self {
        Self { token: token.clone(), wait, deadline: None }
    }

    /// Whether it is time.
    pub(super) fn is_told(&mut self) -> bool {
        if self.deadline.is_none() && self.token.is_cancelled() {
            self.deadline = Some(Instant::now() + self.wait);
        }
        self.deadline.is_some()
    }

    /// # Errors
    /// Once no time is left.
    pub(super) fn check(&mut self) -> Result<(), ClusterError> {
        self.is_told();
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(out_of_time()),
            _ => Ok(()),
        }
    }

    /// Waits until no time is left.
    pub(super) async fn passed(&mut self) -> ClusterError {
        self.token.cancelled().await;
        self.is_told();
        if let Some(deadline) = self.deadline {
            tokio::time::sleep_until(deadline).await;
        }
        out_of_time()
    }
}

fn out_of_time() -> ClusterError {
    ClusterError::Unavailable(
        "it did not take everything before the stop; the rest goes with the next start".to_owned(),
    )
}
