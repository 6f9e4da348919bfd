//! The breakers of all destinations.

use std::collections::HashMap;

use parking_lot::Mutex;
use sl_core::{
    breaker::{Breaker, Gate, Resting},
    delivery::Destination,
    retry::Outcome,
    time::Timestamp,
};

/// A breaker per destination as it was last changed. A start begins with closed ones, but for those that rest: the first
/// answers say how things are.
#[derive(Default)]
pub(crate) struct Breakers(Mutex<HashMap<Destination, (Timestamp, Breaker)>>);

impl Breakers {
    /// What may be sent to the destination in this version; a newer one begins anew.
    pub(crate) fn gate(
        &self,
        destination: Destination,
        version: Timestamp,
        now: Timestamp,
        width: usize,
    ) -> Gate {
        let mut all = self.0.lock();
        let entry = all.entry(destination).or_insert_with(|| (version, Breaker::default()));
        if entry.0 < version {
            *entry = (version, Breaker::default());
        }
        entry.1.gate(now, width)
    }

    /// An answer to an older version says nothing about the newer one. Gives the rest that begins with it, or goes on for
    /// longer.
    pub(crate) fn record(
        &self,
        destination: Destination,
        version: Timestamp,
        outcome: Outcome,
        now: Timestamp,
    ) -> Option<Resting> {
        let mut all = self.0.lock();
        let (_, breaker) = all.get_mut(&destination).filter(|(newest, _)| *newest == version)?;
        let before = breaker.rest();
        breaker.record(outcome, now);
        let rest = breaker.rest().filter(|rest| Some(*rest) != before)?;
        Some(Resting { rest, version })
    }

    /// Goes on as it was before a restart.
    pub(crate) fn restore(&self, resting: Vec<(Destination, Resting)>) {
        let mut all = self.0.lock();
        for (destination, Resting { rest, version }) in resting {
            all.entry(destination).or_insert_with(|| (version, Breaker::resting(rest)));
        }
    }
}
