//! The `smartlinks` binary.

mod config;

fn main() {}
