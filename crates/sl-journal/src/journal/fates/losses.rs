//! Which records were lost, and why.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use parking_lot::Mutex;

use crate::LostReason;

/// Ranges kept. Neighbours with the same reason are one, so this is the number of times the disk failed and recovered.
const KEPT: usize = 4096;

#[derive(Default)]
pub(super) struct Losses {
    /// How many records; 0 makes the common question cheap.
    count: AtomicU64,
    ranges: Mutex<Ranges>,
}

#[derive(Default)]
struct Ranges {
    kept: VecDeque<(Range<u64>, LostReason)>,
    /// Below this, ranges were forgotten: who asks so late hears the worst.
    forgotten: u64,
}

impl Losses {
    pub(super) fn add(&self, records: Range<u64>, reason: LostReason) {
        let mut ranges = self.ranges.lock();
        self.count.fetch_add(records.end.saturating_sub(records.start), SeqCst);
        match ranges.kept.back_mut() {
            Some((last, because)) if *because == reason && last.end == records.start => {
                last.end = records.end
            }
            _ => ranges.kept.push_back((records, reason)),
        }
        if ranges.kept.len() > KEPT
            && let Some((oldest, _)) = ranges.kept.pop_front()
        {
            ranges.forgotten = oldest.end;
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(SeqCst)
    }

    pub(super) fn reason(&self, sequence: u64) -> Option<LostReason> {
        if self.count() == 0 {
            return None;
        }
        let ranges = self.ranges.lock();
        if sequence < ranges.forgotten {
            return Some(LostReason::DiskError);
        }
        let found = ranges.kept.iter().rev().find(|(range, _)| range.contains(&sequence));
        found.map(|(_, reason)| *reason)
    }
}
