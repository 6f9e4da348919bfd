//! The edge over real sockets.

mod clicks;
mod edges;
mod faults;
mod load;
mod rig;
mod shutdown;
