//! Subscribers, and what they paid and wrote.

use std::collections::{BTreeMap, HashMap};

use sl_core::time::Timestamp;

use super::{
    super::{Hit, Message, Payment, Subscriber, figures::LinkFigures},
    Reckoning, ecid, is_profile,
};

/// What a fan belongs to, from a time on.
#[derive(Debug, Clone, Copy)]
struct Binding<'a> {
    from: Timestamp,
    target: usize,
    ecid: Option<&'a str>,
    by_click: bool,
    by_creatortraffic: bool,
}

impl<'a> Reckoning<'a> {
    /// Subscribers, then what they paid and wrote.
    pub(super) fn fans(&mut self) {
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
            return vec![Binding {
                from: subscriber.at,
                target,
                ecid: None,
                by_click: false,
                by_creatortraffic: false,
            }];
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
            link.events.pixel.by_creatortraffic += u64::from(pixel && binding.by_creatortraffic);
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
}

fn bind(hit: &Hit) -> Binding<'_> {
    let by_creatortraffic = hit.by_creatortraffic;
    Binding { from: hit.at, target: hit.target, ecid: ecid(hit), by_click: true, by_creatortraffic }
}
