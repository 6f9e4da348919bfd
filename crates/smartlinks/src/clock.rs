//! The system's clocks: the only place that reads them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use sl_core::{
    steady::{Steady, offset},
    time::{Clock, MOMENT, Timestamp},
};

/// UTC as the system tells it, leaps forward doubted: see [`sl_core::steady`].
pub(crate) fn system() -> Arc<dyn Clock> {
    Arc::new(SteadyClock::over(Arc::new(SystemClock)))
}

/// UTC as the system tells it.
#[derive(Debug, Clone, Copy, Default)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "everybody else takes the time as an argument")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A wall clock checked against the time the machine has run.
pub(crate) struct SteadyClock {
    wall: Arc<dyn Clock>,
    /// What [`Steady`] believes, for readers that agree with it and need no lock.
    believed: AtomicI64,
    calm: AtomicBool,
    steady: Mutex<Steady>,
}

/// A reading that differs less from what is believed is taken as it is.
const SAME: u64 = 1000;

// === impl SteadyClock ===

impl SteadyClock {
    /// Checks this one.
    pub(crate) fn over(wall: Arc<dyn Clock>) -> Self {
        let steady = Steady::new(wall.now(), running());
        Self {
            wall,
            believed: AtomicI64::new(steady.offset()),
            calm: AtomicBool::new(true),
            steady: Mutex::new(steady),
        }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let (wall, running) = (self.wall.now(), running());
        let agrees = offset(wall, running).abs_diff(self.believed.load(Ordering::Relaxed)) <= SAME;
        if agrees && self.calm.load(Ordering::Relaxed) {
            return wall;
        }
        let mut steady = self.steady.lock();
        let now = steady.read(wall, running);
        self.believed.store(steady.offset(), Ordering::Relaxed);
        self.calm.store(steady.is_calm(), Ordering::Relaxed);
        now
    }

    fn now_after(&self, last: Timestamp, ago: Duration) -> Timestamp {
        if ago < MOMENT { last } else { self.now() }
    }
}

/// Which start of the machine this is; nothing where the system does not say it.
pub(crate) fn boot() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Since the machine was started, sleep included.
pub(crate) fn running() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use sl_core::time::ManualClock;

    use super::*;

    #[test]
    fn a_wild_reading_is_not_believed_and_a_step_back_is() {
        let wall = Arc::new(ManualClock::at(Timestamp(1_780_000_000_000)));
        let clock = SteadyClock::over(wall.clone());
        let hour = Duration::from_secs(3600);
        wall.advance(hour * 72);
        assert!(clock.now().since(Timestamp(1_780_000_000_000)) < hour);
        wall.set(Timestamp(1_780_000_000_000).minus(hour));
        assert_eq!(clock.now(), Timestamp(1_780_000_000_000).minus(hour));
        wall.advance(Duration::from_secs(2));
        assert_eq!(clock.now(), Timestamp(1_780_000_002_000).minus(hour));
    }
}
