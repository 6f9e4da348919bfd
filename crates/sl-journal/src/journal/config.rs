//! How a journal is set up.

use std::{path::PathBuf, time::Duration};

use sl_core::event::JournalId;

use super::JournalError;
use crate::segment::HEADER_BYTES;

/// When a record counts as stored (decisions 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// After `fdatasync`: survives a power cut.
    #[default]
    Synced,
    /// After the write reached the operating system: survives `kill -9`. The disk follows [`BUFFERED_SYNC`] later, on a
    /// thread that no record waits for, except where a segment ends.
    Buffered,
}

/// Longest time a buffered record waits for its sync to begin, on a disk that keeps up.
pub const BUFFERED_SYNC: Duration = Duration::from_millis(50);

/// A journal's directory and bounds.
#[derive(Debug, Clone)]
pub struct JournalConfig {
    /// Directory; made when it is missing.
    pub dir: PathBuf,
    /// Size of one segment in bytes, 16 KiB to 1 GiB. Configuration key `journal.segment`.
    pub segment_bytes: u64,
    /// Segments that every consumer has passed are kept this long. Key `journal.retention`.
    pub retention: Duration,
    /// Bytes of all segments together, the one prepared ahead included; at least three segments. Key
    /// `journal.max_disk`.
    pub max_disk: u64,
    /// Key `edge.durability`.
    pub durability: Durability,
    /// Records waiting for the disk, in bytes; what comes on top is lost with reason `queue_full`. 16 MiB is about
    /// 50,000 clicks, half a second at ten times the design rate.
    pub queue_bytes: usize,
    /// Pause between attempts to open a segment on a disk that is full or failing.
    pub retry_pause: Duration,
    /// Name of a journal that is new; drawn at random when `None`.
    pub new_id: Option<JournalId>,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("./smartlinks-data/journal"),
            segment_bytes: 64 << 20,
            retention: Duration::from_secs(48 * 3600),
            max_disk: 8 << 30,
            durability: Durability::default(),
            queue_bytes: 16 << 20,
            retry_pause: Duration::from_millis(100),
            new_id: None,
        }
    }
}

impl JournalConfig {
    /// Largest payload of one record: a webhook body is at most 1 MiB.
    pub(crate) fn longest_record(&self) -> usize {
        let room =
            usize::try_from(self.segment_bytes).unwrap_or(usize::MAX).saturating_sub(HEADER_BYTES + 64);
        room.min(4 << 20).min(self.queue_bytes)
    }

    pub(crate) fn check(&self) -> Result<(), JournalError> {
        let bad = |text: String| Err(JournalError::Config(text));
        if !(16 << 10..=1 << 30).contains(&self.segment_bytes) {
            return bad(format!(
                "journal.segment = {}: it must be between 16KiB and 1GiB",
                self.segment_bytes
            ));
        }
        if self.max_disk < 3 * self.segment_bytes {
            return bad(format!(
                "journal.max_disk = {}: it must hold three segments, raise it to {} or lower journal.segment",
                self.max_disk,
                3 * self.segment_bytes
            ));
        }
        if self.queue_bytes < 64 << 10 {
            return bad(format!("queue_bytes = {}: it must be at least 64KiB", self.queue_bytes));
        }
        Ok(())
    }
}
