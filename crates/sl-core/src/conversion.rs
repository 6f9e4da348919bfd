//! What a fan did that counts: conversions, the transactions behind them, the fan's profile.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AccountId, ClickId, ConversionId, FanId, SmartLinkId, TeamId, TransactionId},
    money::Cents,
    pack,
    time::Timestamp,
};

/// The five conversion types (contract B.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversionKind {
    /// A fan subscribed through the link.
    NewSubscriber,
    /// An attributed fan spent money.
    NewTransaction,
    /// A message from an attributed fan.
    MessageReceived,
    /// The first one since the current binding.
    #[serde(rename = "fan_sent_1_message")]
    FanSent1Message,
    /// The third one since the current binding.
    #[serde(rename = "fan_sent_3_messages")]
    FanSent3Messages,
}

impl ConversionKind {
    /// In the order of contract A.6.10.
    pub const ALL: [Self; 5] = [
        Self::NewSubscriber,
        Self::NewTransaction,
        Self::MessageReceived,
        Self::FanSent1Message,
        Self::FanSent3Messages,
    ];

    /// The slug on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewSubscriber => "new_subscriber",
            Self::NewTransaction => "new_transaction",
            Self::MessageReceived => "message_received",
            Self::FanSent1Message => "fan_sent_1_message",
            Self::FanSent3Messages => "fan_sent_3_messages",
        }
    }

    /// Reads a slug.
    #[must_use]
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == slug)
    }
}

/// What kind of purchase a transaction is for pixels (decisions 28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purchase {
    /// No purchase event: a subscription payment, or not a transaction.
    None,
    /// The fan's first non-subscription transaction credited on this account, for life.
    First,
    /// Any later one, renewals included.
    Repeat,
}

/// A transaction of the creator platform (contract D.3.2), from a webhook or the reconciliation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// Dedup key.
    pub id: TransactionId,
    /// `new_subscription`, `recurring_subscription`, `tip`, `post`, `message`, `stream`, `other`.
    pub kind: String,
    /// Who paid.
    pub fan: FanId,
    /// What is shown of the fan, as far as the payload has it.
    pub profile: FanProfile,
    /// What the fan paid.
    pub gross: Cents,
    /// What the creator gets; the platform's own figure.
    pub net: Cents,
    /// `loading`, `done`, `pending_return`, `undo` or another word of the platform.
    pub status: String,
    /// HTML of the platform.
    pub description: String,
    /// When it was made.
    pub at: Timestamp,
    /// Read by the reconciliation: the webhook's type wins over its own (decisions 54).
    pub reconciled: bool,
}

/// A status that takes the money back (decisions 40).
#[must_use]
pub fn is_reversal(status: &str) -> bool {
    let status = status.to_ascii_lowercase();
    ["undo", "chargeback", "refund", "revers"].iter().any(|word| status.contains(word))
}

/// What is shown of a fan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FanProfile {
    /// Handle.
    pub username: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Picture.
    pub avatar: Option<String>,
}

impl FanProfile {
    /// The handle; one that is not known is as the platform makes it of the id.
    #[must_use]
    pub fn handle(&self, fan: &FanId) -> String {
        self.username.clone().unwrap_or_else(|| format!("u{}", fan.as_str()))
    }

    /// Takes over what `newer` knows, keeps the rest.
    pub fn update(&mut self, newer: &Self) {
        for (mine, theirs) in [
            (&mut self.username, &newer.username),
            (&mut self.name, &newer.name),
            (&mut self.avatar, &newer.avatar),
        ] {
            if theirs.is_some() {
                mine.clone_from(theirs);
            }
        }
    }
}

/// One row of `/conversions` (contract A.6.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    /// Derived from `at` and the cause (decisions 21).
    pub id: ConversionId,
    /// Owner.
    pub team: TeamId,
    /// Creator account.
    pub account: AccountId,
    /// The credited Smart Link.
    pub link: SmartLinkId,
    /// The credited click; `None` for a subscriber of the overflow link (decisions 55).
    pub click: Option<ClickId>,
    /// Who converted.
    pub fan: FanId,
    /// Which kind of conversion.
    pub kind: ConversionKind,
    /// When it happened at the platform.
    pub at: Timestamp,
    /// Price or amount paid; zero for messages.
    pub gross: Cents,
    /// Net of the platform's fee; zero for messages.
    pub net: Cents,
    /// First or repeat purchase, for pixels.
    pub purchase: Purchase,
    /// The transaction behind it, if money is.
    pub transaction: Option<TransactionFacts>,
}

impl Conversion {
    /// When its money came, went and came again, and which way: 1 or -1. Nothing for what is no transaction: a subscriber row
    /// repeats money that its transaction carries (contract B.5).
    pub fn moves(&self) -> impl Iterator<Item = (Timestamp, i64)> {
        let came = (self.kind == ConversionKind::NewTransaction).then_some((self.at, 1));
        let turns = self.transaction.iter().flat_map(|transaction| &transaction.turns);
        came.into_iter().chain(turns.zip([-1, 1].into_iter().cycle()).map(|(at, sign)| (*at, sign)))
    }
}

/// What a conversion row and a postback show of the transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionFacts {
    /// The platform's id.
    pub id: TransactionId,
    /// `tip`, `message`, …
    pub kind: String,
    /// HTML of the platform.
    pub description: String,
    /// Current status; a reversal keeps the amounts and changes this (decisions 31).
    pub status: String,
    /// When its money was taken back, given again, taken back again, and so on. Rows of versions that did not say so have
    /// none. The last field of a row, so that those can be read.
    #[serde(default, deserialize_with = "pack::at_the_end")]
    pub turns: Vec<Timestamp>,
}
