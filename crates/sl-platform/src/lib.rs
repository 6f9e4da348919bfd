//! The creator platform: its API behind one trait, and the three roles that live off it.
//!
//! * [`platform`]: what the roles ask of a creator platform · [`ofapi`]: the client of contract E · [`pacer`]: one pace per
//!   upstream key
//! * [`keeper`]: keeps pool links in stock ahead of need and every Smart Link with its overflow link
//! * [`matcher`]: finds out who subscribed through which pool link and writes it to the journal
//! * [`reconcile`]: accounts, transactions that no webhook brought, lists that fans are added to
//!
//! This crate never decides who is credited, never answers a visitor, and never logs the key or a body of the platform.

pub mod error;
pub mod keeper;
mod links;
pub mod matcher;
pub mod ofapi;
pub mod pacer;
pub mod platform;
pub mod reconcile;

pub use error::PlatformError;
pub use keeper::{Keeper, KeeperSettings, PoolSnapshot, StockReport};
pub use matcher::{Lag, Matcher, MatcherHandle, MatcherSettings};
pub use ofapi::{OfApi, OfApiConfig};
pub use pacer::{Pacer, Priority};
pub use platform::CreatorPlatform;
pub use reconcile::{Reconcile, ReconcileHandle, ReconcileSettings};
