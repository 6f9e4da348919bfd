//! The driver's errors in the words of `sl-store`.

use std::fmt::Display;

use scylla::errors::{
    DbError, ExecutionError, NextPageError, NextRowError, PagerExecutionError, PrepareError,
    RequestAttemptError, RequestError,
};
use sl_store::StoreError;

/// Something that is not as we wrote it.
pub(crate) fn damaged(what: impl Display) -> StoreError {
    StoreError::Damaged(what.to_string())
}

/// No node answers.
pub(crate) fn unavailable(error: impl Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// A request failed: for good if we asked for something the server can't understand, for now otherwise.
pub(crate) fn failed(error: ExecutionError) -> StoreError {
    let for_good = match &error {
        ExecutionError::BadQuery(_) => true,
        ExecutionError::LastAttemptError(attempt) => is_for_good(attempt),
        _ => false,
    };
    if for_good { damaged(error) } else { unavailable(error) }
}

/// A statement could not be prepared: for good if the server does not understand it, for now if none answers.
pub(crate) fn preparing(text: &str, error: PrepareError) -> StoreError {
    match &error {
        PrepareError::AllAttemptsFailed { first_attempt } if is_for_good(first_attempt) => {
            damaged(format!("a statement was refused: {text}: {error}"))
        }
        _ => unavailable(error),
    }
}

/// Reading by pages failed at its first.
pub(crate) fn paging(error: PagerExecutionError) -> StoreError {
    match &error {
        PagerExecutionError::NextPageError(NextPageError::RequestFailure(
            RequestError::LastAttemptError(attempt),
        )) if is_for_good(attempt) => damaged(error),
        PagerExecutionError::SerializationError(_) => damaged(error),
        _ => unavailable(error),
    }
}

/// A page of rows failed.
pub(crate) fn page(error: NextRowError) -> StoreError {
    match &error {
        NextRowError::NextPageError(NextPageError::RequestFailure(RequestError::LastAttemptError(
            attempt,
        ))) if is_for_good(attempt) => damaged(error),
        NextRowError::RowDeserializationError(_) => damaged(error),
        _ => unavailable(error),
    }
}

fn is_for_good(attempt: &RequestAttemptError) -> bool {
    match attempt {
        RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_) => true,
        RequestAttemptError::DbError(said, _) => matches!(
            said,
            DbError::SyntaxError
                | DbError::Invalid
                | DbError::Unauthorized
                | DbError::ConfigError
                | DbError::AlreadyExists { .. }
        ),
        _ => false,
    }
}
