//! sl-api
