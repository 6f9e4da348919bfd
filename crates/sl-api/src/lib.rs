//! The management API (contract A), the webhook intake (contract D) and the dashboard: what people and other programs
//! talk to, on the private listener.
//!
//! [`router`] serves what the roles of a process are. Everything outside comes in through [`ApiParts`].
//! Answers come from stored data; what is asked of other roles is written to the catalog, the journal or the outbox.
//!
//! This crate never calls the creator platform or an ad platform, and never reads a clock or draws a random number of
//! its own.

mod access;
mod body;
mod dashboard;
mod error;
mod intake;
mod keys;
mod operations;
mod parts;
mod people;
mod pixels;
mod postbacks;
mod query;
mod reply;
mod routes;
mod smart_links;
mod teams;
mod turn;
mod unproven;
mod x;

pub use keys::{KeyError, NewKey, create_key, ensure_team_and_owner_key, key_name, list_keys, revoke_key};
pub use operations::may_read_metrics;
pub use parts::{
    Acceptance, ApiParts, ApiSettings, EgressCheck, JournalsFacts, PixelTester, PlatformNotice, PoolStatus,
    ProgressFacts, ProgressSource, Random, Speculative, StockStatus, TestEvent, Upstream,
};
pub use routes::{Served, router};
pub use teams::Teams;
