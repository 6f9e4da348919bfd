//! What it can say of itself: `GET /_sim/state`.

use std::collections::BTreeMap;

use serde::Serialize;
use sl_core::ids::LinkKind;

use super::{Shared, world::is_back};

/// Counted while requests pass.
#[derive(Debug, Default, Clone)]
pub(super) struct Meters {
    /// Answers, by endpoint and status.
    pub(super) answers: BTreeMap<String, BTreeMap<u16, u64>>,
    /// Most requests in one minute of the clock, and that minute's so far.
    pub(super) busiest_minute: u64,
    calls: BTreeMap<String, u64>,
    minute: i64,
    in_minute: u64,
}

impl Meters {
    /// Number of this call among those of its endpoint, from 1.
    pub(super) fn nth(&mut self, endpoint: &str) -> u64 {
        let calls = self.calls.entry(endpoint.to_owned()).or_default();
        *calls += 1;
        *calls
    }

    pub(super) fn count(&mut self, endpoint: &str, status: u16, second: i64) {
        let statuses = self.answers.entry(endpoint.to_owned()).or_default();
        *statuses.entry(status).or_default() += 1;
        let minute = second.div_euclid(60);
        if minute != self.minute {
            (self.minute, self.in_minute) = (minute, 0);
        }
        self.in_minute += 1;
        self.busiest_minute = self.busiest_minute.max(self.in_minute);
    }
}

/// Figures of a platform.
#[derive(Debug, Clone, Serialize)]
pub struct PlatformState {
    /// State of each account, by its id.
    pub accounts: BTreeMap<String, AccountState>,
    /// Answers, by endpoint and HTTP status.
    pub requests: BTreeMap<String, BTreeMap<u16, u64>>,
    /// Most API requests in one minute of the clock.
    pub busiest_minute: u64,
    /// The sender of webhooks.
    pub webhooks: WebhookState,
}

/// Figures of one creator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AccountState {
    /// Tracking links made, deleted ones included.
    pub tracking_links: usize,
    /// Trial links made, deleted ones included.
    pub trial_links: usize,
    /// Visits of link pages.
    pub visits: u64,
    /// Fans with a subscription, running or not.
    pub fans: usize,
    /// Subscriptions that came through a link.
    pub through_links: usize,
    /// Payments, subscriptions included.
    pub transactions: usize,
    /// Gross of those that were not reversed, cents.
    pub gross_cents: i64,
    /// Gross of those that were, cents.
    pub reversed_cents: i64,
    /// Messages received.
    pub messages: u64,
    /// Fans on user lists.
    pub listed: usize,
}

/// Figures of the sender of webhooks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WebhookState {
    /// Not yet taken by the receiver.
    pub waiting: usize,
    /// Taken with a 2xx, each event once.
    pub delivered: u64,
    /// Requests made.
    pub attempts: u64,
    /// Attempts that were not answered with a 2xx.
    pub refused: u64,
    /// Deliveries beyond the first of an event: duplicates and redeliveries.
    pub repeated: u64,
    /// Events made to be unusable.
    pub malformed: u64,
    /// Requests with a wrong signature.
    pub forged: u64,
    /// Forged requests that the receiver took all the same: should stay 0.
    pub forged_taken: u64,
    /// Events that found the queue full: should stay 0.
    pub dropped: u64,
    /// Nothing is sent now.
    pub paused: bool,
}

pub(super) fn read(shared: &Shared) -> PlatformState {
    let world = shared.world.lock();
    let accounts = world.accounts.iter().map(|(id, account)| {
        let links = || account.links(LinkKind::TrackingLink).iter().chain(account.links(LinkKind::FreeTrial));
        let gross = |back: bool| {
            let of = account.transactions.iter().filter(|one| is_back(&one.status) == back);
            of.map(|one| one.gross.0).sum()
        };
        let state = AccountState {
            tracking_links: account.tracking.len(),
            trial_links: account.trials.len(),
            visits: links().map(|link| link.visits).sum(),
            fans: account.fans.len(),
            through_links: links().map(|link| link.subscribers.len()).sum(),
            transactions: account.transactions.len(),
            gross_cents: gross(false),
            reversed_cents: gross(true),
            messages: account.messages,
            listed: account.lists.iter().map(|list| list.fans.len()).sum(),
        };
        (id.clone(), state)
    });
    let accounts = accounts.collect();
    drop(world);
    let meters = shared.meters.lock().clone();
    PlatformState {
        accounts,
        requests: meters.answers,
        busiest_minute: meters.busiest_minute,
        webhooks: shared.outbox.state(),
    }
}
