//! What is remembered under each key. Encoded with postcard behind one version byte.

use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::key::{Key, Who};
use crate::{
    click::{Repeat, VisitorId},
    conversion::{FanProfile, Purchase, Transaction},
    event::SubscriberSeen,
    ids::{AccountId, ClickId, ConversionId, FanId, PoolLinkId, SmartLinkId, TeamId, TransactionId},
    money::Cents,
    pack,
    step::{DimensionRollup, LinkTotals, Rollup, StateBytes},
    time::Timestamp,
};

/// First byte of every record.
pub(super) const VERSION: u8 = 1;

/// Kept bytes that this version can't read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("memory of attribution under {key:?} can't be read: {reason}")]
pub struct BadRecord {
    /// Name of the piece.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

macro_rules! records {
    ($($variant:ident($type:ty)),* $(,)?) => {
        /// Any record.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(super) enum Record { $($variant($type)),* }

        impl Record {
            /// Appends the record's bytes.
            pub(super) fn encode(&self, into: &mut Vec<u8>) {
                into.push(VERSION);
                let encoded = match self { $(Self::$variant(record) => pack::append(record, into)),* };
                debug_assert!(encoded.is_ok(), "a Vec grows as needed");
            }
        }

        $(impl Kept for $type {
            fn of(record: &Record) -> Option<&Self> {
                match record { Record::$variant(record) => Some(record), _ => None }
            }
            fn of_mut(record: &mut Record) -> Option<&mut Self> {
                match record { Record::$variant(record) => Some(record), _ => None }
            }
            fn record(self) -> Record { Record::$variant(self) }
        })*
    };
}

/// A type that is one kind of record.
pub(super) trait Kept: Default + Clone {
    fn of(record: &Record) -> Option<&Self>;
    fn of_mut(record: &mut Record) -> Option<&mut Self>;
    fn record(self) -> Record;
}

records! {
    Due(DueRecord), Account(Box<AccountRecord>), Visitor(VisitorRecord), Print(PrintRecord), Holder(HolderRecord),
    Fan(Box<FanRecord>), Transaction(Box<TransactionRecord>), Applied(AppliedRecord), Page(PageRecord),
    Link(LinkTotals), Hour(Rollup), FanDay(FanDayRecord), Spread(SpreadRecord), Dimension(DimensionRollup),
}

impl Record {
    /// Reads what [`Record::encode`] wrote; the key says which kind it is.
    pub(super) fn decode(key: &Key, bytes: &StateBytes) -> Result<Self, BadRecord> {
        let bad = |reason: String| BadRecord { key: format!("{key:?}"), reason };
        let body = match bytes.0.split_first() {
            Some((&VERSION, body)) => body,
            Some((version, _)) => {
                return Err(bad(format!("version {version}, this program knows {VERSION}")));
            }
            None => return Err(bad("no bytes".to_owned())),
        };
        fn read<T: Kept + DeserializeOwned>(body: &[u8]) -> postcard::Result<Record> {
            postcard::from_bytes::<T>(body).map(T::record)
        }
        match key {
            Key::Due => read::<DueRecord>(body),
            Key::Account(_) => read::<Box<AccountRecord>>(body),
            Key::Visitor(..) => read::<VisitorRecord>(body),
            Key::Print(..) => read::<PrintRecord>(body),
            Key::Holder(..) => read::<HolderRecord>(body),
            Key::Fan(..) => read::<Box<FanRecord>>(body),
            Key::Transaction(..) => read::<Box<TransactionRecord>>(body),
            Key::Applied(..) => read::<AppliedRecord>(body),
            Key::Page(..) => read::<PageRecord>(body),
            Key::Link(_) => read::<LinkTotals>(body),
            Key::Hour(..) => read::<Rollup>(body),
            Key::FanDay(..) => read::<FanDayRecord>(body),
            Key::Spread(..) => read::<SpreadRecord>(body),
            Key::Dimension(..) => read::<DimensionRollup>(body),
        }
        .map_err(|error| bad(error.to_string()))
    }
}

/// Accounts with something due, with the owner and the time of the earliest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct DueRecord {
    pub(super) accounts: Vec<(TeamId, AccountId, Timestamp)>,
}

/// What is remembered of one creator account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct AccountRecord {
    /// The clock (decisions 51); `None` before the first event.
    pub(super) clock: Option<Timestamp>,
    /// A jump that nobody has confirmed yet.
    pub(super) ahead: Option<Timestamp>,
    /// Jumps ignored so far.
    pub(super) jumps: u64,
    /// `subscribed_at` from the future, so far.
    pub(super) future_dates: u64,
    /// Transactions about which two words disagree, so far.
    pub(super) differences: u64,
    /// Held things given up because there were too many, so far.
    pub(super) dropped: u64,
    /// Fans with an undated subscriber, by the time its wait ends.
    pub(super) due: Vec<(Timestamp, FanId)>,
    /// Keys to look at again, per length of wait.
    pub(super) queues: [Queue; 3],
}

/// A queue of keys in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Queue {
    /// Oldest page still there.
    pub(super) first: u64,
    /// Page being filled.
    pub(super) last: u64,
    /// When its oldest entry is due.
    pub(super) next: Option<Timestamp>,
}

/// One hit: a click, or a repeat of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hit {
    /// The row that counts it.
    pub(super) row: ClickId,
    /// The row that gets credit, when the row itself is a duplicate.
    pub(super) original: Option<ClickId>,
    pub(super) link: SmartLinkId,
    /// Hash of `ecid`; 0 for none.
    pub(super) ecid: u64,
    pub(super) at: Timestamp,
    /// When the row's click was: the visitor window counts from there and does not slide.
    pub(super) clicked: Timestamp,
    /// Attribution window of the link, whole seconds.
    pub(super) window: u32,
}

impl Hit {
    /// The click that is credited.
    pub(super) fn credited(&self) -> ClickId {
        self.original.unwrap_or(self.row)
    }
}

/// What is remembered of one visitor of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct VisitorRecord {
    /// Hits of the visitor, by time.
    pub(super) hits: Vec<Hit>,
    /// Fans bound to it; the one bound last is last.
    pub(super) fans: Vec<FanId>,
    /// Raw hits of rows that have no pool link of their own and more than one hit.
    pub(super) gross: Vec<(ClickId, u32)>,
    /// Repeats whose click is still to come.
    pub(super) early: Vec<Repeat>,
}

/// What is remembered of one lasting fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct PrintRecord {
    /// Cookies seen under it, at most 2: more make no difference.
    pub(super) visitors: Vec<VisitorId>,
    /// Fans bound under it, at most 2.
    pub(super) fans: Vec<FanId>,
    /// Newest rows under it, for duplicates.
    pub(super) recent: Vec<Recent>,
    /// Last hit, by the account's clock: forgotten some time after it.
    pub(super) seen: Timestamp,
}

/// A row under a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recent {
    pub(super) row: ClickId,
    pub(super) link: SmartLinkId,
    pub(super) ecid: u64,
    pub(super) at: Timestamp,
    /// The one that came, else the one that was given; of earlier versions only one that came.
    pub(super) cookie: Option<VisitorId>,
}

/// What is remembered of one pool link.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct HolderRecord {
    /// Its visitors, by time; more than one after recycling.
    pub(super) holders: Vec<Holder>,
    /// Subscribers whose click is still to come, with the end of the wait.
    pub(super) pending: Vec<(Timestamp, SubscriberSeen)>,
    /// Repeats whose click is still to come.
    pub(super) early: Vec<Repeat>,
}

/// One visitor's hold on a pool link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) click: Hit,
    pub(super) who: Who,
    /// Fingerprint of the click, erased together with the fingerprint's own record.
    pub(super) print: Option<VisitorId>,
    /// Raw hits of the row.
    pub(super) gross: u32,
    /// Times of the click and its repeats, ascending.
    pub(super) hits: Vec<Timestamp>,
}

/// Something in the life of a fan that may bind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Touch {
    pub(super) at: Timestamp,
    /// `None` for the overflow link.
    pub(super) click: Option<ClickId>,
    pub(super) link: SmartLinkId,
    pub(super) ecid: u64,
    /// A subscription: binds whatever was before. A hit only moves.
    pub(super) subscription: bool,
}

/// What is remembered of one fan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct FanRecord {
    pub(super) profile: FanProfile,
    /// What may bind the fan, by time; the bindings follow from it.
    pub(super) touches: Vec<Touch>,
    /// Links it is listed under.
    pub(super) standings: Vec<(SmartLinkId, Standing)>,
    /// Transactions and messages that wait for a binding, in order of arrival.
    pub(super) held: Vec<Held>,
    /// Newest `subscriptions.*` webhooks.
    pub(super) announced: Vec<Announced>,
    /// Sightings without a date, each with the time at which its wait ends.
    pub(super) undated: Vec<(Timestamp, SubscriberSeen)>,
    /// Subscriptions applied, newest last.
    pub(super) subscriptions: Vec<Subscribed>,
    /// When a list of subscribers last showed it.
    pub(super) last_seen: Option<Timestamp>,
    /// A first purchase was credited.
    pub(super) purchased: bool,
    /// Messages credited per binding, up to three.
    pub(super) messages: Vec<(Timestamp, SmartLinkId, u8)>,
}

/// What a `subscriptions.*` webhook said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Announced {
    /// When the fan subscribed.
    pub(super) at: Timestamp,
    pub(super) price: Option<Cents>,
    /// `subscriptions.renewed`.
    pub(super) renewed: bool,
    /// Kept at least until this time, also when nothing else is known of the fan.
    pub(super) until: Timestamp,
}

/// Standing of a fan under a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) click: Option<ClickId>,
    pub(super) converted_at: Timestamp,
    pub(super) is_subscriber: bool,
    pub(super) gross: Cents,
    pub(super) net: Cents,
    pub(super) tips_net: Cents,
    pub(super) messages: u32,
}

/// A subscription that made a conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subscribed {
    pub(super) pool_link: PoolLinkId,
    /// Row of the holder; `None` for the overflow link.
    pub(super) holder: Option<ClickId>,
}

/// A transaction or message that waits for a binding of its fan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Held {
    Transaction { id: TransactionId, until: Timestamp },
    Message { id: crate::ids::MessageId, at: Timestamp, until: Timestamp },
}

impl Held {
    pub(super) fn until(&self) -> Timestamp {
        match self {
            Self::Transaction { until, .. } | Self::Message { until, .. } => *until,
        }
    }
}

/// What is remembered of one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TransactionRecord {
    pub(super) transaction: Transaction,
    pub(super) credit: Option<Credit>,
    /// Its money is in the sums now.
    pub(super) counted: bool,
    /// Two words about it disagreed (webhook and reconciliation, or an earlier and a later one), and that was counted.
    pub(super) differs: bool,
    /// When the newest status came.
    pub(super) status_at: Timestamp,
    /// A reversal came before the transaction was announced: waits for that until then.
    pub(super) early_reversal: Option<Timestamp>,
    /// See [`crate::conversion::TransactionFacts::turns`]. The last field, so that records of before can be read.
    #[serde(default, deserialize_with = "pack::at_the_end")]
    pub(super) turns: Vec<Timestamp>,
}

/// Where a transaction was credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Credit {
    pub(super) conversion: ConversionId,
    pub(super) link: SmartLinkId,
    pub(super) click: Option<ClickId>,
    pub(super) purchase: Purchase,
}

impl Default for TransactionRecord {
    fn default() -> Self {
        let transaction = Transaction {
            id: TransactionId::from(""),
            kind: String::new(),
            fan: FanId::from(""),
            profile: FanProfile::default(),
            gross: Cents::ZERO,
            net: Cents::ZERO,
            status: String::new(),
            description: String::new(),
            at: Timestamp(0),
            reconciled: false,
        };
        Self {
            transaction,
            credit: None,
            counted: false,
            differs: false,
            status_at: Timestamp(0),
            early_reversal: None,
            turns: Vec::new(),
        }
    }
}

/// A webhook or message that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct AppliedRecord {}

/// Pieces to look at again, each with the time from which.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct PageRecord {
    pub(super) entries: Vec<(Timestamp, Later)>,
}

/// A piece of memory of the page's account that is looked at again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Later {
    /// A fingerprint, with the pool link whose holder had it.
    Print(VisitorId, Option<PoolLinkId>),
    /// Subscribers that wait for a click.
    Holder(PoolLinkId),
    Fan(FanId),
    Applied(Arc<str>),
}

/// Money of a fan on a day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct FanDayRecord {
    pub(super) net: Cents,
    pub(super) gross: Cents,
}

/// Distinct values per dimension on a day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct SpreadRecord {
    pub(super) values: Vec<u16>,
}
