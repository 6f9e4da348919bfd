//! Random histories: what could happen to two creators, five devices and a handful of fans within two weeks, then
//! delayed, repeated and out of order.

mod acts;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sl_core::{
    click::{Click, Repeat, VisitorId, VisitorKeys},
    conversion::Transaction,
    event::SubscriberSeen,
    ids::FanId,
    time::Timestamp,
};

use crate::history::{Happening, What};

pub(crate) const START: i64 = 1_772_625_600_000;
const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A browser on a device.
#[derive(Debug, Clone, Copy)]
struct Device {
    cookie: u128,
    /// Returns its cookie.
    keeps: bool,
    /// Cookies are on at all.
    cookies: bool,
    print: u128,
    seen: bool,
}

struct Dice {
    chance: ChaCha8Rng,
    now: i64,
    devices: Vec<Device>,
    clicks: Vec<(&'static str, Click, i64)>,
    repeats: Vec<Repeat>,
    looks: Vec<(&'static str, SubscriberSeen)>,
    money: Vec<(&'static str, Transaction)>,
    messages: Vec<(&'static str, String, FanId, i64)>,
    /// With the time of arrival.
    out: Vec<(i64, Happening)>,
    next: u64,
}

/// The history of a number; the same number gives the same history.
pub(crate) fn history(number: u64) -> Vec<Happening> {
    let mut chance = ChaCha8Rng::seed_from_u64(number);
    let devices = (0..5).map(|index| Device {
        cookie: 100 + index,
        keeps: chance.random_bool(0.7),
        cookies: chance.random_bool(0.9),
        print: 7 + u128::from(chance.random_range(0..4_u8)),
        seen: false,
    });
    let devices = devices.collect();
    let acts = chance.random_range(4..50);
    let mut dice = Dice {
        chance,
        now: START,
        devices,
        clicks: Vec::new(),
        repeats: Vec::new(),
        looks: Vec::new(),
        money: Vec::new(),
        messages: Vec::new(),
        out: Vec::new(),
        next: 0,
    };
    for _ in 0..acts {
        dice.pass();
        if dice.now > START + 14 * DAY {
            break;
        }
        dice.act();
    }
    dice.end()
}

impl Dice {
    fn roll(&mut self, below: i64) -> i64 {
        self.chance.random_range(0..below.max(1))
    }

    fn odds(&mut self, percent: u32) -> bool {
        self.chance.random_ratio(percent, 100)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.chance.random_range(0..from.len())]
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn pass(&mut self) {
        let most = *self.pick(&[MINUTE, MINUTE, 10 * MINUTE, 40 * MINUTE, 3 * HOUR, 8 * HOUR, 36 * HOUR]);
        self.now += SECOND + self.roll(most);
    }

    /// Puts it on the stream: now, or late, or twice.
    fn say(&mut self, account: &'static str, what: What) {
        let late = if self.odds(15) { self.roll(40 * MINUTE) } else { 0 };
        let late = if self.odds(3) { self.roll(30 * HOUR) } else { late };
        let arrives = self.now + late;
        self.out.push((arrives, Happening { account, at: Timestamp(arrives), what: what.clone() }));
        let again =
            matches!(what, What::Money(..) | What::Message { .. } | What::Announced { .. } | What::Seen(_));
        if again && self.odds(6) {
            let arrives = arrives + self.roll(36 * HOUR);
            self.out.push((arrives, Happening { account, at: Timestamp(arrives), what }));
        }
    }

    fn act(&mut self) {
        match self.roll(100) {
            0..34 => self.visit(),
            34..40 => self.come_back(),
            40..58 => self.subscribe(),
            58..64 => self.look_again(),
            64..82 => self.pay(),
            82..90 => self.write(),
            90..92 => {
                let key = format!("broken{}", self.number());
                self.say("acct_1", What::Broken(key));
            }
            _ => {
                let account = self.account();
                self.say(account, What::Tick);
            }
        }
    }

    fn account(&mut self) -> &'static str {
        if self.odds(80) { "acct_1" } else { "acct_2" }
    }

    /// In order of arrival, with a clock that is off now and then, and with questions at the end that show every binding.
    fn end(mut self) -> Vec<Happening> {
        let mut out = std::mem::take(&mut self.out);
        out.sort_by_key(|(arrives, _)| *arrives);
        let last = out.last().map_or(START, |(arrives, _)| *arrives) + 30 * MINUTE;
        let mut history: Vec<Happening> = out.into_iter().map(|(_, happening)| happening).collect();
        for happening in &mut history {
            if !matches!(happening.what, What::Tick) && self.odds(2) {
                happening.at = Timestamp(happening.at.0 + self.roll(80 * MINUTE) - 40 * MINUTE);
            }
        }
        for (account, _) in crate::history::ACCOUNTS {
            history.push(Happening { account, at: Timestamp(last), what: What::Tick });
            history.extend(self.questions(account, last));
        }
        history
    }
}

fn keys(came_with: Option<u128>, given: Option<u128>, print: u128) -> VisitorKeys {
    VisitorKeys {
        came_with: came_with.map(VisitorId),
        given: given.map(VisitorId),
        daily: VisitorId(print),
        lasting: Some(VisitorId(print)),
    }
}
