//! What a visitor will do, drawn from the seed before it begins.
//!
//! * [`planner`]: a person's day

mod planner;

use std::time::Duration;

use rand::RngExt;

use super::{
    agents::{self, Browser, pick},
    config::TrafficConfig,
};
use crate::chance::dice;

/// Who comes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Arrival {
    Person(Script),
    /// A program: crawler, preview, tool.
    Bot {
        user_agent: &'static str,
        target: usize,
    },
    /// Somebody's program looks at the header only.
    Head {
        target: usize,
    },
}

/// A person with up to two devices.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Script {
    pub(super) devices: Vec<DevicePlan>,
    /// What the person does, each with the wait before it.
    pub(super) acts: Vec<(Duration, Act)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DevicePlan {
    pub(super) browser: Browser,
    pub(super) language: &'static str,
    pub(super) keeps_cookies: bool,
}

/// One thing that a person does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    /// The browser fetches ahead.
    Prefetch {
        device: usize,
        ad: Ad,
    },
    /// The finger hits the ad, `times` at once.
    Tap {
        device: usize,
        ad: Ad,
        times: u8,
    },
    /// Subscribes on the page that the device was sent to: by its first tap on this creator, or its last.
    Subscribe {
        device: usize,
        first: bool,
    },
    /// Pays.
    Pay {
        kind: &'static str,
        cents: i64,
    },
    /// Takes the last payment back, or begins to.
    TakeBack {
        status: &'static str,
    },
    Write,
}

/// An ad: where it leads, and with what on the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ad {
    pub(super) target: usize,
    /// Query of the address, without the question mark; empty for none.
    pub(super) query: String,
    /// The decoded `ecid`, as it stands on the address.
    pub(super) ecid: Option<String>,
    /// It is CreatorTraffic's ad, with an id of the click in `ecid`.
    pub(super) by_creatortraffic: bool,
}

/// The plan of visitor `number`.
pub(super) fn arrival(config: &TrafficConfig, number: u64) -> Arrival {
    let mut dice = dice(config.seed, &["visitor", &number.to_string()]);
    let target = dice.random_range(0..config.targets.len());
    let draw = dice.random::<f64>();
    if draw < config.mix.bots
        && let Some(user_agent) = pick(&mut dice, &agents::BOTS)
    {
        return Arrival::Bot { user_agent, target };
    }
    if draw < config.mix.bots + config.mix.heads {
        return Arrival::Head { target };
    }
    Arrival::Person(planner::person(config, dice, target))
}
