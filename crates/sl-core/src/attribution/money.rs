//! Transactions: credit, status, reversals (contract D.3.2, decisions 19, 28, 31, 40, 54).

use std::time::Duration;

use super::{
    Decider, HOLD, derive,
    fans::{Binding, binding},
    key::Key,
    record::{Credit, FanRecord, Held, Later, TransactionRecord},
};
use crate::{
    conversion::{Conversion, ConversionKind, Purchase, Transaction, TransactionFacts, is_reversal},
    ids::{ConversionId, FanId},
    money::Cents,
    time::Timestamp,
};

/// Transactions and messages that may wait per fan: the oldest go first, counted.
const HELD: usize = 256;
/// Times at which money was taken back or given again, kept per transaction; an even number.
const TURNS: usize = 64;
/// So long the platform keeps webhooks that did not arrive, for somebody to have them sent again (contract D.2).
const SENT_AGAIN: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest time from when a page of transactions is asked for to when it is written down, and far more than that.
const READING: Duration = Duration::from_secs(3600);

impl Decider<'_> {
    pub(super) fn transaction(&mut self, new: &Transaction) {
        let key = Key::Transaction(self.account.clone(), new.id.clone());
        let known = self.memory.read::<Box<TransactionRecord>>(&key).cloned();
        // A transaction stays with the fan it first named.
        let id = known.as_ref().map_or(&new.fan, |known| &known.transaction.fan);
        let fan_key = Key::Fan(self.account.clone(), id.clone());
        let mut fan: Box<FanRecord> = self.memory.take(&fan_key);
        if *id == new.fan {
            self.profile(&new.fan, &mut fan, &new.profile);
        }
        match known {
            None => self.first_time(&mut fan, new),
            Some(mut known) => {
                self.again(&mut fan, &mut known, new);
                self.memory.put(&key, known);
            }
        }
        self.memory.put(&fan_key, fan);
    }

    fn first_time(&mut self, fan: &mut FanRecord, new: &Transaction) {
        let mut record = Box::new(TransactionRecord {
            transaction: new.clone(),
            status_at: self.at,
            ..TransactionRecord::default()
        });
        if is_reversal(&new.status) {
            // Waits for the transaction it takes back.
            record.early_reversal = Some(self.moment().plus(HOLD));
        } else {
            self.credit_or_hold(fan, &mut record);
        }
        self.memory.put(&Key::Transaction(self.account.clone(), new.id.clone()), record);
    }

    /// The same id again: a status, a better type, or what an early reversal waited for.
    fn again(&mut self, fan: &mut FanRecord, known: &mut TransactionRecord, new: &Transaction) {
        let was_tip = known.transaction.kind == "tip";
        let is_first_webhook = known.transaction.reconciled && !new.reconciled;
        // What the reconciliation has seen taken back since was once announced: for as long as the platform can send that again, this
        // is it, and no news. What early reversals wait for is never too old.
        let is_overtaken = is_first_webhook
            && is_reversal(&known.transaction.status)
            && !is_reversal(&new.status)
            && self.at.since(known.transaction.at) < SENT_AGAIN;
        self.compare(known, new);
        let is_tip = known.transaction.kind == "tip";
        if let Some(credit) = known.credit.filter(|_| known.counted && is_tip != was_tip)
            && let Some(standing) = Self::standing(fan, credit.link, credit.click, known.transaction.at)
        {
            let net = known.transaction.net;
            standing.tips_net += if is_tip { net } else { -net };
        }
        // Who told of it before announces nothing.
        let is_announced = self.is_announced(fan, known) || (known.transaction.reconciled && new.reconciled);
        let is_waited_for = known.early_reversal.is_some() && !is_announced;
        if !is_waited_for && self.is_old(known, new) {
            return self.settle(fan, known);
        }
        match known.early_reversal {
            Some(until) => {
                let holds = until > self.now || is_overtaken;
                self.after_reversal(fan, known, new, holds && !(is_announced && new.reconciled));
            }
            None => self.news(fan, known, new, (is_first_webhook, is_overtaken)),
        }
        if is_overtaken {
            // The next word of that time may be sent again as well.
            known.early_reversal = Some(self.moment().plus(HOLD));
        }
    }

    /// A word about a transaction that waits for none; its first webhook may be one, and overtaken.
    fn news(
        &mut self,
        fan: &mut FanRecord,
        known: &mut TransactionRecord,
        new: &Transaction,
        (is_first_webhook, is_overtaken): (bool, bool),
    ) {
        if !is_overtaken {
            self.word(known, &new.status);
        }
        if is_first_webhook && known.credit.is_some() && is_reversal(&new.status) {
            // Only the reconciliation has told of it: the webhook that announces it is still on its way, and no news.
            known.early_reversal = Some(self.moment().plus(HOLD));
        }
        if !is_reversal(&new.status) && !self.is_announced(fan, known) {
            // Given up before: this word of it is an arrival of its own.
            return self.credit_or_hold(fan, known);
        }
        self.settle(fan, known);
    }

    /// Whether the reconciliation asked for this before the last word of a webhook came (decisions 54). A word from far
    /// ahead is one of a clock that was wrong.
    fn is_old(&self, known: &TransactionRecord, new: &Transaction) -> bool {
        let asked_before = self.at < known.status_at && known.status_at.since(self.at) < READING;
        new.reconciled && asked_before
    }

    /// Whether the money itself has come, and is credited or waits for its fan.
    fn is_announced(&self, fan: &FanRecord, known: &TransactionRecord) -> bool {
        known.credit.is_some() || self.waits(fan, known)
    }

    /// A word about a transaction whose reversal came before its announcement, and still holds or not.
    fn after_reversal(
        &mut self,
        fan: &mut FanRecord,
        known: &mut TransactionRecord,
        new: &Transaction,
        holds: bool,
    ) {
        if is_reversal(&new.status) {
            self.word(known, &new.status);
            known.early_reversal = Some(self.moment().plus(HOLD));
            return self.settle(fan, known);
        }
        // What the reversal waited for: both are applied, or the transaction alone when that took too long.
        known.early_reversal = None;
        if !holds {
            self.word(known, &new.status);
        }
        if self.is_announced(fan, known) {
            return self.settle(fan, known);
        }
        let (gross, net, at) = (new.gross, new.net, new.at);
        (known.transaction.gross, known.transaction.net, known.transaction.at) = (gross, net, at);
        self.credit_or_hold(fan, known);
    }

    /// Takes over a status.
    fn word(&self, known: &mut TransactionRecord, status: &str) {
        status.clone_into(&mut known.transaction.status);
        known.status_at = self.at;
    }

    fn waits(&self, fan: &FanRecord, known: &TransactionRecord) -> bool {
        let is = |held: &Held| matches!(held, Held::Transaction { id, .. } if *id == known.transaction.id);
        fan.held.iter().any(|held| is(held) && held.until() > self.now)
    }

    /// The webhook's type wins over the reconciliation's. Other differences change nothing: the row keeps its amounts
    /// (decisions 31), and they are counted, once per transaction (decisions 54).
    fn compare(&mut self, known: &mut TransactionRecord, new: &Transaction) {
        let amounts = (known.transaction.gross, known.transaction.net) != (new.gross, new.net);
        // A reversal may carry amounts of its own: negative, or of a part.
        let both = is_reversal(&known.transaction.status) == is_reversal(&new.status);
        let others = known.transaction.kind != new.kind || known.transaction.fan != new.fan;
        if !known.differs && (others || (amounts && both)) {
            known.differs = true;
            self.state.differences += 1;
            self.effects.counts.differences += 1;
        }
        if known.transaction.reconciled && !new.reconciled {
            known.transaction.kind.clone_from(&new.kind);
            known.transaction.reconciled = false;
        }
        if !new.description.is_empty() {
            known.transaction.description.clone_from(&new.description);
        }
    }

    /// Brings row and sums in line with the status: a reversal takes the money back, any other word gives it back again,
    /// on the day the word came (decisions 19, 31).
    fn settle(&mut self, fan: &mut FanRecord, known: &mut TransactionRecord) {
        let Some(credit) = known.credit else { return };
        let counts = !is_reversal(&known.transaction.status);
        if counts != known.counted {
            let sign = if counts { 1 } else { -1 };
            self.sum_money(fan, &known.transaction, credit, sign, known.status_at);
            // A version that kept no turns took it back: nobody knows when.
            if known.counted == (known.turns.len() % 2 == 1) {
                known.turns.push(known.transaction.at);
            }
            known.counted = counts;
            // Pairs cancel out: of one that flickers the oldest are forgotten.
            if known.turns.len() >= TURNS {
                known.turns.drain(..2);
            }
            known.turns.push(known.status_at);
        }
        self.row(known, credit);
        let id = known.transaction.fan.clone();
        self.list_fan(&id, fan, credit.link);
    }

    fn credit_or_hold(&mut self, fan: &mut FanRecord, record: &mut TransactionRecord) {
        match binding(&fan.touches, record.transaction.at) {
            Some(bound) => self.credit(fan, record, bound),
            None => {
                let until = self.moment().plus(HOLD);
                self.hold_back(fan, Held::Transaction { id: record.transaction.id.clone(), until });
                self.forget_at(until, Later::Fan(record.transaction.fan.clone()));
            }
        }
    }

    pub(super) fn hold_back(&mut self, fan: &mut FanRecord, held: Held) {
        fan.held.retain(|held| held.until() > self.now);
        fan.held.push(held);
        if fan.held.len() > HELD {
            fan.held.remove(0);
            self.state.dropped += 1;
            self.effects.counts.dropped += 1;
        }
    }

    /// Credits a transaction to the binding in force at its time.
    fn credit(&mut self, fan: &mut FanRecord, record: &mut TransactionRecord, bound: Binding) {
        let transaction = &record.transaction;
        let purchase = match transaction.kind.as_str() {
            "new_subscription" => Purchase::None,
            "recurring_subscription" if fan.purchased => Purchase::Repeat,
            "recurring_subscription" => Purchase::None,
            _ if fan.purchased => Purchase::Repeat,
            _ => Purchase::First,
        };
        fan.purchased |= purchase == Purchase::First;
        let cause: [&[u8]; 3] =
            [b"transaction", self.account.as_str().as_bytes(), transaction.id.as_str().as_bytes()];
        let conversion = ConversionId(derive::ulid(transaction.at, &cause));
        let credit = Credit { conversion, link: bound.link, click: bound.click, purchase };
        record.credit = Some(credit);
        record.counted = true;
        self.sum_money(fan, &record.transaction, credit, 1, record.transaction.at);
        let row = self.conversion(record, credit);
        self.convert(row);
        // It may have been taken back while it waited.
        self.settle(fan, record);
    }

    /// Writes the row again, with what changed.
    fn row(&mut self, record: &TransactionRecord, credit: Credit) {
        let row = self.conversion(record, credit);
        self.effects.conversion(row);
    }

    fn conversion(&self, record: &TransactionRecord, credit: Credit) -> Conversion {
        let transaction = &record.transaction;
        Conversion {
            id: credit.conversion,
            team: self.team,
            account: self.account.clone(),
            link: credit.link,
            click: credit.click,
            fan: transaction.fan.clone(),
            kind: ConversionKind::NewTransaction,
            at: transaction.at,
            gross: transaction.gross,
            net: transaction.net,
            purchase: credit.purchase,
            transaction: Some(TransactionFacts {
                id: transaction.id.clone(),
                kind: transaction.kind.clone(),
                description: transaction.description.clone(),
                status: transaction.status.clone(),
                turns: record.turns.clone(),
            }),
        }
    }

    /// Adds to, or takes from, every sum the transaction is in: on its own day, or on the day of the reversal.
    fn sum_money(
        &mut self,
        fan: &mut FanRecord,
        transaction: &Transaction,
        credit: Credit,
        sign: i64,
        on: Timestamp,
    ) {
        let (gross, net) = (Cents(sign * transaction.gross.0), Cents(sign * transaction.net.0));
        let Some(standing) = Self::standing(fan, credit.link, credit.click, transaction.at) else { return };
        let spent_before = standing.net.0 > 0;
        standing.gross += gross;
        standing.net += net;
        if transaction.kind == "tip" {
            standing.tips_net += net;
        }
        let spenders = i64::from(standing.net.0 > 0) - i64::from(spent_before);
        self.sum_revenue(credit.link, on, gross, net, spenders);
        self.sum_day(credit.link, &transaction.fan, on, gross, net);
    }

    /// The fan is bound: what waited for it is credited, in order of arrival.
    pub(super) fn release(&mut self, id: &FanId, fan: &mut FanRecord) {
        let held = std::mem::take(&mut fan.held);
        let now = self.now;
        for held in held.into_iter().filter(|held| held.until() > now) {
            match &held {
                Held::Message { id: message, at, .. } => match binding(&fan.touches, *at) {
                    Some(bound) => self.credit_message(id, fan, message, *at, bound),
                    None => fan.held.push(held),
                },
                Held::Transaction { id: transaction, .. } => {
                    let key = Key::Transaction(self.account.clone(), transaction.clone());
                    let mut record: Box<TransactionRecord> = self.memory.take(&key);
                    let Some(bound) = binding(&fan.touches, record.transaction.at) else {
                        fan.held.push(held);
                        self.memory.put(&key, record);
                        continue;
                    };
                    self.credit(fan, &mut record, bound);
                    self.memory.put(&key, record);
                }
            }
        }
    }
}
