//! The redo record: everything a step writes except raw click rows, as absolute values (decisions 45).

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeSeq as _};
use sl_core::{
    conversion::Conversion,
    delivery::Job,
    ids::{AccountId, DeadLetterId, FanId, PoolLinkId, SmartLinkId, TeamId},
    pack,
    pool::Given,
    step::{
        AccountSignal, ClickMark, DeadLetter, DimensionKey, DimensionRollup, FanDay, FanUnderLink,
        LinkTotals, ListAdd, Rollup, RollupKey, StateRows, Unmatched,
    },
    time::Timestamp,
};
use sl_store::Result;

use crate::codec::{decode, encode};

/// What a committed step writes, and may write again.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Redo {
    pub(super) state: State,
    /// What is said of click rows, each with the part its row is in.
    pub(super) marks: Vec<(ClickMark, i32)>,
    /// Conversions, each with the part it goes to.
    #[serde(with = "bare")]
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
    /// Dead letters that were used after all, each with its place.
    pub(super) revived: Vec<(DeadLetterId, TeamId, Timestamp)>,
    /// How many dead letters of this stream partition there are then, when that changed.
    pub(super) dead_letter_count: Option<i64>,
    pub(super) given: Vec<(AccountId, PoolLinkId, Given)>,
    pub(super) unmatched: Vec<Unmatched>,
    pub(super) matched: Vec<(AccountId, FanId)>,
    pub(super) signals: Vec<AccountSignal>,
    #[serde(with = "unlinked")]
    pub(super) list_adds: Vec<ListAdd>,
    /// When the money of each of `conversions` went and came; empty in records of versions that did not say so.
    #[serde(default, deserialize_with = "pack::at_the_end")]
    pub(super) turns: Vec<Vec<Timestamp>>,
    /// The Smart Link of each of `list_adds`; empty in records of versions that did not say it.
    #[serde(default, deserialize_with = "pack::at_the_end")]
    pub(super) list_links: Vec<Option<SmartLinkId>>,
}

impl Redo {
    /// The bytes of the redo record.
    pub(super) fn encode(&mut self) -> Result<Vec<u8>> {
        let turns = |(row, _): &(Conversion, i32)| row.transaction.as_ref().map(|facts| facts.turns.clone());
        self.turns = self.conversions.iter().map(|row| turns(row).unwrap_or_default()).collect();
        self.list_links = self.list_adds.iter().map(|add| add.link).collect();
        encode(self)
    }

    /// Reads what [`Self::encode`] wrote, in this version or one before.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut redo: Self = decode(bytes)?;
        for ((row, _), turns) in redo.conversions.iter_mut().zip(std::mem::take(&mut redo.turns)) {
            if let Some(facts) = &mut row.transaction {
                facts.turns = turns;
            }
        }
        for (add, link) in redo.list_adds.iter_mut().zip(std::mem::take(&mut redo.list_links)) {
            add.link = link;
        }
        Ok(redo)
    }
}

/// Conversions without their turns: rows of the first version, behind which the next one begins at once.
mod bare {
    use sl_core::{
        conversion::{ConversionKind, Purchase, TransactionFacts},
        ids::{ClickId, ConversionId, TransactionId},
        money::Cents,
    };

    use super::*;

    type Facts = (TransactionId, String, String, String);
    type Bare = (
        ConversionId,
        TeamId,
        AccountId,
        SmartLinkId,
        Option<ClickId>,
        FanId,
        ConversionKind,
        Timestamp,
        Cents,
        Cents,
        Purchase,
        Option<Facts>,
    );

    pub(super) fn of(row: &Conversion) -> impl Serialize + '_ {
        let facts = row.transaction.as_ref();
        let facts = facts.map(|facts| (&facts.id, &facts.kind, &facts.description, &facts.status));
        let Conversion { id, team, account, link, click, fan, kind, at, gross, net, purchase, .. } = row;
        (id, team, account, link, click, fan, kind, at, gross, net, purchase, facts)
    }

    pub(super) fn serialize<S: Serializer>(
        rows: &[(Conversion, i32)],
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(rows.iter().map(|(row, part)| (of(row), part)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Vec<(Conversion, i32)>, D::Error> {
        let row = |(row, part): (Bare, i32)| {
            let (id, team, account, link, click, fan, kind, at, gross, net, purchase, facts) = row;
            let transaction = facts.map(|(id, kind, description, status)| TransactionFacts {
                id,
                kind,
                description,
                status,
                turns: Vec::new(),
            });
            let row = Conversion {
                id,
                team,
                account,
                link,
                click,
                fan,
                kind,
                at,
                gross,
                net,
                purchase,
                transaction,
            };
            (row, part)
        };
        Ok(Vec::<(Bare, i32)>::deserialize(deserializer)?.into_iter().map(row).collect())
    }
}

/// Fans to be added to a list without their Smart Link: rows of the first version, behind which the next one begins at once.
mod unlinked {
    use super::*;

    type Bare = (AccountId, String, FanId, Timestamp);

    pub(super) fn serialize<S: Serializer>(
        adds: &[ListAdd],
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(adds.iter().map(|add| (&add.account, &add.list, &add.fan, add.created_at)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Vec<ListAdd>, D::Error> {
        let add = |(account, list, fan, created_at)| ListAdd { account, list, fan, created_at, link: None };
        Ok(Vec::<Bare>::deserialize(deserializer)?.into_iter().map(add).collect())
    }
}

/// Pieces of memory, written as runs of bytes.
#[derive(Debug, Default)]
pub(super) struct State(pub(super) StateRows);

struct Run<'bytes>(&'bytes [u8]);

impl Serialize for Run<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.0.len()))?;
        for (key, value) in self.0.iter() {
            rows.serialize_element(&(Run(key), value.map(Run)))?;
        }
        rows.end()
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
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
    use sl_core::{
        conversion::ConversionKind,
        step::{StateBytes, StateKey},
    };
    use sl_store::suite::sample;

    use super::*;

    #[test]
    fn memory_comes_back_as_it_was() {
        let rows =
            [(b"a".to_vec(), Some(vec![0; 300])), (b"b".to_vec(), None), (Vec::new(), Some(Vec::new()))];
        let rows = rows.map(|(key, value)| (StateKey(key), value.map(StateBytes)));
        let mut redo = Redo { state: State(rows.into_iter().collect()), ..Redo::default() };
        let again = Redo::decode(&redo.encode().unwrap()).unwrap();
        assert_eq!(again.state.0, redo.state.0);
    }

    #[test]
    fn conversions_come_back_with_their_turns_and_lie_as_they_did_before_rows_had_any() {
        let conversion = |number, turns: &[i64]| {
            let at = sample::after(number);
            let kind = ConversionKind::NewTransaction;
            let mut row = sample::conversion(number, sample::link_id(1), None, kind, at);
            row.transaction.as_mut().unwrap().turns = turns.iter().map(|at| Timestamp(*at)).collect();
            row
        };
        let subscriber =
            sample::conversion(9, sample::link_id(1), None, ConversionKind::NewSubscriber, sample::after(9));
        let conversions = vec![(conversion(1, &[5, 6]), 7), (subscriber, 8), (conversion(2, &[]), 9)];
        let mut redo = Redo { conversions: conversions.clone(), ..Redo::default() };
        assert_eq!(Redo::decode(&redo.encode().unwrap()).unwrap().conversions, conversions);

        let row = conversion(3, &[]);
        let (mut bare, mut now) = (Vec::new(), Vec::new());
        pack::append(&super::bare::of(&row), &mut bare).unwrap();
        pack::append(&row, &mut now).unwrap();
        assert_eq!(
            now.strip_prefix(bare.as_slice()),
            Some(&[0][..]),
            "and behind it that there are no turns"
        );

        let mut redo = Redo { conversions: vec![(row.clone(), 7)], ..Redo::default() };
        let mut before = redo.encode().unwrap();
        // One row without turns, and no fan for a list; versions that knew of none ended here.
        assert_eq!(before.split_off(before.len() - 3), [1, 0, 0]);
        assert_eq!(Redo::decode(&before).unwrap().conversions, [(row, 7)]);
    }

    #[test]
    fn fans_for_a_list_come_back_with_their_links_and_are_read_where_none_was_said() {
        let add = |number, link| ListAdd {
            account: sample::account(),
            list: "9".to_owned(),
            fan: sample::fan(number),
            created_at: sample::after(number),
            link,
        };
        let list_adds = vec![add(1, Some(sample::link_id(1))), add(2, None)];
        let mut redo = Redo { list_adds: list_adds.clone(), ..Redo::default() };
        assert_eq!(Redo::decode(&redo.encode().unwrap()).unwrap().list_adds, list_adds);

        let mut redo = Redo { list_adds: vec![add(2, None)], ..Redo::default() };
        let mut before = redo.encode().unwrap();
        // One fan without a link. The version before ended with the turns of no row, the one before that without.
        assert_eq!(before.split_off(before.len() - 2), [1, 0]);
        for _ in 0..2 {
            assert_eq!(Redo::decode(&before).unwrap().list_adds, [add(2, None)]);
            before.pop();
        }
    }
}
