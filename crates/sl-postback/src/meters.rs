//! Our own limits: how many requests each destination was sent lately, since the start.

use std::collections::HashMap;

use parking_lot::Mutex;
use sl_core::{
    delivery::Destination,
    pace::{Meter, Pace},
    time::Timestamp,
};

/// A meter per destination with a limit.
#[derive(Default)]
pub(crate) struct Meters(Mutex<HashMap<Destination, Meter>>);

impl Meters {
    /// How many requests may go to the destination at `now`.
    pub(crate) fn allows(&self, destination: Destination, pace: Option<Pace>, now: Timestamp) -> usize {
        let Some(pace) = pace else { return usize::MAX };
        self.0.lock().get(&destination).copied().unwrap_or_default().allows(pace, now)
    }

    /// Takes one, if one may go at `now`.
    pub(crate) fn take(&self, destination: Destination, pace: Option<Pace>, now: Timestamp) -> bool {
        let Some(pace) = pace else { return true };
        self.0.lock().entry(destination).or_default().take(pace, now)
    }
}
