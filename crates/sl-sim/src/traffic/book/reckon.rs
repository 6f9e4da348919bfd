//! The rules, applied to what was done.
//!
//! * [`clicks`]: classes, rungs, promise 3 · [`fans`]: who belongs to which link, and with what

mod clicks;
mod fans;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use sl_core::ids::SmartLinkId;

use super::{
    super::Target,
    Facts, Hit,
    figures::{Figures, LinkFigures},
};

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

/// Which kind of address a hit was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    Own,
    Overflow,
    Profile,
}

struct Reckoning<'a> {
    targets: &'a [Target],
    facts: &'a Facts,
    /// All hits, by time.
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
    /// Payments, each with the target it was credited to.
    credits: Vec<(&'a str, usize)>,
    figures: Figures,
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
        self.shared();
    }

    /// The book knows shared links by where programs were sent (decisions 2): to the profile until the Smart Link has its overflow
    /// link. Any more were meant for people.
    fn shared(&mut self) {
        for (target, shared) in self.targets.iter().zip(&self.facts.shared) {
            let links = shared.iter().filter(|location| !is_profile(target, location));
            self.figures.strays += links.skip(1).count() as u64;
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

/// `ecid` as part of what a visitor is bound by: a macro that nobody replaced is none (decisions 36).
fn ecid(hit: &Hit) -> Option<&str> {
    hit.ecid.as_deref().filter(|ecid| !(ecid.starts_with("{{") && ecid.ends_with("}}")))
}

/// The creator's page: the handle and nothing after it.
fn is_profile(target: &Target, location: &str) -> bool {
    let path = url::Url::parse(location).map(|url| url.path().trim_matches('/').to_owned());
    path.is_ok_and(|path| path == target.username)
}
