//! Each rule under its own name, against a driver with a map for a store.

mod deliveries;
mod fine_points;
mod replay;
mod timeline;
mod world;
