//! Webhooks: once each, typed, or a dead letter (decisions 23, 60, promise 8).

use std::sync::Arc;

use super::{
    Decider, HOLD_SUBSCRIBER, REMEMBER, derive,
    key::Key,
    record::{Announced, AppliedRecord, FanRecord, Later},
};
use crate::{
    event::WebhookReceived,
    ids::DeadLetterId,
    step::{AccountSignal, DeadLetter, Unmatched},
    webhook::{Parsed, Reason, Signal, Subscription, parse},
};

/// Announcements kept per fan: the newest.
const ANNOUNCED: usize = 8;

impl Decider<'_> {
    pub(super) fn webhook(&mut self, webhook: &WebhookReceived) {
        let name: Arc<str> = format!("webhook:{}", webhook.key).into();
        let applied = Key::Applied(self.account.clone(), Arc::clone(&name));
        let known = self.memory.read::<AppliedRecord>(&applied).is_some();
        if known && webhook.retry_of.is_none() {
            self.effects.webhook(&webhook.event, "duplicate");
            return;
        }
        if !known {
            self.memory.put(&applied, AppliedRecord {});
            self.forget_at(self.moment().plus(REMEMBER), Later::Applied(name));
        }
        let parsed = match parse(&webhook.body) {
            Ok(parsed) => parsed,
            Err(reason) => return self.dead_letter(webhook, &reason),
        };
        self.revive(webhook);
        let outcome = if parsed == Parsed::Ignored { "ignored" } else { "applied" };
        self.effects.webhook(&webhook.event, outcome);
        match parsed {
            Parsed::Transaction(transaction) => self.transaction(&transaction),
            Parsed::Message(message) => self.message(&message),
            Parsed::Subscription(subscription) => self.announcement(&subscription),
            Parsed::Account(signal) => self.signal(signal, webhook),
            Parsed::Ignored => {}
        }
    }

    /// A webhook of the whole team: nothing to credit.
    pub(super) fn team_webhook(&mut self, webhook: &WebhookReceived) {
        match parse(&webhook.body) {
            Ok(_) => {
                self.revive(webhook);
                self.effects.webhook(&webhook.event, "ignored");
            }
            Err(reason) => self.dead_letter(webhook, &reason),
        }
    }

    fn dead_letter(&mut self, webhook: &WebhookReceived, reason: &Reason) {
        self.effects.webhook(&webhook.event, "dead_letter");
        let id = webhook.retry_of.unwrap_or_else(|| {
            DeadLetterId(derive::ulid(webhook.received_at, &[webhook.key.as_bytes(), &webhook.body]))
        });
        self.effects.dead_letter(DeadLetter {
            id,
            team: self.team,
            account: (!self.account.as_str().is_empty()).then(|| self.account.clone()),
            event: webhook.event.clone(),
            received_at: webhook.received_at,
            reason: reason.to_string(),
            key: webhook.key.clone(),
            body: webhook.body.clone(),
        });
    }

    fn revive(&mut self, webhook: &WebhookReceived) {
        if let Some(id) = webhook.retry_of {
            self.effects.revived(id);
        }
    }

    fn signal(&mut self, signal: Signal, webhook: &WebhookReceived) {
        self.effects.step.signals.push(AccountSignal {
            account: self.account.clone(),
            usable: signal.usable,
            as_of: signal.as_of.unwrap_or(webhook.received_at),
        });
    }

    /// A fan subscribed or renewed: dates a subscriber that waits, or sends the matcher looking.
    fn announcement(&mut self, new: &Subscription) {
        let key = Key::Fan(self.account.clone(), new.fan.clone());
        let mut fan: Box<FanRecord> = self.memory.take(&key);
        self.profile(&new.fan, &mut fan, &new.profile);
        let until = self.moment().plus(HOLD_SUBSCRIBER);
        fan.announced.push(Announced { at: new.at, price: new.price, renewed: new.renewed, until });
        if fan.announced.len() > ANNOUNCED {
            fan.announced.remove(0);
        }
        // A list that showed the fan since then has already named its link.
        let seen = fan.last_seen.is_some_and(|seen| seen >= new.at);
        if !new.renewed && !seen {
            self.effects.unmatched(Unmatched {
                team: self.team,
                account: self.account.clone(),
                fan: new.fan.clone(),
                subscribed_at: new.at,
                known_at: self.at,
            });
        }
        self.date_undated(&mut fan, &new.fan);
        self.memory.put(&key, fan);
        self.forget_at(until, Later::Fan(new.fan.clone()));
    }
}
