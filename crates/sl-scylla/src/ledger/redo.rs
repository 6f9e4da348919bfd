//! The redo record: everything a step writes except raw click rows, as absolute values (decisions 45).

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeSeq as _};
use sl_core::{
    conversion::Conversion,
    delivery::Job,
    ids::{AccountId, DeadLetterId, FanId, PoolLinkId, SmartLinkId, TeamId},
    pool::Given,
    step::{
        AccountSignal, ClickMark, DeadLetter, DimensionKey, DimensionRollup, FanDay, FanUnderLink,
        LinkTotals, ListAdd, Rollup, RollupKey, StateRows, Unmatched,
    },
    time::Timestamp,
};

/// What a committed step writes, and may write again.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Redo {
    pub(super) state: State,
    /// Each with the part its row is in.
    pub(super) marks: Vec<(ClickMark, i32)>,
    /// Each with the part it goes to.
    pub(super) conversions: Vec<(Conversion, i32)>,
    /// New rows of `link_parts`: link, sort, span, part.
    pub(super) parts: Vec<(SmartLinkId, i8, i32, i32)>,
    pub(super) fans: Vec<FanUnderLink>,
    pub(super) rollups: Vec<(RollupKey, Rollup)>,
    pub(super) dimensions: Vec<(DimensionKey, DimensionRollup)>,
    pub(super) fan_days: Vec<FanDay>,
    pub(super) totals: Vec<(SmartLinkId, LinkTotals)>,
    pub(super) jobs: Vec<Job>,
    pub(super) dead_letters: Vec<DeadLetter>,
    /// Each with its place.
    pub(super) revived: Vec<(DeadLetterId, TeamId, Timestamp)>,
    /// How many dead letters of this stream partition there are then, when that changed.
    pub(super) dead_letter_count: Option<i64>,
    pub(super) given: Vec<(AccountId, PoolLinkId, Given)>,
    pub(super) unmatched: Vec<Unmatched>,
    pub(super) matched: Vec<(AccountId, FanId)>,
    pub(super) signals: Vec<AccountSignal>,
    pub(super) list_adds: Vec<ListAdd>,
}

/// Pieces of memory, written as runs of bytes.
#[derive(Debug, Default)]
pub(super) struct State(pub(super) StateRows);

struct Run<'bytes>(&'bytes [u8]);

impl Serialize for Run<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.0.len()))?;
        for (key, value) in self.0.iter() {
            rows.serialize_element(&(Run(key), value.map(Run)))?;
        }
        rows.end()
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows: Vec<(&[u8], Option<&[u8]>)> = Vec::deserialize(deserializer)?;
        let mut state = StateRows::with_capacity(rows.len(), 0);
        for (key, value) in rows {
            let value = value.map(|value| move |into: &mut Vec<u8>| into.extend_from_slice(value));
            state.push(|into| into.extend_from_slice(key), value);
        }
        Ok(Self(state))
    }
}

#[cfg(test)]
mod tests {
    use sl_core::step::{StateBytes, StateKey};

    use super::*;
    use crate::codec::{decode, encode};

    #[test]
    fn memory_comes_back_as_it_was() {
        let rows =
            [(b"a".to_vec(), Some(vec![0; 300])), (b"b".to_vec(), None), (Vec::new(), Some(Vec::new()))];
        let rows = rows.map(|(key, value)| (StateKey(key), value.map(StateBytes)));
        let redo = Redo { state: State(rows.into_iter().collect()), ..Redo::default() };
        let again: Redo = decode(&encode(&redo).unwrap()).unwrap();
        assert_eq!(again.state.0, redo.state.0);
    }
}
