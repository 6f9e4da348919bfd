//! What the roles of this crate promise, against an HTTP server that behaves as contract E says.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod deleted;
mod keeper;
mod matcher;
mod reconcile;
mod refusals;
mod simulated;
mod slow;
mod starved;
mod statements;
mod unreached;
mod upstream;
mod world;
