//! The write-ahead journal on local disk, and the two seams every stream backend fills: [`ClickLog`] (append) and
//! [`EventStream`] (consume, with positions).
//!
//! A click is answered after its record is on disk. One `fdatasync` covers every record that arrived while the last
//! one ran. A failed sync is never retried on the same file.
//!
//! This crate never decides anything about clicks and never opens a network connection.

pub mod codec;
pub mod disk;
pub mod inspect;
pub mod journal;
pub mod log;
mod proto;
mod segment;
pub mod stream;
#[cfg(feature = "suite")]
pub mod suite;

pub use codec::{ClickView, Past};
pub use inspect::{JournalEnd, VerifyReport, dump, is_journal, journal_end, verify};
pub use journal::{Durability, Journal, JournalConfig, JournalError, JournalStatus, JournalStream};
pub use log::{ClickLog, Fate, LostReason, Ticket};
pub use stream::{Batch, EventStream, StreamError};
