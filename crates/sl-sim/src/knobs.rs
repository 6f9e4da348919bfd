//! What tests and people can switch on a simulator: failures, latency, stalls, a rate limit (`POST /_sim/…`).

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use sl_core::time::Timestamp;

use crate::server::Whole;

/// The state of the switches. Everything is off at first.
#[derive(Debug, Clone, Default)]
pub struct Knobs {
    /// Answer this instead of working.
    pub fail: Option<Fail>,
    /// Every answer waits this long.
    pub latency: Duration,
    /// Do the work, then keep the answer back.
    pub stall: Option<Stall>,
    /// Requests allowed per minute; `None`: any number.
    pub per_minute: Option<u32>,
    minute: i64,
    used: u32,
}

/// `POST /_sim/fail`: `{"status": 503, "count": 3, "only": "create"}`; `{}` ends it.
#[derive(Debug, Clone, Deserialize)]
pub struct Fail {
    /// HTTP status to answer with.
    pub status: u16,
    /// How many requests; all of them when absent.
    pub count: Option<u32>,
    /// Only requests whose endpoint name contains this.
    pub only: Option<String>,
}

/// `POST /_sim/stall`: `{"ms": 60000, "count": 1, "only": "create"}`; `{}` ends it.
#[derive(Debug, Clone, Deserialize)]
pub struct Stall {
    /// How long the answer is kept back, in milliseconds.
    pub ms: u64,
    /// How many requests; all of them when absent.
    pub count: Option<u32>,
    /// Only requests whose endpoint name contains this.
    pub only: Option<String>,
}

/// `POST /_sim/latency`: `{"ms": 200}`.
#[derive(Deserialize)]
struct Latency {
    ms: u64,
}

/// `POST /_sim/rate`: `{"per_minute": 60}`; `null` ends it.
#[derive(Deserialize)]
struct PerMinute {
    per_minute: Option<u32>,
}

/// Where the minute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Allowed per minute.
    pub limit: u32,
    /// Left of it.
    pub remaining: u32,
    /// Seconds until the next minute, at least 1.
    pub retry_after: i64,
    /// This request is over the limit.
    pub exceeded: bool,
}

/// The limit shown when there is none.
const UNLIMITED: u32 = 1_000_000;

impl Knobs {
    /// `POST /_sim/{what}`: turns that switch; `false` when it is none of these. Or what is wrong with the body.
    pub(crate) fn turn(&mut self, what: &str, request: &Whole) -> Result<bool, String> {
        match what {
            "fail" => self.fail = unless_empty(request)?,
            "stall" => self.stall = unless_empty(request)?,
            "latency" => self.latency = Duration::from_millis(request.json::<Latency>()?.ms),
            "rate" => self.per_minute = request.json::<PerMinute>()?.per_minute,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes one failure, if one is due for this endpoint.
    pub fn take_failure(&mut self, endpoint: &str) -> Option<u16> {
        let fail = self.fail.as_mut().filter(|fail| fits(fail.only.as_deref(), endpoint))?;
        let status = fail.status;
        if spend(&mut fail.count) {
            self.fail = None;
        }
        Some(status)
    }

    /// Takes one stall, if one is due for this endpoint.
    pub fn take_stall(&mut self, endpoint: &str) -> Option<Duration> {
        let stall = self.stall.as_mut().filter(|stall| fits(stall.only.as_deref(), endpoint))?;
        let held = Duration::from_millis(stall.ms);
        if spend(&mut stall.count) {
            self.stall = None;
        }
        Some(held)
    }

    /// Counts a request against the limit. Minutes are those of the clock, as upstream's are.
    pub fn count(&mut self, now: Timestamp) -> Rate {
        let minute = now.seconds().div_euclid(60);
        if minute != self.minute {
            (self.minute, self.used) = (minute, 0);
        }
        let limit = self.per_minute.unwrap_or(UNLIMITED);
        let exceeded = self.per_minute.is_some() && self.used >= limit;
        if !exceeded {
            self.used = self.used.saturating_add(1);
        }
        Rate {
            limit,
            remaining: limit.saturating_sub(self.used),
            retry_after: 60 - now.seconds().rem_euclid(60),
            exceeded,
        }
    }
}

/// An empty object ends a failure or stall.
fn unless_empty<T: DeserializeOwned>(request: &Whole) -> Result<Option<T>, String> {
    let empty = request.body.is_empty() || request.body.as_ref() == b"{}";
    if empty { Ok(None) } else { request.json().map(Some) }
}

fn fits(only: Option<&str>, endpoint: &str) -> bool {
    only.is_none_or(|only| endpoint.contains(only))
}

/// One less; true when that was the last.
fn spend(count: &mut Option<u32>) -> bool {
    let Some(left) = count else { return false };
    *left = left.saturating_sub(1);
    *left == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_spent_on_the_endpoints_it_names() {
        let mut knobs = Knobs {
            fail: Some(Fail { status: 503, count: Some(2), only: Some("create".to_owned()) }),
            ..Knobs::default()
        };
        assert_eq!(knobs.take_failure("list"), None);
        assert_eq!(knobs.take_failure("create_trial_link"), Some(503));
        assert_eq!(knobs.take_failure("create_tracking_link"), Some(503));
        assert_eq!(knobs.take_failure("create_tracking_link"), None);
    }

    #[test]
    fn a_minute_has_its_limit_and_the_next_one_starts_anew() {
        let mut knobs = Knobs { per_minute: Some(2), ..Knobs::default() };
        let at = |second| Timestamp::from_seconds(second);
        assert_eq!(knobs.count(at(30)), Rate { limit: 2, remaining: 1, retry_after: 30, exceeded: false });
        assert!(!knobs.count(at(31)).exceeded);
        assert_eq!(knobs.count(at(45)), Rate { limit: 2, remaining: 0, retry_after: 15, exceeded: true });
        assert!(!knobs.count(at(60)).exceeded);
    }
}
