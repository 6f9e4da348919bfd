//! Deliveries: what happened is told to ad platforms and to buyers' own URLs, once, well formed, and again while the
//! receiver would still take it (architecture 6).
//!
//! * [`platform`], [`platforms`]: an ad platform is one file · [`generic`]: postback templates · `render`: from a job to the
//!   request that is stored
//! * [`worker`]: lanes over the outbox · `lane`: one destination · `mending`: changed destinations go on
//! * `written`: stored before it is sent · `attempt`: one request · [`batch`]: several events in one
//! * `order`: one fan's events · `meters`: our own limits · `breakers`: who rests · `room`: what is left to the others
//! * `set_back`: a clock that was set back holds nothing up
//! * `tester`: test events
//! * [`egress`]: where deliveries never go · [`sender`]: one request
//!
//! This crate never decides what is told to whom: that is chosen in attribution's step.

mod attempt;
pub mod batch;
mod breakers;
pub mod egress;
pub mod generic;
mod lane;
mod mending;
mod meters;
mod order;
pub mod platform;
pub mod platforms;
mod render;
mod room;
pub mod sender;
mod set_back;
mod target;
mod tester;
pub mod worker;
mod written;

pub use egress::{BadException, Egress, Forbidden};
pub use platform::AdPlatform;
pub use platforms::{CreatorTraffic, Meta, Platforms, Snapchat, TikTok};
pub use tester::Tester;
pub use worker::{Chance, Worker, WorkerSettings};
