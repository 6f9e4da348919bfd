//! sl-fjall
