//! What fans, the platform and the matcher do.

use sl_core::{
    click::Rung,
    conversion::{FanProfile, Transaction},
    event::SubscriberSeen,
    ids::{FanId, TransactionId},
    money::Cents,
    time::Timestamp,
};

use super::{Dice, HOUR, MINUTE, SECOND};
use crate::history::{Happening, What};

impl Dice {
    /// Somebody subscribes through the link of a click, or through an overflow link.
    pub(super) fn subscribe(&mut self) {
        if self.clicks.is_empty() {
            return;
        }
        let (account, click, _) = self.pick(&self.clicks.clone()).clone();
        let Some(pool_link) = click.pool_link else { return };
        let window = i64::try_from(click.window.as_millis()).unwrap();
        let after = match self.roll(100) {
            0..6 => -self.roll(20 * MINUTE),
            6..16 => window + self.roll(4 * SECOND) - 2 * SECOND,
            16..24 => window + self.roll(2 * HOUR),
            _ => self.roll(window.min(90 * MINUTE)),
        };
        let at = whole(click.at.0 + after);
        self.now = self.now.max(at + SECOND);
        if self.now - at > 30 * HOUR {
            return;
        }
        let fan = self.fan(account);
        let price = Cents(*self.pick(&[0, 500, 999, 1000]));
        if self.odds(60) {
            let key = format!("new{}", self.number());
            let renewed = self.odds(10);
            self.say(account, What::Announced { key, fan: fan.clone(), at: Timestamp(at), price, renewed });
        }
        if self.odds(40) {
            let number = self.number();
            let money = self.transaction(&format!("s{number}"), &fan, "new_subscription", price, at);
            self.tell_money(account, money);
        }
        let ahead = if self.odds(3) { self.roll(12 * MINUTE) } else { 0 };
        let absent = at - self.roll(50 * MINUTE);
        let dated = self.odds(70);
        let seen = SubscriberSeen {
            pool_link,
            overflow_of: (click.rung == Rung::Overflow).then_some(click.link),
            fan,
            profile: FanProfile::default(),
            subscribed_at: dated.then_some(Timestamp(at + ahead)),
            price: self.odds(50).then_some(price),
            seen_at: Timestamp(self.now),
            // A link that is looked at for the first time was never seen without the fan.
            absent_at: self.odds(70).then_some(Timestamp(absent)),
        };
        self.looks.push((account, seen.clone()));
        self.say(account, What::Seen(seen));
    }

    /// The matcher sees somebody again.
    pub(super) fn look_again(&mut self) {
        if self.looks.is_empty() {
            return;
        }
        let (account, mut seen) = self.pick(&self.looks.clone()).clone();
        if self.now - seen.seen_at.0 < 30 * HOUR {
            seen.seen_at = Timestamp(self.now);
            self.say(account, What::Seen(seen));
        }
    }

    /// Fans are of one creator; some come again, some are new, some never subscribed.
    fn fan(&mut self, account: &str) -> FanId {
        FanId::from(format!("{account}-{}", self.roll(4)))
    }

    /// Money and messages come mostly from subscribers.
    fn subscriber(&mut self, account: &str) -> FanId {
        let of = self.looks.iter().filter(|(of, _)| *of == account);
        let fans: Vec<FanId> = of.map(|(_, seen)| seen.fan.clone()).collect();
        if fans.is_empty() || self.odds(20) { self.fan(account) } else { self.pick(&fans).clone() }
    }

    fn transaction(&mut self, id: &str, fan: &FanId, kind: &str, gross: Cents, at: i64) -> Transaction {
        Transaction {
            id: TransactionId::from(id),
            kind: kind.to_owned(),
            fan: fan.clone(),
            profile: FanProfile::default(),
            gross,
            net: gross.net_of_platform_fee(),
            status: (*self.pick(&["loading", "done", "done", "done", "undo"])).to_owned(),
            description: String::new(),
            at: Timestamp(whole(at)),
            reconciled: false,
        }
    }

    /// Through one of the two paths.
    fn tell_money(&mut self, account: &'static str, mut money: Transaction) {
        self.money.push((account, money.clone()));
        money.reconciled = self.odds(20);
        if money.reconciled && self.odds(30) {
            money.kind = "other".to_owned();
        }
        let key = (!money.reconciled).then(|| format!("money{}", self.number()));
        self.say(account, What::Money(key, money));
    }

    /// New money, or another word about money.
    pub(super) fn pay(&mut self) {
        if !self.money.is_empty() && self.odds(45) {
            let (account, mut money) = self.pick(&self.money.clone()).clone();
            if self.odds(25) {
                self.old_page(account, money.clone());
            }
            money.status =
                (*self.pick(&["done", "pending_return", "undo", "Chargeback", "refunded"])).to_owned();
            if self.odds(5) {
                money.gross = Cents(money.gross.0 + 100);
            }
            return self.tell_money(account, money);
        }
        let account = self.account();
        let fan = self.subscriber(account);
        let kind =
            *self.pick(&["tip", "tip", "post", "message", "recurring_subscription", "new_subscription"]);
        let ago = if self.odds(70) { 0 } else { self.roll(20 * HOUR) };
        let (number, cents) = (self.number(), 100 + self.roll(4000));
        let at = self.now - ago;
        let money = self.transaction(&format!("t{number}"), &fan, kind, Cents(cents), at);
        self.tell_money(account, money);
    }

    /// The reconciliation asked shortly before another word comes, and writes down what it got after it.
    fn old_page(&mut self, account: &'static str, mut money: Transaction) {
        money.reconciled = true;
        let (asked, arrives) = (self.now - self.roll(90 * MINUTE), self.now + self.roll(5 * MINUTE));
        let what = What::Money(None, money);
        self.out.push((arrives, Happening { account, at: Timestamp(asked), what }));
    }

    /// A message, new or told again under another key.
    pub(super) fn write(&mut self) {
        let key = format!("message{}", self.number());
        if !self.messages.is_empty() && self.odds(10) {
            let (account, id, fan, at) = self.pick(&self.messages.clone()).clone();
            if self.now - at < 30 * HOUR {
                self.say(account, What::Message { key, id, fan, at: Timestamp(at) });
            }
            return;
        }
        let account = self.account();
        let fan = self.subscriber(account);
        for _ in 0..=self.roll(4) {
            let (key, id) = (format!("{key}-{}", self.next), self.number().to_string());
            let ago = if self.odds(70) { 0 } else { self.roll(20 * HOUR) };
            let at = whole(self.now - ago);
            self.messages.push((account, id.clone(), fan.clone(), at));
            self.say(account, What::Message { key, id, fan: fan.clone(), at: Timestamp(at) });
        }
    }

    /// A small transaction of every fan at every time that could matter: where it is credited shows the binding.
    pub(super) fn questions(&mut self, account: &'static str, now: i64) -> Vec<Happening> {
        let mut times: Vec<i64> = self.clicks.iter().map(|(_, click, _)| click.at.0).collect();
        times.extend(self.repeats.iter().map(|repeat| repeat.at.0));
        times.extend(self.looks.iter().filter_map(|(_, seen)| seen.subscribed_at).map(|at| at.0));
        times.sort_unstable();
        let mut questions = Vec::new();
        for fan in 0..4 {
            let fan = FanId::from(format!("{account}-{fan}"));
            for at in &times {
                let id = format!("?{fan}-{at}");
                let mut money = self.transaction(&id, &fan, "post", Cents(1), *at);
                (money.status, money.reconciled) = ("done".to_owned(), true);
                let what = What::Money(None, money);
                questions.push(Happening { account, at: Timestamp(now), what });
            }
        }
        questions
    }
}

fn whole(at: i64) -> i64 {
    at.div_euclid(SECOND) * SECOND
}
