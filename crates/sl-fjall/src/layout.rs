//! Every key on disk.
//!
//! Numbers are big-endian, so that byte order is numeric order; signed times have their top bit flipped, so that times
//! before 1970 come first; texts carry their length in front (two bytes), so that none is a prefix of another. `at` is
//! a time in milliseconds (8 bytes), ULIDs have 16 bytes. A keyspace with several tables starts its keys with a tag.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `meta` | `format` | version of this layout |
//! | | [`COUNTER`] name | `u64` |
//! | | [`PARTITION`] number | position, applied sequences |
//! | `late` | number | late rows of one batch, see [`crate::late`]; gone once they are in the next two |
//! | `state` | attribution's key · partition (1 or 5) | attribution's bytes, untouched |
//! | `given` | account's digest (8) · kind · number | `GivenRow`: written by attribution without reading |
//! | `clicks` | link · at · click, of the first row | `ClickRow`s of a second, see [`crate::ledger`] |
//! | `click_ids` | click, the first | click · link · at of all rows minted in the same second of a step (raw) |
//! | `marks` | link · at · click | what a later step said of the row |
//! | `reports` | [`CONVERSION`] link · at · conversion | `Conversion` |
//! | | [`CONVERSION_ID`] conversion | link · at (raw) |
//! | | [`CLICK_CONVERSION`] click · at · conversion | link (raw) |
//! | | [`LINK_FAN`] link · fan | `FanUnderLink` |
//! | | [`PROFILE`] account · fan | `FanProfile` |
//! | | [`ROLLUP`] link · hour | `Rollup` |
//! | | [`DIMENSION`] link · dimension · day · value | `DimensionRollup` |
//! | | [`FAN_DAY`] link · day · fan | `FanDay` |
//! | | [`TOTALS`] link | `LinkTotals` |
//! | | [`DEAD_LETTER`] team · at · id | `DeadLetter` |
//! | | [`DEAD_LETTER_ID`] id | team · at (raw) |
//! | | [`UNMATCHED`] account · fan | `Unmatched` |
//! | | [`LIST_ADD`] at · account · list · fan | `ListAdd` |
//! | `outbox` | [`JOB`] delivery | `Job` |
//! | | [`PROGRESS`] delivery | `Progress`; absent while nobody touched the job |
//! | | [`DUE`] destination · due at · delivery | empty; waiting jobs only |
//! | | [`STATE`] team · state · created at · delivery | destination (raw) |
//! | | [`FAN_WAITING`] destination · account · fan · occurred at · delivery | due at (raw); waiting jobs only |
//! | | [`CLICK_DELIVERY`] click · created at · delivery | empty |
//! | | [`ATTEMPT`] delivery · number (4) | `Attempt` |
//! | | [`LATEST`] destination | delivery |
//! | | [`DUE_SECOND`] destination · second | how many waiting jobs are due in it |
//! | | [`STATE_COUNT`] state | how many jobs are in it |
//! | | [`WAITING_AT`] destination | how many waiting jobs it has |
//! | | [`RESTING`] destination | `Resting` |
//! | | [`TRAIL`] team · replay | `Trail` |
//! | `bodies` | delivery | `RenderedRequest` |
//! | `pool` | [`STOCK`] number (4) | stock key |
//! | | [`LINK`] account · kind · number | `LinkRow`: the link and all facts but the next |
//! | | [`BLOCK`] fence | `BlockRow` |
//! | `catalog` | table · id | row; links and accounts with their revision |

use sl_core::{
    delivery::Destination,
    ids::{LinkKind, PoolLinkId, SmartLinkId},
    time::Timestamp,
};

// === tags: never reuse a number ===

pub(crate) const COUNTER: u8 = 0x01;
pub(crate) const PARTITION: u8 = 0x02;

pub(crate) const CONVERSION: u8 = 0x01;
pub(crate) const CONVERSION_ID: u8 = 0x02;
pub(crate) const CLICK_CONVERSION: u8 = 0x03;
pub(crate) const LINK_FAN: u8 = 0x04;
pub(crate) const PROFILE: u8 = 0x05;
pub(crate) const ROLLUP: u8 = 0x06;
pub(crate) const FAN_DAY: u8 = 0x07;
pub(crate) const TOTALS: u8 = 0x08;
pub(crate) const DEAD_LETTER: u8 = 0x09;
pub(crate) const DEAD_LETTER_ID: u8 = 0x0a;
pub(crate) const UNMATCHED: u8 = 0x0b;
pub(crate) const LIST_ADD: u8 = 0x0c;
pub(crate) const DIMENSION: u8 = 0x0d;

pub(crate) const JOB: u8 = 0x01;
pub(crate) const PROGRESS: u8 = 0x02;
pub(crate) const DUE: u8 = 0x03;
pub(crate) const STATE: u8 = 0x04;
pub(crate) const CLICK_DELIVERY: u8 = 0x05;
pub(crate) const ATTEMPT: u8 = 0x06;
pub(crate) const LATEST: u8 = 0x07;
pub(crate) const DUE_SECOND: u8 = 0x08;
pub(crate) const STATE_COUNT: u8 = 0x09;
pub(crate) const WAITING_AT: u8 = 0x0a;
pub(crate) const FAN_WAITING: u8 = 0x0b;
pub(crate) const RESTING: u8 = 0x0c;
pub(crate) const TRAIL: u8 = 0x0d;

pub(crate) const STOCK: u8 = 0x01;
pub(crate) const LINK: u8 = 0x02;
// 0x03 is taken.
pub(crate) const BLOCK: u8 = 0x04;

/// A key under construction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Key(Vec<u8>);

// === impl Key ===

impl Key {
    /// Starts with the tag of a table.
    pub(crate) fn table(tag: u8) -> Self {
        Self(vec![tag])
    }

    /// Starts with nothing, for keyspaces of one table.
    pub(crate) fn bare() -> Self {
        Self(Vec::with_capacity(40))
    }

    pub(crate) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(crate) fn u32(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(crate) fn u64(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(crate) fn at(self, at: Timestamp) -> Self {
        self.u64(ordered(at))
    }

    pub(crate) fn id(mut self, id: [u8; 16]) -> Self {
        self.0.extend_from_slice(&id);
        self
    }

    /// Texts longer than 65,535 bytes are cut: ids of the platform have fewer than 64.
    pub(crate) fn text(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend(bytes.iter().take(usize::from(length)));
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn destination(self, destination: Destination) -> Self {
        match destination {
            Destination::Pixel(id) => self.byte(0).u64(id.0),
            Destination::Postback(id) => self.byte(1).u64(id.0),
        }
    }

    pub(crate) fn pool_link(self, id: PoolLinkId) -> Self {
        let kind = match id.kind {
            LinkKind::TrackingLink => 0,
            LinkKind::FreeTrial => 1,
        };
        self.byte(kind).u64(id.number)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Key> for fjall::Slice {
    fn from(key: Key) -> Self {
        Self::from(key.0)
    }
}

/// A time as a number that sorts like it.
pub(crate) fn ordered(at: Timestamp) -> u64 {
    at.0.cast_unsigned() ^ (1 << 63)
}

/// What [`ordered`] was made of.
pub(crate) fn from_ordered(number: u64) -> Timestamp {
    Timestamp((number ^ (1 << 63)).cast_signed())
}

/// `link · at`, where an index points.
pub(crate) fn place(link: SmartLinkId, at: Timestamp) -> [u8; 24] {
    let mut bytes = [0; 24];
    let (id, time) = bytes.split_at_mut(16);
    id.copy_from_slice(&link.to_bytes());
    time.copy_from_slice(&ordered(at).to_be_bytes());
    bytes
}

/// Reads fixed-width fields off the front of a key or raw value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'key>(pub(crate) &'key [u8]);

// === impl Reader ===

impl Reader<'_> {
    pub(crate) fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*bytes))
    }

    pub(crate) fn at(&mut self) -> Option<Timestamp> {
        self.u64().map(from_ordered)
    }

    pub(crate) fn id(&mut self) -> Option<[u8; 16]> {
        let (bytes, rest) = self.0.split_first_chunk::<16>()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    pub(crate) fn destination(&mut self) -> Option<Destination> {
        use sl_core::ids::{PixelId, PostbackId};
        match (self.byte()?, self.u64()?) {
            (0, id) => Some(Destination::Pixel(PixelId(id))),
            (1, id) => Some(Destination::Postback(PostbackId(id))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_is_the_order_of_times_and_no_text_is_a_prefix() {
        let times = [-5_000, -1, 0, 1, 1_772_655_069_000];
        for pair in times.windows(2) {
            let earlier = Key::bare().at(Timestamp(pair[0]));
            let later = Key::bare().at(Timestamp(pair[1]));
            assert!(earlier.bytes() < later.bytes());
            assert_eq!(Reader(earlier.bytes()).at(), Some(Timestamp(pair[0])));
        }
        let short = Key::bare().text("acct_1");
        let long = Key::bare().text("acct_12");
        assert!(!long.bytes().starts_with(short.bytes()));
    }
}
