//! Where traffic goes, how much of it, how fast people are.

use std::{sync::Arc, time::Duration};

use sl_core::{ids::SmartLinkId, time::Clock};
use url::Url;

use super::timer::{RealTime, Timer};

/// What [`super::Traffic::new`] wants to know.
#[derive(Clone)]
pub struct TrafficConfig {
    /// The edge's origin; it must believe `X-Forwarded-For` from here, or everybody is one visitor.
    pub edge_url: Url,
    /// The platform simulator's origin; links to the real platform are followed there.
    pub platform_url: Url,
    /// The Smart Links people follow.
    pub targets: Vec<Target>,
    /// Visitors per second, all kinds together.
    pub rate: f64,
    /// After so many visitors nobody comes any more, and the run ends when the last one has left.
    pub visitors: Option<u64>,
    /// Decides every choice.
    pub seed: u64,
    /// `edge.visitor_window`: how long the same visitor is the same click.
    pub visitor_window: Duration,
    /// How people behave.
    pub pace: Pace,
    /// What kinds of visitors there are.
    pub mix: Mix,
    /// Most visitors at once; more are left out and counted.
    pub most_at_once: usize,
    /// The clock of the service and the platform.
    pub clock: Arc<dyn Clock>,
    /// How people wait; it goes with the clock. Real time, unless a test says otherwise.
    pub timer: Arc<dyn Timer>,
}

impl TrafficConfig {
    /// 20 visitors per second at the usual pace and mix.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, edge_url: Url, platform_url: Url, targets: Vec<Target>) -> Self {
        Self {
            edge_url,
            platform_url,
            targets,
            rate: 20.0,
            visitors: None,
            seed: 1,
            visitor_window: Duration::from_secs(6 * 3600),
            pace: Pace::default(),
            mix: Mix::default(),
            most_at_once: 20_000,
            clock,
            timer: Arc::new(RealTime::default()),
        }
    }

    pub(super) fn check(&self) -> Result<(), TrafficError> {
        if self.targets.is_empty() {
            return Err(TrafficError::NoTargets);
        }
        if !(self.rate > 0.0 && self.rate.is_finite() && self.rate <= 1e6) {
            return Err(TrafficError::Rate(self.rate));
        }
        let least = 3 * self.pace.margin;
        match self.targets.iter().find(|target| target.window < least) {
            Some(target) => Err(TrafficError::Window { link: target.id, window: target.window, least }),
            None => Ok(()),
        }
    }
}

/// A Smart Link as its ads know it, with what its owner set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The last part of its address.
    pub id: SmartLinkId,
    /// Creator account.
    pub account: String,
    /// The creator's handle: `/{username}` is the profile.
    pub username: String,
    /// Attribution window of the link.
    pub window: Duration,
}

/// How fast people are, in seconds of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Least time between two moments of which the order, or the distance to a window's end, decides. At least 3 s, as
    /// times are compared in whole seconds.
    pub margin: Duration,
    /// Longest time from a click to the subscription, for those who hurry.
    pub subscribe: Duration,
    /// Longest time between two things of no consequence for each other.
    pub between: Duration,
    /// Nobody waits longer than this for anything: subscriptions after the window happen only when it ends before.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            margin: Duration::from_secs(3),
            subscribe: Duration::from_secs(8),
            between: Duration::from_secs(2),
            patience: Duration::from_secs(60),
        }
    }
}

/// Shares of visitors, 0.0 to 1.0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// Crawlers, tools and link previews, of all visitors.
    pub bots: f64,
    /// Visits that are only a HEAD request, of all visitors.
    pub heads: f64,
    /// Visits that begin with a prefetch, of people's.
    pub prefetches: f64,
    /// First taps that are two, of people's.
    pub double_taps: f64,
    /// Browsers that keep no cookies, of people's.
    pub cookieless: f64,
    /// People who come back to the same link before they decide.
    pub returning: f64,
    /// People who follow another link or ad of the same creator before they decide.
    pub wandering: f64,
    /// People who decide on a second device.
    pub second_devices: f64,
    /// People who subscribe.
    pub subscribing: f64,
    /// Of them, those who subscribe after the window, where patience allows.
    pub late: f64,
    /// Of them, those who follow another link of the same creator later.
    pub moving: f64,
    /// Of them, those who renew (and buy nothing else).
    pub renewing: f64,
    /// Payments that are taken back.
    pub chargebacks: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            bots: 0.15,
            heads: 0.05,
            prefetches: 0.06,
            double_taps: 0.12,
            cookieless: 0.12,
            returning: 0.15,
            wandering: 0.12,
            second_devices: 0.08,
            subscribing: 0.4,
            late: 0.1,
            moving: 0.25,
            renewing: 0.1,
            chargebacks: 0.08,
        }
    }
}

/// Traffic can't be prepared.
#[derive(Debug, thiserror::Error)]
pub enum TrafficError {
    /// There is no Smart Link to follow.
    #[error("targets: there is no Smart Link to follow; create one first")]
    NoTargets,
    /// A rate out of its range, visitors per second.
    #[error("rate = {0}: visitors per second, above 0 and at most 1000000")]
    Rate(f64),
    /// No room for margins.
    #[error(
        "window of {link} = {window:?}: too short to tell inside from outside; make it at least {least:?}"
    )]
    Window {
        /// The Smart Link.
        link: SmartLinkId,
        /// Its window.
        window: Duration,
        /// The shortest that works.
        least: Duration,
    },
    /// The HTTP client can't be made.
    #[error("the HTTP client can't be made: {0}")]
    Client(#[from] reqwest::Error),
    /// The management API could not say which Smart Links there are.
    #[error("the Smart Links can't be read from the management API: {0}; check its address and key")]
    Discover(String),
    /// The histogram can't be made.
    #[error("the histogram of redirects can't be made")]
    Histogram,
}
