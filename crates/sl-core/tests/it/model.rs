//! The rules, written as plainly as they are told: everything is kept in lists, and every question is answered by looking
//! through all of them. No bounds, no cache, no slices, no forgetting.
//!
//! Architecture 5, contract B.3 to B.6, decisions 3, 19, 22, 25 to 31, 40, 46, 51, 55.

mod clicks;
mod money;
mod outcome;
mod subscribers;
mod tally;
mod told;

use std::collections::BTreeMap;

use sl_core::{
    click::{Click, Repeat, VisitorKeys},
    conversion::Transaction,
    event::SubscriberSeen,
    ids::{ClickId, FanId, PoolLinkId, SmartLinkId},
    money::Cents,
    time::Timestamp,
};

use crate::history::{Happening, What};
pub(crate) use outcome::{Line, Outcome, Standing};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// All creators, each for itself.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) accounts: BTreeMap<&'static str, Account>,
}

impl Model {
    pub(crate) fn of(history: &[Happening]) -> Self {
        let mut model = Self::default();
        for happening in history {
            model.accounts.entry(happening.account).or_default().happen(happening);
        }
        model
    }
}

/// Everything that happened at one creator, and what follows from it.
#[derive(Default)]
pub(crate) struct Account {
    /// Append times of all records, and whether it was a tick.
    appended: Vec<(i64, bool)>,
    /// Idempotency keys of webhooks.
    keys: Vec<String>,
    /// People's rows.
    pub(crate) rows: Vec<Row>,
    pub(crate) bots: Vec<Click>,
    /// In order of arrival.
    hits: Vec<Hit>,
    /// Repeats whose click is still to come.
    early: Vec<Repeat>,
    /// Which visitor is which fan, in the order it was learnt: the last word counts.
    known: Vec<(u128, FanId)>,
    subscriptions: Vec<Subscription>,
    touches: Vec<Touch>,
    announced: Vec<Word>,
    /// With the end of the wait.
    undated: Vec<(i64, SubscriberSeen)>,
    pending: Vec<(i64, SubscriberSeen, i64)>,
    transactions: Vec<Money>,
    messages: Vec<String>,
    /// Money and messages that wait for a binding, in order of arrival.
    held: Vec<Held>,
    pub(crate) outcome: Outcome,
    /// Append time of the record at hand, and the account's clock.
    at: i64,
    now: i64,
}

pub(crate) struct Row {
    pub(crate) click: Click,
    pub(crate) original: Option<usize>,
    pub(crate) gross: u32,
}

#[derive(Clone, Copy)]
struct Hit {
    row: usize,
    at: i64,
    keys: VisitorKeys,
}

/// What a `subscriptions.*` webhook said.
#[derive(Debug)]
struct Word {
    fan: FanId,
    at: i64,
    price: Cents,
    renewed: bool,
}

struct Subscription {
    fan: FanId,
    pool_link: PoolLinkId,
    /// Row that held the link; `None` for an overflow link.
    holder: Option<usize>,
}

/// Something that may bind a fan.
struct Touch {
    fan: FanId,
    at: i64,
    click: Option<ClickId>,
    link: SmartLinkId,
    ecid: Option<String>,
    subscription: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Binding {
    from: i64,
    click: Option<ClickId>,
    link: SmartLinkId,
    ecid: Option<String>,
}

struct Money {
    fact: Transaction,
    /// Index of its conversion.
    credited: Option<usize>,
    counted: bool,
    /// When the newest status arrived.
    status_at: i64,
    /// Only reversals so far: waits for the transaction until then.
    only_reversed: Option<i64>,
}

struct Held {
    until: i64,
    fan: FanId,
    what: HeldWhat,
}

enum HeldWhat {
    Money(usize),
    Message { at: i64 },
}

impl Account {
    fn happen(&mut self, happening: &Happening) {
        self.at = happening.at.0;
        self.appended.push((self.at, matches!(happening.what, What::Tick)));
        self.now = self.clock();
        self.end_waits();
        match &happening.what {
            What::Click(click) => self.click(click),
            What::Repeat(repeat) => self.repeat(repeat),
            What::Seen(seen) => self.seen(seen),
            What::Money(None, money) => self.money(money),
            What::Money(Some(key), money) if self.is_new(key) => self.money(money),
            What::Message { key, id, fan, at } if self.is_new(key) => self.message(id, fan, at.0),
            What::Announced { key, fan, at, price, renewed } if self.is_new(key) => {
                self.announcement(fan, at.0, *price, *renewed);
            }
            What::Broken(key) => {
                self.is_new(key);
            }
            What::Money(..) | What::Message { .. } | What::Announced { .. } | What::Tick => {}
        }
    }

    fn is_new(&mut self, key: &str) -> bool {
        let new = !self.keys.iter().any(|known| known == key);
        self.keys.push(key.to_owned());
        new
    }

    /// The highest append time so far; one record alone more than 15 minutes ahead is not believed (decisions 51).
    fn clock(&self) -> i64 {
        let mut clock = i64::MIN;
        let mut ahead = None;
        for &(at, tick) in &self.appended {
            if tick || clock == i64::MIN || at <= clock + 15 * MINUTE {
                (clock, ahead) = (clock.max(at), None);
                continue;
            }
            let Some(other) = ahead.replace(at) else { continue };
            clock = at.min(other);
            ahead = Some(at.max(other));
            if at.max(other) <= clock + 15 * MINUTE {
                (clock, ahead) = (at.max(other), None);
            }
        }
        clock
    }

    /// From when a wait counts.
    fn moment(&self) -> i64 {
        self.now.max(self.at)
    }

    /// The binding in force in the second of `at`: a subscription binds, a hit moves when link or `ecid` differ.
    fn binding(&self, fan: &FanId, at: i64) -> Option<Binding> {
        let mut touches: Vec<&Touch> = self.touches.iter().filter(|touch| touch.fan == *fan).collect();
        touches.sort_by_key(|touch| touch.at);
        let mut bound: Option<Binding> = None;
        for touch in touches {
            let moves = |bound: &Binding| (bound.link, &bound.ecid) != (touch.link, &touch.ecid);
            if second(touch.at) <= second(at) && (touch.subscription || bound.as_ref().is_some_and(moves)) {
                let (from, click, link) = (touch.at, touch.click, touch.link);
                bound = Some(Binding { from, click, link, ecid: touch.ecid.clone() });
            }
        }
        bound
    }
}

fn second(at: i64) -> i64 {
    at.div_euclid(SECOND)
}

fn time(at: i64) -> Timestamp {
    Timestamp(at)
}

/// What an `ecid` is told apart by: nothing when it is absent, empty or a macro nobody replaced (decisions 36).
fn ecid(click: &Click) -> Option<String> {
    let text = click.params.ecid.as_deref().map(str::trim)?;
    (!text.is_empty() && !text.starts_with("{{")).then(|| text.to_owned())
}
