//! The embedded store keeps every promise of the conformance suite.

mod backend;
mod conformance;
mod crash;
