//! Deliveries: what is to be told to whom, and how far that has come.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AccountId, ClickId, ConversionId, DeliveryId, FanId, PixelId, PostbackId, SmartLinkId, TeamId},
    lint::{Known, Lint},
    retry::Outcome,
    time::Timestamp,
};

/// Name of an event at an ad platform: standard or custom, 1 to 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventName(pub String);

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Destination {
    /// An ad platform, through a pixel.
    Pixel(PixelId),
    /// A buyer's own URL.
    Postback(PostbackId),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixel(id) => write!(f, "pixel:{id}"),
            Self::Postback(id) => write!(f, "postback:{id}"),
        }
    }
}

/// What is told. Pixels know first and repeat purchases apart, postbacks do not (contract G.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryKind {
    /// A click (pixels only).
    Click,
    /// `new_subscriber`.
    NewSubscriber,
    /// First non-subscription purchase (pixels only).
    FirstTransaction,
    /// For a pixel a repeat purchase; for a postback every transaction.
    NewTransaction,
    /// `message_received`.
    MessageReceived,
    /// `fan_sent_1_message`.
    #[serde(rename = "fan_sent_1_message")]
    FanSent1Message,
    /// `fan_sent_3_messages`.
    #[serde(rename = "fan_sent_3_messages")]
    FanSent3Messages,
}

impl DeliveryKind {
    /// In the order of contract A.8.1.
    pub const ALL: [Self; 7] = [
        Self::Click,
        Self::NewSubscriber,
        Self::FirstTransaction,
        Self::NewTransaction,
        Self::MessageReceived,
        Self::FanSent1Message,
        Self::FanSent3Messages,
    ];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::NewSubscriber => "new_subscriber",
            Self::FirstTransaction => "first_transaction",
            Self::NewTransaction => "new_transaction",
            Self::MessageReceived => "message_received",
            Self::FanSent1Message => "fan_sent_1_message",
            Self::FanSent3Messages => "fan_sent_3_messages",
        }
    }
}

/// The cause of one delivery, written by attribution in its step and never changed afterwards (decisions 56).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Hash of event and destination: the same cause makes the same job.
    pub id: DeliveryId,
    /// Owner.
    pub team: TeamId,
    /// Creator account.
    pub account: AccountId,
    /// Credited Smart Link.
    pub link: SmartLinkId,
    /// Who is told.
    pub destination: Destination,
    /// What is told.
    pub kind: DeliveryKind,
    /// Stable over attempts, replays and destinations (ad-platforms 1.5): the conversion's id, or `clk_` + click id.
    pub event_id: String,
    /// `None` for click events.
    pub conversion: Option<ConversionId>,
    /// `None` for overflow subscribers.
    pub click: Option<ClickId>,
    /// `None` for click events.
    pub fan: Option<FanId>,
    /// When it happened; acceptance ages count from here.
    pub occurred_at: Timestamp,
    /// When attribution decided it.
    pub created_at: Timestamp,
    /// Set when our own rule says no from the start (a reason of ad-platforms 1.7): never due, shown as `skipped`.
    pub skip: Option<String>,
}

/// Where a delivery stands (decisions 34).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// To be sent at `next_attempt_at`.
    Waiting,
    /// The receiver confirmed it.
    Delivered,
    /// Refused for good, or held until the destination is mended; can be replayed.
    Parked,
    /// The receiver would not take it any more.
    Expired,
    /// Our own rule says no (ad-platforms 1.7), with the reason.
    Skipped,
}

impl DeliveryState {
    /// All states, for metrics.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Delivered, Self::Parked, Self::Expired, Self::Skipped];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Parked => "parked",
            Self::Expired => "expired",
            Self::Skipped => "skipped",
        }
    }

    /// Its number in every store, 0 to 4; never changes.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Waiting => 0,
            Self::Delivered => 1,
            Self::Parked => 2,
            Self::Expired => 3,
            Self::Skipped => 4,
        }
    }
}

/// The request as it is sent on every attempt, byte for byte. It holds no token of a pixel: that is added when the
/// request leaves, so a changed token needs no new body and none rests in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RenderedRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// Absolute URL, without any token.
    pub url: String,
    /// Names and values, without any token.
    pub headers: Vec<(String, String)>,
    /// May be empty.
    pub body: Vec<u8>,
    /// What was noticed when it was written. Not sent.
    pub lint: Lint,
    /// The version of the destination (its `updated_at`) that it was written for. Not sent.
    pub written_for: Timestamp,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it was sent.
    pub at: Timestamp,
    /// How long it took, milliseconds.
    pub millis: u32,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// `timeout`, `connection`, `dns`, `tls`, `http` (contract I.29), `egress` when our guard refused, or `batch`
    /// ([`crate::batch::REFUSED_TOGETHER`]).
    pub error_type: Option<String>,
    /// The receiver's words, secrets blanked, at most 2 KiB.
    pub message: Option<String>,
}

impl Attempt {
    /// Nobody answered, for whatever reason.
    #[must_use]
    pub fn has_no_answer(&self) -> bool {
        self.status.is_none()
    }
}

/// What the worker writes about a job (decisions 56: in columns of its own).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// In which state the delivery is.
    pub state: DeliveryState,
    /// Attempts made so far.
    pub attempts: u32,
    /// Due then, while waiting.
    pub next_attempt_at: Option<Timestamp>,
    /// Why it is skipped, parked or expired.
    pub reason: Option<String>,
    /// First attempt whose fate is unknown (sent, no answer): repeating ends 47 h later (ad-platforms 14).
    pub ambiguous_since: Option<Timestamp>,
    /// Answers so far that neither confirmed nor refused it.
    pub unclear: u32,
    /// What is odd about it, a word and the reason each ([`crate::lint`]).
    pub warnings: Vec<String>,
    /// How well the platform can recognise the person, in tenths, 0 to 70 ([`crate::lint::match_quality`]).
    pub match_quality: Option<u8>,
    /// Which identifiers of the person the request has.
    pub known: Known,
    /// The newest attempt.
    pub last: Option<Attempt>,
    /// Which version of the destination (its `updated_at`) refused it, while it is parked until that is changed.
    pub held_for: Option<Timestamp>,
    /// The newest version of the destination whose target was found wrong, or of which the newest attempt says for sure that nothing
    /// was taken. A request written for that one or one before is written anew once the destination is another one.
    pub wrong_target: Option<Timestamp>,
    /// Last change.
    pub updated_at: Timestamp,
}

impl Progress {
    /// The progress of a job nobody has touched yet: due at once, or skipped from the start.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        let fresh = Self::fresh(job.created_at);
        match &job.skip {
            None => fresh,
            Some(reason) => Self {
                state: DeliveryState::Skipped,
                next_attempt_at: None,
                reason: Some(reason.clone()),
                ..fresh
            },
        }
    }

    /// The progress of a job that is to be sent and that nobody has touched yet.
    #[must_use]
    pub fn fresh(created_at: Timestamp) -> Self {
        Self {
            state: DeliveryState::Waiting,
            attempts: 0,
            next_attempt_at: Some(created_at),
            reason: None,
            ambiguous_since: None,
            unclear: 0,
            warnings: Vec::new(),
            match_quality: None,
            known: Known::default(),
            last: None,
            held_for: None,
            wrong_target: None,
            updated_at: created_at,
        }
    }

    /// When a waiting job is due; at once when nothing says otherwise. `None` when it does not wait.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        (self.state == DeliveryState::Waiting).then(|| self.next_attempt_at.unwrap_or(self.updated_at))
    }

    /// Takes over what was noticed when the request was written.
    pub fn notice(&mut self, lint: &Lint) {
        self.warnings = lint.warnings.iter().map(ToString::to_string).collect();
        self.match_quality = lint.match_quality;
        self.known = lint.known;
    }

    /// Due now, with the whole retry schedule before it; somebody asked for it. What was learnt stays: the warnings, the
    /// last answer, and since when a receiver may have it without our knowing (the 47 hours go on from there).
    #[must_use]
    pub fn replayed(&self, now: Timestamp) -> Self {
        Self {
            state: DeliveryState::Waiting,
            attempts: 0,
            next_attempt_at: Some(now),
            reason: None,
            held_for: None,
            unclear: 0,
            updated_at: now,
            ..self.clone()
        }
    }

    /// The same for somebody who asks for this very one: though the receiver may have it already and count it twice.
    #[must_use]
    pub fn asked_for(&self, now: Timestamp) -> Self {
        Self { ambiguous_since: None, ..self.replayed(now) }
    }

    /// Whether its stored request, written for the version `written_for` of the destination, is written anew once the destination is
    /// another one.
    #[must_use]
    pub fn may_be_written_anew(&self, written_for: Timestamp) -> bool {
        self.wrong_target.is_some_and(|refused| refused >= written_for)
    }

    /// What the outcome of the newest attempt says of the request, written for the version `written_for`: what was surely not taken may
    /// be written anew for another destination; what may have been taken stays as it is (promise 7).
    pub fn learn(&mut self, outcome: Outcome, written_for: Timestamp) {
        let is_surely_not_taken = match outcome {
            Outcome::Config | Outcome::Payload => true,
            Outcome::Retry => self.last.as_ref().is_some_and(Attempt::has_no_answer),
            // Of the sender or its haste, not of the request.
            Outcome::Auth | Outcome::Slow(_) => return,
            Outcome::Delivered | Outcome::Ambiguous | Outcome::Unclear => false,
        };
        if !is_surely_not_taken {
            self.wrong_target = None;
        } else if outcome == Outcome::Config || self.ambiguous_since.is_none() {
            self.wrong_target = self.wrong_target.max(Some(written_for));
        }
    }

    /// The clock was set back since this was written: what waits goes on waiting for as long as was left then, counted
    /// from now. `None` when there is nothing to set right.
    #[must_use]
    pub fn set_back(&self, now: Timestamp) -> Option<Self> {
        let due = self.next_attempt_at.filter(|_| self.state == DeliveryState::Waiting)?;
        now.is_set_back_since(self.updated_at).then(|| Self {
            next_attempt_at: Some(now.plus(due.since(self.updated_at))),
            updated_at: now,
            ..self.clone()
        })
    }
}

/// A job with its progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// What is told to whom.
    pub job: Job,
    /// How far the delivery has come.
    pub progress: Progress,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(outcome: Outcome, status: Option<u16>, ambiguous_since: Option<Timestamp>) -> Progress {
        let last = Attempt { at: Timestamp(5), millis: 1, status, error_type: None, message: None };
        let mut progress = Progress { last: Some(last), ambiguous_since, ..Progress::fresh(Timestamp(0)) };
        progress.learn(outcome, Timestamp(1));
        progress
    }

    #[test]
    fn the_numbers_of_stored_states_are_their_places_in_the_list() {
        assert_eq!(DeliveryState::ALL.map(DeliveryState::code), [0, 1, 2, 3, 4]);
        assert_eq!(DeliveryState::ALL[2].as_str(), "parked");
        assert_eq!(
            crate::step::Dimension::ALL.map(crate::step::Dimension::code),
            [0, 1, 2, 3, 4, 5, 6, 7, 8]
        );
    }

    #[test]
    fn only_what_was_surely_not_taken_may_be_written_anew() {
        let may = |outcome, status| told(outcome, status, None).may_be_written_anew(Timestamp(1));
        assert!(may(Outcome::Config, Some(404)) && may(Outcome::Payload, Some(400)));
        assert!(may(Outcome::Retry, None), "it never reached anybody");
        assert!(!may(Outcome::Retry, Some(502)), "somebody had it");
        for outcome in [Outcome::Delivered, Outcome::Ambiguous, Outcome::Unclear, Outcome::Slow(None)] {
            assert!(!may(outcome, Some(200)), "{outcome:?}");
        }
        let doubtful = told(Outcome::Payload, Some(400), Some(Timestamp(2)));
        assert!(!doubtful.may_be_written_anew(Timestamp(1)), "an earlier attempt may have arrived");
        assert!(
            !told(Outcome::Retry, None, None).may_be_written_anew(Timestamp(2)),
            "that is another request"
        );
    }

    #[test]
    fn what_may_have_been_taken_after_a_failure_stays_as_it_is() {
        let mut progress = told(Outcome::Retry, None, None);
        progress.learn(Outcome::Auth, Timestamp(1));
        assert!(progress.may_be_written_anew(Timestamp(1)), "a token says nothing of it");
        progress.last = progress.last.map(|last| Attempt { status: Some(502), ..last });
        progress.learn(Outcome::Retry, Timestamp(1));
        assert!(!progress.may_be_written_anew(Timestamp(1)));
    }
}
