//! sl-sim
