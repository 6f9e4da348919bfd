//! The rules, applied to what was done.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use sl_core::{ids::SmartLinkId, time::Timestamp};

use super::{
    super::Target,
    Facts, Hit, Message, Payment, Subscriber,
    figures::{Figures, LinkFigures, Rungs},
};

/// Broken promises that are spelt out; the rest is only counted.
const SPELT_OUT: usize = 20;

/// The Smart Link of every payment that has one.
pub(super) fn credits(targets: &[Target], facts: &Facts) -> BTreeMap<String, SmartLinkId> {
    let mut reckoning = Reckoning::new(targets, facts);
    reckoning.fans();
    let credits = reckoning.credits.into_iter();
    credits.filter_map(|(payment, target)| Some((payment.to_owned(), targets.get(target)?.id))).collect()
}

pub(super) fn figures(targets: &[Target], visitor_window: Duration, facts: &Facts) -> Figures {
    let mut reckoning = Reckoning::new(targets, facts);
    reckoning.programs();
    reckoning.clicks(visitor_window);
    reckoning.fans();
    reckoning.totals()
}

/// What a hit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    Own,
    Overflow,
    Profile,
}

struct Reckoning<'a> {
    targets: &'a [Target],
    facts: &'a Facts,
    /// By time.
    hits: Vec<&'a Hit>,
    /// Hits of a device, by time.
    by_device: HashMap<u64, Vec<&'a Hit>>,
    /// Hits that were sent to an address, by time.
    by_location: HashMap<&'a str, Vec<&'a Hit>>,
    /// The Smart Link of each shared address.
    overflow: HashMap<&'a str, usize>,
    links: Vec<LinkFigures>,
    /// Fans that subscribed, per link.
    fans: Vec<BTreeSet<u64>>,
    /// Which target a payment was credited to.
    credits: Vec<(&'a str, usize)>,
    figures: Figures,
}

/// What a fan belongs to, from a time on.
#[derive(Debug, Clone, Copy)]
struct Binding<'a> {
    from: Timestamp,
    target: usize,
    ecid: Option<&'a str>,
    by_click: bool,
}

impl<'a> Reckoning<'a> {
    fn new(targets: &'a [Target], facts: &'a Facts) -> Self {
        let mut hits: Vec<&Hit> = facts.hits.iter().collect();
        hits.sort_by_key(|hit| hit.at);
        let mut by_device: HashMap<u64, Vec<&Hit>> = HashMap::new();
        let mut by_location: HashMap<&str, Vec<&Hit>> = HashMap::new();
        for hit in &hits {
            by_device.entry(hit.device).or_default().push(hit);
            by_location.entry(&hit.location).or_default().push(hit);
        }
        let shared = targets.iter().zip(&facts.shared).enumerate();
        let overflow = shared.flat_map(|(index, (target, shared))| {
            let not_profile = shared.iter().filter(|location| !is_profile(target, location));
            not_profile.map(move |location| (location.as_str(), index))
        });
        Self {
            targets,
            facts,
            hits,
            by_device,
            by_location,
            overflow: overflow.collect(),
            links: vec![LinkFigures::default(); targets.len()],
            fans: vec![BTreeSet::new(); targets.len()],
            credits: Vec::new(),
            figures: Figures { troubles: facts.troubles, ..Figures::default() },
        }
    }

    fn programs(&mut self) {
        for (link, (bots, speculative)) in
            self.links.iter_mut().zip(self.facts.bots.iter().zip(&self.facts.speculative))
        {
            link.clicks.bot = *bots;
            link.clicks.speculative = *speculative;
        }
    }

    /// Clicks and repeats, and whether links were handed out as promised.
    fn clicks(&mut self, visitor_window: Duration) {
        // The click that a device's further hits on a target repeat.
        let mut clicks: HashMap<(u64, usize, Option<&str>), &Hit> = HashMap::new();
        // Who was sent to an address of its own last.
        let mut holders: HashMap<&str, &Hit> = HashMap::new();
        for hit in self.hits.clone() {
            let key = (hit.device, hit.target, ecid(hit));
            let click = clicks.get(&key).filter(|click| hit.at.since(click.at) < visitor_window).copied();
            let rung = self.rung(hit.target, &hit.location);
            let Some(link) = self.links.get_mut(hit.target) else { continue };
            if let Some(click) = click {
                link.clicks.repeat += 1;
                let moved = click.location != hit.location;
                if moved && (rung == Rung::Own || self.rung(click.target, &click.location) == Rung::Own) {
                    self.broken(format!(
                        "a repeat was sent to {}, its click to {}",
                        hit.location, click.location
                    ));
                }
                continue;
            }
            link.clicks.person += 1;
            link.events.click += 1;
            clicks.insert(key, hit);
            let before = match rung {
                Rung::Own => holders.insert(&hit.location, hit),
                Rung::Overflow | Rung::Profile => None,
            };
            let rungs: &mut Rungs = &mut self.figures.rungs;
            match rung {
                Rung::Overflow => rungs.overflow += 1,
                Rung::Profile => rungs.profile += 1,
                Rung::Own if before.is_some() => rungs.recycled += 1,
                Rung::Own => rungs.fresh += 1,
            }
            if let Some(before) = before
                && hit.at.since(before.at) < self.window(before.target)
            {
                self.broken(format!("{} was handed to a second visitor inside the window", hit.location));
            }
        }
    }

    /// Subscribers, then what they paid and wrote.
    fn fans(&mut self) {
        let mut payments: HashMap<(u64, &str), Vec<&Payment>> = HashMap::new();
        for payment in &self.facts.payments {
            payments.entry((payment.fan, &payment.account)).or_default().push(payment);
            self.figures.revenue_cents.simulated += if payment.is_back { 0 } else { payment.gross_cents };
        }
        let mut messages: HashMap<(u64, &str), Vec<&Message>> = HashMap::new();
        for message in &self.facts.messages {
            messages.entry((message.fan, &message.account)).or_default().push(message);
        }
        for subscriber in &self.facts.subscribers {
            self.figures.subscribers.simulated += 1;
            let bindings = self.bindings(subscriber);
            let Some(first) = bindings.first().copied() else { continue };
            self.subscriber(subscriber, first);
            let fan = (subscriber.fan, subscriber.account.as_str());
            self.payments(&bindings, payments.get(&fan).map_or(&[], Vec::as_slice));
            self.messages(&bindings, messages.get(&fan).map_or(&[], Vec::as_slice));
        }
    }

    /// What a subscriber belongs to, in order of time; empty: to nobody.
    fn bindings(&mut self, subscriber: &Subscriber) -> Vec<Binding<'a>> {
        if let Some(target) = self.overflow.get(subscriber.location.as_str()).copied() {
            return vec![Binding { from: subscriber.at, target, ecid: None, by_click: false }];
        }
        let Some(holder) = self.holder(subscriber) else { return Vec::new() };
        // Without a cookie a device is known on its own pool link only.
        let known = |hit: &&Hit| {
            let account = self.targets.get(hit.target).map(|target| target.account.as_str());
            account == Some(&subscriber.account) && (holder.by_cookie || hit.location == holder.location)
        };
        let hits: Vec<&Hit> =
            self.by_device.get(&holder.device).into_iter().flatten().copied().filter(known).collect();
        let age_and_window = |hit: &&Hit| {
            let window = i64::try_from(self.window(hit.target).as_secs()).unwrap_or(i64::MAX);
            (subscriber.at.seconds() - hit.at.seconds(), window)
        };
        let inside = |hit: &&&Hit| {
            let (age, window) = age_and_window(hit);
            (0..=window).contains(&age)
        };
        let close = hits.iter().map(age_and_window);
        let close = close.filter(|(age, window)| age.abs() <= 1 || (age - window).abs() <= 1).count();
        let credited = hits.iter().filter(inside).max_by_key(|hit| hit.at).copied();
        self.figures.close_calls += close as u64;
        let Some(credited) = credited else { return Vec::new() };
        let mut bindings = vec![bind(credited)];
        for hit in hits.iter().filter(|hit| hit.at.seconds() > subscriber.at.seconds()) {
            let current = bindings.last().map(|binding| (binding.target, binding.ecid));
            if current != Some((hit.target, ecid(hit))) {
                bindings.push(bind(hit));
            }
        }
        bindings
    }

    /// The hit through which the address of a subscription was handed out: the newest at its time. A late subscriber's
    /// link may have been handed to somebody else since.
    fn holder(&self, subscriber: &Subscriber) -> Option<&'a Hit> {
        let given = self.by_location.get(subscriber.location.as_str()).into_iter().flatten();
        let given = given.filter(|hit| {
            let target = self.targets.get(hit.target);
            target.is_some_and(|target| {
                target.account == subscriber.account && !is_profile(target, &hit.location)
            })
        });
        given.filter(|hit| hit.at.seconds() <= subscriber.at.seconds()).max_by_key(|hit| hit.at).copied()
    }

    fn subscriber(&mut self, subscriber: &Subscriber, binding: Binding<'_>) {
        self.figures.subscribers.expected += 1;
        if let Some(fans) = self.fans.get_mut(binding.target) {
            fans.insert(subscriber.fan);
        }
        self.event(binding, |link, pixel| {
            link.events.new_subscriber += 1;
            link.events.pixel.new_subscriber += u64::from(pixel);
        });
    }

    fn payments(&mut self, bindings: &[Binding<'a>], payments: &[&'a Payment]) {
        let mut payments = payments.to_vec();
        payments.sort_by_key(|payment| payment.at);
        let mut bought = false;
        for payment in payments {
            let Some(binding) = self.in_force(bindings, payment.at) else { continue };
            self.credits.push((&payment.transaction, binding.target));
            if !payment.is_back {
                self.figures.revenue_cents.expected += payment.gross_cents;
            }
            let purchase = match payment.kind.as_str() {
                "new_subscription" => false,
                "recurring_subscription" => bought,
                _ => true,
            };
            let first = purchase && !bought;
            bought |= purchase;
            self.event(binding, |link, pixel| {
                link.revenue_cents += if payment.is_back { 0 } else { payment.gross_cents };
                link.events.new_transaction += 1;
                link.events.pixel.first_transaction += u64::from(pixel && first);
                link.events.pixel.new_transaction += u64::from(pixel && purchase && !first);
            });
        }
    }

    fn messages(&mut self, bindings: &[Binding<'a>], messages: &[&Message]) {
        let mut counts: BTreeMap<Timestamp, u32> = BTreeMap::new();
        for message in messages {
            let Some(binding) = self.in_force(bindings, message.at) else { continue };
            let count = counts.entry(binding.from).or_default();
            *count += 1;
            let (first, third) = (u64::from(*count == 1), u64::from(*count == 3));
            for _ in 0..first + third {
                self.without_click(binding);
            }
            self.event(binding, |link, pixel| {
                link.events.message_received += 1;
                link.events.fan_sent_1_message += first;
                link.events.fan_sent_3_messages += third;
                if pixel {
                    link.events.pixel.message_received += 1;
                    link.events.pixel.fan_sent_1_message += first;
                    link.events.pixel.fan_sent_3_messages += third;
                }
            });
        }
    }

    /// The binding of a moment, in whole seconds (decisions 26).
    fn in_force(&mut self, bindings: &[Binding<'a>], at: Timestamp) -> Option<Binding<'a>> {
        // The first one begins with the click that was credited: what came before it is nobody's.
        let close = bindings.iter().skip(1).filter(|one| (one.from.seconds() - at.seconds()).abs() <= 1);
        self.figures.close_calls += close.count() as u64;
        bindings.iter().rev().find(|binding| binding.from.seconds() <= at.seconds()).copied()
    }

    /// Adds to the link of a binding; the second argument says whether pixels are told.
    fn event(&mut self, binding: Binding<'_>, add: impl FnOnce(&mut LinkFigures, bool)) {
        self.without_click(binding);
        if let Some(link) = self.links.get_mut(binding.target) {
            add(link, binding.by_click);
        }
    }

    fn without_click(&mut self, binding: Binding<'_>) {
        if let Some(link) = self.links.get_mut(binding.target) {
            link.events.without_click += u64::from(!binding.by_click);
        }
    }

    fn rung(&self, target: usize, location: &str) -> Rung {
        match self.targets.get(target) {
            Some(target) if is_profile(target, location) => Rung::Profile,
            _ if self.overflow.contains_key(location) => Rung::Overflow,
            _ => Rung::Own,
        }
    }

    fn window(&self, target: usize) -> Duration {
        self.targets.get(target).map(|target| target.window).unwrap_or_default()
    }

    fn broken(&mut self, what: String) {
        if self.figures.broken.len() < SPELT_OUT {
            self.figures.broken.push(what);
        }
    }

    fn totals(mut self) -> Figures {
        for ((target, mut link), fans) in self.targets.iter().zip(self.links).zip(self.fans) {
            link.subscribers = fans.len() as u64;
            let clicks = &mut self.figures.clicks;
            clicks.person += link.clicks.person;
            clicks.repeat += link.clicks.repeat;
            clicks.bot += link.clicks.bot;
            clicks.speculative += link.clicks.speculative;
            self.figures.events.add(&link.events);
            self.figures.links.insert(target.id.to_string(), link);
        }
        self.figures
    }
}

fn bind(hit: &Hit) -> Binding<'_> {
    Binding { from: hit.at, target: hit.target, ecid: ecid(hit), by_click: true }
}

/// `ecid` as part of what a visitor is bound by: a macro that nobody replaced is none (decisions 36).
fn ecid(hit: &Hit) -> Option<&str> {
    hit.ecid.as_deref().filter(|ecid| !(ecid.starts_with("{{") && ecid.ends_with("}}")))
}

/// The creator's page: the handle and nothing after it.
fn is_profile(target: &Target, location: &str) -> bool {
    let path = url::Url::parse(location).map(|url| url.path().trim_matches('/').to_owned());
    path.is_ok_and(|path| path == target.username)
}
