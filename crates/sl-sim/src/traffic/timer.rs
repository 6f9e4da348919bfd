//! How people wait.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::time::Instant;

/// Lets people wait, in time of [`super::TrafficConfig::clock`].
pub trait Timer: Send + Sync + 'static {
    /// Time since this timer was made.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn sleep(&self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Somebody comes who is awake whenever they don't sleep: a timer of tests lets no time pass meanwhile.
    fn enter(&self) {}

    /// Somebody who has entered leaves.
    fn leave(&self) {}
}

/// Real time.
#[derive(Debug)]
pub struct RealTime(Instant);

impl Default for RealTime {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Timer for RealTime {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(span))
    }
}

/// Somebody who is here until it is dropped.
pub struct Present(Arc<dyn Timer>);

impl Present {
    /// Comes.
    #[must_use]
    pub fn enter(timer: &Arc<dyn Timer>) -> Self {
        timer.enter();
        Self(Arc::clone(timer))
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.leave();
    }
}
