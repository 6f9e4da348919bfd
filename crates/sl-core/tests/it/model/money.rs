//! Transactions and messages.

use sl_core::{
    conversion::{ConversionKind, Purchase, Transaction, is_reversal},
    ids::FanId,
    money::Cents,
};

use super::{Account, Binding, HOUR, Held, HeldWhat, Money, outcome::Line, time};

impl Account {
    pub(super) fn money(&mut self, new: &Transaction) {
        let Some(index) = self.transactions.iter().position(|known| known.fact.id == new.id) else {
            let index = self.transactions.len();
            let only_reversed = is_reversal(&new.status).then(|| self.moment() + 24 * HOUR);
            let (fact, status_at) = (new.clone(), self.at);
            self.transactions.push(Money { fact, credited: None, counted: false, status_at, only_reversed });
            if only_reversed.is_none() {
                self.credit_or_hold(index);
            }
            return;
        };
        let moment = self.moment();
        let (now, at) = (self.now, self.at);
        let money = &mut self.transactions[index];
        let unannounced = money.fact.reconciled && !new.reconciled && money.only_reversed.is_none();
        // The reconciliation saw it taken back: what the first webhook announces was before that, unless it is too old to be sent again.
        let overtaken = money.fact.reconciled
            && !new.reconciled
            && is_reversal(&money.fact.status)
            && !is_reversal(&new.status)
            && at - money.fact.at.0 < 7 * 24 * HOUR;
        if money.fact.reconciled && !new.reconciled {
            // The webhook's type wins (decisions 54).
            (money.fact.kind, money.fact.reconciled) = (new.kind.clone(), false);
        }
        let waits = |held: &Held| matches!(held.what, HeldWhat::Money(of) if of == index);
        let held = self.held.iter().any(|held| waits(held) && held.until > now);
        // Whoever told of it before, or of what waits for its fan already, does not announce it.
        let told_before = money.credited.is_some() || held || (money.fact.reconciled && new.reconciled);
        let waited_for = money.only_reversed.is_some() && !told_before;
        if new.reconciled && at < money.status_at && money.status_at - at < HOUR && !waited_for {
            // A page that was asked for before the last word came.
            return self.settle(index);
        }
        match money.only_reversed {
            Some(_) if is_reversal(&new.status) => {
                money.fact.status.clone_from(&new.status);
                money.status_at = at;
                money.only_reversed = Some(moment + 24 * HOUR);
            }
            Some(until) => {
                // The transaction itself: both are applied, or it alone when the reversal has waited too long. Of one that is
                // credited or held, by the reconciliation's word, it is the announcement that its reversal overtook.
                money.only_reversed = None;
                if (told_before && new.reconciled) || (until <= now && !overtaken) {
                    money.fact.status.clone_from(&new.status);
                    money.status_at = at;
                }
                if money.credited.is_none() && !held {
                    (money.fact.gross, money.fact.net, money.fact.at) = (new.gross, new.net, new.at);
                    self.credit_or_hold(index);
                }
            }
            None => {
                if !overtaken {
                    money.fact.status.clone_from(&new.status);
                    money.status_at = at;
                }
                if unannounced && money.credited.is_some() && is_reversal(&new.status) {
                    money.only_reversed = Some(moment + 24 * HOUR);
                }
                if self.transactions[index].credited.is_none() && !held && !is_reversal(&new.status) {
                    // Given up before: this word of it is an arrival of its own.
                    self.credit_or_hold(index);
                }
            }
        }
        if overtaken {
            // What was announced after it may come again, too.
            self.transactions[index].only_reversed = Some(moment + 24 * HOUR);
        }
        self.settle(index);
    }

    fn credit_or_hold(&mut self, index: usize) {
        let fact = &self.transactions[index].fact;
        let fan = fact.fan.clone();
        match self.binding(&fan, fact.at.0) {
            Some(bound) => self.credit(index, bound),
            None => {
                let until = self.moment() + 24 * HOUR;
                self.held.push(Held { until, fan, what: HeldWhat::Money(index) });
            }
        }
    }

    fn credit(&mut self, index: usize, bound: Binding) {
        let fact = self.transactions[index].fact.clone();
        let of_fan = |line: &Line| line.fan == fact.fan && line.purchase == Purchase::First;
        let purchased = self.outcome.lines.iter().any(of_fan);
        let purchase = match fact.kind.as_str() {
            "new_subscription" => Purchase::None,
            _ if purchased => Purchase::Repeat,
            "recurring_subscription" => Purchase::None,
            _ => Purchase::First,
        };
        self.transactions[index].credited = Some(self.outcome.lines.len());
        self.transactions[index].counted = true;
        self.outcome.move_money(bound.link, &fact.fan, fact.at, fact.gross, fact.net);
        self.convert(Line {
            kind: ConversionKind::NewTransaction,
            fan: fact.fan.clone(),
            link: bound.link,
            click: bound.click,
            at: fact.at,
            gross: fact.gross,
            net: fact.net,
            purchase,
            transaction: Some((fact.id.to_string(), fact.kind.clone(), fact.status.clone())),
        });
        self.settle(index);
    }

    /// Brings row and sums in line with the status: a reversal takes the money back on its own day, any other word gives
    /// it back again (decisions 19, 31).
    fn settle(&mut self, index: usize) {
        let money = &mut self.transactions[index];
        let Some(line) = money.credited else { return };
        let line = &mut self.outcome.lines[line];
        line.transaction =
            Some((money.fact.id.to_string(), money.fact.kind.clone(), money.fact.status.clone()));
        let counts = !is_reversal(&money.fact.status);
        if counts != money.counted {
            money.counted = counts;
            let sign = if counts { 1 } else { -1 };
            let (gross, net) = (Cents(sign * line.gross.0), Cents(sign * line.net.0));
            let (link, fan) = (line.link, line.fan.clone());
            self.outcome.move_money(link, &fan, time(money.status_at), gross, net);
        }
    }

    /// Net of the tips that count, for a fan under a link.
    pub(crate) fn tips(&self, link: sl_core::ids::SmartLinkId, fan: &FanId) -> Cents {
        let tips = self.transactions.iter().filter(|money| money.counted && money.fact.kind == "tip");
        let lines = tips.filter_map(|money| money.credited).map(|line| &self.outcome.lines[line]);
        lines.filter(|line| (line.link, &line.fan) == (link, fan)).map(|line| line.net).sum()
    }

    pub(super) fn message(&mut self, id: &str, fan: &FanId, at: i64) {
        if self.messages.iter().any(|known| known == id) {
            return;
        }
        self.messages.push(id.to_owned());
        match self.binding(fan, at) {
            Some(bound) => self.credit_message(fan, at, &bound),
            None => {
                let (until, what) = (self.moment() + 24 * HOUR, HeldWhat::Message { at });
                self.held.push(Held { until, fan: fan.clone(), what });
            }
        }
    }

    /// Every message is a conversion; the first and the third of a binding are one more each.
    fn credit_message(&mut self, fan: &FanId, at: i64, bound: &Binding) {
        let key = (fan.clone(), bound.from, bound.link);
        self.outcome.messages.push(key.clone());
        let count = self.outcome.messages.iter().filter(|other| **other == key).count();
        let extra = match count {
            1 => Some(ConversionKind::FanSent1Message),
            3 => Some(ConversionKind::FanSent3Messages),
            _ => None,
        };
        for kind in [Some(ConversionKind::MessageReceived), extra].into_iter().flatten() {
            self.convert(Line {
                kind,
                fan: fan.clone(),
                link: bound.link,
                click: bound.click,
                at: time(at),
                gross: Cents::ZERO,
                net: Cents::ZERO,
                purchase: Purchase::None,
                transaction: None,
            });
        }
    }

    /// The fan has subscribed: what waited for it is credited, in order of arrival.
    pub(super) fn release(&mut self, fan: &FanId) {
        for held in std::mem::take(&mut self.held) {
            let at = match &held.what {
                HeldWhat::Money(index) => self.transactions[*index].fact.at.0,
                HeldWhat::Message { at } => *at,
            };
            let bound = self.binding(&held.fan, at).filter(|_| held.fan == *fan && held.until > self.now);
            match (&held.what, bound) {
                (HeldWhat::Money(index), Some(bound)) => self.credit(*index, bound),
                (HeldWhat::Message { at }, Some(bound)) => self.credit_message(fan, *at, &bound),
                _ => self.held.push(held),
            }
        }
    }
}
