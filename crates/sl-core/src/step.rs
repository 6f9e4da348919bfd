//! One atomic step of attribution: everything a slice of the stream changes, with the position behind it.

use serde::{Deserialize, Serialize};

use crate::{
    applied::Applied,
    click::{Class, ClickRow},
    conversion::{Conversion, ConversionKind, FanProfile},
    delivery::Job,
    event::Position,
    ids::{AccountId, ClickId, DeadLetterId, FanId, PoolLinkId, SmartLinkId, TeamId},
    money::Cents,
    pack,
    pool::Given,
    time::Timestamp,
};

/// Names one piece of the state machine's memory; the bytes are [`crate::attribution`]'s own business.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateKey(pub Vec<u8>);

/// One piece of that memory, encoded by [`crate::attribution`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateBytes(pub Vec<u8>);

/// Pieces of memory under their names, one behind the other in a single run of bytes. A name that comes twice counts as
/// said last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateRows {
    bytes: Vec<u8>,
    /// Ends of name and value; a piece that is forgotten has no value.
    ends: Vec<(usize, Option<usize>)>,
}

impl StateRows {
    /// No rows yet, with room for `pieces` pieces and `bytes` bytes.
    #[must_use]
    pub fn with_capacity(pieces: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(pieces) }
    }

    /// Adds a piece: `name` and `value` append their bytes. Without a value it is forgotten.
    pub fn push<F: FnOnce(&mut Vec<u8>)>(&mut self, name: impl FnOnce(&mut Vec<u8>), value: Option<F>) {
        name(&mut self.bytes);
        let key = self.bytes.len();
        let end = value.map(|value| {
            value(&mut self.bytes);
            self.bytes.len()
        });
        self.ends.push((key, end));
    }

    /// How many pieces there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all names and values.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Names and values in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut begin = 0;
        self.ends.iter().map(move |(key, end)| {
            let name = self.bytes.get(begin..*key).unwrap_or_default();
            let value = end.map(|end| self.bytes.get(*key..end).unwrap_or_default());
            begin = end.unwrap_or(*key);
            (name, value)
        })
    }
}

impl StateRows {
    /// The same as [`Self::iter`], with bytes of their own.
    pub fn pieces(&self) -> impl Iterator<Item = (StateKey, Option<StateBytes>)> {
        self.iter()
            .map(|(key, value)| (StateKey(key.to_vec()), value.map(|value| StateBytes(value.to_vec()))))
    }
}

impl FromIterator<(StateKey, Option<StateBytes>)> for StateRows {
    fn from_iter<I: IntoIterator<Item = (StateKey, Option<StateBytes>)>>(pieces: I) -> Self {
        let mut rows = Self::default();
        for (key, value) in pieces {
            let value = value.map(|value| move |into: &mut Vec<u8>| into.extend(value.0));
            rows.push(|into| into.extend(key.0), value);
        }
        rows
    }
}

/// Everything one slice of one stream partition changes (decisions 45). Values are absolute: applying a step twice is
/// applying it once. At most 256 KiB of effects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// Stream partition; embedded storage has one, 0.
    pub partition: u32,
    /// Where to read on after this step.
    pub position: Position,
    /// What is applied of each journal after it, all of them (decisions 47).
    pub applied: Applied,
    /// Memory of the state machine; `None` forgets.
    pub state: StateRows,
    /// New click rows.
    pub clicks: Vec<ClickRow>,
    /// Click rows whose hits or duplicate mark changed.
    pub click_marks: Vec<ClickMark>,
    /// New or changed conversions.
    pub conversions: Vec<Conversion>,
    /// Fans whose profile or standing under a link changed.
    pub fans: Vec<FanUnderLink>,
    /// Hourly rollups.
    pub rollups: Vec<(RollupKey, Rollup)>,
    /// Daily rollups by dimension.
    pub dimensions: Vec<(DimensionKey, DimensionRollup)>,
    /// Money per fan and day.
    pub fan_days: Vec<FanDay>,
    /// Lifetime totals of links.
    pub totals: Vec<(SmartLinkId, LinkTotals)>,
    /// Deliveries to make.
    pub jobs: Vec<Job>,
    /// Webhooks that could not be used.
    pub dead_letters: Vec<DeadLetter>,
    /// Dead letters that were used after all.
    pub revived: Vec<DeadLetterId>,
    /// Pool links that a visitor holds, or hit again.
    pub given: Vec<(AccountId, PoolLinkId, Given)>,
    /// Subscribers whose link is still to be found by the matcher.
    pub unmatched: Vec<Unmatched>,
    /// Subscribers whose link the matcher has found.
    pub matched: Vec<(AccountId, FanId)>,
    /// What `accounts.*` webhooks said.
    pub signals: Vec<AccountSignal>,
    /// Fans to be added to the list of their link (contract B.6).
    pub list_adds: Vec<ListAdd>,
}

/// What of a click row attribution may change later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickMark {
    /// Row.
    pub click: ClickId,
    /// Its link.
    pub link: SmartLinkId,
    /// When the click was.
    pub at: Timestamp,
    /// Raw hits, absolute.
    pub gross_clicks: u32,
    /// See [`ClickRow::is_duplicate`].
    pub is_duplicate: bool,
}

/// A fan listed under a link (contract A.6.7): what `/fans` and `/spenders` show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanUnderLink {
    /// Owner.
    pub team: TeamId,
    /// Creator account.
    pub account: AccountId,
    /// Link.
    pub link: SmartLinkId,
    /// Fan.
    pub fan: FanId,
    /// Newest known profile.
    pub profile: FanProfile,
    /// The click behind the first conversion under this link.
    pub click: Option<ClickId>,
    /// First conversion under this link.
    pub converted_at: Timestamp,
    /// Has a subscriber conversion here.
    pub is_subscriber: bool,
    /// Credited here so far, reversals subtracted.
    pub gross: Cents,
    /// Credited here so far, net.
    pub net: Cents,
    /// The part of `net` that is tips.
    pub tips_net: Cents,
    /// Inbound messages credited here.
    pub messages: u32,
}

/// Names a rollup: a link and an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RollupKey {
    /// Link.
    pub link: SmartLinkId,
    /// Start of the UTC hour (decisions 57).
    pub hour: Timestamp,
}

/// Counters of one link and hour. Absolute values, never increments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rollup {
    /// People's clicks: no bots, no duplicates (decisions 3).
    pub clicks: u64,
    /// Bot rows.
    pub bots: u64,
    /// Duplicate rows of people.
    pub duplicates: u64,
    /// Subscriber conversions.
    pub subscribers: u64,
    /// All conversion rows.
    pub conversions: u64,
    /// Credited, reversals subtracted in the hour of the reversal (decisions 19). May be negative.
    pub gross: Cents,
    /// What the creator gets of `gross`.
    pub net: Cents,
}

impl Rollup {
    /// Counts a raw click row.
    pub fn add_click(&mut self, row: &ClickRow) {
        match row.click.class {
            Class::Bot => self.bots += 1,
            _ if row.is_duplicate => self.duplicates += 1,
            _ => self.clicks += 1,
        }
    }

    /// Counts a conversion, without its money.
    pub fn add_conversion(&mut self, row: &Conversion) {
        self.conversions += 1;
        self.subscribers += u64::from(row.kind == ConversionKind::NewSubscriber);
    }

    /// Adds the money of a conversion (`1`), or takes it away (`-1`); only transactions are revenue (architecture 5), see
    /// [`Conversion::moves`].
    pub fn add_money(&mut self, row: &Conversion, sign: i64) {
        self.gross += Cents(sign * row.gross.0);
        self.net += Cents(sign * row.net.0);
    }
}

/// Properties by which the clicks of a link are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of the click row, contract A.6.9")]
pub enum Dimension {
    Country,
    Device,
    Browser,
    UtmSource,
    UtmMedium,
    UtmCampaign,
    UtmContent,
    UtmTerm,
    Ecid,
}

impl Dimension {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::Country,
        Self::Device,
        Self::Browser,
        Self::UtmSource,
        Self::UtmMedium,
        Self::UtmCampaign,
        Self::UtmContent,
        Self::UtmTerm,
        Self::Ecid,
    ];

    /// As in addresses and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::Device => "device",
            Self::Browser => "browser",
            Self::UtmSource => "utm_source",
            Self::UtmMedium => "utm_medium",
            Self::UtmCampaign => "utm_campaign",
            Self::UtmContent => "utm_content",
            Self::UtmTerm => "utm_term",
            Self::Ecid => "ecid",
        }
    }

    /// The inverse of [`Self::as_str`].
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.as_str() == word)
    }

    /// Its number in every store, 0 to 8; never changes.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Country => 0,
            Self::Device => 1,
            Self::Browser => 2,
            Self::UtmSource => 3,
            Self::UtmMedium => 4,
            Self::UtmCampaign => 5,
            Self::UtmContent => 6,
            Self::UtmTerm => 7,
            Self::Ecid => 8,
        }
    }
}

/// One value of one dimension of one link on one UTC day. At most 1,000 values each, then `(other)` (decisions 52).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DimensionKey {
    /// Link.
    pub link: SmartLinkId,
    /// Start of the UTC day.
    pub day: Timestamp,
    /// Which property.
    pub dimension: Dimension,
    /// Its value; never empty.
    pub value: std::sync::Arc<str>,
}

/// Counters of one value. Absolute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DimensionRollup {
    /// People's clicks: no bots, no duplicates.
    pub clicks: u64,
}

/// Money of one fan under one link on one UTC day (decisions 57): spenders are counted from these rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanDay {
    /// Link.
    pub link: SmartLinkId,
    /// Fan.
    pub fan: FanId,
    /// Start of the UTC day.
    pub day: Timestamp,
    /// Net sum of the day, absolute, reversals subtracted.
    pub net: Cents,
    /// Gross sum of the day.
    pub gross: Cents,
}

/// Lifetime totals of one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkTotals {
    /// People's clicks.
    pub clicks: u64,
    /// All conversion rows (contract I.5).
    pub conversions: u64,
    /// Distinct attributed subscribers.
    pub subscribers: u64,
    /// Fans with net revenue above zero.
    pub spenders: u64,
    /// Gross, reversals subtracted; `None` until money first arrives (decisions 20).
    pub revenue: Option<Cents>,
}

/// A webhook that was stored but could not be used (promise 8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// From `received_at` and a hash of key and body; see [`DeadLetterId::received_at`].
    pub id: DeadLetterId,
    /// Owner.
    pub team: TeamId,
    /// Account that the body named, if it did.
    pub account: Option<AccountId>,
    /// `event` of the body; empty when it had none.
    pub event: String,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Field, value and remedy.
    pub reason: String,
    /// Idempotency key of the delivery.
    pub key: String,
    /// The body as it was received.
    pub body: Vec<u8>,
}

/// A subscriber whose link is still unknown: the matcher's search list (decisions 48).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    /// Owner.
    pub team: TeamId,
    /// Creator account.
    pub account: AccountId,
    /// Fan.
    pub fan: FanId,
    /// `createdAt` of the webhook.
    pub subscribed_at: Timestamp,
    /// When the webhook was applied: the first search counts from here.
    pub known_at: Timestamp,
}

/// An `accounts.*` webhook in one bit (contract D.3.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSignal {
    /// Which account.
    pub account: AccountId,
    /// Links can be made.
    pub usable: bool,
    /// `latestAuthAttempt.started_at`, or the arrival: older signals are ignored.
    pub as_of: Timestamp,
}

/// A new subscriber to be added to a user list (contract B.6, E.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListAdd {
    /// Creator account.
    pub account: AccountId,
    /// The list.
    pub list: String,
    /// The fan.
    pub fan: FanId,
    /// When it was decided.
    pub created_at: Timestamp,
    /// The Smart Link that named the list; rows of before do not say it. The last field of a row, so that those can be read.
    #[serde(default, deserialize_with = "pack::at_the_end")]
    pub link: Option<SmartLinkId>,
}
