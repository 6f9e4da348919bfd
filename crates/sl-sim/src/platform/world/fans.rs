//! Fans subscribe; every deed says what the world is told of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sl_core::{ids::LinkKind, money::Cents, time::Timestamp};

use super::{Account, Fan, Place, Refusal, Subscription, Transaction, World, whole};

/// Somebody with a profile at the platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Person {
    /// The fan's user id.
    pub(crate) id: u64,
    /// The person's name, as others see it; `Fan {id}` when absent.
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

/// How long a subscription runs.
pub(super) const MONTH: Duration = Duration::from_secs(30 * 86_400);
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

    pub(crate) fn next_event(&mut self) -> u64 {
        self.last_event += 1;
        self.last_event
    }

    pub(super) fn next_transaction(&mut self) -> u64 {
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

    pub(super) fn known(&self, fan: u64) -> Result<&Fan, Refusal> {
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
}
