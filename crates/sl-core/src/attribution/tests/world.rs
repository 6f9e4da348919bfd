//! A driver with a map for a store.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Counts, Destinations, Memory, Missing, Rules, decide, needs};
use super::samples::{PRINT, SIX_HOURS, keys, pool_link, seen, transaction, webhook};
use super::shown::Shown;
use crate::{
    click::{AdCookies, Class, Click, Device, Params, Place, Repeat, RequestFacts, Rung},
    conversion::ConversionKind,
    event::{Event, EventBody, JournalId, Recorded, SubscriberSeen},
    ids::{AccountId, ClickId, SmartLinkId, TeamId, TransactionId},
    money::Cents,
    time::Timestamp,
};

pub(super) struct World {
    pub(super) shown: Shown,
    pub(super) memory: Memory,
    pub(super) rules: Rules,
    pub(super) destinations: Destinations,
    pub(super) counts: Counts,
    pub(super) due: Vec<(TeamId, AccountId, Timestamp)>,
    pub(super) history: Vec<Recorded>,
    /// Records decided at once.
    pub(super) slice: usize,
    /// Forget the cache between slices.
    pub(super) forgetful: bool,
    waiting: Vec<Recorded>,
    ids: u128,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            shown: Shown::default(),
            memory: Memory::new(1000),
            rules: Rules::default(),
            destinations: Destinations::default(),
            counts: Counts::default(),
            due: Vec::new(),
            history: Vec::new(),
            slice: 1,
            forgetful: false,
            waiting: Vec::new(),
            ids: 0,
        }
    }

    pub(super) fn event(&mut self, at: Timestamp, body: EventBody) {
        self.event_of("acct_7f3a", at, body);
    }

    pub(super) fn event_of(&mut self, account: &str, at: Timestamp, body: EventBody) {
        let sequence = self.history.len() as u64;
        let event = Event { team: TeamId(1), account: AccountId::from(account), at, body };
        let record = Recorded { journal: JournalId(1), sequence, event };
        self.history.push(record.clone());
        self.waiting.push(record);
        if self.waiting.len() >= self.slice {
            self.settle();
        }
    }

    /// Decides about everything that waits.
    pub(super) fn settle(&mut self) {
        let records = std::mem::take(&mut self.waiting);
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            if self.forgetful {
                self.memory = Memory::new(1000);
            }
            for key in needs(rest, &self.memory) {
                self.memory.insert(key.clone(), self.shown.state.get(&key.to_state_key())).unwrap();
            }
            let decision = loop {
                match decide(rest, &self.memory, &self.rules, &self.destinations) {
                    Ok(decision) => break decision,
                    Err(Missing(keys)) => {
                        assert!(!keys.is_empty());
                        for key in keys {
                            assert!(!self.memory.knows(&key));
                            self.memory
                                .insert(key.clone(), self.shown.state.get(&key.to_state_key()))
                                .unwrap();
                        }
                    }
                }
            };
            assert!(decision.taken >= 1);
            self.shown.apply(decision.step);
            self.memory.absorb(decision.changes);
            self.counts.jumps += decision.counts.jumps;
            self.counts.future_dates += decision.counts.future_dates;
            self.counts.differences += decision.counts.differences;
            self.counts.dropped += decision.counts.dropped;
            for (key, count) in decision.counts.webhooks {
                *self.counts.webhooks.entry(key).or_default() += count;
            }
            if let Some(due) = decision.due {
                self.due = due;
            }
            rest = &rest[decision.taken..];
        }
    }

    pub(super) fn tick(&mut self, when: Timestamp) {
        self.event(when, EventBody::Tick);
    }

    /// A person's click with a cookie, through a link of its own.
    pub(super) fn click(&mut self, link: SmartLinkId, cookie: u128, pool: u64, when: Timestamp) -> Click {
        let click = self.new_click(link, cookie, pool, when);
        self.event(when, EventBody::click(click.clone()));
        click
    }

    pub(super) fn ecid_click(
        &mut self,
        link: SmartLinkId,
        cookie: u128,
        pool: u64,
        ecid: &str,
        when: Timestamp,
    ) -> Click {
        let mut click = self.new_click(link, cookie, pool, when);
        click.params.ecid = Some(ecid.to_owned());
        self.event(when, EventBody::click(click.clone()));
        click
    }

    pub(super) fn new_click(&mut self, link: SmartLinkId, cookie: u128, pool: u64, when: Timestamp) -> Click {
        self.ids += 1;
        Click {
            id: ClickId(ulid::Ulid(0xC000 + self.ids)),
            team: TeamId(1),
            account: AccountId::from("acct_7f3a"),
            link,
            at: when,
            window: SIX_HOURS,
            class: Class::Person,
            rung: Rung::Fresh,
            pool_link: Some(pool_link(pool)),
            sent_to: None,
            visitor: keys(Some(cookie), cookie, PRINT + cookie),
            request: RequestFacts::default(),
            device: Device { kind: "Mobile".into(), browser: "Safari".into(), ..Device::default() },
            place: Place { country: Some("DE".into()), ..Place::default() },
            params: Params::default(),
            cookies: AdCookies::default(),
        }
    }

    pub(super) fn repeat(&mut self, click: &Click, when: Timestamp) {
        let repeat = Repeat {
            click: click.id,
            link: click.link,
            at: when,
            pool_link: click.pool_link.filter(|_| click.rung != Rung::Overflow),
            visitor: click.visitor,
        };
        self.event(when, EventBody::Repeat(repeat));
    }

    pub(super) fn seen(&mut self, pool: u64, fan: &str, subscribed: Timestamp, price: i64) {
        let seen = SubscriberSeen {
            subscribed_at: Some(subscribed),
            price: Some(Cents(price)),
            ..seen(pool, fan, subscribed)
        };
        self.event(subscribed.plus(Duration::from_secs(60)), EventBody::SubscriberSeen(seen));
    }

    pub(super) fn webhook(&mut self, when: Timestamp, key: &str, event: &str, payload: Value) {
        let body = json!({"event": event, "account_id": "acct_7f3a", "payload": payload}).to_string();
        self.event(when, EventBody::Webhook(webhook(when, key, event, body.into_bytes())));
    }

    pub(super) fn pay(&mut self, id: &str, fan: &str, kind: &str, cents: i64, when: Timestamp) {
        self.status(id, fan, kind, cents, "done", when, when);
    }

    #[expect(clippy::too_many_arguments, reason = "a transaction has these parts")]
    pub(super) fn status(
        &mut self,
        id: &str,
        fan: &str,
        kind: &str,
        cents: i64,
        status: &str,
        made: Timestamp,
        arrives: Timestamp,
    ) {
        let key = format!("evt_{id}_{status}_{}", arrives.0);
        let payload = transaction(id, fan, kind, cents, status, made);
        self.webhook(arrives, &key, "transactions.new", payload);
    }

    pub(super) fn message(&mut self, id: u64, fan: &str, when: Timestamp) {
        let payload = json!({"id": id, "createdAt": when.iso(), "fromUser": {"id": fan, "name": "Sam"}});
        self.webhook(when, &format!("evt_m{id}"), "messages.received", payload);
    }

    pub(super) fn announce(&mut self, fan: &str, price: &str, made: Timestamp, arrives: Timestamp) {
        let payload = json!({"id": "1", "createdAt": made.iso(), "replacePairs": {"{PRICE}": price},
            "user_id": "120034567", "user": {"id": fan, "name": "Sam", "username": "sam"}});
        self.webhook(arrives, &format!("evt_s{fan}{}", made.0), "subscriptions.new", payload);
    }

    /// Conversions by time, as (type, link, gross).
    pub(super) fn log(&self) -> Vec<(ConversionKind, SmartLinkId, i64)> {
        let mut rows: Vec<_> = self.shown.conversions.values().collect();
        rows.sort_by_key(|row| (row.at, row.kind));
        rows.into_iter().map(|row| (row.kind, row.link, row.gross.0)).collect()
    }

    pub(super) fn gross(&self, link: SmartLinkId) -> i64 {
        self.shown.totals.get(&link).and_then(|totals| totals.revenue).map_or(0, |cents| cents.0)
    }

    pub(super) fn subscribers(&self, link: SmartLinkId) -> u64 {
        self.shown.totals.get(&link).map_or(0, |totals| totals.subscribers)
    }

    /// The click a transaction was credited to.
    pub(super) fn credited(&self, transaction: &str) -> Option<(SmartLinkId, Option<ClickId>)> {
        let rows = self.shown.conversions.values();
        let mut of = rows.filter(|row| {
            row.transaction.as_ref().is_some_and(|facts| facts.id == TransactionId::from(transaction))
        });
        of.next().map(|row| (row.link, row.click))
    }
}
