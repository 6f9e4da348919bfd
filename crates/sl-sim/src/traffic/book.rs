//! Who should be credited for what, computed from what each person did: apart from any attribution code.
//!
//! * this file: what was done · [`reckon`]: the rules · [`figures`], [`deliveries`]: the result
//!
//! The rules in short (architecture 5, decisions 1 to 3, 25 to 31, 55). The same device on the same link with the same
//! `ecid` inside the visitor window is a repeat. A subscriber is credited to the latest hit of the device that holds its
//! pool link, at or before the subscription and inside that hit's window, on any link of the creator (a browser without
//! cookies: on the pool link itself). Later hits of that device on the creator's links move the fan from then on. Money and
//! messages go to the binding in force at their time; what is taken back is subtracted. A subscriber through a link's
//! overflow address belongs to that Smart Link, without a click and for good; one through the profile belongs to nobody.

mod deliveries;
mod figures;
mod reckon;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use parking_lot::Mutex;
use serde::Serialize;
use sl_core::{ids::SmartLinkId, time::Timestamp};

use super::Target;
pub use deliveries::{ConversionKind, Deliveries, Destination};
pub use figures::{Clicks, Events, Figures, LinkFigures, Pair, PixelEvents, Rungs};

/// Everything that was done so far.
#[derive(Debug)]
pub struct Book {
    targets: Vec<Target>,
    visitor_window: Duration,
    facts: Mutex<Facts>,
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) hits: Vec<Hit>,
    pub(super) subscribers: Vec<Subscriber>,
    pub(super) payments: Vec<Payment>,
    pub(super) messages: Vec<Message>,
    /// Visits by programs, per target.
    pub(super) bots: Vec<u64>,
    /// Prefetches and HEAD requests, per target.
    pub(super) speculative: Vec<u64>,
    /// Where programs were sent, per target: its overflow address, or the profile.
    pub(super) shared: Vec<BTreeSet<String>>,
    pub(super) troubles: Troubles,
}

/// A person's tap that was answered with a redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Number of the device.
    pub device: u64,
    /// Its browser returns cookies.
    pub by_cookie: bool,
    /// Place of the Smart Link in the targets.
    pub target: usize,
    /// `ecid` of the address, decoded.
    pub ecid: Option<String>,
    /// The address said that it came from CreatorTraffic, and named the click.
    pub by_creatortraffic: bool,
    /// When the request was sent.
    pub at: Timestamp,
    /// The address in the redirect's `Location`.
    pub location: String,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// The fan.
    pub fan: u64,
    /// Creator account.
    pub account: String,
    /// The address it was made at.
    pub location: String,
    /// When, by the platform: whole seconds.
    pub at: Timestamp,
}

/// A payment of a fan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The fan.
    pub fan: u64,
    /// Creator account.
    pub account: String,
    /// The platform's id.
    pub transaction: String,
    /// The webhook's word (contract D.3.2).
    pub kind: String,
    /// What the fan paid.
    pub gross_cents: i64,
    /// When, by the platform.
    pub at: Timestamp,
    /// The money was taken back.
    pub is_back: bool,
}

/// A message of a fan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The fan.
    pub fan: u64,
    /// Creator account.
    pub account: String,
    /// When, by the platform.
    pub at: Timestamp,
}

/// What went wrong for a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The edge did not answer: a click may or may not have been noted.
    Unanswered,
    /// The edge answered, but not as it should.
    Redirect,
    /// The redirect led to a page that does not exist.
    Page,
    /// The platform refused: the offer was taken or over.
    Offer,
    /// The platform did not answer: nobody knows what came of it.
    Unknown,
}

/// How often things went wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Troubles {
    /// Requests that the edge did not answer: up to so many clicks more than the book has.
    pub unanswered: u64,
    /// Answers of the edge that were no redirect, or no refusal of a prefetch.
    pub redirect: u64,
    /// Redirects to pages that do not exist.
    pub page: u64,
    /// Subscriptions or payments that the platform refused.
    pub offer: u64,
    /// Requests to the platform without an answer.
    pub unknown: u64,
}

// === impl Book ===

impl Book {
    /// An empty book about these links. `visitor_window` is the edge's.
    #[must_use]
    pub fn new(targets: &[Target], visitor_window: Duration) -> Self {
        let facts = Facts {
            bots: vec![0; targets.len()],
            speculative: vec![0; targets.len()],
            shared: vec![BTreeSet::new(); targets.len()],
            ..Facts::default()
        };
        Self { targets: targets.to_vec(), visitor_window, facts: Mutex::new(facts) }
    }

    /// A person's tap.
    pub fn hit(&self, hit: Hit) {
        self.facts.lock().hits.push(hit);
    }

    /// A program's visit, and where it was sent.
    pub fn bot(&self, target: usize, location: Option<String>) {
        let mut facts = self.facts.lock();
        count(&mut facts.bots, target);
        note(&mut facts.shared, target, location);
    }

    /// A HEAD request, and where it was sent.
    pub fn head(&self, target: usize, location: Option<String>) {
        let mut facts = self.facts.lock();
        count(&mut facts.speculative, target);
        note(&mut facts.shared, target, location);
    }

    /// A prefetch, refused.
    pub fn prefetch(&self, target: usize) {
        count(&mut self.facts.lock().speculative, target);
    }

    /// Somebody subscribed.
    pub fn subscribed(&self, subscriber: Subscriber) {
        self.facts.lock().subscribers.push(subscriber);
    }

    /// A fan paid.
    pub fn paid(&self, payment: Payment) {
        self.facts.lock().payments.push(payment);
    }

    /// A payment has another status. `undo` and `chargeback` take the money back; `pending_return` does not yet
    /// (decisions 31).
    pub fn changed(&self, transaction: &str, status: &str) {
        let mut facts = self.facts.lock();
        // Payments are taken back soon: the newest come first.
        let payment = facts.payments.iter_mut().rev().find(|payment| payment.transaction == transaction);
        if let Some(payment) = payment {
            payment.is_back = matches!(status, "undo" | "chargeback" | "refund");
        }
    }

    /// A fan wrote.
    pub fn wrote(&self, message: Message) {
        self.facts.lock().messages.push(message);
    }

    /// Something went wrong.
    pub fn trouble(&self, trouble: Trouble) {
        let troubles = &mut self.facts.lock().troubles;
        *match trouble {
            Trouble::Unanswered => &mut troubles.unanswered,
            Trouble::Redirect => &mut troubles.redirect,
            Trouble::Page => &mut troubles.page,
            Trouble::Offer => &mut troubles.offer,
            Trouble::Unknown => &mut troubles.unknown,
        } += 1;
    }

    /// The Smart Link that each payment belongs to, by the platform's id of the payment: where a sum differs, this tells
    /// which one it was.
    #[must_use]
    pub fn credits(&self) -> BTreeMap<String, SmartLinkId> {
        let facts = self.facts.lock().clone();
        reckon::credits(&self.targets, &facts)
    }

    /// What follows from everything done so far. Sorts all hits: about a second per million.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let facts = self.facts.lock().clone();
        reckon::figures(&self.targets, self.visitor_window, &facts)
    }
}

fn count(counts: &mut [u64], target: usize) {
    if let Some(count) = counts.get_mut(target) {
        *count += 1;
    }
}

fn note(shared: &mut [BTreeSet<String>], target: usize, location: Option<String>) {
    if let (Some(shared), Some(location)) = (shared.get_mut(target), location) {
        shared.insert(location);
    }
}
