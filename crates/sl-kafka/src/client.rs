//! What librdkafka tells us beside its answers, as log lines of ours.

use rdkafka::{ClientContext, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError};

/// What every [`ClientContext`] of ours does with log lines and errors.
macro_rules! heard {
    () => {
        fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
            $crate::client::log(level, facility, message);
        }

        fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
            $crate::client::note(&error, reason);
        }
    };
}
pub(crate) use heard;

/// For clients of which nothing else is wanted.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    heard!();
}

impl ConsumerContext for Quiet {}

/// A line of librdkafka. It repeats lost connections by the second (`FAIL`, `ERROR`): what they mean is said by who waits
/// for an answer. `CONFWARN` is about settings that were chosen.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    let usual = ["FAIL", "ERROR", "CONFWARN"].contains(&facility);
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, message, "librdkafka");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning if !usual => {
            tracing::warn!(facility, message, "librdkafka");
        }
        _ => tracing::debug!(facility, message, "librdkafka"),
    }
}

/// An error of the client as a whole; what it means for a record or a partition is said there.
pub(crate) fn note(error: &KafkaError, reason: &str) {
    tracing::debug!(%error, reason, "librdkafka");
}
