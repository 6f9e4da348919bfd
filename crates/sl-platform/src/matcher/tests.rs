//! The work of one account, turn by turn, against a platform in memory.

mod budget;
mod deleted;
mod late;
mod long;
mod lost;
mod missing;
mod model;
mod moved;
mod retire;
mod rig;
mod shared;
mod simulated;
mod unreadable;
mod window;
