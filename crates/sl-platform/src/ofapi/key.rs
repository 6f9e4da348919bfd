//! Whether the platform accepts our key. Only the list of accounts tells, which belongs to the key itself: a 401 on the path of
//! one account may mean that account alone (contract I.42), and must not stop the others.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::{PlatformError, Result};

/// Between two questions whether the key is accepted: while it is refused, and while an account answers 401.
const PROBE: Duration = Duration::from_secs(60);

/// What is known of the key.
#[derive(Debug, Default)]
pub(super) struct Key(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_refused: bool,
    /// When the platform last said, or was last asked.
    asked_at: Option<Instant>,
}

// === impl Key ===

impl Key {
    pub(super) fn is_refused(&self) -> bool {
        self.0.lock().is_refused
    }

    /// Whether it is time to ask; then the caller asks.
    pub(super) fn may_ask(&self) -> bool {
        let mut state = self.0.lock();
        let may = state.asked_at.is_none_or(|at| at.elapsed() >= PROBE);
        if may {
            state.asked_at = Some(Instant::now());
        }
        may
    }

    /// What came of a call that belongs to the key. An answer that says nothing of it changes nothing.
    pub(super) fn note<T>(&self, answer: &Result<T>) {
        let is_refused = match answer {
            Ok(_) => false,
            Err(PlatformError::KeyRefused) => true,
            Err(_) => return,
        };
        let mut state = self.0.lock();
        state.asked_at = Some(Instant::now());
        let was_refused = std::mem::replace(&mut state.is_refused, is_refused);
        match (was_refused, is_refused) {
            (false, true) => tracing::error!(
                "the platform refuses platform.api_key (401): no links are made and nobody is matched until it is accepted \
                 again; visitors keep being redirected"
            ),
            (true, false) => tracing::info!("the platform accepts platform.api_key again"),
            _ => {}
        }
    }
}
