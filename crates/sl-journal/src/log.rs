//! The append side: hand a record over, learn its fate.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use sl_core::event::Event;

use crate::codec::ClickView;

/// Takes records. The hot path calls [`ClickLog::append`], which never waits for the disk.
pub trait ClickLog: Send + Sync + 'static {
    /// Hands one record over. Returns at once; the fate is asked for with [`ClickLog::fate`].
    ///
    /// # Errors
    /// [`LostReason`] when the record was refused: it is counted, and the visitor is redirected all the same.
    fn append(&self, event: Event) -> Result<Ticket, LostReason>;

    /// Resolves once the record is on disk as durably as configured, or is known to be lost. Dropping the future
    /// cancels nothing: the record stays on its way.
    fn fate(&self, ticket: Ticket) -> Pin<Box<dyn Future<Output = Fate> + Send>>;

    /// As [`ClickLog::append`], but the record may wait for company: whoever calls this calls [`ClickLog::release`]
    /// before it does anything that takes time. One wake of the writer then serves every record of a turn.
    ///
    /// # Errors
    /// As [`ClickLog::append`].
    fn append_held(&self, event: Event) -> Result<Ticket, LostReason> {
        self.append(event)
    }

    /// As [`ClickLog::append_held`], of a click whose parts are still where they were read.
    ///
    /// # Errors
    /// As [`ClickLog::append`].
    fn append_click_held(&self, click: &ClickView<'_>) -> Result<Ticket, LostReason> {
        self.append_held(click.to_event())
    }

    /// Sends every held record on its way.
    fn release(&self) {}

    /// The fate as far as it is known now, without waiting.
    fn fate_now(&self, ticket: Ticket) -> Option<Fate> {
        match self.fate(ticket).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(fate) => Some(fate),
            Poll::Pending => None,
        }
    }
}

/// Names a record on its way to disk: its sequence number.
#[must_use = "a handed-over record ends in Fate::Stored or Fate::Lost: wait for it or count it as late"]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// How a record's way to disk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// On disk, as durably as configured.
    Stored,
    /// Not on disk, and never will be.
    Lost(LostReason),
}

/// Why a record could not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LostReason {
    /// The file system is full.
    #[error("disk full")]
    DiskFull,
    /// `journal.max_disk` is reached and every segment is still needed by a consumer.
    #[error("journal.max_disk reached")]
    MaxDisk,
    /// The disk answered with an error.
    #[error("disk error")]
    DiskError,
    /// More records are waiting for the disk than memory is set aside for.
    #[error("queue full")]
    QueueFull,
    /// The record is larger than a journal record may be.
    #[error("record too large")]
    TooLarge,
    /// The journal is shutting down.
    #[error("closed")]
    Closed,
}

impl LostReason {
    /// Label of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::MaxDisk => "max_disk",
            Self::DiskError => "disk_error",
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Appends and waits for the disk: what everything but the hot path does.
///
/// # Errors
/// [`LostReason`] when the record is not on disk.
pub async fn append_synced(log: &dyn ClickLog, event: Event) -> Result<(), LostReason> {
    let ticket = log.append(event)?;
    match log.fate(ticket).await {
        Fate::Stored => Ok(()),
        Fate::Lost(reason) => Err(reason),
    }
}
