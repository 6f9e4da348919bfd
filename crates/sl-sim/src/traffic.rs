//! Simulated traffic.
