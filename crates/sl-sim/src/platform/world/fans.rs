//! What fans do: subscribe, spend, write, renew, take their money back. Each says what the world is told of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sl_core::{ids::LinkKind, money::Cents, time::Timestamp};

use super::{Account, Fan, Place, Refusal, Subscription, Transaction, World, whole};

/// Somebody with a profile at the platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Person {
    /// The fan's user id.
    pub(crate) id: u64,
    /// As shown; `Fan {id}` when absent.
    pub(crate) name: Option<String>,
    /// Handle; `u{id}` when absent.
    pub(crate) username: Option<String>,
}

/// Something the platform tells the world about, in its nouns; the webhooks put it into words.
#[derive(Debug, Clone)]
pub(crate) enum Happened {
    /// `subscriptions.new` or `subscriptions.renewed`.
    Subscribed { event: u64, fan: Fan, at: Timestamp, price: Cents, kind: Joined },
    /// `transactions.new`, and the notification that goes with it.
    Paid { event: u64, fan: Fan, transaction: Transaction },
    /// `messages.received`.
    Wrote { message: u64, fan: Fan, at: Timestamp, text: String },
}

/// How a subscription came about (contract D.3.1 `subType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joined {
    /// For the first time, at the full price.
    New,
    /// For the first time, by a trial offer.
    Trial,
    /// Again, after an earlier subscription ended.
    Returning,
    /// The running subscription goes on.
    Renewed,
}

/// What came of subscribing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Subscribed {
    /// False when the fan had a running subscription: then nothing happened.
    pub(crate) new: bool,
    pub(crate) account: String,
    /// Milliseconds since 1970, a whole second.
    pub(crate) subscribed_at: Timestamp,
    pub(crate) price_cents: i64,
    /// The payment, when the subscription cost something.
    pub(crate) transaction: Option<String>,
}

/// `POST /_sim/spend`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Spend {
    pub(crate) account: String,
    pub(crate) fan: u64,
    /// The webhook's word: `tip`, `post`, `message`, `stream`, `other`, `recurring_subscription`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) amount_cents: i64,
    /// A renewal is told as `subscriptions.renewed` too.
    #[serde(default = "yes")]
    pub(crate) announced: bool,
}

fn yes() -> bool {
    true
}

/// What came of a payment.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Paid {
    pub(crate) transaction: String,
    /// Milliseconds since 1970, a whole second.
    pub(crate) at: Timestamp,
    pub(crate) gross_cents: i64,
    pub(crate) net_cents: i64,
}

/// The words of contract D.3.2 that a fan can pay with.
const PAYMENTS: [&str; 6] = ["tip", "post", "message", "stream", "other", "recurring_subscription"];
const MONTH: Duration = Duration::from_secs(30 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);

impl World {
    /// Somebody subscribes, on the page of a link or on the profile.
    pub(crate) fn subscribe(
        &mut self,
        place: &Place,
        person: &Person,
        now: Timestamp,
    ) -> Result<(Subscribed, Vec<Happened>), Refusal> {
        let (id, through) = match place {
            Place::Profile { account } => (account.clone(), None),
            Place::Link { account, kind, number } => (account.clone(), Some((*kind, *number))),
        };
        let at = whole(now);
        let (event, paid) = (self.next_event(), self.next_event());
        let number = self.next_transaction();
        let account = self.account(&id)?;
        let fan = account.fan(person);
        let returning = !fan.subscriptions.is_empty();
        if let Some(running) = fan.subscriptions.last().filter(|last| last.expires_at > at) {
            let said = Subscribed {
                new: false,
                account: id,
                subscribed_at: running.at,
                price_cents: running.price.0,
                transaction: None,
            };
            return Ok((said, Vec::new()));
        }
        let price = account.join(person.id, through, at)?.price;
        let fan = account.fan(person).clone();
        let kind = match through {
            _ if returning => Joined::Returning,
            Some((LinkKind::FreeTrial, _)) => Joined::Trial,
            _ => Joined::New,
        };
        let mut happened = vec![Happened::Subscribed { event, fan: fan.clone(), at, price, kind }];
        let mut transaction = None;
        if price.0 > 0 {
            let made = account.book(number, "new_subscription", person.id, price, at);
            transaction = Some(made.id.clone());
            happened.push(Happened::Paid { event: paid, fan, transaction: made });
        }
        let said =
            Subscribed { new: true, account: id, subscribed_at: at, price_cents: price.0, transaction };
        Ok((said, happened))
    }

    /// A fan pays for something, or goes on for another month.
    pub(crate) fn spend(&mut self, spend: &Spend, now: Timestamp) -> Result<(Paid, Vec<Happened>), Refusal> {
        if spend.amount_cents <= 0 {
            return Err(Refusal::new(422, "amount_cents: it must be above zero"));
        }
        if !PAYMENTS.contains(&spend.kind.as_str()) {
            return Err(Refusal::new(
                422,
                format!("type: {:?} is none of {}", spend.kind, PAYMENTS.join(", ")),
            ));
        }
        let (event, told) = (self.next_event(), self.next_event());
        let number = self.next_transaction();
        let at = whole(now);
        let account = self.account(&spend.account)?;
        let fan = account.known(spend.fan)?.clone();
        let transaction = account.book(number, &spend.kind, spend.fan, Cents(spend.amount_cents), at);
        let said = Paid {
            transaction: transaction.id.clone(),
            at: transaction.at,
            gross_cents: transaction.gross.0,
            net_cents: transaction.net.0,
        };
        let price = transaction.gross;
        let mut happened = vec![Happened::Paid { event, fan: fan.clone(), transaction }];
        if spend.kind == "recurring_subscription" {
            account.renew(spend.fan, price, at);
        }
        if spend.kind == "recurring_subscription" && spend.announced {
            happened.push(Happened::Subscribed { event: told, fan, at, price, kind: Joined::Renewed });
        }
        Ok((said, happened))
    }

    /// A fan writes.
    pub(crate) fn write(
        &mut self,
        account: &str,
        fan: u64,
        text: &str,
        now: Timestamp,
    ) -> Result<(u64, Timestamp, Happened), Refusal> {
        self.last_message += 1;
        let message = self.last_message;
        let at = whole(now);
        let account = self.account(account)?;
        let fan = account.known(fan)?.clone();
        account.messages += 1;
        Ok((message, at, Happened::Wrote { message, fan, at, text: text.to_owned() }))
    }

    /// A transaction changes its status: `done`, `undo`, `pending_return`, `chargeback`.
    pub(crate) fn change(&mut self, account: &str, id: &str, status: &str) -> Result<Happened, Refusal> {
        let event = self.next_event();
        let account = self.account(account)?;
        let place = account.transaction_places.get(id).copied();
        let transaction = place.and_then(|place| account.transactions.get_mut(place));
        let transaction =
            transaction.ok_or_else(|| Refusal::new(404, "transaction: there is none with this id"))?;
        let sign = i64::from(is_back(&transaction.status)) - i64::from(is_back(status));
        transaction.status = status.to_owned();
        let transaction = transaction.clone();
        let fan = account.known(transaction.fan)?.clone();
        account.revenue(&fan, Cents(sign * transaction.net.0));
        Ok(Happened::Paid { event, fan, transaction })
    }

    pub(crate) fn next_event(&mut self) -> u64 {
        self.last_event += 1;
        self.last_event
    }

    fn next_transaction(&mut self) -> u64 {
        self.last_transaction += 1;
        self.last_transaction
    }
}

impl Account {
    fn fan(&mut self, person: &Person) -> &mut Fan {
        self.fans.entry(person.id).or_insert_with(|| Fan {
            id: person.id,
            name: person.name.clone().unwrap_or_else(|| format!("Fan {}", person.id)),
            username: person.username.clone().unwrap_or_else(|| format!("u{}", person.id)),
            subscriptions: Vec::new(),
            through: None,
        })
    }

    fn known(&self, fan: u64) -> Result<&Fan, Refusal> {
        self.fans
            .get(&fan)
            .ok_or_else(|| Refusal::new(404, format!("fan: {fan} is not one of this creator's")))
    }

    /// Notes a subscription on the fan and on the link it came through.
    fn join(
        &mut self,
        fan: u64,
        through: Option<(LinkKind, u64)>,
        at: Timestamp,
    ) -> Result<Subscription, Refusal> {
        let month = Subscription { fan, at, expires_at: at.plus(MONTH), price: self.setup.price };
        let mut subscription = month;
        if let Some((kind, number)) = through {
            let link = self.link_mut(kind, number);
            let link = link.ok_or_else(|| Refusal::new(404, "The link does not exist."))?;
            if !link.stands(at) {
                return Err(Refusal::new(409, "This offer is no longer available."));
            }
            if kind == LinkKind::FreeTrial {
                let expires_at = at.plus(DAY * u32::from(link.days));
                subscription = Subscription { expires_at, price: Cents::ZERO, ..month };
            }
            link.subscribers.push(subscription);
        }
        if let Some(fan) = self.fans.get_mut(&fan) {
            fan.subscriptions.push(subscription);
            fan.through = fan.through.or(through);
        }
        Ok(subscription)
    }

    fn renew(&mut self, fan: u64, price: Cents, at: Timestamp) {
        if let Some(fan) = self.fans.get_mut(&fan) {
            let from = fan.subscriptions.last().map_or(at, |last| last.expires_at.max(at));
            let id = fan.id;
            fan.subscriptions.push(Subscription { fan: id, at, expires_at: from.plus(MONTH), price });
        }
    }

    fn book(&mut self, number: u64, kind: &str, fan: u64, gross: Cents, at: Timestamp) -> Transaction {
        let transaction = Transaction {
            id: format!("tx-{number}"),
            kind: kind.to_owned(),
            fan,
            gross,
            net: gross.net_of_platform_fee(),
            status: "loading".to_owned(),
            at,
        };
        self.transaction_places.insert(transaction.id.clone(), self.transactions.len());
        self.transactions.push(transaction.clone());
        if let Some(fan) = self.fans.get(&fan).cloned() {
            self.revenue(&fan, transaction.net);
        }
        transaction
    }

    /// Upstream shows a link the money of those who came through it.
    fn revenue(&mut self, fan: &Fan, net: Cents) {
        let Some((kind, number)) = fan.through else { return };
        let Some(link) = self.link_mut(kind, number) else { return };
        link.revenue += net;
        if net.0 < 0 {
            link.chargebacks += -net;
        }
        *link.spent.entry(fan.id).or_default() += net;
    }
}

/// The money went back to the fan.
pub(crate) fn is_back(status: &str) -> bool {
    ["undo", "chargeback", "refund"].contains(&status)
}
