//! Whether a partition still is what its reader read, once it is read anew from somewhere in the middle. A partition that lost
//! its end and has grown past the reader's position since looks whole by its length, so the record before the position
//! is looked at, too.

use sl_core::{
    applied::{Applied, Verdict},
    event::{JournalId, Recorded},
};
use sl_journal::codec;

/// What is known of the record before a position.
pub(super) enum Before {
    /// Its consumer has applied it, with all of these (decisions 47).
    Applied(Applied),
    /// It is the record with this sequence of this journal.
    Is(JournalId, u64),
}

// === impl Before ===

impl Before {
    pub(super) fn of(record: &Recorded) -> Self {
        Self::Is(record.journal, record.sequence)
    }

    /// Whether the record with this payload may be the one. One that does not count in the partition's `epoch`, or can't be
    /// read, was never applied: it says nothing.
    pub(super) fn may_be(&self, payload: &[u8], epoch: u64) -> bool {
        let Ok(sent) = codec::decode_sent(payload, None) else { return true };
        if sent.epoch < epoch {
            return true;
        }
        match self {
            Self::Applied(applied) => applied.verdict(&sent.record) != Verdict::Fresh,
            Self::Is(journal, sequence) => {
                (sent.record.journal, sent.record.sequence) == (*journal, *sequence)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sl_journal::suite;

    use super::*;

    fn record(journal: u64, sequence: u64) -> Recorded {
        Recorded { journal: JournalId(journal), sequence, event: suite::event(sequence) }
    }

    fn sent(journal: u64, sequence: u64, epoch: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode_sent(record(journal, sequence), epoch, &mut bytes);
        bytes
    }

    #[test]
    fn a_record_that_was_never_applied_tells_that_the_partition_has_grown_anew() {
        let applied = Before::Applied([(JournalId(1), 5)].into_iter().collect());
        assert!(applied.may_be(&sent(1, 5, 7), 7));
        assert!(applied.may_be(&sent(1, 4, 7), 7), "one that was sent twice");
        assert!(!applied.may_be(&sent(1, 6, 7), 7));
        assert!(!applied.may_be(&sent(2, 1, 8), 7), "by an edge that is new");
    }

    #[test]
    fn who_has_read_the_record_knows_that_very_one() {
        let is = Before::of(&record(1, 5));
        assert!(is.may_be(&sent(1, 5, 7), 7));
        assert!(!is.may_be(&sent(1, 4, 7), 7) && !is.may_be(&sent(2, 5, 7), 7));
    }

    #[test]
    fn what_does_not_count_says_nothing() {
        let is = Before::of(&record(1, 5));
        assert!(is.may_be(&sent(1, 9, 6), 7), "of the epoch before");
        assert!(is.may_be(b"\xff\xff poison", 7));
    }
}
