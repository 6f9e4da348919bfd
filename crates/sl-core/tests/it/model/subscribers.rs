//! Subscribers: when, through which hit, and what follows.

use sl_core::{
    conversion::{ConversionKind, Purchase},
    event::SubscriberSeen,
    ids::{FanId, PoolLinkId},
    money::Cents,
};

use super::{
    Account, HOUR, Hit, MINUTE, SECOND, Subscription, Touch, Word, clicks::cookie, outcome::Line, second,
    time,
};

impl Account {
    pub(super) fn seen(&mut self, seen: &SubscriberSeen) {
        if let Some(at) = seen.subscribed_at {
            let at = self.believed(at.0);
            return self.attribute(seen, at);
        }
        if let Some(at) = self.webhook_date(seen) {
            let at = self.believed(at);
            return self.attribute(seen, at);
        }
        let holder = self.holder(seen.pool_link, seen.seen_at.0);
        let known = (holder.is_some() || seen.overflow_of.is_some()) && self.is_counted(seen, holder);
        let waits = self.undated.iter().any(|(_, other)| other == seen);
        if !known && !waits {
            self.undated.push((self.moment() + 10 * MINUTE, seen.clone()));
        }
    }

    /// A date more than 5 minutes ahead of the record's own time is taken as that time (decisions 22).
    fn believed(&self, at: i64) -> i64 {
        if at <= self.at + 5 * MINUTE { at } else { self.at }
    }

    /// The newest `subscriptions.new` of the fan that the look could have seen, or failing that a renewal. Where the link was never
    /// seen without the fan, none from before the click of the visitor who held it then, or half a day before the look;
    /// of a shared link two days, for which announcements are known.
    fn webhook_date(&self, seen: &SubscriberSeen) -> Option<i64> {
        let holder = self.holder(seen.pool_link, seen.seen_at.0).filter(|_| seen.overflow_of.is_none());
        let bound = match (seen.absent_at, holder) {
            (Some(absent), _) => absent.0,
            (None, Some(row)) => self.rows[row].click.at.0,
            (None, None) if seen.overflow_of.is_some() => seen.seen_at.0 - 48 * HOUR,
            (None, None) => seen.seen_at.0 - 12 * HOUR,
        };
        let earliest = bound - 15 * MINUTE;
        let newest = |renewed: bool| {
            let of_fan = self.announced.iter().filter(|word| word.fan == seen.fan && word.renewed == renewed);
            of_fan
                .map(|word| word.at)
                .filter(|at| (earliest..=seen.seen_at.0 + 5 * MINUTE).contains(at))
                .max()
        };
        newest(false).or_else(|| newest(true))
    }

    pub(super) fn announcement(&mut self, fan: &FanId, at: i64, price: Cents, renewed: bool) {
        self.announced.push(Word { fan: fan.clone(), at, price, renewed });
        for (until, seen) in std::mem::take(&mut self.undated) {
            match self.webhook_date(&seen).filter(|_| seen.fan == *fan) {
                Some(at) => {
                    let at = self.believed(at);
                    self.attribute(&seen, at);
                }
                None => self.undated.push((until, seen)),
            }
        }
    }

    /// Ends the waits that are over, in order of time: one second after the last look without the fan, never before the
    /// click (decisions 51).
    pub(super) fn end_waits(&mut self) {
        while let Some(index) = (0..self.undated.len()).min_by_key(|index| self.undated[*index].0) {
            if self.undated[index].0 > self.now {
                break;
            }
            let (_, seen) = self.undated.remove(index);
            let guess = seen.absent_at.map_or(seen.seen_at.0, |absent| absent.0 + SECOND);
            let holder = self.holder(seen.pool_link, seen.seen_at.0);
            let click = holder.map_or(guess, |row| self.rows[row].click.at.0);
            self.attribute(&seen, guess.max(click));
        }
    }

    fn is_counted(&self, seen: &SubscriberSeen, holder: Option<usize>) -> bool {
        let same = |known: &&Subscription| (&known.fan, known.pool_link) == (&seen.fan, seen.pool_link);
        self.subscriptions.iter().filter(same).any(|known| known.holder == holder)
    }

    fn attribute(&mut self, seen: &SubscriberSeen, at: i64) {
        if let Some(link) = seen.overflow_of {
            if !self.is_counted(seen, None) {
                let fan = seen.fan.clone();
                self.touches.push(Touch { fan, at, click: None, link, ecid: None, subscription: true });
                self.subscribe(seen, at, None, link);
            }
            return;
        }
        let dated = at;
        let Some((holder, hit, at)) = self.find(seen.pool_link, at) else {
            self.pending.push((self.moment() + 48 * HOUR, seen.clone(), at));
            return;
        };
        if self.is_counted(seen, Some(holder)) {
            return;
        }
        if let Some(cookie) = cookie(&self.rows[holder].click.visitor) {
            self.known.push((cookie, seen.fan.clone()));
        }
        // Its payment is dated as the subscription is, so it belongs to the binding even where the click's clock was ahead.
        self.touch_from(&seen.fan, hit, hit.at.min(dated), true);
        self.follow(&seen.fan, holder, at);
        let link = self.credited(hit).link;
        self.subscribe(seen, at, Some((holder, hit)), link);
    }

    /// Holder, credited hit, and the time the subscription counts as made.
    fn find(&self, link: PoolLinkId, at: i64) -> Option<(usize, Hit, i64)> {
        if let Some(holder) = self.holder(link, at)
            && let Some(hit) = self.latest_hit(holder, at)
        {
            return Some((holder, hit, at));
        }
        let later = |row: &usize| second(self.rows[*row].click.at.0) > second(at);
        let next = self.holders(link).into_iter().find(later)?;
        let click = self.rows[next].click.at.0;
        let hit = self.latest_hit(next, click)?;
        (second(click) <= second(at + 15 * MINUTE)).then_some((next, hit, click))
    }

    /// The most recent hit at or before `at` that is inside its own link's window.
    fn latest_hit(&self, holder: usize, at: i64) -> Option<Hit> {
        let mut hits = self.hits_of_holder(holder);
        hits.retain(|hit| {
            let window = i64::try_from(self.rows[hit.row].click.window.as_secs()).unwrap();
            (0..=window).contains(&(second(at) - second(hit.at)))
        });
        hits.into_iter().max_by_key(|hit| hit.at)
    }

    /// What the visitor did after the subscription counts as if it had been known at once (decisions 25).
    fn follow(&mut self, fan: &FanId, holder: usize, at: i64) {
        let mut hits = self.hits_of_holder(holder);
        hits.retain(|hit| second(hit.at) > second(at) && self.rows[hit.row].original.is_none());
        hits.sort_by_key(|hit| hit.at);
        for hit in hits {
            let click = Some(self.credited(hit).id);
            let same = |touch: &Touch| (&touch.fan, touch.at, touch.click) == (fan, hit.at, click);
            if !self.touches.iter().any(same) {
                self.touch(fan, hit, false);
            }
        }
    }

    /// A hit on the link has come: perhaps it is what a subscriber waited for (decisions 46).
    pub(super) fn retry(&mut self, link: PoolLinkId) {
        for (until, seen, at) in std::mem::take(&mut self.pending) {
            if seen.pool_link == link && until <= self.now {
                continue;
            }
            if seen.pool_link == link && self.find(link, at).is_some() {
                self.attribute(&seen, at);
            } else {
                self.pending.push((until, seen, at));
            }
        }
    }

    fn subscribe(
        &mut self,
        seen: &SubscriberSeen,
        at: i64,
        credited: Option<(usize, Hit)>,
        link: sl_core::ids::SmartLinkId,
    ) {
        let holder = credited.map(|(holder, _)| holder);
        let click = credited.map(|(_, hit)| self.credited(hit).id);
        self.subscriptions.push(Subscription { fan: seen.fan.clone(), pool_link: seen.pool_link, holder });
        let apart = |other: i64| (other - at).abs();
        let near = self.announced.iter().filter(|word| word.fan == seen.fan && apart(word.at) <= HOUR);
        let announced = near.min_by_key(|word| apart(word.at)).map(|word| word.price);
        let gross = seen.price.or(announced).unwrap_or_default();
        self.convert(Line {
            kind: ConversionKind::NewSubscriber,
            fan: seen.fan.clone(),
            link,
            click,
            at: time(at),
            gross,
            net: gross.net_of_platform_fee(),
            purchase: Purchase::None,
            transaction: None,
        });
        self.outcome.lists.extend((link == crate::history::A).then(|| seen.fan.clone()));
        self.release(&seen.fan);
    }
}
