//! A person's day: ads, devices, decisions, and the time between them.

use std::time::Duration;

use rand::{Rng, RngExt};

use super::{
    super::{
        agents::{self, Source, pick},
        config::{Target, TrafficConfig},
    },
    Act, Ad, DevicePlan, Script,
};

/// Somebody who sees an ad for `target`.
pub(super) fn person(config: &TrafficConfig, dice: impl Rng, target: usize) -> Script {
    let mut planner = Planner { config, dice, target, script: Script::default(), pending: Duration::ZERO };
    planner.person();
    planner.script
}

struct Planner<'a, R> {
    config: &'a TrafficConfig,
    dice: R,
    target: usize,
    script: Script,
    /// The next act waits this much more.
    pending: Duration,
}

impl<R: Rng> Planner<'_, R> {
    fn person(&mut self) {
        let mix = self.config.mix;
        let keeps_cookies = !self.chance(mix.cookieless);
        let first = self.device(keeps_cookies);
        let ad = self.ad(self.target, first.browser.from);
        if self.chance(mix.prefetches) {
            self.act(Duration::ZERO, Act::Prefetch { device: 0, ad: ad.clone() });
        }
        let times = if self.chance(mix.double_taps) { 2 } else { 1 };
        let wait = self.short();
        self.act(wait, Act::Tap { device: 0, ad: ad.clone(), times });
        if self.chance(mix.returning) {
            self.later(Act::Tap { device: 0, ad: ad.clone(), times: 1 });
        }
        // Without a cookie nobody is known across links: such people keep to one ad (decisions 25).
        if keeps_cookies && self.chance(mix.wandering) {
            let other = self.other_ad(&ad);
            self.later(Act::Tap { device: 0, ad: other, times: 1 });
            if self.chance(0.3) {
                self.later(Act::Tap { device: 0, ad: ad.clone(), times: 1 });
            }
        }
        let mut device = 0;
        if self.chance(mix.second_devices) {
            device = 1;
            let second = self.device(true);
            let ad = self.ad(self.target, second.browser.from);
            self.later(Act::Tap { device, ad, times: 1 });
        }
        if self.chance(mix.subscribing) {
            self.subscribe(device);
            self.fan(device, &ad);
        }
    }

    /// Inside the window, or after it.
    fn subscribe(&mut self, device: usize) {
        let pace = self.config.pace;
        let (shortest, longest) = self.windows();
        let late = longest + pace.margin + self.short();
        let first = self.chance(0.5);
        let wait = if late <= pace.patience && self.chance(self.config.mix.late) {
            late
        } else {
            let most = pace.subscribe.min(shortest.saturating_sub(pace.margin)).max(pace.margin);
            self.between(pace.margin, most)
        };
        self.act(wait, Act::Subscribe { device, first });
        if self.chance(self.config.mix.chargebacks / 2.0) {
            let status = self.way_back();
            let wait = self.short();
            self.act(wait, Act::TakeBack { status });
        }
    }

    /// What a fan does afterwards.
    fn fan(&mut self, device: usize, ad: &Ad) {
        let mix = self.config.mix;
        // Whether a renewal counts as a repeat purchase depends on which of the two arrives first: those who renew buy
        // nothing else (decisions 28, 40).
        let renews = self.chance(mix.renewing);
        self.stay(renews);
        let keeps_cookies = self.script.devices.get(device).is_some_and(|device| device.keeps_cookies);
        if keeps_cookies && self.chance(mix.moving) {
            let other = self.other_ad(ad);
            self.later(Act::Tap { device, ad: other, times: 1 });
            self.settle();
            self.stay(renews);
            if self.chance(0.3) {
                self.later(Act::Tap { device, ad: ad.clone(), times: 1 });
                self.settle();
                self.stay(renews);
            }
        }
    }

    /// Some payments and messages.
    fn stay(&mut self, renews: bool) {
        const KINDS: [&str; 5] = ["tip", "message", "post", "stream", "other"];
        for _ in 0..self.dice.random_range(0..4) {
            let wait = self.short();
            if self.chance(0.5) {
                self.act(wait, Act::Write);
                continue;
            }
            let (kind, cents) = if renews {
                ("recurring_subscription", 1000)
            } else {
                let kind = pick(&mut self.dice, &KINDS).copied().unwrap_or("tip");
                // 3.00 to 100.00, any cent.
                (kind, self.dice.random_range(300..=10_000))
            };
            self.act(wait, Act::Pay { kind, cents });
            if self.chance(self.config.mix.chargebacks) {
                let status = self.way_back();
                let wait = self.short();
                self.act(wait, Act::TakeBack { status });
            }
        }
    }

    fn way_back(&mut self) -> &'static str {
        pick(&mut self.dice, &["undo", "chargeback", "pending_return"]).copied().unwrap_or("undo")
    }

    fn device(&mut self, keeps_cookies: bool) -> DevicePlan {
        let browser = pick(&mut self.dice, &agents::PEOPLE).copied().unwrap_or(agents::FIRST);
        let device = DevicePlan { browser, language: agents::language(&mut self.dice), keeps_cookies };
        self.script.devices.push(device);
        device
    }

    /// An ad for a link, in the manner of the platform it was seen on.
    fn ad(&mut self, target: usize, source: Source) -> Ad {
        let mut ecid = match self.dice.random_range(0..10) {
            0..4 => None,
            // A macro that the platform did not replace.
            4 => Some("{{ad.id}}".to_owned()),
            _ => Some(format!("ad-{}", self.dice.random_range(0..20))),
        };
        let token = format!("{:016x}{:016x}", self.dice.random::<u64>(), self.dice.random::<u64>());
        // Half of what is seen on the web is CreatorTraffic's; it names every click, when it fills its macro in.
        let creatortraffic = source == Source::Web && token.as_bytes() < b"8".as_slice();
        let by_creatortraffic = creatortraffic && ecid.as_deref() != Some("{{ad.id}}");
        if by_creatortraffic {
            ecid = Some(format!("ct_{token}"));
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(ecid) = &ecid {
            query.append_pair("ecid", ecid);
        }
        match source {
            Source::Meta => {
                query.append_pair("fbclid", &format!("IwAR{token}"));
                query.append_pair("utm_source", "instagram").append_pair("utm_medium", "paid");
            }
            Source::TikTok => {
                query.append_pair("ttclid", &format!("E.C.P.{token}")).append_pair("utm_source", "tiktok");
            }
            Source::Snapchat => {
                query.append_pair("ScCid", &token);
            }
            Source::X => {
                query.append_pair("utm_source", "x").append_pair("utm_campaign", "spring sale");
            }
            Source::Web if creatortraffic => {
                query.append_pair("utm_source", "creatortraffic");
            }
            Source::Web => {}
        }
        Ad { target, query: query.finish(), ecid, by_creatortraffic }
    }

    /// Another ad for the same creator: another link where there is one, else another `ecid`.
    fn other_ad(&mut self, ad: &Ad) -> Ad {
        let others: Vec<usize> = self.of_creator().filter(|other| *other != ad.target).collect();
        if let Some(target) = pick(&mut self.dice, &others).copied()
            && self.chance(0.7)
        {
            return self.ad(target, Source::Web);
        }
        let ecid = format!("again-{}", self.dice.random_range(0..1000));
        Ad { target: ad.target, query: format!("ecid={ecid}"), ecid: Some(ecid), by_creatortraffic: false }
    }

    fn of_creator(&self) -> impl Iterator<Item = usize> + use<'_, R> {
        let account = self.config.targets.get(self.target).map(|target| &target.account);
        let targets = self.config.targets.iter().enumerate();
        targets.filter(move |(_, other)| Some(&other.account) == account).map(|(index, _)| index)
    }

    /// Shortest and longest attribution window of this creator's links.
    fn windows(&self) -> (Duration, Duration) {
        let targets = || self.of_creator().filter_map(|index| self.config.targets.get(index));
        let window = |target: &Target| target.window;
        let shortest = targets().map(window).min().unwrap_or_default();
        (shortest, targets().map(window).max().unwrap_or_default())
    }

    fn act(&mut self, wait: Duration, act: Act) {
        let wait = wait + std::mem::take(&mut self.pending);
        self.script.acts.push((wait, act));
    }

    /// Plans an act so long after the one before that their order is certain.
    fn later(&mut self, act: Act) {
        let wait = self.config.pace.margin + self.short();
        self.act(wait, act);
    }

    /// Lets a margin pass before the next act, by adding it to that act's wait.
    fn settle(&mut self) {
        self.pending = self.config.pace.margin;
    }

    fn short(&mut self) -> Duration {
        self.between(Duration::ZERO, self.config.pace.between)
    }

    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let (least, most) = (millis(least), millis(most));
        Duration::from_millis(if most > least { self.dice.random_range(least..=most) } else { least })
    }

    fn chance(&mut self, share: f64) -> bool {
        self.dice.random::<f64>() < share
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
