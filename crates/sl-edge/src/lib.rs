//! sl-edge
