//! Attribution: the pure, replayable state machine that turns the stream into credit (architecture 5, contract B).
//!
//! # How to drive it
//!
//! Memory is opaque bytes under opaque keys, kept by whoever drives the machine: a store in production, a map in a test.
//!
//! ```text
//! let mut memory = Memory::new(100_000);
//! loop over slices of records, in order:
//!     let decision = loop {
//!         match decide(&records, &memory, &rules, &destinations) {
//!             Err(Missing(keys)) => for key in keys {
//!                 memory.insert(key, store.get(&key.to_state_key()))?;    // absent is an answer, too
//!             },
//!             Ok(decision) => break decision,
//!         }
//!     };
//!     // decision.step: partition, position and applied are the driver's to fill in; everything else is decided.
//!     store.apply(decision.step);                   // Some(bytes) writes, None forgets
//!     memory.absorb(decision.changes);
//!     records = &records[decision.taken..];         // fewer than given when the step would grow too large
//! ```
//!
//! [`needs`] is the cheap first look that asks for most keys at once, [`needs_behind`] the second one at what those led to;
//! [`decide`] asks for the rest. [`guess`] saves deciding again where that turns out to be absent. Cutting the stream
//! into slices differently, forgetting the whole [`Memory`] between two slices, or deciding a slice again from the same
//! store changes nothing.
//!
//! # The rules, where the references leave a choice
//!
//! * **Clock** (decisions 51). The account's clock is the highest append time so far. A record more than 15 minutes ahead
//!   of it is counted and does not move it, until the next record of the account is that far ahead as well: then time has
//!   really passed, and the clock goes to the earlier of the two. A `Tick` is the attribution role's own word and moves
//!   it at once. Dates from the future are judged by the append time of the record that carries them.
//! * **Visitor.** The cookie the browser came with, else the one it was given; without cookies the fingerprint only
//!   counts hits. A cookieless click moves a fan by its lasting fingerprint while exactly one fan and at most one cookie
//!   were seen under it; the cookie given on that occasion is the fan's from then on.
//! * **Duplicates.** A row whose visitor (cookie, or fingerprint unless both came with different cookies) has another row
//!   of the same link and `ecid` less than the visitor window apart. Its hits and its pool link stand for the original
//!   row when a subscription looks for a click, and move nobody.
//! * **Binding.** A fan has touches: subscriptions, and hits of its visitors from the subscription on. In order of
//!   time, a subscription binds; a hit binds when link or `ecid` differ from the binding in force. Money and messages go to
//!   the binding in force in the second of their own time.
//! * **Undated subscribers** take the newest `subscriptions.*` webhook of the fan that is no later than the look (5 minutes
//!   of grace) and no more than 15 minutes older than the last look without the fan, or than the holder's click where there was
//!   no such look, or than half a day where no click is known either; see [`Rules`] for the wait.
//! * **One subscription** of a fan counts per pool link and hold; seeing it again changes nothing.
//! * **Holds** end by the account's clock: 24 h for money, messages and reversals before their cause, 48 h for a subscriber
//!   before its click.

mod clicks;
mod clock;
mod derive;
mod destinations;
mod effects;
mod expiry;
mod fans;
mod forget;
mod hooks;
mod key;
mod memory;
mod messages;
mod money;
mod needs;
mod record;
mod share;
mod subscribers;
mod sums;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use destinations::{Destinations, Hearer, retell, retell_click};
pub use effects::Counts;
pub use expiry::{ASKED_FOR, may_go};
pub use key::{Key, Names, Who};
pub use memory::{Changes, Memory};
pub use needs::{needs, needs_behind};
pub use record::BadRecord;
pub use share::{Owner, owner, share_out};

use crate::{
    event::{Event, EventBody, Recorded},
    ids::{AccountId, TeamId},
    step::Step,
    time::Timestamp,
};
use clock::due_accounts;
use effects::Effects;
use memory::Overlay;
use record::AccountRecord;

/// Settings that decide. They are the same on every machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// `edge.visitor_window`: rows of one visitor, link and `ecid` closer than this should have been one.
    pub visitor_window: Duration,
    /// `retention.truncate_ip_after`: lasting fingerprints are erased so long after their last hit.
    pub erase_prints_after: Duration,
    /// A slice is cut when its effects grow beyond this many bytes (decisions 45: 256 KiB).
    pub step_bytes: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            visitor_window: Duration::from_secs(6 * 3600),
            erase_prints_after: Duration::from_secs(30 * 24 * 3600),
            step_bytes: 256 * 1024,
        }
    }
}

/// How long money, messages and reversals wait for their cause (contract I.32, decisions 29, 40).
const HOLD: Duration = Duration::from_secs(24 * 3600);
/// How long a subscriber waits for the click that held its link (decisions 46).
const HOLD_SUBSCRIBER: Duration = Duration::from_secs(48 * 3600);
/// How long an undated subscriber waits for the fan's webhook (decisions 51).
const HOLD_UNDATED: Duration = Duration::from_secs(10 * 60);
/// A subscription so little before the click that holds its link counts as made at the click (decisions 51).
const CLOCK_SLACK: Duration = Duration::from_secs(15 * 60);
/// A date so little ahead of our clock is believed (decisions 22).
const FUTURE_SLACK: Duration = Duration::from_secs(5 * 60);
/// How long idempotency keys are remembered (decisions 60).
const REMEMBER: Duration = Duration::from_secs(8 * 24 * 3600);

/// What one slice of the stream changes.
#[derive(Debug)]
pub struct Decision {
    /// Everything for the store; `partition`, `position` and `applied` are left to the driver.
    pub step: Step,
    /// The same changes, decoded, for the cache of memory.
    pub changes: Changes,
    /// How many records of the slice it covers, at least 1 of a slice that is not empty.
    pub taken: usize,
    /// What happened, for metrics.
    pub counts: Counts,
    /// Accounts with something that ends by itself and when, of all accounts, if that changed: append a `Tick` then.
    pub due: Option<Vec<(TeamId, AccountId, Timestamp)>>,
    /// Accounts whose clock stayed behind in this slice: append a `Tick` now.
    pub lagging: Vec<(TeamId, AccountId)>,
}

/// Memory that a decision needs and does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(pub Vec<Key>);

/// A decision that took what memory does not know for absent.
#[derive(Debug)]
pub struct Guess {
    /// What it did not know. When the store has nothing under all of these the decision stands: much of what happens
    /// happens for the first time. Otherwise it is thrown away.
    pub missing: Vec<Key>,
    /// The decision.
    pub decision: Decision,
}

/// Decides about the first records of a slice; see the head of the module.
///
/// # Errors
/// [`Missing`]: load these and ask again.
pub fn decide(
    records: &[Recorded],
    memory: &Memory,
    rules: &Rules,
    destinations: &Destinations,
) -> Result<Decision, Missing> {
    let Guess { missing, decision } = guess(records, memory, rules, destinations);
    if missing.is_empty() { Ok(decision) } else { Err(Missing(missing)) }
}

/// Decides about the first records of a slice as though what memory does not know were absent.
#[must_use]
pub fn guess(records: &[Recorded], memory: &Memory, rules: &Rules, destinations: &Destinations) -> Guess {
    let mut decider = Decider::new(memory, rules, destinations, records.len());
    let mut taken = 0;
    for record in records {
        decider.event(&record.event);
        taken += 1;
        if decider.size() > rules.step_bytes {
            break;
        }
    }
    decider.finish(taken)
}

/// Accounts with something that ends by itself, from what the store has under [`Key::Due`].
///
/// # Errors
/// [`BadRecord`] when the bytes can't be read.
pub fn due(
    value: Option<&crate::step::StateBytes>,
) -> Result<Vec<(TeamId, AccountId, Timestamp)>, BadRecord> {
    due_accounts(value)
}

/// One decision under way.
struct Decider<'a> {
    memory: Overlay<'a>,
    effects: Effects,
    rules: &'a Rules,
    destinations: &'a Destinations,
    clicks: sums::ClickSums,
    /// Owner of the event being decided. Its account, its append time and the account's clock follow.
    team: TeamId,
    account: AccountId,
    at: Timestamp,
    now: Timestamp,
    /// The account's own record, and whether it changed.
    state: Box<AccountRecord>,
    state_before: Box<AccountRecord>,
    due: Option<Vec<(TeamId, AccountId, Timestamp)>>,
    lagging: std::collections::BTreeSet<(TeamId, AccountId)>,
}

impl<'a> Decider<'a> {
    /// A decision with room for `clicks` clicks, which change three pieces each.
    fn new(memory: &'a Memory, rules: &'a Rules, destinations: &'a Destinations, clicks: usize) -> Self {
        Self {
            memory: Overlay::new(memory, 3 * clicks),
            effects: Effects::new(clicks),
            rules,
            destinations,
            clicks: sums::ClickSums::default(),
            team: TeamId(0),
            account: AccountId::from(""),
            at: Timestamp(0),
            now: Timestamp(0),
            state: Box::default(),
            state_before: Box::default(),
            due: None,
            lagging: std::collections::BTreeSet::new(),
        }
    }

    fn event(&mut self, event: &Event) {
        self.enter(event);
        if event.account.as_str().is_empty() {
            // Team-level webhooks concern no link; only their fate is counted.
            if let EventBody::Webhook(webhook) = &event.body {
                self.team_webhook(webhook);
            }
            return;
        }
        self.advance(event.at, matches!(event.body, EventBody::Tick));
        self.end_holds();
        self.forget_some();
        match &event.body {
            EventBody::Click(click) => self.click(click),
            EventBody::Repeat(repeat) => self.repeat(repeat),
            EventBody::Webhook(webhook) => self.webhook(webhook),
            EventBody::SubscriberSeen(seen) => self.subscriber_seen(seen),
            EventBody::TransactionSeen(transaction) => self.transaction(transaction),
            EventBody::Tick => {}
        }
    }

    /// Makes the event's account the one at hand.
    fn enter(&mut self, event: &Event) {
        self.team = event.team;
        self.at = event.at;
        if self.account != event.account {
            self.leave();
            self.account = event.account.clone();
            self.state = self.memory.take(&Key::Account(self.account.clone()));
            self.state_before = self.state.clone();
        }
    }

    fn leave(&mut self) {
        if self.state != self.state_before {
            let state = self.state.clone();
            self.memory.put(&Key::Account(self.account.clone()), state);
        }
    }

    fn size(&self) -> usize {
        self.memory.bytes + self.effects.bytes + self.clicks.bytes
    }

    fn finish(mut self, taken: usize) -> Guess {
        self.leave();
        self.sum_clicks();
        let (changes, missing) = self.memory.finish();
        let (step, counts) = self.effects.finish(&changes);
        let lagging = self.lagging.into_iter().collect();
        Guess { missing, decision: Decision { step, changes, taken, counts, due: self.due, lagging } }
    }
}
