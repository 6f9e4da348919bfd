//! When the driver asks again by itself.

use scylla::{
    errors::{DbError, RequestAttemptError},
    policies::retry::{DefaultRetrySession, RequestInfo, RetryDecision, RetryPolicy, RetrySession},
};

/// What may be done twice is asked again after a timeout, too, at most so often: each has cost a few seconds already.
const TIMEOUTS: u32 = 2;

/// The driver's own rules, and patience with replicas that are slow for a moment. The driver gives a timeout back, since it
/// can't know what a second try does; here reads change nothing, and the same write twice is the write once.
#[derive(Debug)]
pub(crate) struct Patient;

struct Session {
    timeouts: u32,
    usual: DefaultRetrySession,
}

impl RetryPolicy for Patient {
    fn new_session(&self) -> Box<dyn RetrySession> {
        Box::new(Session { timeouts: 0, usual: DefaultRetrySession::new() })
    }
}

impl RetrySession for Session {
    fn decide_should_retry(&mut self, request: RequestInfo) -> RetryDecision {
        let is_timeout = matches!(
            request.error,
            RequestAttemptError::DbError(DbError::ReadTimeout { .. } | DbError::WriteTimeout { .. }, _)
        );
        if request.is_idempotent && is_timeout && self.timeouts < TIMEOUTS {
            self.timeouts += 1;
            return RetryDecision::RetrySameTarget(None);
        }
        self.usual.decide_should_retry(request)
    }

    fn reset(&mut self) {
        self.timeouts = 0;
        self.usual.reset();
    }
}
