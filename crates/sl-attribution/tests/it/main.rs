//! The loop on the real embedded store: crashes, batch sizes, faults, ticks.

mod faults;
mod replay;
mod tape;
