//! Where reading begins, of a partition that may not be what it was.

use sl_core::event::Position;

use crate::Topic;

/// Where reading begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begin {
    At(Position),
    /// Records are missing before this one.
    Gap(Position),
    /// The partition is shorter than it was.
    Shorter,
    /// The state has seen a later topic.
    Older,
}

/// A position of the state against a partition of `topic` that holds `low..high`.
pub(super) fn begin(position: Position, topic: &Topic, low: u64, high: u64) -> Begin {
    if position.epoch > topic.epoch {
        Begin::Older
    } else if position.epoch < topic.made {
        Begin::At(Position { epoch: topic.made, offset: low })
    } else if position.offset > high {
        Begin::Shorter
    } else if position.offset < low {
        Begin::Gap(Position { offset: low, ..position })
    } else {
        Begin::At(position)
    }
}

/// A place in which nothing can be read any more: it is either before the oldest record, or where the end was, whatever has been written
/// there since.
pub(super) fn has_lost_its_end(offset: u64, low: u64) -> bool {
    offset >= low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, offset: u64) -> Position {
        Position { epoch, offset }
    }

    #[test]
    fn a_place_that_is_gone_though_older_ones_are_there_was_behind_the_end() {
        assert!(!has_lost_its_end(4, 5), "the oldest have gone");
        assert!(has_lost_its_end(5, 5) && has_lost_its_end(100, 5));
    }

    #[test]
    fn where_reading_begins() {
        let topic = Topic { name: String::new(), epoch: 9, made: 7, partitions: 1, longest: 1 };
        let begin = |epoch, offset| begin(at(epoch, offset), &topic, 5, 20);
        assert_eq!(begin(0, 0), Begin::At(at(7, 5)), "a fresh state begins with the oldest record");
        assert_eq!(begin(6, 15), Begin::At(at(7, 5)), "a topic that was made anew from its oldest");
        for epoch in [7, 8, 9] {
            assert_eq!(begin(epoch, 5), Begin::At(at(epoch, 5)), "whatever happened to another partition");
            assert_eq!(begin(epoch, 20), Begin::At(at(epoch, 20)), "everything is read");
            assert_eq!(begin(epoch, 4), Begin::Gap(at(epoch, 5)), "retention took what was not read");
            assert_eq!(begin(epoch, 21), Begin::Shorter);
            assert_eq!(begin(epoch, u64::MAX), Begin::Shorter);
        }
        assert_eq!(begin(10, 7), Begin::Older);
    }
}
