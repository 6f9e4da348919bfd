//! Subscribers: when, through which click, and what follows (contract B.4, decisions 22, 25, 26, 46, 51, 55).

use super::{
    CLOCK_SLACK, Decider, FUTURE_SLACK, HOLD_SUBSCRIBER, HOLD_UNDATED, derive,
    fans::touch,
    key::Key,
    record::{
        Announced, FanRecord, Hit, Holder, HolderRecord, Later, PrintRecord, Subscribed, Touch, VisitorRecord,
    },
};
use crate::{
    conversion::{Conversion, ConversionKind, Purchase},
    event::SubscriberSeen,
    ids::{ConversionId, FanId, PoolLinkId},
    money::Cents,
    step::ListAdd,
    time::Timestamp,
};
use std::time::Duration;

/// Subscribers that may wait for the click of one pool link.
const PENDING: usize = 64;
/// A link whose click is not known is looked at for the first time no later than this after somebody subscribed through it.
const UNSEEN: Duration = Duration::from_secs(12 * 3600);
/// A price of a webhook belongs to a subscription this close to it.
const SAME_SUBSCRIPTION: Duration = Duration::from_secs(3600);

impl Decider<'_> {
    pub(super) fn subscriber_seen(&mut self, seen: &SubscriberSeen) {
        let key = Key::Fan(self.account.clone(), seen.fan.clone());
        let mut fan: Box<FanRecord> = self.memory.take(&key);
        self.profile(&seen.fan, &mut fan, &seen.profile);
        fan.last_seen = Some(fan.last_seen.map_or(seen.seen_at, |last| last.max(seen.seen_at)));
        self.effects.matched(&self.account, &seen.fan);
        match seen.subscribed_at {
            Some(at) => {
                let at = self.believed(at);
                self.attribute(&mut fan, seen, at);
            }
            None => match self.announced(&fan, seen) {
                Some(at) => {
                    let at = self.believed(at);
                    self.attribute(&mut fan, seen, at);
                }
                None if self.is_applied(&fan, seen) => {}
                None => {
                    let until = self.moment().plus(HOLD_UNDATED);
                    fan.undated.push((until, seen.clone()));
                    self.wait_until(until, seen.fan.clone());
                }
            },
        }
        self.memory.put(&key, fan);
        self.forget_at(self.moment().plus(HOLD_SUBSCRIBER), Later::Fan(seen.fan.clone()));
    }

    /// A date too far ahead of the record that carries it is taken as now, and counted (decisions 22).
    fn believed(&mut self, at: Timestamp) -> Timestamp {
        if at <= self.at.plus(FUTURE_SLACK) {
            return at;
        }
        self.state.future_dates += 1;
        self.effects.counts.future_dates += 1;
        self.at
    }

    /// An undated subscriber is already counted for the visitor who holds the link at the time of the look.
    fn is_applied(&mut self, fan: &FanRecord, seen: &SubscriberSeen) -> bool {
        let holder = match seen.overflow_of {
            Some(_) => None,
            None => match self.holder(seen.pool_link, seen.seen_at) {
                Some(holder) => Some(holder.click.row),
                None => return false,
            },
        };
        let subscribed = Subscribed { pool_link: seen.pool_link, holder };
        fan.subscriptions.contains(&subscribed) || fan.undated.iter().any(|(_, other)| other == seen)
    }

    /// The time of an undated subscriber whose webhook never came: one second after the last look without the fan, or
    /// the look itself, never before the click (decisions 22, 51).
    pub(super) fn date_without_webhook(&mut self, seen: &SubscriberSeen) -> Timestamp {
        let guess = seen.absent_at.map_or(seen.seen_at, |absent| absent.plus(Duration::from_secs(1)));
        let click = self.holder(seen.pool_link, seen.seen_at).map(|holder| holder.click.at);
        click.map_or(guess, |click| guess.max(click))
    }

    /// The time a webhook gives to an undated subscriber: the newest that the look could have seen (decisions 22). Of a link that
    /// was never seen without the fan none counts of long before its click, or the look: that was another subscription of the
    /// fan's. A shared link is looked at for the first time after each start, however long nobody looked: of its fans every
    /// announcement counts that is still known. A renewal counts where no new subscription does: a fan who comes back may be
    /// announced as either (contract I.45).
    fn announced(&mut self, fan: &FanRecord, seen: &SubscriberSeen) -> Option<Timestamp> {
        let bound = seen.absent_at.unwrap_or_else(|| match seen.overflow_of {
            Some(_) => seen.seen_at.minus(HOLD_SUBSCRIBER),
            None => self
                .holder(seen.pool_link, seen.seen_at)
                .map_or(seen.seen_at.minus(UNSEEN), |holder| holder.click.at),
        });
        let fits = bound.minus(CLOCK_SLACK)..=seen.seen_at.plus(FUTURE_SLACK);
        let fitting = fan.announced.iter().filter(|announced| fits.contains(&announced.at));
        fitting.max_by_key(|announced| (!announced.renewed, announced.at)).map(|announced| announced.at)
    }

    /// Who held the link in the second of `at`.
    fn holder(&mut self, link: PoolLinkId, at: Timestamp) -> Option<Holder> {
        let key = Key::Holder(self.account.clone(), link);
        let record = self.memory.read::<HolderRecord>(&key)?;
        record.holders.iter().rfind(|holder| holder.click.at.seconds() <= at.seconds()).cloned()
    }

    /// Dates undated subscribers by a webhook that has just come.
    pub(super) fn date_undated(&mut self, fan: &mut Box<FanRecord>, id: &FanId) {
        let waiting = std::mem::take(&mut fan.undated);
        let before = waiting.len();
        let mut dated = Vec::new();
        for (until, seen) in waiting {
            match self.announced(fan, &seen) {
                Some(at) => dated.push((seen, at)),
                None => fan.undated.push((until, seen)),
            }
        }
        for (seen, at) in dated {
            let at = self.believed(at);
            self.attribute(fan, &seen, at);
        }
        if fan.undated.len() != before && fan.undated.is_empty() {
            self.state.due.retain(|(_, other)| other != id);
            self.note_due();
        }
    }

    /// Credits a subscription of known time to its click, or lets it wait for the click.
    pub(super) fn attribute(&mut self, fan: &mut Box<FanRecord>, seen: &SubscriberSeen, at: Timestamp) {
        if let Some(link) = seen.overflow_of {
            let subscribed = Subscribed { pool_link: seen.pool_link, holder: None };
            if !fan.subscriptions.contains(&subscribed) {
                let bound = Touch { at, click: None, link, ecid: 0, subscription: true };
                self.subscribe(fan, seen, at, subscribed, bound);
            }
            return;
        }
        let dated = at;
        let Some((holder, hit, at)) = self.find(seen.pool_link, at) else {
            self.wait_for_click(seen, at);
            return;
        };
        let subscribed = Subscribed { pool_link: seen.pool_link, holder: Some(holder.click.row) };
        if fan.subscriptions.contains(&subscribed) {
            return;
        }
        let bound = Touch {
            // The platform dates money as it dates subscriptions: where the edge's clock is ahead of it, the binding begins with
            // the subscription, or its payment would lie before it (decisions 25).
            at: hit.at.min(dated),
            click: Some(hit.credited()),
            link: hit.link,
            ecid: hit.ecid,
            subscription: true,
        };
        self.know_holder(&holder, &seen.fan);
        touch(&mut fan.touches, bound);
        self.follow(fan, &holder, at);
        self.subscribe(fan, seen, at, subscribed, bound);
    }

    /// The hit that gets a subscription through `link` at `at`, who held the link, and the time the subscription counts
    /// as made.
    fn find(&mut self, link: PoolLinkId, at: Timestamp) -> Option<(Holder, Hit, Timestamp)> {
        if let Some(holder) = self.holder(link, at)
            && let Some(hit) = self.latest_hit(&holder, at)
        {
            return Some((holder, hit, at));
        }
        // A subscription shortly before the click was made at the click: a clock is off (decisions 51).
        let key = Key::Holder(self.account.clone(), link);
        let record = self.memory.read::<HolderRecord>(&key)?;
        let next = record.holders.iter().find(|holder| holder.click.at.seconds() > at.seconds())?.clone();
        if next.click.at.seconds() > at.plus(CLOCK_SLACK).seconds() {
            return None;
        }
        let at = next.click.at;
        let hit = self.latest_hit(&next, at)?;
        Some((next, hit, at))
    }

    /// The visitor's latest hit at or before `at`, inside its own window: by cookie on any link of the creator, else on
    /// the pool link itself (decisions 25, 26).
    fn latest_hit(&mut self, holder: &Holder, at: Timestamp) -> Option<Hit> {
        let inside = |hit: &Hit| {
            let age = at.seconds() - hit.at.seconds();
            age >= 0 && age <= i64::from(hit.window)
        };
        let own = holder.hits.iter().map(|time| Hit { at: *time, ..holder.click });
        let mut hits: Vec<Hit> = own.filter(inside).collect();
        if holder.who.cookie().is_some() {
            let key = Key::Visitor(self.account.clone(), holder.who);
            let visitor = self.memory.read::<VisitorRecord>(&key);
            hits.extend(visitor.into_iter().flat_map(|visitor| &visitor.hits).filter(|hit| inside(hit)));
        }
        hits.into_iter().max_by_key(|hit| hit.at)
    }

    /// Keeps a subscriber until its click comes (decisions 46).
    fn wait_for_click(&mut self, seen: &SubscriberSeen, at: Timestamp) {
        let key = Key::Holder(self.account.clone(), seen.pool_link);
        let mut record: HolderRecord = self.memory.take(&key);
        record.pending.retain(|(until, _)| *until > self.now);
        let until = self.moment().plus(HOLD_SUBSCRIBER);
        // Seen again while it waits: once is enough.
        let same = |other: &SubscriberSeen| other.fan == seen.fan && other.subscribed_at == Some(at);
        match record.pending.iter_mut().find(|(_, other)| same(other)) {
            Some((known, _)) => *known = until.max(*known),
            None => {
                let dated = SubscriberSeen { subscribed_at: Some(at), ..seen.clone() };
                record.pending.push((until, dated));
            }
        }
        if record.pending.len() > PENDING {
            record.pending.remove(0);
            self.state.dropped += 1;
            self.effects.counts.dropped += 1;
        }
        self.memory.put(&key, record);
        self.forget_at(until, Later::Holder(seen.pool_link));
    }

    /// A hit on the link has come: perhaps it is what a subscriber waited for.
    pub(super) fn retry_pending(&mut self, link: PoolLinkId) {
        let key = Key::Holder(self.account.clone(), link);
        let Some(record) = self.memory.read::<HolderRecord>(&key) else { return };
        if record.pending.is_empty() {
            return;
        }
        let mut record = record.clone();
        let pending = std::mem::take(&mut record.pending);
        self.memory.put(&key, record);
        for (until, seen) in pending {
            let Some(at) = seen.subscribed_at.filter(|_| until > self.now) else { continue };
            if self.find(link, at).is_some() {
                let fan_key = Key::Fan(self.account.clone(), seen.fan.clone());
                let mut fan: Box<FanRecord> = self.memory.take(&fan_key);
                self.attribute(&mut fan, &seen, at);
                self.memory.put(&fan_key, fan);
            } else {
                let mut record: HolderRecord = self.memory.take(&key);
                record.pending.push((until, seen));
                self.memory.put(&key, record);
            }
        }
    }

    /// The holder's visitor and fingerprint are the fan's from now on.
    fn know_holder(&mut self, holder: &Holder, fan: &FanId) {
        if holder.who.cookie().is_some() {
            self.know_visitor(holder.who, fan);
        }
        let Some(lasting) = holder.print else { return };
        let key = Key::Print(self.account.clone(), lasting);
        let mut print: PrintRecord = self.memory.take(&key);
        if print.fans.len() < 2 && !print.fans.contains(fan) {
            print.fans.push(fan.clone());
            self.memory.put(&key, print);
        }
    }

    /// What the visitor did between the subscription and now, as if the subscription had been known (decisions 25).
    fn follow(&mut self, fan: &mut FanRecord, holder: &Holder, at: Timestamp) {
        let later = |hit: &Hit| hit.at.seconds() > at.seconds() && hit.original.is_none();
        let own = holder.hits.iter().map(|time| Hit { at: *time, ..holder.click });
        let mut hits: Vec<Hit> = own.filter(later).collect();
        if holder.who.cookie().is_some() {
            let key = Key::Visitor(self.account.clone(), holder.who);
            let visitor = self.memory.read::<VisitorRecord>(&key);
            hits.extend(visitor.into_iter().flat_map(|visitor| &visitor.hits).copied().filter(later));
        }
        hits.sort_by_key(|hit| hit.at);
        for hit in hits {
            let known = fan.touches.iter().any(|touch| touch.at == hit.at && touch.click == Some(hit.row));
            if !known {
                let moved = Touch {
                    at: hit.at,
                    click: Some(hit.row),
                    link: hit.link,
                    ecid: hit.ecid,
                    subscription: false,
                };
                touch(&mut fan.touches, moved);
            }
        }
    }

    /// The conversion, the list, and everything that waited for the fan.
    fn subscribe(
        &mut self,
        fan: &mut Box<FanRecord>,
        seen: &SubscriberSeen,
        at: Timestamp,
        subscribed: Subscribed,
        bound: Touch,
    ) {
        if bound.click.is_none() {
            touch(&mut fan.touches, bound);
        }
        let price = seen.price.or_else(|| price(fan, at)).unwrap_or(Cents::ZERO);
        let holder = subscribed.holder.map(crate::ids::ClickId::to_bytes).unwrap_or_default();
        let pool_link = seen.pool_link.to_string();
        let cause: [&[u8]; 5] = [
            b"subscription",
            self.account.as_str().as_bytes(),
            seen.fan.as_str().as_bytes(),
            pool_link.as_bytes(),
            &holder,
        ];
        let id = ConversionId(derive::ulid(at, &cause));
        fan.subscriptions.push(subscribed);
        if fan.subscriptions.len() > 64 {
            fan.subscriptions.remove(0);
        }
        let conversion = Conversion {
            id,
            team: self.team,
            account: self.account.clone(),
            link: bound.link,
            click: bound.click,
            fan: seen.fan.clone(),
            kind: ConversionKind::NewSubscriber,
            at,
            gross: price,
            net: price.net_of_platform_fee(),
            purchase: Purchase::None,
            transaction: None,
        };
        if let Some(standing) = Self::standing(fan, bound.link, bound.click, at) {
            let is_new = !std::mem::replace(&mut standing.is_subscriber, true);
            self.sum_subscriber(bound.link, at, is_new);
        }
        self.convert(conversion);
        self.list_fan(&seen.fan, fan, bound.link);
        if let Some(list) = self.destinations.list(bound.link) {
            self.effects.step.list_adds.push(ListAdd {
                account: self.account.clone(),
                list: list.to_owned(),
                fan: seen.fan.clone(),
                created_at: self.at,
                link: Some(bound.link),
            });
        }
        self.release(&seen.fan, fan);
    }
}

/// The price a webhook gave for the subscription at `at`.
fn price(fan: &FanRecord, at: Timestamp) -> Option<Cents> {
    let apart = |announced: &&Announced| announced.at.since(at).max(at.since(announced.at));
    let near = fan.announced.iter().filter(|announced| apart(announced) <= SAME_SUBSCRIPTION);
    near.min_by_key(apart).and_then(|announced| announced.price)
}
