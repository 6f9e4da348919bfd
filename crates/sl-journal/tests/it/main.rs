//! The journal on real and on failing disks.

mod faults;
mod kill;
mod model;
mod promises;
mod retention;
mod sim;
mod tails;
mod world;
