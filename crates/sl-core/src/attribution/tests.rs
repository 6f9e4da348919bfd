//! Each rule under its own name, against a driver with a map for a store.

mod deliveries;
mod finding;
mod found;
mod intake;
mod money;
mod moving;
mod replay;
mod samples;
mod shown;
mod timeline;
mod world;
