//! What fans do with money and words: pay, renew, take back, write.

use serde::{Deserialize, Serialize};
use sl_core::{money::Cents, time::Timestamp};

use super::{
    Account, Fan, Refusal, Subscription, Transaction, World,
    fans::{Happened, Joined, MONTH},
    whole,
};

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
impl World {
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
}

impl Account {
    fn renew(&mut self, fan: u64, price: Cents, at: Timestamp) {
        if let Some(fan) = self.fans.get_mut(&fan) {
            let from = fan.subscriptions.last().map_or(at, |last| last.expires_at.max(at));
            let id = fan.id;
            fan.subscriptions.push(Subscription { fan: id, at, expires_at: from.plus(MONTH), price });
        }
    }

    pub(super) fn book(
        &mut self,
        number: u64,
        kind: &str,
        fan: u64,
        gross: Cents,
        at: Timestamp,
    ) -> Transaction {
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
