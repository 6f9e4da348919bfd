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
    /// Ascending: the writer loses records in their order.
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
        let at = ranges.kept.partition_point(|(range, _)| range.end <= sequence);
        let found = ranges.kept.get(at).filter(|(range, _)| range.contains(&sequence));
        found.map(|(_, reason)| *reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_with_its_reason_and_a_forgotten_one_as_the_worst() {
        let losses = Losses::default();
        assert_eq!(losses.reason(3), None);
        let reason = |n: u64| if n.is_multiple_of(2) { LostReason::DiskFull } else { LostReason::MaxDisk };
        for n in 0..5_000 {
            losses.add(n * 10..n * 10 + 2, reason(n));
            losses.add(n * 10 + 2..n * 10 + 3, reason(n));
        }
        assert_eq!(losses.count(), 15_000);
        for n in [1_000, 2_345, 4_999] {
            for lost in 0..3 {
                assert_eq!(losses.reason(n * 10 + lost), Some(reason(n)));
            }
            assert_eq!(losses.reason(n * 10 + 3), None, "the next one was kept");
        }
        assert_eq!(losses.reason(7), Some(LostReason::DiskError), "nobody remembers: it counts as lost");
    }
}
