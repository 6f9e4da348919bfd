//! sl-platform
