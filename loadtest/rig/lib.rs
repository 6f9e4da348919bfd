//! What the load tests have in common: visitors, the service as a child process, and what processes cost.

pub mod client;
pub mod process;
pub mod service;
pub mod visitors;
