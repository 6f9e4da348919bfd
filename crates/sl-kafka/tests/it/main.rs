//! Against a real broker: `deploy/dev-cluster/up`, then `-- --include-ignored`.

mod conformance;
mod faults;
mod forwarding;
mod group;
mod kill;
mod streams;
mod visitors;
mod world;
