//! Deliveries: what happened is told to ad platforms and to buyers' own URLs, once, well formed, and again while the
//! receiver would still take it (architecture 6).
//!
//! * `render`: from a job to the request that is stored, by an ad platform's file (`sl_core::platforms`) or a template
//!   ([`generic`])
//! * [`worker`]: lanes over the outbox · `lane`: one destination · `mending`: changed destinations go on
//! * `written`: stored before it is sent · `attempt`: one request · [`batch`]: several events in one
//! * `again`, `unrecorded`: what was sent is recorded, however long the store takes nothing
//! * `order`: one fan's events · `meters`: our own limits · `breakers`: who rests · `room`: what is left to the others ·
//!   `turns`: teams one after the other
//! * `set_back`: a clock that was set back holds nothing up
//! * `tester`: test events · `secrets`: what receivers must not say to us
//! * [`egress`]: where deliveries never go · [`sender`]: one request
//!
//! This crate never decides what is told to whom: that is chosen in attribution's step.

mod again;
mod attempt;
pub mod batch;
mod breakers;
pub mod egress;
pub mod generic;
mod gone;
mod lane;
mod mending;
mod meters;
mod order;
mod render;
mod room;
mod secrets;
pub mod sender;
mod set_back;
mod target;
mod tester;
mod turns;
mod unrecorded;
pub mod worker;
mod written;

pub use attempt::LAST;
pub use egress::{BadException, Egress, Forbidden};
pub use tester::Tester;
pub use unrecorded::Unrecorded;
pub use worker::{Chance, Worker, WorkerSettings};
