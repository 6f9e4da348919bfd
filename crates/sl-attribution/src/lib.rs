//! sl-attribution
