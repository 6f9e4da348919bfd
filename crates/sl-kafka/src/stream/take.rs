//! One message of a partition: the record it holds, or why reading can't go on behind it.

use rdkafka::{Message as _, message::BorrowedMessage};
use sl_core::{
    event::{JournalId, Position, Recorded},
    time::Timestamp,
};
use sl_journal::codec;

use super::before::Before;

/// What keeps a stream from reading on.
pub(super) enum Trouble {
    /// A record that can't be decoded, until the consumer seeks behind it.
    Undecodable { offset: u64, record: Option<(JournalId, u64)>, reason: String },
    /// Records up to this position are gone, until the consumer seeks.
    Gap(Position),
    /// The offset is not there; what is, must be asked for.
    OutOfRange,
    /// The topic may be another one: until it was looked at so many times.
    Doubt(u64),
}

pub(super) struct Place<'a> {
    /// Epoch of the topic.
    pub(super) topic: u64,
    /// Position in the partition, with its epoch.
    pub(super) position: &'a mut Position,
    /// What the record before the position must be.
    pub(super) before: Option<&'a Before>,
    /// What was appended after this edges surely have yet, and can send again.
    pub(super) held_since: Timestamp,
}

/// Takes one message over, in its place.
pub(super) fn take(
    message: &BorrowedMessage<'_>,
    place: Place<'_>,
    records: &mut Vec<Recorded>,
) -> Result<(), Trouble> {
    let offset = u64::try_from(message.offset()).unwrap_or(0);
    let payload = message.payload().unwrap_or_default();
    if offset < place.position.offset {
        let is_other = |before: &Before| !before.may_be(payload, place.position.epoch);
        if offset + 1 == place.position.offset && place.before.is_some_and(is_other) {
            // A new epoch would leave out all that has come since, of which the oldest could not be sent again.
            let appended_at = message.timestamp().to_millis().unwrap_or(i64::MAX);
            let is_held = appended_at >= place.held_since.0;
            return Err(Trouble::Gap(if is_held { place.position.lost() } else { *place.position }));
        }
        // Otherwise it was fetched before the last seek.
        return Ok(());
    }
    if offset > place.position.offset {
        return Err(Trouble::Gap(Position { offset, ..*place.position }));
    }
    let before = records.last().map(|record: &Recorded| &record.event);
    let sent = codec::decode_sent(payload, before).map_err(|error| {
        // One of another epoch does not count: its number may be far above those that come again.
        let epochs = place.position.epoch..=place.topic;
        let record = codec::sent_as(payload).filter(|(.., epoch)| epochs.contains(epoch));
        let record = record.map(|(journal, sequence, _)| (journal, sequence));
        Trouble::Undecodable { offset, record, reason: error.to_string() }
    })?;
    if sent.epoch > place.topic {
        // Not passed over: it is read again once the topic has been looked at.
        return Err(Trouble::Doubt(0));
    }
    place.position.offset = offset + 1;
    if sent.epoch < place.position.epoch {
        // Its forwarder took this topic for the one before, or did not know yet that this partition lost its end. It will
        // notice, and begin again (module `forwarder`).
        metrics::counter!("smartlinks_stream_stale_total").increment(1);
        return Ok(());
    }
    records.push(sent.record);
    Ok(())
}
