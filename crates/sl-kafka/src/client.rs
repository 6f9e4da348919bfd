//! What librdkafka tells us beside its answers, as log lines of ours.

use rdkafka::{ClientContext, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError};

/// For clients of which nothing else is wanted.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note(&error, reason);
    }
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
