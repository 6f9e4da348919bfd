//! Clicks and repeats.

use std::time::Duration;

use rand::RngExt;
use sl_core::{
    click::{
        AdCookies, Class, Click, Device as Browser, Params, Place, Repeat, RequestFacts, Rung, VisitorId,
    },
    ids::{AccountId, ClickId, LinkKind, PoolLinkId, SmartLinkId, TeamId},
    time::Timestamp,
};

use super::{Dice, HOUR, MINUTE, keys};
use crate::history::{ACCOUNTS, What};

fn pool(number: u64) -> PoolLinkId {
    PoolLinkId { kind: LinkKind::TrackingLink, number }
}

/// The shared overflow link of a Smart Link.
fn overflow(link: SmartLinkId) -> PoolLinkId {
    pool(9000 + u64::try_from(link.0.0).unwrap())
}

impl Dice {
    /// Somebody follows a link: a click, or a repeat of one inside the visitor window.
    pub(super) fn visit(&mut self) {
        let account = self.account();
        let links = ACCOUNTS.iter().find(|(name, _)| *name == account).unwrap().1;
        let link = *self.pick(&links);
        let device = self.chance.random_range(0..self.devices.len());
        let ecid = *self.pick(&[None, None, Some("x"), Some("y"), Some("{{ad.id}}")]);
        let who = self.devices[device];
        let known = self.clicks.iter().rposition(|(_, click, _)| {
            let recent = self.now - click.at.0 < 6 * HOUR;
            let same = click.link == link && click.params.ecid.as_deref() == ecid;
            recent && same && click.visitor.daily.0 == who.print && click.class == Class::Person
        });
        match known {
            Some(index) if self.odds(75) => self.hit_again(index),
            _ => self.click(account, link, device, ecid),
        }
    }

    /// An earlier click comes back as a repeat.
    pub(super) fn come_back(&mut self) {
        if self.clicks.is_empty() {
            return;
        }
        let index = self.chance.random_range(0..self.clicks.len());
        let (_, click, _) = &self.clicks[index];
        if self.now - click.at.0 < 6 * HOUR && click.class == Class::Person {
            self.hit_again(index);
        }
    }

    fn hit_again(&mut self, index: usize) {
        let (account, click, last) = self.clicks[index].clone();
        // Hits of one click within a minute are merged (decisions 52); the model knows no bounds.
        if self.now - last < MINUTE {
            return;
        }
        let mut visitor = click.visitor;
        visitor.came_with = visitor.given.filter(|_| self.odds(70));
        if visitor.given.is_some() && self.odds(8) {
            // Found by fingerprint, with a cookie of an earlier visit.
            visitor.came_with = Some(VisitorId(self.pick(&self.devices.clone()).cookie));
        }
        let own = matches!(click.rung, Rung::Fresh | Rung::Recycled);
        let repeat = Repeat {
            click: click.id,
            link: click.link,
            at: Timestamp(self.now),
            pool_link: click.pool_link.filter(|_| own),
            visitor,
        };
        self.clicks[index].2 = self.now;
        self.repeats.push(repeat.clone());
        self.say(account, What::Repeat(repeat));
    }

    fn click(&mut self, account: &'static str, link: SmartLinkId, device: usize, ecid: Option<&str>) {
        let number = self.number();
        let who = self.devices[device];
        let apart = if who.keeps || self.odds(50) { 0 } else { 1000 * u128::from(number) };
        let came_with = (who.cookies && who.keeps && who.seen).then_some(who.cookie);
        let given = who.cookies.then_some(who.cookie + apart);
        self.devices[device].seen = true;
        let now = self.now;
        let free = |(of, click, last): &&(&str, Click, i64)| {
            *of == account && matches!(click.rung, Rung::Fresh | Rung::Recycled) && now - last > 13 * HOUR
        };
        let free: Vec<PoolLinkId> =
            self.clicks.iter().filter(free).filter_map(|(_, click, _)| click.pool_link).collect();
        let held: Vec<PoolLinkId> = self
            .clicks
            .iter()
            .filter(|click| !free_now(click, now))
            .filter_map(|(_, click, _)| click.pool_link)
            .collect();
        let free: Vec<PoolLinkId> = free.into_iter().filter(|link| !held.contains(link)).collect();
        let (rung, pool_link) = match self.roll(100) {
            0..20 if !free.is_empty() => (Rung::Recycled, Some(*self.pick(&free))),
            20..28 => (Rung::Overflow, Some(overflow(link))),
            28..32 => (Rung::Profile, None),
            _ => (Rung::Fresh, Some(pool(number))),
        };
        let bot = self.odds(6);
        let window = if self.odds(80) { 6 } else { 1 };
        let click = Click {
            id: ClickId(ulid::Ulid(0xC000 + u128::from(number))),
            team: TeamId(1),
            account: AccountId::from(account),
            link,
            at: Timestamp(now),
            window: Duration::from_secs(window * 3600),
            class: if bot { Class::Bot } else { Class::Person },
            rung: if bot { Rung::Overflow } else { rung },
            pool_link: if bot { Some(overflow(link)) } else { pool_link },
            sent_to: None,
            visitor: keys(came_with, given, who.print),
            request: RequestFacts::default(),
            device: Browser::default(),
            place: Place { country: Some("DE".into()), ..Place::default() },
            params: Params { ecid: ecid.map(str::to_owned), ..Params::default() },
            cookies: AdCookies::default(),
        };
        self.clicks.push((account, click.clone(), now));
        self.say(account, What::Click(click.into()));
    }
}

fn free_now(click: &(&'static str, Click, i64), now: i64) -> bool {
    now - click.2 > 13 * HOUR
}
