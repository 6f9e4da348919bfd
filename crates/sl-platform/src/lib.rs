//! The creator platform: its API behind one trait, and the three roles that live off it.
//!
//! * [`platform`]: what the roles ask of a creator platform · [`ofapi`]: the client of contract E · [`pacer`]: one pace per
//!   upstream key
//! * [`keeper`]: keeps pool links in stock ahead of need and every Smart Link with its overflow link
//! * [`matcher`]: finds out who subscribed through which pool link and writes it to the journal
//! * [`reconcile`]: accounts, transactions that no webhook brought, lists that fans are added to
//!
//! What a click costs upstream (contract E.6): one request makes its link, 0.12 to 0.14 more find out whether somebody
//! subscribed through it and whether the links that come next still stand (measured by a test of the matcher, at 100,000 and
//! 10,000 clicks a day), one reads the list of a link whose counter moved, one finds out that a link was
//! deleted which its list lacks, and each creator account costs one request a minute for every page with overflow links on it. At
//! `platform.requests_per_minute = 900` one upstream key sustains about a million clicks a day when every link is new,
//! and more when unused links come back after `pool.quarantine`. Above that visitors get the overflow link of their
//! Smart Link: credit then reaches the Smart Link, not the click.
//!
//! The `stored/…` lists of contract E.5 (upstream's cache, free of credits) are not read. They would have to replace looks
//! where they prove to be no older (decisions 48), and they can't: nothing in them says how old they are, and with at most
//! 1,000 rows, no offset and no order that is promised they show a creator's first 1,000 links, of which 10,000 clicks a day
//! use up as many in two and a half hours. What they could save is a tenth of the requests; nine tenths make links.
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
mod replaced;
mod waits;

pub use error::{PlatformError, Unreached};
pub use keeper::{Keeper, KeeperSettings, PoolSnapshot, StockReport};
pub use matcher::{Applied, Lag, Matcher, MatcherHandle, MatcherSettings};
pub use ofapi::{OfApi, OfApiConfig};
pub use pacer::{Pacer, Priority};
pub use platform::CreatorPlatform;
pub use reconcile::{Reconcile, ReconcileHandle, ReconcileSettings};
pub use replaced::EndedOverflows;
