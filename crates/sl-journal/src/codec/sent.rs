//! Records on their way to another machine: the event's bytes, followed by where it was written first.

use prost::{Message as _, encoding};
use sl_core::event::{Event, JournalId, Recorded};

use super::{DecodeError, encode, from_message};
use crate::proto;

/// Fields of [`proto::Event`].
const JOURNAL: u32 = 4;
const SEQUENCE: u32 = 5;
const EPOCH: u32 = 6;

/// A record as a topic has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The record, under the number it has in the journal it was written to first.
    pub record: Recorded,
    /// Epoch of the topic that it was sent to.
    pub epoch: u64,
}

/// Appends the record's bytes to `into`, to be sent to a topic of `epoch`.
pub fn encode_sent(record: Recorded, epoch: u64, into: &mut Vec<u8>) {
    encode(record.event, into);
    // Fields of a message may stand in any order, so they are put behind what the journal wrote.
    encoding::fixed64::encode(JOURNAL, &record.journal.0, into);
    encoding::uint64::encode(SEQUENCE, &record.sequence, into);
    encoding::uint64::encode(EPOCH, &epoch, into);
}

/// Reads what [`encode_sent`] wrote. In a run of records of one account its id is shared with the event `before`.
///
/// # Errors
/// [`DecodeError`] when the bytes are no record this version can use.
pub fn decode_sent(bytes: &[u8], before: Option<&Event>) -> Result<Sent, DecodeError> {
    let message = proto::Event::decode(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    let (journal, sequence, epoch) = (JournalId(message.journal), message.sequence, message.epoch);
    if epoch == 0 {
        return Err(DecodeError::Absent("epoch"));
    }
    let known = before.map(|event| &event.account).filter(|account| account.as_str() == message.account);
    let event = from_message(message, known.cloned())?;
    Ok(Sent { record: Recorded { journal, sequence, event }, epoch })
}

/// Journal and number of a record that was sent, and the epoch of the topic, also where this version can't use the rest of it.
#[must_use]
pub fn sent_as(bytes: &[u8]) -> Option<(JournalId, u64, u64)> {
    let message = proto::Event::decode(bytes).ok()?;
    (message.epoch > 0).then_some((JournalId(message.journal), message.sequence, message.epoch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec, suite};

    #[test]
    fn a_sent_record_comes_back_and_a_journal_reads_its_event_too() {
        for n in [0, 1, 96, 300] {
            let record = Recorded { journal: JournalId(u64::MAX - n), sequence: n, event: suite::event(n) };
            let mut bytes = Vec::new();
            encode_sent(record.clone(), 7, &mut bytes);
            let before = suite::event(5);
            assert_eq!(codec::decode(&bytes), Ok(record.event.clone()));
            assert_eq!(sent_as(&bytes), Some((record.journal, n, 7)));
            assert_eq!(decode_sent(&bytes, Some(&before)), Ok(Sent { record, epoch: 7 }));
        }
    }

    #[test]
    fn a_record_that_was_never_sent_is_refused() {
        let mut bytes = Vec::new();
        codec::encode(suite::event(1), &mut bytes);
        assert_eq!(decode_sent(&bytes, None), Err(DecodeError::Absent("epoch")));
        assert!(matches!(decode_sent(b"\xff\xff", None), Err(DecodeError::Malformed(_))));
        assert_eq!((sent_as(&bytes), sent_as(b"\xff\xff")), (None, None));
    }
}
