//! The journal on Kafka: what carries records from many edges to many attributors (architecture 7, "In a cluster").
//!
//! * [`config`]: where the brokers are · [`cluster`]: topics, their settings and their epoch
//! * [`forwarder`]: an edge's journal → `<prefix>.events` and `<prefix>.visitors`
//! * [`group`]: which attributor has which partition · [`stream`]: one partition as an
//!   [`EventStream`](sl_journal::EventStream) · [`visitors`]: what other edges saw
//! * [`partition`]: which partition an account lives in
//!
//! This crate never decides anything about clicks, and no edge needs it to answer: the forwarder reads what the journal
//! has already, and may be hours behind.

mod client;
pub mod cluster;
pub mod config;
pub mod forwarder;
pub mod group;
pub mod heads;
pub mod partition;
mod reader;
pub mod stream;
pub mod visitors;

pub use cluster::{Cluster, HELD_LONGER, Topic};
pub use config::{ConfigProblem, KafkaConfig};
pub use forwarder::{Acknowledged, Forwarder, Forwarding};
pub use group::Group;
pub use heads::Heads;
pub use stream::KafkaStream;
pub use visitors::{Seen, Visitors};

/// Kafka, or what is set up there, does not let us work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// Settings that can't work; names the key and the remedy.
    #[error(transparent)]
    Config(#[from] ConfigProblem),
    /// No answer, or one that passes: try again.
    #[error("kafka: {0}")]
    Unavailable(String),
    /// A topic is not as this service made it; says what to do. Trying again helps once somebody has done it.
    #[error("topic {topic}: {reason}")]
    Topic {
        /// Its name.
        topic: String,
        /// What is wrong, and the remedy.
        reason: String,
    },
}

impl ClusterError {
    pub(crate) fn unavailable(error: impl std::fmt::Display) -> Self {
        Self::Unavailable(error.to_string())
    }
}
