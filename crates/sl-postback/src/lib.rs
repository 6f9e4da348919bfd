//! sl-postback
