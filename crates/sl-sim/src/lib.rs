//! The outside world of smartlinks, simulated: a creator platform, ad platforms, and people who click.
//!
//! * [`platform`]: the endpoints of contract E with their quirks, pages that fans visit, signed webhooks (contract D)
//! * [`ads`]: receivers of conversions that validate like the real ones, and a generic postback receiver
//! * [`traffic`]: people, bots and browsers that follow Smart Links, subscribe and spend, with a book of who should be
//!   credited for what
//! * [`chance`], [`client`], [`knobs`], [`server`]: what the three share
//!
//! Each is an ordinary HTTP server or client, so a person can start one alone and point the service at it. Choices come
//! from a seed: the same seed makes the same choices, in whatever order requests arrive. Nothing here uses the code that
//! it is there to check: of `sl-core` only ids, money and time are used, and the webhook signature.

pub mod ads;
pub mod chance;
pub mod client;
pub mod knobs;
pub mod platform;
pub mod server;
pub mod traffic;
