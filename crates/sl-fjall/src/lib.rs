//! The embedded store: the ten seams of `sl-store` on one fjall database in one directory, for one process.
//!
//! Every write is one atomic fjall batch; rows of high volume that are read one by one go with it as a single record and
//! reach their tables later ([`late`]). A write that promises durability waits for an `fdatasync` that it shares with
//! everybody who waits at that moment ([`sync`]). What the hot calls need (catalog, pool slots, outbox counters) is
//! mirrored in memory and follows the batches; [`layout`] documents every key on disk.
//!
//! This crate never decides anything about clicks, money or deliveries, and never opens a network connection.

mod catalog;
mod codec;
mod db;
mod handle;
mod heartbeats;
mod late;
mod layout;
mod leases;
mod ledger;
mod moving;
mod outbox;
mod pool;
mod reports;
mod sync;
mod unfinished;
mod upkeep;

pub use db::MUST_BE_OPENED_AGAIN;
pub use handle::{FjallHandle, FjallOptions, StoreHealth, open};
