//! The one ordered stream per creator account: everything attribution decides from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    click::{Click, Repeat},
    conversion::{FanProfile, Transaction},
    ids::{AccountId, DeadLetterId, FanId, PoolLinkId, SmartLinkId, TeamId},
    money::Cents,
    time::Timestamp,
};

/// One record of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Owner.
    pub team: TeamId,
    /// Creator account: the order inside one account is what counts. Empty for events of the whole team.
    pub account: AccountId,
    /// When it was appended: the clock of the state machine (decisions 51).
    pub at: Timestamp,
    /// What happened.
    pub body: EventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventBody {
    /// A person or bot followed a Smart Link.
    Click(Arc<Click>),
    /// A visitor came again.
    Repeat(Repeat),
    /// A webhook with a valid signature, as received.
    Webhook(WebhookReceived),
    /// The matcher saw a subscriber in the list of a pool link.
    SubscriberSeen(SubscriberSeen),
    /// The reconciliation saw a transaction (decisions 54).
    TransactionSeen(Transaction),
    /// Time passed: holds of this account that are due end now.
    Tick,
}

impl EventBody {
    /// The body of a click's event.
    #[must_use]
    pub fn click(click: Click) -> Self {
        Self::Click(Arc::new(click))
    }
}

/// A webhook as it came in (contract D). Stored before it is answered; parsed when it is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookReceived {
    /// `event` of the body; empty when the body has none.
    pub event: String,
    /// `X-OFAPI-Idempotency-Key`, or `sha256:` and the hash of the body where the header is absent.
    pub key: String,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The raw body.
    pub body: Vec<u8>,
    /// The dead letter that is tried again by this record.
    pub retry_of: Option<DeadLetterId>,
}

/// A fan in the subscriber list of a pool link (contract E.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriberSeen {
    /// The link whose list shows the fan.
    pub pool_link: PoolLinkId,
    /// Set when the link is the shared overflow link of this Smart Link (decisions 55).
    pub overflow_of: Option<SmartLinkId>,
    /// The subscriber.
    pub fan: FanId,
    /// Name and picture, as far as the list has them.
    pub profile: FanProfile,
    /// `subscribedOnData.subscribeAt`, when the list has it (decisions 22).
    pub subscribed_at: Option<Timestamp>,
    /// Price paid, when the list has it.
    pub price: Option<Cents>,
    /// When the list was read.
    pub seen_at: Timestamp,
    /// The last look at this link that did not show the fan (decisions 51).
    pub absent_at: Option<Timestamp>,
}

/// Where a consumer of the stream stands: compared by epoch first (decisions 47).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position {
    /// Raised when the stream itself was replaced.
    pub epoch: u64,
    /// Sequence number of the next record to read.
    pub offset: u64,
}

impl Position {
    /// What a consumer keeps once its stream has lost records that it had applied, until it has begun anew: behind every end
    /// there ever is.
    #[must_use]
    pub fn lost(self) -> Self {
        Self { offset: u64::MAX, ..self }
    }

    /// Whether it is [`Position::lost`].
    #[must_use]
    pub fn is_lost(self) -> bool {
        self.offset == u64::MAX
    }
}

/// Names one journal directory for life; (journal, sequence) names one record for ever (decisions 47).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct JournalId(pub u64);

/// An event with its place in the journal it was written to first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The journal it was written to first.
    pub journal: JournalId,
    /// Its number there: ascending, never used twice, with gaps where records were lost or a new epoch began
    /// (decisions 47).
    pub sequence: u64,
    /// The event.
    pub event: Event,
}
