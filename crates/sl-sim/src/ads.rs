//! Simulated ad platforms.
