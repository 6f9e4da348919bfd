//! The edge: an ad sends a visitor to `/go/{smart link id}`, the edge journals the click, hands the visitor a pool link
//! of their own and redirects.
//!
//! Everything it answers from is in memory: the links ([`LinkTable`]), leased pool links ([`Stock`]), the visitors of the
//! last hours ([`Window`]), country and network tables ([`Geo`]). All of it is fed from outside. The hot path is
//! `click/redirect.rs`, in numbered steps.
//!
//! The edge never calls the network to answer, never reads a store, never sends a visitor to a place that came with the
//! request, and waits for nothing before the click is handed to the journal.

mod agents;
mod click;
mod config;
mod geo;
mod links;
mod meters;
mod server;
mod stock;
mod window;

pub use agents::Agents;
pub use config::{EdgeConfig, EdgeError};
pub use geo::{Geo, GeoFiles, GeoWarning, check_database};
pub use links::{BadLink, LinkTable};
pub use server::{Edge, EdgeParts};
pub use stock::{Aside, BLOCK, Returned, Shelf, Stock, StockBlock, Taken, Want};
pub use window::{Kept, Rebuild, Window};

// The secret a deployment derives all visitor keys from; part of this crate's interface.
pub use sl_core::visitor::InstallationSecret;
